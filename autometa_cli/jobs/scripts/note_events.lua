-- note_events(cursor): transfers that fire workflows, and how far the chain was read, in one step. Two schedulers that
-- read the same blocks note them once. Of several for one workflow the newest stays, with their number: the next run
-- serves them all.
--   KEYS[1] {q}:epoch  [2] {q}:cursor:<chain>:<executor> HASH block, genesis, doubt  [3] {q}:events:… HASH workflow -> event
--   ARGV[1] run  [2] block that the cursor stands at ('': there is none yet)  [3] block that was read up to
--       [4] genesis  [5..] workflow, event (an opaque text), count, for each
--   answer  ok | moved, block (somebody else read on: look again) | recovery
if not guard() then return {'recovery', seq()} end
local c = redis.call('HMGET', KEYS[2], 'block', 'genesis')
local at = c[1] or ''
if at ~= ARGV[2] then return {'moved', seq(), at} end
if c[2] and c[2] ~= ARGV[4] then redis.call('HDEL', KEYS[2], 'doubt') end  -- of a chain that is no more
for i = 5, #ARGV, 3 do
  local event = ARGV[i + 1] .. ':' .. ARGV[i + 2]
  redis.call('HSET', KEYS[3], ARGV[i], with_earlier(redis.call('HGET', KEYS[3], ARGV[i]), event))
end
redis.call('HSET', KEYS[2], 'block', ARGV[3], 'genesis', ARGV[4])
return {'ok', advance()}
