-- bury_event(workflow, event): a transfer that waits, and may have been served in the part that Redis forgot, becomes a
-- dead letter: it fires nothing by itself.
--   KEYS[1] {q}:epoch  [2] {q}:events:<chain>:<executor> HASH  [3] {q}:occurrence:<key> HASH  [4] {q}:dead ZSET
--       [5] {q}:history STREAM
--   ARGV[1] run  [2] workflow  [3] event, as it waits  [4] key  [5] job that a retry puts on the list  [6] text
--       [7] history length  [8] the event's name
--   answer  ok | already (it does not wait any more, or another came on top of it) · recovery
if not guard() then return {'recovery', seq()} end
if redis.call('HGET', KEYS[2], ARGV[2]) ~= ARGV[3] then return {'already', seq()} end
local now = text(now_ms())
redis.call('HDEL', KEYS[2], ARGV[2])
redis.call('HSET', KEYS[3], 'kind', 'raw', 'id', ARGV[4], 'job', ARGV[5], 'workflow', ARGV[2], 'event', ARGV[8],
  'st', 'dead', 'holder', '', 'fence', '0', 'attempts', '0', 'reason', 'uncertain', 'text', ARGV[6], 'closed_at', now)
redis.call('ZADD', KEYS[4], now, ARGV[4])
tell(KEYS[5], ARGV[7], ARGV[4], ARGV[2], 'dead', 'uncertain', '0', ARGV[6])
return {'ok', advance()}
