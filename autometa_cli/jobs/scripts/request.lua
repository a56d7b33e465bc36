-- request(key, what): a person asks whoever holds an open transaction to raise its fee, or to cancel it. By itself that
-- decides nothing: the holder's tracker obeys, under its own fence, and takes the request away.
--   KEYS[1] {q}:epoch  [2] {q}:workers ZSET  [3] {q}:occurrence:<key> HASH  [4] {q}:requests HASH
--           key -> <bump|cancel> <sender>:<nonce>
--   ARGV[1] run  [2] key  [3] bump | cancel | done (it was obeyed, or cannot be)  [4] what was asked, where it is done
--       [5] sender  [6] nonce  [7] lapses after (s)
--   answer  ok | already (asked for that, or cancelling; or done) · free (nobody alive holds it: the caller may) ·
--           gone, st (it has no transaction under this nonce) · recovery
if not guard() then return {'recovery', seq()} end
local key, what = ARGV[2], ARGV[3]
local stood = redis.call('HGET', KEYS[4], key)
if what == 'done' then
  if stood ~= ARGV[4] .. ' ' .. ARGV[5] .. ':' .. ARGV[6] then return {'already', seq()} end
  redis.call('HDEL', KEYS[4], key)
  return {'ok', seq()}
end
local r = redis.call('HMGET', KEYS[3], 'st', 'holder', 'sender', 'nonce')
if not (r[1] == 'signed' or r[1] == 'cancelling') or r[3] ~= ARGV[5] or r[4] ~= ARGV[6] then
  return {'gone', seq(), r[1] or ''}
end
local value = what .. ' ' .. ARGV[5] .. ':' .. ARGV[6]
if what == 'cancel' and r[1] == 'cancelling' then return {'already', seq()} end
if (r[2] or '') == '' or not alive(KEYS[2], r[2]) then return {'free', seq()} end
if stood == value or stood == 'cancel ' .. ARGV[5] .. ':' .. ARGV[6] then return {'already', seq()} end
redis.call('HSET', KEYS[4], key, value)
redis.call('EXPIRE', KEYS[4], ARGV[7])
return {'ok', seq()}
