-- fill_gap(worker, sender, n): a nonce that nobody holds, with signed ones above it that wait for it, gets a record of
-- its own, to be used up by a self-transfer.
--   KEYS[1] {q}:epoch  [2] {q}:workers ZSET  [3] {q}:occurrence:<noop key> HASH  [4] {q}:sender:… HASH
--       [5] …:freed ZSET  [6] …:nonces HASH  [7] {q}:open ZSET
--   ARGV[1] run  [2] worker  [3] key  [4] sender  [5] n  [6] latest  [7] final (transaction counts of the sender)
--       [8] chain  [9] final block
--   answer  ok, fence · none (no gap there) · gone (the worker is buried) · recovery
if not guard() then return {'recovery', seq()} end
if not alive(KEYS[2], ARGV[2]) then return {'gone', seq()} end
local n = tonumber(ARGV[5])
if n ~= tonumber(ARGV[6]) or n ~= tonumber(ARGV[7]) then return {'none', seq()} end
if redis.call('HEXISTS', KEYS[6], ARGV[5]) == 1 then return {'none', seq()} end
-- The caller's head may be older than a settlement that freed this nonce from its owner: it is used up, not free.
if n < tonumber(redis.call('HGET', KEYS[4], 'consumed') or '0') then return {'none', seq()} end
local above = false
for _, nonce in ipairs(redis.call('HKEYS', KEYS[6])) do
  if tonumber(nonce) > n then above = true break end
end
if not above then return {'none', seq()} end
local now = text(now_ms())
redis.call('ZREM', KEYS[5], ARGV[5])
local next_nonce = tonumber(redis.call('HGET', KEYS[4], 'next') or '0')
if next_nonce < n + 1 then redis.call('HSET', KEYS[4], 'next', text(n + 1)) end
redis.call('HSET', KEYS[6], ARGV[5], ARGV[3])
redis.call('HSET', KEYS[3], 'kind', 'noop', 'chain', ARGV[8], 'executor', ARGV[4], 'workflow', '0', 'nextRun', '0',
  'gen', '0', 'id', ARGV[3], 'job', '', 'st', 'bound', 'holder', ARGV[2], 'attempts', '0', 'sender', ARGV[4],
  'nonce', ARGV[5], 'n', '0', 'bound_block', ARGV[9], 'bound_at', now, 'unwanted', '1')
local fence = text(redis.call('HINCRBY', KEYS[3], 'fence', 1))
redis.call('ZADD', KEYS[7], now, ARGV[3])
return {'ok', advance(), fence}
