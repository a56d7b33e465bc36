-- dead_retry(key): the operator wants a dead letter tried again. A due occurrence becomes the next generation, whose
-- attempts count from 0; a "now" job goes back to the list under its own id; an element that was no job, as it was.
--   KEYS[1] {q}:epoch  [2] {q}:occurrence:<key> HASH  [3] same of generation + 1 (the same as [2] where it is not due)
--       [4] {q}:workflow:… HASH (any key where the record has none)  [5] {q}:dead ZSET  [6] {q}:open ZSET  [7] q LIST
--       [8] {q}:queued ZSET  [9] {q}:history STREAM
--   ARGV[1] run  [2] key  [3] key of generation + 1 (the same as [2] where it is not due)  [4] kind the caller read
--       [5] element to put on the list  [6] force 1|0: a "now" job beside another one  [7] TTL of what is done with (s)
--       [8] history length  [9] words for the history
--   answer  ok, key (on the list) · already, st (no dead letter, or its occurrence was opened again) · held (it owns a
--           nonce, or bytes: they may be mined yet) · busy, key (another "now" job of the workflow is open) ·
--           never (a self-transfer is no job; or the caller read another record) · recovery
if not guard() then return {'recovery', seq()} end
local key, following = ARGV[2], ARGV[3]
local r = redis.call('HMGET', KEYS[2], 'st', 'kind', 'workflow', 'digest', 'block', 'id', 'holder', 'raw:0', 'n', 'event',
  'waited')
local o = named(key)
if not redis.call('ZSCORE', KEYS[5], key) or r[1] ~= 'dead' then return {'already', seq(), r[1] or ''} end
local kind = r[2] or o.kind
if redis.call('ZSCORE', KEYS[6], key) or r[8] or (r[7] or '') ~= '' then return {'held', seq()} end
if kind ~= ARGV[4] or not (kind == 'due' or kind == 'now' or kind == 'raw') then return {'never', seq()} end
local now = text(now_ms())
if kind == 'due' then
  local st = redis.call('HGET', KEYS[3], 'st')
  if st then return {'already', seq(), st} end
  local w = redis.call('HMGET', KEYS[4], 'last', 'gen')
  if w[1] == o.next_run and tonumber(w[2]) > tonumber(o.generation) then return {'already', seq(), ''} end
elseif kind == 'now' and ARGV[6] ~= '1' then
  local open = redis.call('HGET', KEYS[4], 'now_open')
  if open then return {'busy', seq(), string.sub(open, 1, -2)} end
end
must_be_list(KEYS[7])

redis.call('ZREM', KEYS[5], key)
redis.call('RPUSH', KEYS[7], ARGV[5])
if kind == 'due' then
  open_record(KEYS[3], ARGV[5], r[4] or '', r[5] or '0', now)
  if r[6] and r[6] ~= key then redis.call('HSET', KEYS[3], 'id', r[6]) end
  if r[10] then redis.call('HSET', KEYS[3], 'event', r[10]) end
  if r[11] then redis.call('HSET', KEYS[3], 'waited', r[11]) end
  redis.call('EXPIRE', KEYS[2], ARGV[7])
  redis.call('ZADD', KEYS[8], now, following)
elseif kind == 'now' then
  for i = 0, tonumber(r[9] or '0') - 1 do redis.call('HDEL', KEYS[2], 'hash:' .. i, 'what:' .. i) end
  redis.call('HDEL', KEYS[2], 'reason', 'text', 'outcome', 'closed_at', 'recoveries', 'held_since', 'holds', 'sender',
    'nonce', 'n', 'bound_block', 'unwanted')
  redis.call('HSET', KEYS[2], 'st', 'queued', 'attempts', '0', 'queued_at', now, 'job', ARGV[5])
  redis.call('ZADD', KEYS[8], now, key)
  add_now(KEYS[4], key)
else
  redis.call('DEL', KEYS[2])
end
tell(KEYS[9], ARGV[8], key, o.workflow or r[3] or '', 'queued', 'retried', r[5] or '0', ARGV[9])
return {'ok', advance(), following}
