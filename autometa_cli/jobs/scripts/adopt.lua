-- adopt(worker, raw, key): the claim. Replaces the raw element in the worker's in-flight list by an envelope
-- that names the record, and raises the record's fence. From here until bind or release it is `checking`: should its
-- worker die meanwhile, that counts against the job (reap).
--   KEYS[1] {q}:epoch  [2] {q}:workers ZSET  [3] {q}:inflight:<worker> LIST  [4] {q}:occurrence:<key> HASH
--       [5] same of generation - 1  [6] {q}:workflow:… HASH  [7] {q}:queued ZSET  [8] q LIST  [9] {q}:dead ZSET
--       [10] {q}:history STREAM
--   ARGV[1] run  [2] worker  [3] raw  [4] envelope  [5] key  [6] id  [7] kind due|now  [8] chain  [9] executor
--       [10] workflow  [11] nextRun  [12] generation  [13] block  [14] final 1|0  [15] digest  [16] force 1|0
--       [17] token of this call: tells its repetition from a second element with the same bytes
--       [18] history length
--   answer  ok | already, with fence, st, sender, nonce · duplicate, st (element dropped) · twin (a second "now"
--           job: buried as duplicate) · stale | unfinal (look at the chain again) · missing · gone (worker is
--           buried; the element is back at the head) · recovery
local worker, raw, envelope, key = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if not alive(KEYS[2], worker) then
  must_be_list(KEYS[8])
  if redis.call('LREM', KEYS[3], 1, raw) == 0 then return {'gone', seq()} end
  redis.call('LPUSH', KEYS[8], raw)
  return {'gone', advance()}
end
if not guard() then return {'recovery', seq()} end
local r = redis.call('HMGET', KEYS[4], 'st', 'holder', 'fence', 'sender', 'nonce', 'claim', 'seen')
local st, holder = r[1], r[2] or ''
if holder == worker and r[6] == ARGV[17] and redis.call('LPOS', KEYS[3], envelope) then
  return {'already', seq(), r[3], st, r[4] or '', r[5] or ''}
end
if not redis.call('LPOS', KEYS[3], raw) then return {'missing', seq()} end
local now = text(now_ms())
if st then
  if holder ~= '' or not (st == 'queued' or st == 'bound') then
    redis.call('LREM', KEYS[3], 1, raw)
    return {'duplicate', advance(), st}
  end
  -- An older block than the one that asked for it would tell of a workflow that is paused, or not there yet.
  if tonumber(r[7] or '0') > tonumber(ARGV[13]) then return {'stale', seq()} end
elseif ARGV[7] == 'now' then
  local open = redis.call('HGET', KEYS[6], 'now_open')
  if open and ARGV[16] ~= '1' then
    redis.call('LREM', KEYS[3], 1, raw)
    redis.call('HSET', KEYS[4], 'kind', 'now', 'chain', ARGV[8], 'executor', ARGV[9], 'workflow', ARGV[10],
      'nextRun', ARGV[11], 'gen', ARGV[12], 'id', ARGV[6], 'job', raw, 'st', 'dead', 'holder', '', 'fence', '0',
      'attempts', '0', 'reason', 'duplicate', 'text', 'a "now" job of this workflow is open: ' .. open,
      'block', ARGV[13], 'closed_at', now)
    redis.call('ZADD', KEYS[9], now, key)
    tell(KEYS[10], ARGV[18], key, ARGV[10], 'dead', 'duplicate', ARGV[13], 'a "now" job of this workflow is open: ' .. open)
    return {'twin', advance(), string.sub(open, 1, -2)}
  end
else
  local no = refusal(KEYS[6], KEYS[5], ARGV[11], ARGV[12], ARGV[13], ARGV[14], ARGV[15])
  if no == 'stale' or no == 'unfinal' then return {no, seq()} end
  if no then
    redis.call('LREM', KEYS[3], 1, raw)
    return {'duplicate', advance(), no}
  end
end
redis.call('LREM', KEYS[3], 1, raw)
redis.call('LPUSH', KEYS[3], envelope)
redis.call('ZREM', KEYS[7], key)
if not st then
  redis.call('HSET', KEYS[4], 'kind', ARGV[7], 'chain', ARGV[8], 'executor', ARGV[9], 'workflow', ARGV[10],
    'nextRun', ARGV[11], 'gen', ARGV[12], 'digest', ARGV[15], 'attempts', '0', 'queued_at', now,
    'seen', ARGV[13])
  if ARGV[7] == 'now' then add_now(KEYS[6], key) end
end
if st ~= 'bound' then redis.call('HSET', KEYS[4], 'st', 'claimed') end
-- id and job as they stand in the envelope, which settle takes out of the list by them.
redis.call('HSET', KEYS[4], 'holder', worker, 'claimed_at', now, 'claim', ARGV[17], 'id', ARGV[6], 'job', raw,
  'checking', '1')
local fence = text(redis.call('HINCRBY', KEYS[4], 'fence', 1))
return {'ok', advance(), fence, st == 'bound' and 'bound' or 'claimed', r[4] or '', r[5] or ''}
