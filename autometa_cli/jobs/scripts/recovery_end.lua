-- recovery_end(run): every known key's window is used up; work goes on. What the ledger still says of signed records
-- is settled from the chain as always.
--   KEYS[1] {q}:epoch HASH  [2] {q}:seen HASH
--   ARGV[1] run  [2..] senders whose windows must be done
--   answer  ok | already · open, sender (not done yet) · moved
local e = redis.call('HMGET', KEYS[1], 'run', 'recovering')
if e[1] ~= ARGV[1] then return {'moved', seq()} end
if e[2] ~= '1' then return {'already', seq()} end
for i = 2, #ARGV do
  if redis.call('HEXISTS', KEYS[1], 'window:' .. ARGV[i]) == 0 then return {'open', seq(), ARGV[i]} end
end
redis.call('HDEL', KEYS[1], 'recovering')
redis.call('HINCRBY', KEYS[1], 'recovered', 1)
redis.call('DEL', KEYS[2])
return {'ok', advance()}
