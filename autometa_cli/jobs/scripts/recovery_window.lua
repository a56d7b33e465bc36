-- recovery_window(run, sender): every nonce of this key that forgotten bytes may have is used up, finally.
--   KEYS[1] {q}:epoch HASH  [2] {q}:cursor:<chain>:<executor> HASH  (doubt: what was executed up to this final block may
--       be forgotten, so a transfer up to there may have been served: scheduling/doubts.py)
--   ARGV[1] run  [2] sender  [3] nonce below which everything is consumed  [4] final block that shows it
--   answer  ok | moved (another run, or no recovery under way)
local e = redis.call('HMGET', KEYS[1], 'run', 'recovering')
if e[1] ~= ARGV[1] or e[2] ~= '1' then return {'moved', seq()} end
if redis.call('HGET', KEYS[1], 'window:' .. ARGV[2]) == ARGV[3] then return {'ok', seq()} end
redis.call('HSET', KEYS[1], 'window:' .. ARGV[2], ARGV[3])
if tonumber(redis.call('HGET', KEYS[2], 'doubt') or '0') < tonumber(ARGV[4]) then
  redis.call('HSET', KEYS[2], 'doubt', ARGV[4])
end
return {'ok', advance()}
