-- settle(key, proof): what a finalized block says about the record's (sender, nonce). Any worker may bring the proof.
-- Starts with its deleting writes, so that it also works on a Redis that is full.
--   KEYS[1] {q}:epoch  [2] {q}:occurrence:<key> HASH  [3] {q}:workflow:… HASH  [4] {q}:sender:…:nonces HASH
--       [5] {q}:open ZSET  [6] {q}:inflight:<holder> LIST  [7] {q}:history STREAM  [8] {q}:delayed ZSET  [9] {q}:dead ZSET
--       [10] {q}:sender:… HASH  (gas:<day>: gwei spent on gas that day, UTC; yesterday's and today's are kept;
--            consumed: one past the highest nonce that was settled)  [11] {q}:events:<chain>:<executor> HASH
--   ARGV[1] run  [2] key  [3] sender  [4] nonce  [5] verdict  [6] final block  [7] transaction hash or ''  [8] holder
--       [9] envelope  [10] retries allowed  [11] delay of a retry (ms)  [12] text  [13] TTL of a settled record (s)
--       [14] history length  [15] fee paid (wei)
--       [16] gives_back 1|0: a skipped one's transfer waits again
--   verdict executed | action_failed: our call was mined with its event · reverted: our call was mined and reverted ·
--           no_role: the same, and its key had no role any more ·
--           refused: our self-transfer was mined, made because every endpoint refused the call for good ·
--           cancelled: our self-transfer was mined, for another reason · foreign: somebody else's, and the occurrence was not executed ·
--           uncertain: somebody else's, and nobody can tell
--   answer  ok, st · already, st · moved (holder changed: read the record again) · recovery
if not guard() then return {'recovery', seq()} end
local key, verdict, block = ARGV[2], ARGV[5], ARGV[6]
local r = redis.call('HMGET', KEYS[2], 'st', 'sender', 'nonce', 'holder', 'attempts', 'unwanted', 'spent',
  'fence', 'event', 'n', 'reason', 'waited')
local occurrence = named(key)
local st = r[1] or ''
if not (st == 'signed' or st == 'cancelling' or st == 'bound') or r[2] ~= ARGV[3] or r[3] ~= ARGV[4] then
  return {'already', seq(), st}
end
if r[4] ~= ARGV[8] then return {'moved', seq(), r[4]} end
must_be_hash(KEYS[3])

redis.call('LREM', KEYS[6], 1, ARGV[9])
redis.call('HDEL', KEYS[4], ARGV[4])
redis.call('ZREM', KEYS[5], key)
if tonumber(ARGV[4]) >= tonumber(redis.call('HGET', KEYS[10], 'consumed') or '0') then
  redis.call('HSET', KEYS[10], 'consumed', text(tonumber(ARGV[4]) + 1))
end
for i = 0, tonumber(r[10] or '0') - 1 do redis.call('HDEL', KEYS[2], 'raw:' .. i, 'fee:' .. i) end
local attempts = tonumber(r[5] or '0')
local to
if verdict == 'executed' or verdict == 'action_failed' then
  to = 'settled'
elseif st == 'cancelling' and r[11] == 'operator' and occurrence.kind ~= 'noop' then
  to = 'dead'  -- a person did not want it: it is not tried again by itself
elseif verdict == 'reverted' or verdict == 'refused' then
  attempts = attempts + 1
  to = attempts <= tonumber(ARGV[10]) and 'delayed' or 'dead'
elseif verdict == 'uncertain' then
  to = 'dead'
elseif occurrence.kind == 'noop' then
  to = 'settled'
else
  to = (verdict == 'cancelled' and r[6] == '1') and 'skipped' or 'delayed'
end
local now = now_ms()
redis.call('HSET', KEYS[2], 'st', to, 'holder', '', 'fence', raised(r[8]), 'attempts', text(attempts),
  'outcome', verdict, 'block', block, 'tx', ARGV[7], 'text', ARGV[12], 'fee_paid', ARGV[15],
  'spent', (r[7] or '') .. ARGV[3] .. ':' .. ARGV[4] .. ' ')
if ARGV[15] ~= '0' then
  -- In gwei, rounded up: a day's wei may be more than the 63 bits of a counter.
  local day = math.floor(now / 86400000)
  local gwei = #ARGV[15] > 9 and tonumber(string.sub(ARGV[15], 1, -10)) + 1 or 1
  redis.call('HINCRBY', KEYS[10], 'gas:' .. text(day), text(gwei))
  for _, field in ipairs(redis.call('HKEYS', KEYS[10])) do
    local of = tonumber(string.match(field, '^gas:(%d+)$') or day)
    if of < day - 1 then redis.call('HDEL', KEYS[10], field) end
  end
end
if to == 'delayed' then
  -- The next binding counts its attempts from 0 again; what was sent stays readable in `spent` and history.
  for i = 0, tonumber(r[10] or '0') - 1 do redis.call('HDEL', KEYS[2], 'hash:' .. i, 'what:' .. i) end
  redis.call('HDEL', KEYS[2], 'sender', 'nonce', 'n', 'bound_block', 'unwanted')
  redis.call('HSET', KEYS[2], 'reason', verdict)
  redis.call('ZADD', KEYS[8], text(now + tonumber(ARGV[11])), key)
  if redis.call('HGET', KEYS[3], 'open') == key then redis.call('HDEL', KEYS[3], 'open') end
else
  redis.call('HSET', KEYS[2], 'closed_at', text(now))
  close(KEYS[3], key, block, to == 'skipped' and r[11] == 'moved_on')
  if to == 'dead' then
    redis.call('HSET', KEYS[2], 'reason', verdict)
    redis.call('ZADD', KEYS[9], text(now), key)
  else
    if to == 'skipped' and ARGV[16] == '1' then give_back(key, r[12], KEYS[11]) end
    redis.call('EXPIRE', KEYS[2], ARGV[13])
  end
end
local event = {}
if r[9] then event = {'event', r[9]} end
tell(KEYS[7], ARGV[14], key, occurrence.workflow or '0', to, verdict, block, ARGV[12], 'tx', ARGV[7], 'fee', ARGV[15],
  unpack(event))
return {'ok', advance(), to}
