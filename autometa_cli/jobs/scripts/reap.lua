-- reap(dead, element): hand on one element of a worker that stopped beating. The first call buries the worker.
--   KEYS[1] {q}:epoch  [2] {q}:workers ZSET  [3] {q}:inflight:<dead> LIST  [4] {q}:occurrence:<key> HASH (any key when
--       the element is raw)  [5] q LIST  [6] {q}:queued ZSET
--       [7] {q}:workflow:… HASH (any key where the record has none)  [8] {q}:delayed ZSET  [9] {q}:dead ZSET
--       [10] {q}:history STREAM
--   ARGV[1] run  [2] dead worker  [3] element  [4] key, or '' for a raw element  [5] element to put on the list
--       [6] dead after (ms)  [7] bury: only that, there is no element | hand on
--       [8] deaths of workers that bury what they were checking  [9] within (ms)  [10] pause of a suspect before its
--       last chance (ms), so that it runs apart from the others that were checked with it  [11] history length
--   answer  ok, with `queued`, `tracked` (signed), `dropped` (another's record), `delayed` (a suspect), `poison` (dead)
--           or `buried` (the worker) · already · alive · recovery
if not guard() then return {'recovery', seq()} end
local dead, element, key = ARGV[2], ARGV[3], ARGV[4]
local score = tonumber(redis.call('ZSCORE', KEYS[2], dead) or '0')
local now = now_ms()
if score > 0 and now - score < tonumber(ARGV[6]) then return {'alive', seq()} end
local bury_only = ARGV[7] == 'bury'
if bury_only and score < 0 then return {'already', seq()} end
if not bury_only and not redis.call('LPOS', KEYS[3], element) then return {'already', seq()} end
must_be_list(KEYS[5])
-- Where somebody put something else in the record's place, it is as good as gone.
local there = not bury_only and redis.call('TYPE', KEYS[4]).ok == 'hash'
local r = there and redis.call('HMGET', KEYS[4], 'st', 'holder', 'fence', 'recoveries', 'seen') or {}
if score >= 0 then
  redis.call('ZREM', KEYS[2], dead)  -- a deleting write first: a full Redis lets the others follow
  redis.call('ZADD', KEYS[2], text(-now), dead)
end
if bury_only then return {'ok', advance(), 'buried'} end
redis.call('LREM', KEYS[3], 1, element)
if key == '' then
  redis.call('LPUSH', KEYS[5], element)
  return {'ok', advance(), 'queued'}
end
if not r[1] then  -- its record is gone; whoever takes it makes another, or buries it
  redis.call('LPUSH', KEYS[5], ARGV[5])
  return {'ok', advance(), 'queued'}
end
if r[2] ~= dead then return {'ok', advance(), 'dropped'} end
redis.call('HSET', KEYS[4], 'holder', '', 'fence', raised(r[3]))
if r[1] == 'claimed' then
  local times, count = text(now), 1
  for time in string.gmatch(r[4] or '', '%d+') do
    if now - tonumber(time) < tonumber(ARGV[9]) then times, count = time .. ' ' .. times, count + 1 end
  end
  redis.call('HSET', KEYS[4], 'recoveries', times)
  if count >= tonumber(ARGV[8]) then
    local block = r[5] or '0'
    local words = text(count) .. ' workers died while they were checking it'
    redis.call('HSET', KEYS[4], 'st', 'dead', 'reason', 'poison', 'text', words, 'block', block, 'closed_at', text(now))
    local kind = redis.call('TYPE', KEYS[7]).ok
    if kind == 'hash' or kind == 'none' then close(KEYS[7], key, block) end
    redis.call('ZADD', KEYS[9], text(now), key)
    tell(KEYS[10], ARGV[11], key, named(key).workflow or '', 'dead', 'poison', block, words)
    return {'ok', advance(), 'poison'}
  end
  if count == tonumber(ARGV[8]) - 1 then
    redis.call('HSET', KEYS[4], 'st', 'delayed', 'reason', 'suspect',
      'text', text(count) .. ' workers died while they were checking it; it runs apart from the others')
    redis.call('ZADD', KEYS[8], text(now + tonumber(ARGV[10])), key)
    return {'ok', advance(), 'delayed'}
  end
end
if r[1] == 'claimed' or r[1] == 'bound' then
  if r[1] == 'claimed' then redis.call('HSET', KEYS[4], 'st', 'queued') end
  redis.call('LPUSH', KEYS[5], ARGV[5])
  redis.call('ZADD', KEYS[6], text(now), key)
  return {'ok', advance(), 'queued'}
end
return {'ok', advance(), 'tracked'}
