-- bind(worker, fence, key, sender): give the record its one (sender, nonce), and the workflow's mutex with it.
--   KEYS[1] {q}:epoch  [2] {q}:workers ZSET  [3] {q}:occurrence:<key> HASH  [4] {q}:workflow:… HASH
--       [5] {q}:sender:<chain>:<sender> HASH next, final, genesis, blocked  [6] …:freed ZSET nonce -> nonce
--       [7] …:nonces HASH nonce -> record key  [8] {q}:open ZSET key -> ms
--       [9] [10] freed and nonces of the record's earlier sender (the same as [6] [7] where there is none)
--   ARGV[1] run  [2] worker  [3] fence  [4] key  [5] sender  [6] latest  [7] final  [8] pending (transaction counts
--       of the sender)  [9] block that the check was made at  [10] final block  [11] window  [12] genesis hash
--       [13] latest count of the record's earlier sender
--   answer  ok | already, nonce · recheck (the chain overtook the counter or the check) · wait:workflow |
--           wait:foreign | wait:blocked | wait:window | wait:chain | wait:owner (a free nonce has an owner: the
--           ledger contradicts itself) · reconcile (its nonce is consumed though it was never signed) · gone · fenced · recovery
if not guard() then return {'recovery', seq()} end
local key, sender = ARGV[4], ARGV[5]
local r = redis.call('HMGET', KEYS[3], 'st', 'sender', 'nonce', 'holder', 'fence')
if not own(r[4], r[5], KEYS[2], ARGV[2], ARGV[3]) then return {'fenced', seq()} end
if r[1] ~= 'claimed' and r[1] ~= 'bound' then return {'gone', seq(), r[1] or ''} end
local w = redis.call('HMGET', KEYS[4], 'block', 'open')
if w[1] and tonumber(w[1]) > tonumber(ARGV[9]) then return {'recheck', seq()} end
if w[2] and w[2] ~= key then return {'wait:workflow', seq(), w[2]} end
local latest, final, pending = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local foreign_nonce = nil
if r[1] == 'bound' then
  local nonce = tonumber(r[3])
  if r[2] == sender then
    if nonce < latest then return {'reconcile', seq()} end
    return {'already', seq(), r[3]}
  end
  if nonce < tonumber(ARGV[13]) then return {'reconcile', seq()} end
  foreign_nonce = r[3]
end
local s = redis.call('HMGET', KEYS[5], 'next', 'genesis', 'blocked', 'overtaken')
if s[2] and s[2] ~= ARGV[12] then return {'wait:chain', seq()} end
local next_nonce = tonumber(s[1] or ARGV[7])
-- The check was made before anybody knew that somebody else uses this key. Whoever is told so must not bind on it when
-- the answer is lost and the call repeated.
local told = key .. ' ' .. ARGV[3]
if s[4] == told then return {'recheck', seq()} end
if final > next_nonce then
  redis.call('ZREMRANGEBYSCORE', KEYS[6], '-inf', '(' .. text(final))
  redis.call('HSET', KEYS[5], 'next', text(final), 'final', text(final), 'overtaken', told)
  return {'recheck', advance()}
end
if s[3] and s[3] ~= '' then return {'wait:blocked', seq(), s[3]} end
local freed = redis.call('ZRANGEBYSCORE', KEYS[6], text(latest), '+inf', 'LIMIT', 0, 1)[1]
local nonce = tonumber(freed or next_nonce)
if pending > nonce then return {'wait:foreign', seq(), text(nonce)} end
if nonce >= final + tonumber(ARGV[11]) then return {'wait:window', seq(), text(nonce)} end
if redis.call('HEXISTS', KEYS[7], text(nonce)) == 1 then return {'wait:owner', seq(), text(nonce)} end
if foreign_nonce then
  redis.call('HDEL', KEYS[10], foreign_nonce)
  redis.call('ZADD', KEYS[9], foreign_nonce, foreign_nonce)
end
if freed then redis.call('ZREM', KEYS[6], freed) else next_nonce = next_nonce + 1 end
redis.call('HSET', KEYS[5], 'next', text(next_nonce), 'final', text(final), 'genesis', ARGV[12])
redis.call('HSET', KEYS[7], text(nonce), key)
local now = text(now_ms())
redis.call('HSET', KEYS[3], 'st', 'bound', 'sender', sender, 'nonce', text(nonce), 'n', '0',
  'bound_block', ARGV[10], 'bound_at', now)
redis.call('HSET', KEYS[4], 'open', key)
redis.call('ZADD', KEYS[8], now, key)
return {'ok', advance(), text(nonce)}
