-- note(key): facts for people (broadcast answers, mined blocks). They decide nothing, so it is not fenced; but nothing
-- is written to a record that is gone: it would come back without a state, and for ever.
--   KEYS[1] {q}:epoch  [2] {q}:occurrence:<key> HASH
--   ARGV[1] run  [2..] field, value, ...
--   answer  ok | gone
if redis.call('EXISTS', KEYS[2]) == 0 then return {'gone', seq()} end
redis.call('HSET', KEYS[2], unpack(ARGV, 2))
return {'ok', seq()}
