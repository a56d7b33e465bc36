-- epoch(run): which Redis process does the ledger belong to?
--   KEYS[1] {q}:epoch HASH
--   ARGV[1] run
--   answer  ok | recovery (the ledger belongs to another process: run, or it is being rebuilt), with the ledger's run, and
--           how often it was recovered
local e = redis.call('HMGET', KEYS[1], 'run', 'recovering', 'recovered')
if not e[1] then
  redis.call('HSET', KEYS[1], 'run', ARGV[1], 'seq', '0')
  return {'ok', '0', ARGV[1], '0'}
end
if guard() then return {'ok', seq(), e[1], e[3] or '0'} end
return {'recovery', seq(), e[1], e[3] or '0'}
