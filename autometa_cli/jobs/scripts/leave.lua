-- leave(worker): a clean goodbye; only with nothing in flight, else the reaper must find it. The tombstone stays for a
-- while: a claim that was on its way may still land in this worker's list, and reapers look there.
--   KEYS[1] {q}:epoch  [2] {q}:workers ZSET  [3] {q}:worker:<id> HASH  [4] {q}:inflight:<id> LIST
--   ARGV[1] run  [2] worker
--   answer  ok | already | busy, number in flight
if not alive(KEYS[2], ARGV[2]) then return {'already', seq()} end
local left = redis.call('LLEN', KEYS[4])
if left > 0 then return {'busy', seq(), text(left)} end
local now = text(now_ms())
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('ZADD', KEYS[2], '-' .. now, ARGV[2])
redis.call('HSET', KEYS[3], 'left', now)
return {'ok', advance()}
