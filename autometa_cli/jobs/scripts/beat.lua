-- beat(worker): still here. Does not advance seq: it decides nothing.
--   KEYS[1] {q}:epoch  [2] {q}:workers ZSET  [3] {q}:worker:<id> HASH  [4] {q}:paused STRING
--   ARGV[1] run  [2] worker  [3..] field, value, ...
--   answer  ok, now (ms), paused reason or '' | gone (buried by a reaper: stop) | recovery
local score = redis.call('ZSCORE', KEYS[2], ARGV[2])
if not score or tonumber(score) < 0 then return {'gone', seq()} end
if not guard() then return {'recovery', seq()} end
local now = text(now_ms())
redis.call('ZREM', KEYS[2], ARGV[2])  -- a deleting write first: a full Redis lets the others follow
redis.call('ZADD', KEYS[2], now, ARGV[2])
redis.call('HSET', KEYS[3], 'beat', now, unpack(ARGV, 3))
return {'ok', seq(), now, redis.call('GET', KEYS[4]) or ''}
