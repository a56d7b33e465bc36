-- promote(key): a delayed record whose time has come goes to the end of the list.
--   KEYS[1] {q}:epoch  [2] {q}:delayed ZSET key -> due (ms)  [3] {q}:occurrence:<key> HASH  [4] q LIST  [5] {q}:queued ZSET
--   ARGV[1] run  [2] key  [3] element to put on the list
--   answer  ok · already (not delayed any more) · early · recovery
if not guard() then return {'recovery', seq()} end
local due = redis.call('ZSCORE', KEYS[2], ARGV[2])
if not due then return {'already', seq()} end
local now = now_ms()
if tonumber(due) > now then return {'early', seq()} end
local st = redis.call('HGET', KEYS[3], 'st')
must_be_list(KEYS[4])
redis.call('ZREM', KEYS[2], ARGV[2])
if st ~= 'delayed' then return {'already', advance()} end
redis.call('HSET', KEYS[3], 'st', 'queued')
redis.call('RPUSH', KEYS[4], ARGV[3])
redis.call('ZADD', KEYS[5], text(now), ARGV[2])
return {'ok', advance()}
