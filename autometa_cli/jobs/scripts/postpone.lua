-- postpone(keys): since when the elements of these records stand where they stand, `queue clear` and `queue restore` say:
-- the sweep leaves them alone for a while after that. Records that are not queued are left as they are.
--   KEYS[1] {q}:epoch  [2] {q}:queued ZSET
--   ARGV[1] run  [2] when (ms)  [3..] record keys
--   answer  ok
for i = 3, #ARGV do
  -- The deleting write first: a full Redis lets the other follow.
  if redis.call('ZREM', KEYS[2], ARGV[i]) == 1 then redis.call('ZADD', KEYS[2], ARGV[2], ARGV[i]) end
end
return {'ok', seq()}
