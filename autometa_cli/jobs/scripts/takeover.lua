-- takeover(worker, key): hold a signed record whose holder is gone, to bump or cancel it; or a bound self-transfer,
-- to sign it. No list element moves.
--   KEYS[1] {q}:epoch  [2] {q}:workers ZSET  [3] {q}:occurrence:<key> HASH
--   ARGV[1] run  [2] worker  [3] key
--   answer  ok | already, fence · held (by a worker that is alive) · gone, st · recovery
if not guard() then return {'recovery', seq()} end
local r = redis.call('HMGET', KEYS[3], 'st', 'holder', 'fence', 'kind')
local signed = r[1] == 'signed' or r[1] == 'cancelling'
if not signed and not (r[1] == 'bound' and r[4] == 'noop') then return {'gone', seq(), r[1] or ''} end
if not alive(KEYS[2], ARGV[2]) then return {'held', seq(), ''} end
if r[2] == ARGV[2] then return {'already', seq(), r[3]} end
if r[2] ~= '' and alive(KEYS[2], r[2]) then return {'held', seq(), r[2]} end
local fence = raised(r[3])
redis.call('HSET', KEYS[3], 'holder', ARGV[2], 'fence', fence)
return {'ok', advance(), fence}
