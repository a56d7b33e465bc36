-- leave(worker): a clean goodbye; only with nothing in flight, else the reaper must find it.
--   KEYS[1] {q}:epoch  [2] {q}:workers ZSET  [3] {q}:worker:<id> HASH  [4] {q}:inflight:<id> LIST
--   ARGV[1] run  [2] worker
--   answer  ok | already | busy, number in flight
if not redis.call('ZSCORE', KEYS[2], ARGV[2]) then return {'already', seq()} end
local left = redis.call('LLEN', KEYS[4])
if left > 0 then return {'busy', seq(), text(left)} end
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('DEL', KEYS[3])
return {'ok', advance()}
