-- serve(contracts): which contracts this queue's jobs are for. A job in the list names none: whoever takes it executes it
-- at its own. So a queue changes over only when nothing is left of the ones before: no job, no open nonce, no worker.
--   KEYS[1] {q}:epoch HASH  (serves: <chain>:<executor>)  [2] {q}:workers ZSET  [3] q LIST  [4] {q}:queued ZSET
--       [5] {q}:delayed ZSET  [6] {q}:open ZSET
--   ARGV[1] run  [2] <chain>:<executor>
--   answer  ok (it is for these, or is from now on) · other, the contracts that it is for · recovery
local serves = redis.call('HGET', KEYS[1], 'serves')
if serves == ARGV[2] then return {'ok', seq(), ''} end
if not guard() then return {'recovery', seq()} end
if serves then
  local living = redis.call('ZCOUNT', KEYS[2], '(0', '+inf')
  local jobs = redis.call('LLEN', KEYS[3]) + redis.call('ZCARD', KEYS[4]) + redis.call('ZCARD', KEYS[5])
  if living + jobs + redis.call('ZCARD', KEYS[6]) > 0 then return {'other', seq(), serves} end
end
redis.call('HSET', KEYS[1], 'serves', ARGV[2])
return {'ok', advance(), serves or ''}
