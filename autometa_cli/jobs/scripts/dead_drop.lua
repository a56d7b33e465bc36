-- dead_drop(key): the operator gives a dead letter up. A line of the history stays, and its record for a while; that of
-- a workflow's latest occurrence stays, or the scheduler would open the occurrence again.
--   KEYS[1] {q}:epoch  [2] {q}:occurrence:<key> HASH  [3] {q}:workflow:… HASH (any key where the record has none)
--       [4] {q}:dead ZSET  [5] {q}:open ZSET  [6] {q}:history STREAM
--   ARGV[1] run  [2] key  [3] TTL of what is done with (s)  [4] history length  [5] words for the history
--   answer  ok · already, st (no dead letter) · held (it owns a nonce, or bytes: they may be mined yet) · recovery
if not guard() then return {'recovery', seq()} end
local key = ARGV[2]
local r = redis.call('HMGET', KEYS[2], 'st', 'kind', 'workflow', 'reason', 'block', 'holder', 'raw:0')
local o = named(key)
if not redis.call('ZSCORE', KEYS[4], key) or (r[1] and r[1] ~= 'dead') then return {'already', seq(), r[1] or ''} end
if redis.call('ZSCORE', KEYS[5], key) or r[7] or (r[6] or '') ~= '' then return {'held', seq()} end
redis.call('ZREM', KEYS[4], key)
local w = redis.call('HMGET', KEYS[3], 'last', 'gen')
local latest = (r[2] or o.kind) == 'due' and w[1] == o.next_run and w[2] == o.generation
if r[1] then
  redis.call('HSET', KEYS[2], 'dropped', '1')
  if not latest then redis.call('EXPIRE', KEYS[2], ARGV[3]) end
end
tell(KEYS[6], ARGV[4], key, o.workflow or r[3] or '', 'dropped', r[4] or '', r[5] or '0', ARGV[5])
return {'ok', advance()}
