-- enqueue(key): once-only. The record and the list element come into being together, or not at all.
--   KEYS[1] {q}:epoch  [2] q LIST  [3] {q}:occurrence:<key> HASH  [4] same of generation - 1
--       [5] {q}:workflow:<chain>:<executor>:<id> HASH  [6] {q}:queued ZSET key -> ms
--       [7] {q}:leader HASH token  [8] {q}:events:<chain>:<executor> HASH workflow -> event that waits for its run
--   ARGV[1] run  [2] key  [3] raw  [4] block  [5] final 1|0  [6] workflow  [7] nextRun  [8] generation  [9] digest
--       [10] the caller's leadership ('': it claims none, and what it saw is checked like any other sighting)
--       [11] event: the run takes it, as it stands in KEYS[8], with it ('': it needs none)  [12] its name, for the record
--   answer  ok, key | already, st, and the generation to try next where this one is closed ('' where one is open) |
--           stale (the mirror is older than what is known) | unfinal | dead | gap |
--           deposed (another scheduler leads now) | spent (the event was taken, or another came on top of it) | recovery
if not guard() then return {'recovery', seq()} end
if deposed(KEYS[7], ARGV[10]) then return {'deposed', seq(), ''} end
local function already(st)
  if st ~= '' and not closed(st) then return {'already', seq(), st, ''} end
  local following, w = tonumber(ARGV[8]) + 1, redis.call('HMGET', KEYS[5], 'last', 'gen')
  if w[1] == ARGV[7] then following = math.max(following, tonumber(w[2]) + 1) end
  return {'already', seq(), st, text(following)}
end
local st = redis.call('HGET', KEYS[3], 'st')
if st then return already(st) end
local no = refusal(KEYS[5], KEYS[4], ARGV[7], ARGV[8], ARGV[4], ARGV[5], ARGV[9])
if no == 'already' then
  -- Either this generation was closed, or the one before is open (again).
  local before = tonumber(ARGV[8]) > 0 and redis.call('HGET', KEYS[4], 'st')
  return already(before and not closed(before) and before or '')
end
if no then return {no, seq(), ''} end
local event = ARGV[11] or ''
if event ~= '' and redis.call('HGET', KEYS[8], ARGV[6]) ~= event then return {'spent', seq(), ''} end
local now = text(now_ms())
redis.call('RPUSH', KEYS[2], ARGV[3])
open_record(KEYS[3], ARGV[3], ARGV[9], ARGV[4], now)
redis.call('ZADD', KEYS[6], now, ARGV[2])
if event ~= '' then
  redis.call('HDEL', KEYS[8], ARGV[6])
  redis.call('HSET', KEYS[3], 'event', ARGV[12], 'waited', event)
end
return {'ok', advance(), ARGV[2]}
