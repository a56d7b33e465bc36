-- take(worker, most): what waits at the head of the list goes to the end of the worker's own, raw, as BLMOVE moves one.
-- Nothing is claimed by that yet: adopt looks at each.
--   KEYS[1] {q}:epoch  [2] {q}:workers ZSET  [3] {q}:worker:<id> HASH  (took: how many the last call moved, and its token)
--       [4] {q}:inflight:<id> LIST  [5] q LIST
--   ARGV[1] run  [2] worker  [3] token of this call  [4] most
--   answer  ok, the elements | already, the elements | none (nothing waits) | gone (the worker is not registered, or
--           buried: nothing moves)
if not alive(KEYS[2], ARGV[2]) then return {'gone', seq()} end
local last = redis.call('HGET', KEYS[3], 'took') or ''
local count = string.match(last, '^(%d+) ')
if count and last == count .. ' ' .. ARGV[3] then
  -- They stand at the end: a worker takes again only when it knows what it took before.
  return {'already', seq(), unpack(redis.call('LRANGE', KEYS[4], '-' .. count, -1))}
end
must_be_list(KEYS[4])
local elements = redis.call('LRANGE', KEYS[5], 0, ARGV[4] - 1)
if #elements == 0 then return {'none', seq()} end
redis.call('LTRIM', KEYS[5], #elements, -1)  -- a deleting write first: a full Redis lets the others follow
redis.call('RPUSH', KEYS[4], unpack(elements))
redis.call('HSET', KEYS[3], 'took', text(#elements) .. ' ' .. ARGV[3])
return {'ok', advance(), unpack(elements)}
