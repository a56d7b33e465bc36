-- requeue(key): a record that says queued but was found in no list is pushed again. A double element is harmless:
-- adopt drops the second one.
--   KEYS[1] {q}:epoch  [2] {q}:queued ZSET key -> since (ms)  [3] {q}:occurrence:<key> HASH  [4] q LIST
--   ARGV[1] run  [2] key  [3] element to put on the list  [4] queued for at least (ms)
--   answer  ok · already · recovery
if not guard() then return {'recovery', seq()} end
local since = redis.call('ZSCORE', KEYS[2], ARGV[2])
if not since or now_ms() - tonumber(since) < tonumber(ARGV[4]) then return {'already', seq()} end
local r = redis.call('HMGET', KEYS[3], 'st', 'holder')
if not ((r[1] == 'queued' or r[1] == 'bound') and (r[2] or '') == '') then
  redis.call('ZREM', KEYS[2], ARGV[2])
  return {'already', advance()}
end
must_be_list(KEYS[4])
redis.call('RPUSH', KEYS[4], ARGV[3])
redis.call('ZADD', KEYS[2], text(now_ms()), ARGV[2])
return {'ok', advance()}
