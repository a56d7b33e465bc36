-- entomb(worker, raw, key): an element that is no job (not JSON, not our schema) goes to the dead letters as it is. The
-- key is new with each call: where it is there, this is a repetition, and another element with the same bytes stays.
--   KEYS[1] {q}:epoch  [2] {q}:inflight:<worker> LIST  [3] {q}:occurrence:<key> HASH  [4] {q}:dead ZSET
--       [5] {q}:history STREAM
--   ARGV[1] run  [2] raw  [3] key  [4] reason  [5] text  [6] history length
--   answer  ok | already
if redis.call('EXISTS', KEYS[3]) == 1 or redis.call('LREM', KEYS[2], 1, ARGV[2]) == 0 then return {'already', seq()} end
local now = text(now_ms())
redis.call('HSET', KEYS[3], 'kind', 'raw', 'id', ARGV[3], 'job', ARGV[2], 'st', 'dead', 'holder', '', 'fence', '0',
  'attempts', '0', 'reason', ARGV[4], 'text', ARGV[5], 'closed_at', now)
redis.call('ZADD', KEYS[4], now, ARGV[3])
tell(KEYS[5], ARGV[6], ARGV[3], '', 'dead', ARGV[4], '0', ARGV[5])
return {'ok', advance()}
