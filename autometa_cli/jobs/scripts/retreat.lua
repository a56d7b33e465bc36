-- retreat(worker, element): take an element out of the worker's list and put it back to the head of the queue.
--   KEYS[1] {q}:epoch  [2] {q}:inflight:<worker> LIST  [3] q LIST
--   ARGV[1] run  [2] element (raw, or an envelope whose record is gone)  [3] what goes on the list: the raw bytes
--   answer  ok | already
must_be_list(KEYS[3])
if redis.call('LREM', KEYS[2], 1, ARGV[2]) == 0 then return {'already', seq()} end
redis.call('LPUSH', KEYS[3], ARGV[3])
return {'ok', advance()}
