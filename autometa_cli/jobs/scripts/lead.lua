-- lead(op, holder): one scheduler leads, for as long as it renews. Does not advance seq: it decides nothing about a
-- job, and a forgotten lease is taken anew. A token is never given twice: it names its holder, and its number grows.
--   KEYS[1] {q}:epoch  [2] {q}:leader HASH token, number, holder, until (ms)
--   ARGV[1] run  [2] op take|leave  [3] holder  [4] lease (ms)
--   answer  ok, token (taken; '' when left) | already, token (renewed; '' where there was nothing to leave) |
--           held, holder, ms until it may be taken
local now = now_ms()
local l = redis.call('HMGET', KEYS[2], 'token', 'number', 'holder', 'until')
-- A lease that runs for longer than any is given for was taken before the clock went back: its holder, where it lives,
-- renews it in a moment, and where it does not, nobody shall wait until the clock is there again.
local left = l[3] and l[4] and tonumber(l[4]) - now or 0
local running = left > 0 and (ARGV[2] == 'leave' or left <= tonumber(ARGV[4]))
if ARGV[2] == 'leave' then
  if l[3] ~= ARGV[3] then return {'already', seq(), ''} end
  redis.call('HDEL', KEYS[2], 'holder', 'token', 'until')  -- the number stays: the next token is another
  return {'ok', seq(), ''}
end
if running and l[3] ~= ARGV[3] then return {'held', seq(), l[3], text(left)} end
local token = l[1]
if not running or not token then
  local number = text((tonumber(l[2]) or 0) + 1)
  token = number .. ':' .. ARGV[3]
  redis.call('HSET', KEYS[2], 'number', number, 'holder', ARGV[3], 'token', token, 'until', text(now + ARGV[4]))
  return {'ok', seq(), token}
end
redis.call('HSET', KEYS[2], 'until', text(now + ARGV[4]))
return {'already', seq(), token}
