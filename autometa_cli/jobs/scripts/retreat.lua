-- retreat(worker, raw): put an element that was not adopted back to the head of the queue, as it was.
--   KEYS[1] {q}:epoch  [2] {q}:inflight:<worker> LIST  [3] q LIST
--   ARGV[1] run  [2] raw
--   answer  ok | already
if redis.call('LREM', KEYS[2], 1, ARGV[2]) == 0 then return {'already', seq()} end
redis.call('LPUSH', KEYS[3], ARGV[2])
return {'ok', advance()}
