-- recovery_begin(run): the ledger may have lost writes. From now on nobody binds, signs or settles, until every key's
-- open window is used up (executor/recovery.py).
--   KEYS[1] {q}:epoch HASH  (fields window:<sender>: barriers that are done)
--   ARGV[1] run (of the Redis process as it is now)
--   answer  ok · already (recovery of this run is under way)
local e = redis.call('HMGET', KEYS[1], 'run', 'recovering')
if e[1] == ARGV[1] and e[2] == '1' then return {'already', seq()} end
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 7) == 'window:' then redis.call('HDEL', KEYS[1], field) end
end
redis.call('HSET', KEYS[1], 'run', ARGV[1], 'recovering', '1')
return {'ok', advance()}
