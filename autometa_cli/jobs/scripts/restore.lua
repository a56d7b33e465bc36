-- restore(stamp): bring a cleared list back, in front of what came since; up to 1000 elements a call.
--   KEYS[1] {q}:epoch  [2] q LIST  [3] {q}:cleared:<stamp> LIST  [4] {q}:cleared ZSET
--   ARGV[1] run  [2] stamp
--   answer  ok, number moved, number left
-- The deleting write first: a full Redis lets the others follow.
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', '(' .. text(now_ms()))
local moved = 0
while moved < 1000 and redis.call('LMOVE', KEYS[3], KEYS[2], 'RIGHT', 'LEFT') do moved = moved + 1 end
local left = redis.call('LLEN', KEYS[3])
if left == 0 then redis.call('ZREM', KEYS[4], ARGV[2]) end
if moved == 0 then return {'ok', seq(), '0', '0'} end
return {'ok', advance(), text(moved), text(left)}
