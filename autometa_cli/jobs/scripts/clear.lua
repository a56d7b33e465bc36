-- clear(): move the pending list aside, so that it can be restored.
--   KEYS[1] {q}:epoch  [2] q LIST  [3] {q}:cleared:<stamp> LIST  [4] {q}:cleared ZSET stamp -> lapses (ms)
--   ARGV[1] run  [2] stamp  [3] kept for (s)
--   answer  ok | already, number moved
if redis.call('ZSCORE', KEYS[4], ARGV[2]) then return {'already', seq(), text(redis.call('LLEN', KEYS[3]))} end
local count = redis.call('LLEN', KEYS[2])
if count == 0 then return {'ok', seq(), '0'} end
redis.call('RENAME', KEYS[2], KEYS[3])
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', text(now_ms()))
redis.call('EXPIRE', KEYS[3], ARGV[3])
redis.call('ZADD', KEYS[4], text(now_ms() + tonumber(ARGV[3]) * 1000), ARGV[2])
redis.call('EXPIRE', KEYS[4], ARGV[3])
return {'ok', advance(), text(count)}
