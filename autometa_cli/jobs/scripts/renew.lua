-- renew(run): the ledger survived a restart of Redis whole; hand it to the new process.
--   The caller has proof that nothing was lost (see jobs/epoch.py).
--   KEYS[1] {q}:epoch HASH
--   ARGV[1] run (new)  [2] run (old)  [3] seq that the proof is about
--   answer  ok | already | moved (somebody wrote meanwhile, or recovery began)
local e = redis.call('HMGET', KEYS[1], 'run', 'seq', 'recovering')
if e[1] == ARGV[1] then return {'already', seq()} end
if e[1] ~= ARGV[2] or e[2] ~= ARGV[3] or (e[3] and e[3] ~= '') then return {'moved', seq()} end
redis.call('HSET', KEYS[1], 'run', ARGV[1])
return {'ok', advance()}
