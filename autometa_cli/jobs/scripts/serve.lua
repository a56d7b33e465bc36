-- serve(contracts): which contracts this queue's jobs are for. A job in the list names none: whoever takes it executes it
-- at its own. So a queue changes over only when nothing is left of the ones before: no job, no open nonce, no worker, and
-- no scheduler that leads.
--   KEYS[1] {q}:epoch HASH  (serves: <chain>:<executor>)  [2] {q}:workers ZSET  [3] q LIST  [4] {q}:queued ZSET
--       [5] {q}:delayed ZSET  [6] {q}:open ZSET  [7] {q}:leader HASH holder, until (ms)
--       [8..] {q}:inflight:<worker> LIST of every worker that is known, tombstones included
--   ARGV[1] run  [2] <chain>:<executor>
--   answer  ok (it is for these, or is from now on) · other, the contracts that it is for · recovery
local serves = redis.call('HGET', KEYS[1], 'serves')
if serves == ARGV[2] then return {'ok', seq(), ''} end
if not guard() then return {'recovery', seq()} end
if serves then
  local left = redis.call('ZCOUNT', KEYS[2], '(0', '+inf') + redis.call('LLEN', KEYS[3])
  for i = 4, 6 do left = left + redis.call('ZCARD', KEYS[i]) end
  for i = 8, #KEYS do left = left + redis.call('LLEN', KEYS[i]) end
  local lease = redis.call('HMGET', KEYS[7], 'holder', 'until')
  local leads = lease[1] and (tonumber(lease[2] or '') or 0) > now_ms()
  if left > 0 or leads then return {'other', seq(), serves} end
end
redis.call('HSET', KEYS[1], 'serves', ARGV[2])
return {'ok', advance(), serves or ''}
