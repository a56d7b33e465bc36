-- release(worker, fence, key, to): give a record back that was never signed.
--   KEYS[1] {q}:epoch  [2] {q}:workers ZSET  [3] {q}:occurrence:<key> HASH  [4] {q}:workflow:… HASH
--       [5] {q}:sender:…:freed ZSET  [6] {q}:sender:…:nonces HASH  [7] {q}:open ZSET  [8] {q}:inflight:<worker> LIST
--       [9] q LIST  [10] {q}:delayed ZSET  [11] {q}:dead ZSET  [12] {q}:queued ZSET  [13] {q}:history STREAM
--       [14] {q}:events:<chain>:<executor> HASH
--   ARGV[1] run  [2] worker  [3] fence  [4] key  [5] envelope  [6] to: queued (head of the list) | delayed | skipped |
--       dead  [7] reason  [8] text  [9] delay (ms)  [10] block  [11] element to put on the list (queued)  [12] TTL of a skipped
--       record (s)  [13] hold 1|0: count a pause  [14] history length
--       [15] gives_back 1|0: a skipped one's transfer waits again
--   answer  ok · already, st · signed (cannot be given back any more) · moved (it is bound to another sender than KEYS say:
--           read the record again) · fenced · recovery
if not guard() then return {'recovery', seq()} end
local key, to = ARGV[4], ARGV[6]
local r = redis.call('HMGET', KEYS[3], 'st', 'nonce', 'fence', 'holder', 'event', 'waited')
local st = r[1] or ''
if r[4] == '' and st == to then return {'already', seq(), st} end
if not own(r[4], r[3], KEYS[2], ARGV[2], ARGV[3]) then return {'fenced', seq()} end
if st ~= 'claimed' and st ~= 'bound' then return {'signed', seq(), st} end
if st == 'bound' and redis.call('HGET', KEYS[6], r[2]) ~= key then return {'moved', seq(), st} end
must_be_hash(KEYS[4])
if to == 'queued' then must_be_list(KEYS[9]) end

redis.call('LREM', KEYS[8], 1, ARGV[5])
if st == 'bound' then
  redis.call('HDEL', KEYS[6], r[2])
  redis.call('ZREM', KEYS[7], key)
  redis.call('HDEL', KEYS[3], 'sender', 'nonce', 'n', 'bound_block')
  redis.call('ZADD', KEYS[5], r[2], r[2])
  if redis.call('HGET', KEYS[4], 'open') == key then redis.call('HDEL', KEYS[4], 'open') end
end
local now = now_ms()
local set = {'st', to, 'holder', '', 'fence', raised(r[3]), 'reason', ARGV[7], 'text', ARGV[8]}
if to == 'queued' then
  redis.call('HSET', KEYS[3], unpack(set))
  redis.call('LPUSH', KEYS[9], ARGV[11])
  redis.call('ZADD', KEYS[12], text(now), key)
elseif to == 'delayed' then
  redis.call('HSET', KEYS[3], unpack(set))
  redis.call('ZADD', KEYS[10], text(now + tonumber(ARGV[9])), key)
  if ARGV[13] == '1' then
    redis.call('HSETNX', KEYS[3], 'held_since', text(now))
    redis.call('HINCRBY', KEYS[3], 'holds', 1)
  end
else
  redis.call('HSET', KEYS[3], 'block', ARGV[10], 'closed_at', text(now), unpack(set))
  close(KEYS[4], key, ARGV[10], to == 'skipped' and ARGV[7] == 'moved_on')
  if to == 'dead' then
    redis.call('ZADD', KEYS[11], text(now), key)
  else
    if ARGV[15] == '1' then give_back(key, r[6], KEYS[14]) end
    redis.call('EXPIRE', KEYS[3], ARGV[12])
  end
  local event = {}
  if r[5] then event = {'event', r[5]} end
  tell(KEYS[13], ARGV[14], key, named(key).workflow or '', to, ARGV[7], ARGV[10], ARGV[8], unpack(event))
end
return {'ok', advance()}
