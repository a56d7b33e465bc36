-- recovery_window(run, sender): every nonce of this key that forgotten bytes may have is used up, finally.
--   KEYS[1] {q}:epoch HASH
--   ARGV[1] run  [2] sender  [3] nonce below which everything is consumed
--   answer  ok | moved (another run, or no recovery under way)
local e = redis.call('HMGET', KEYS[1], 'run', 'recovering')
if e[1] ~= ARGV[1] or e[2] ~= '1' then return {'moved', seq()} end
if redis.call('HGET', KEYS[1], 'window:' .. ARGV[2]) == ARGV[3] then return {'ok', seq()} end
redis.call('HSET', KEYS[1], 'window:' .. ARGV[2], ARGV[3])
return {'ok', advance()}
