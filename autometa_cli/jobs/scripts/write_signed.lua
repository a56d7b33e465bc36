-- write_signed(worker, fence, key, sender, nonce, i): the bytes are in the ledger before anybody sends them.
-- Attempts are only ever appended. A call is never written again once the record is cancelling.
--   KEYS[1] {q}:epoch  [2] {q}:workers ZSET  [3] {q}:occurrence:<key> HASH  [4] {q}:sender:…:nonces HASH
--   ARGV[1] run  [2] worker  [3] fence  [4] key  [5] sender  [6] nonce  [7] i (attempt, from 0)  [8] raw bytes
--       [9] hash  [10] fees (JSON, wei)  [11] what: call | cancel  [12] new nextRun (call)  [13] reason (cancel)
--       [14] unwanted 1|0 (cancel): the chain no longer asks for it
--   answer  ok | already · fenced (throw the bytes away) · recovery
if not guard() then return {'recovery', seq()} end
local key, i, what = ARGV[4], ARGV[7], ARGV[11]
local r = redis.call('HMGET', KEYS[3], 'st', 'sender', 'nonce', 'n', 'hash:' .. i, 'holder', 'fence')
if not own(r[6], r[7], KEYS[2], ARGV[2], ARGV[3]) then return {'fenced', seq()} end
local st = r[1]
if r[2] ~= ARGV[5] or r[3] ~= ARGV[6] or redis.call('HGET', KEYS[4], ARGV[6]) ~= key then return {'fenced', seq()} end
if r[5] then return {r[5] == ARGV[9] and 'already' or 'fenced', seq()} end
if not (st == 'bound' or st == 'signed' or st == 'cancelling') or r[4] ~= i then return {'fenced', seq()} end
if what == 'call' and st == 'cancelling' then return {'fenced', seq()} end
local now = text(now_ms())
redis.call('HSET', KEYS[3], 'raw:' .. i, ARGV[8], 'hash:' .. i, ARGV[9], 'fee:' .. i, ARGV[10], 'what:' .. i, what,
  'n', text(tonumber(i) + 1), 'signed_at', now)
if what == 'cancel' then
  redis.call('HSET', KEYS[3], 'st', 'cancelling', 'reason', ARGV[13], 'unwanted', ARGV[14])
else
  redis.call('HSET', KEYS[3], 'st', 'signed', 'new_next_run', ARGV[12])
  redis.call('HDEL', KEYS[3], 'reason', 'text')  -- why it waited before is over
end
redis.call('HDEL', KEYS[3], 'held_since', 'holds')
return {'ok', advance()}
