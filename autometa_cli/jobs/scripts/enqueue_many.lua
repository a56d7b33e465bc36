-- enqueue_many(keys): enqueue for many occurrences of generation 0 that no event waits for. All are looked at before the
-- first is written; each is put on the list, or not, by itself.
--   KEYS[1] {q}:epoch  [2] q LIST  [3] {q}:queued ZSET key -> ms  [4] {q}:leader HASH token
--       then for each  {q}:occurrence:<key> HASH  {q}:workflow:<chain>:<executor>:<id> HASH
--   ARGV[1] run  [2] the caller's leadership, as in enqueue  [3] block
--       then for each  key  raw  nextRun  digest
--   answer  ok (at least one was put on the list) | already (none was), with one word for each: ok, `already <st>`, stale,
--           or `next` (this generation is closed: ask enqueue) · deposed · recovery
if not guard() then return {'recovery', seq()} end
if deposed(KEYS[4], ARGV[2]) then return {'deposed', seq()} end
local words, wanted, elements, taken = {}, {}, {}, {}
for i = 0, (#KEYS - 4) / 2 - 1 do
  local a, rec, wf = 4 + 4 * i, KEYS[5 + 2 * i], KEYS[6 + 2 * i]
  local key = ARGV[a]
  local st = taken[key] and 'queued' or redis.call('HGET', rec, 'st')
  local no = not st and refusal(wf, rec, ARGV[a + 2], '0', ARGV[3], '1', ARGV[a + 3])
  if st then
    words[i + 1] = closed(st) and 'next' or 'already ' .. st
  elseif no then
    words[i + 1] = no == 'already' and 'next' or no
  else
    words[i + 1], taken[key] = 'ok', true
    wanted[#wanted + 1], elements[#elements + 1] = i, ARGV[a + 1]
  end
end
if #wanted == 0 then return {'already', seq(), unpack(words)} end
redis.call('RPUSH', KEYS[2], unpack(elements))
local now, marks = text(now_ms()), {}
for _, i in ipairs(wanted) do
  local a = 4 + 4 * i
  open_record(KEYS[5 + 2 * i], ARGV[a + 1], ARGV[a + 3], ARGV[3], now)
  marks[#marks + 1], marks[#marks + 2] = now, ARGV[a]
end
redis.call('ZADD', KEYS[3], unpack(marks))
return {'ok', advance(), unpack(words)}
