-- register(worker): before the first claim. Ids are unique per boot, so an id is never registered twice.
--   KEYS[1] {q}:epoch  [2] {q}:workers ZSET id -> last beat (ms)  [3] {q}:worker:<id> HASH
--   ARGV[1] run  [2] worker  [3..] field, value, ...
--   answer  ok, now (ms) | gone (a tombstone bears this id) | recovery
if not guard() then return {'recovery', seq()} end
local score = redis.call('ZSCORE', KEYS[2], ARGV[2])
if score and tonumber(score) < 0 then return {'gone', seq()} end
local now = text(now_ms())
if score then return {'ok', seq(), now} end
redis.call('ZADD', KEYS[2], now, ARGV[2])
redis.call('HSET', KEYS[3], 'registered', now, unpack(ARGV, 3))
return {'ok', advance(), now}
