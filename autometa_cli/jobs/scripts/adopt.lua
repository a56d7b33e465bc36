-- adopt(worker, raw, key): the claim. Replaces the raw element in the worker's in-flight list by an envelope
-- that names the record, and raises the record's fence. From here until bind or release it is being checked: should
-- its worker die meanwhile, that counts against the job (reap).
--   KEYS[1] {q}:epoch  [2] {q}:workers ZSET  [3] {q}:inflight:<worker> LIST  [4] {q}:occurrence:<key> HASH
--       [5] same of generation - 1  [6] {q}:workflow:… HASH  [7] {q}:queued ZSET  [8] q LIST  [9] {q}:dead ZSET
--       [10] {q}:history STREAM
--   ARGV[1] run  [2] worker  [3] raw  [4] key  [5] id  [6] block  [7] final 1|0  [8] digest  [9] force 1|0
--       [10] token of this call: tells its repetition from a second element with the same bytes  [11] history length
--   answer  ok | already, with fence, st, sender, nonce · duplicate, st (element dropped) · twin (a second "now"
--           job: buried as duplicate) · stale | unfinal (look at the chain again) · missing · gone (worker is
--           buried; the element is back at the head) · recovery
local worker, raw, key, id = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if not alive(KEYS[2], worker) then
  must_be_list(KEYS[8])
  if redis.call('LREM', KEYS[3], 1, raw) == 0 then return {'gone', seq()} end
  redis.call('LPUSH', KEYS[8], raw)
  return {'gone', advance()}
end
if not guard() then return {'recovery', seq()} end
local r = redis.call('HMGET', KEYS[4], 'st', 'holder', 'fence', 'sender', 'nonce', 'claim', 'seen', 'id', 'job', 'reason')
local st, holder = r[1], r[2] or ''
local envelope = 'v1|' .. id .. '|' .. key .. '|' .. raw  -- as jobs/job.py opens it
if st and r[6] == ARGV[10] then  -- this very call again: an element with the same bytes is another one's
  if holder == worker and redis.call('LPOS', KEYS[3], envelope) then
    return {'already', seq(), r[3], st, r[4] or '', r[5] or ''}
  end
  if st == 'dead' and r[10] == 'duplicate' then
    return {'twin', seq(), string.sub(redis.call('HGET', KEYS[6], 'now_open') or '', 1, -2)}
  end
  return {'duplicate', seq(), st}
end
local at = redis.call('LPOS', KEYS[3], raw, 'RANK', -1)  -- what was just taken is at the end
if not at then return {'missing', seq()} end
local now = text(now_ms())
if st then
  if holder ~= '' or not (st == 'queued' or st == 'bound') then
    redis.call('LREM', KEYS[3], 1, raw)
    return {'duplicate', advance(), st}
  end
  -- An older block than the one that asked for it would tell of a workflow that is paused, or not there yet.
  if tonumber(r[7] or '0') > tonumber(ARGV[6]) then return {'stale', seq()} end
elseif named(key).kind == 'now' then
  local open = redis.call('HGET', KEYS[6], 'now_open')
  if open and ARGV[9] ~= '1' then
    local words = 'a "now" job of this workflow is open: ' .. string.sub(open, 1, -2)
    redis.call('LREM', KEYS[3], 1, raw)
    redis.call('HSET', KEYS[4], 'id', id, 'job', raw, 'st', 'dead', 'reason', 'duplicate',
      'text', words, 'block', ARGV[6], 'closed_at', now, 'claim', ARGV[10])
    redis.call('ZADD', KEYS[9], now, key)
    tell(KEYS[10], ARGV[11], key, named(key).workflow, 'dead', 'duplicate', ARGV[6], words)
    return {'twin', advance(), string.sub(open, 1, -2)}
  end
else
  local o = named(key)
  local no = refusal(KEYS[6], KEYS[5], o.next_run, o.generation, ARGV[6], ARGV[7], ARGV[8])
  if no == 'stale' or no == 'unfinal' then return {no, seq()} end
  if no then
    redis.call('LREM', KEYS[3], 1, raw)
    return {'duplicate', advance(), no}
  end
end
redis.call('ZREM', KEYS[7], key)  -- a deleting write first: a full Redis lets the others follow
redis.call('LSET', KEYS[3], at, envelope)
local fence = raised(r[3])
local set = {'holder', worker, 'fence', fence, 'claimed_at', now, 'claim', ARGV[10]}
local function add(name, value) set[#set + 1], set[#set + 2] = name, value end
if st ~= 'bound' then add('st', 'claimed') end
-- id and job as they stand in the envelope, which settle takes out of the list by them.
if (r[8] or key) ~= id then add('id', id) end
if r[9] ~= raw then add('job', raw) end
if not st then
  add('digest', ARGV[8]) add('queued_at', now) add('seen', ARGV[6])
  if named(key).kind == 'now' then add_now(KEYS[6], key) end
end
redis.call('HSET', KEYS[4], unpack(set))
return {'ok', advance(), fence, st == 'bound' and 'bound' or 'claimed', r[4] or '', r[5] or ''}
