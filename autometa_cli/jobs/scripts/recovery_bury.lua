-- recovery_bury(key): a record that was never signed as far as the ledger remembers, but may have been in the part that
-- it forgot. A "now" job without a nonce is buried, and not run again by itself. One that is bound, of whatever kind,
-- counts as signed: the chain tells what became of its nonce, and nobody may give that back.
--   KEYS[1] {q}:epoch  [2] {q}:occurrence:<key> HASH  [3] {q}:workflow:… HASH (any key for a raw element)  [4] {q}:dead ZSET
--       [5] list that holds the element  [6] {q}:delayed ZSET  [7] {q}:queued ZSET
--   ARGV[1] run  [2] key  [3] element  [4] raw payload  [5] id
--   answer  ok | already · moved
local e = redis.call('HMGET', KEYS[1], 'run', 'recovering')
if e[1] ~= ARGV[1] or e[2] ~= '1' then return {'moved', seq()} end
local st = redis.call('HGET', KEYS[2], 'st')
if st == 'bound' then
  redis.call('HSET', KEYS[2], 'st', 'signed', 'holder', '')
  redis.call('HINCRBY', KEYS[2], 'fence', 1)
  return {'ok', advance()}
end
if st and st ~= 'queued' and st ~= 'delayed' and st ~= 'claimed' then return {'already', seq(), st} end
local listed = ARGV[3] ~= '' and redis.call('LREM', KEYS[5], 1, ARGV[3]) or 0
if not st and listed == 0 then return {'already', seq()} end
local now = text(now_ms())
redis.call('ZREM', KEYS[6], ARGV[2])
redis.call('ZREM', KEYS[7], ARGV[2])
redis.call('HSET', KEYS[2], 'st', 'dead', 'holder', '', 'reason', 'uncertain', 'closed_at', now,
  'text', 'Redis lost writes; it cannot be told whether this "now" job was executed', 'block', '0')
redis.call('HINCRBY', KEYS[2], 'fence', 1)
if not st then redis.call('HSET', KEYS[2], 'kind', 'raw', 'id', ARGV[5], 'job', ARGV[4], 'attempts', '0') end
drop_now(KEYS[3], ARGV[2])
redis.call('ZADD', KEYS[4], now, ARGV[2])
return {'ok', advance()}
