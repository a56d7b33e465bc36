-- prelude.lua: joined in front of every other script of this folder.
--
-- What all scripts have in common
--   KEYS[1]  {q}:epoch  HASH  run (run id of the Redis process that the ledger belongs to), seq, recovering
--   ARGV[1]  run id that the caller's connection saw
--   answer   {word, seq, ...}: word is what happened; seq is the ledger's sequence number after it. A client
--            that has seen a higher seq than a restarted server shows knows that writes are gone.
--   rules    all keys in KEYS; payloads are opaque bytes (cjson keeps 14 digits of a number); everything is
--            read and checked before the first write; a script's own repetition is answered `already`;
--            numbers that may exceed 2^53 (nextRun) are compared as decimal strings.

-- What was looked up once holds until the end, however many jobs this call is about (jobs/together.py): nothing else
-- runs meanwhile, and no script asks again after it changed one of these.
local memory = {alive = {}}

local function now_ms()
  if not memory.now then
    local t = redis.call('TIME')
    memory.now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
  end
  return memory.now
end

local function text(number)
  return string.format('%.0f', number)
end

local function epoch()
  memory.epoch = memory.epoch or redis.call('HMGET', KEYS[1], 'run', 'recovering', 'seq')
  return memory.epoch
end

local function seq()
  return memory.seq or epoch()[3] or '0'
end

-- False while the ledger belongs to another Redis process or is being rebuilt.
local function guard()
  local e = epoch()
  return e[1] == ARGV[1] and (not e[2] or e[2] == '')
end

-- Counts a write, or all writes of this call as one: they come true together. Not while the ledger belongs to another
-- process: a number that went on would hide that writes are gone.
local function advance()
  if epoch()[1] ~= ARGV[1] then return seq() end
  memory.seq = memory.seq or text(redis.call('HINCRBY', KEYS[1], 'seq', 1))
  return memory.seq
end

-- Ends the script here, before its first write, where somebody made the list something else.
local function must_be_list(key)
  redis.call('LLEN', key)
end

local function must_be_hash(key)
  redis.call('HLEN', key)
end

-- A worker is alive while its beat is positive; a tombstone has a negative score.
local function alive(workers, id)
  if memory.alive[id] == nil then
    local score = redis.call('ZSCORE', workers, id)
    memory.alive[id] = score and tonumber(score) > 0 or false
  end
  return memory.alive[id]
end

-- True when a record with this holder and fence belongs to the worker, who has `mine`, and was not taken from it since.
local function own(holder, fence, workers, worker, mine)
  return holder == worker and fence == mine and alive(workers, worker)
end

-- The next fence of a record, which makes the one before void.
local function raised(fence)
  return text((tonumber(fence) or 0) + 1)
end

-- What a record's key says (jobs/occurrence.py); its record need not repeat it.
local function named(key)
  local chain, executor, workflow, when, last = string.match(key, '^(%d+):([^:]+):(%d+):([^:]+):([^:]+)$')
  if not chain then return {kind = string.sub(key, 1, 5) == 'noop:' and 'noop' or 'raw'} end
  local o = {kind = 'due', chain = chain, executor = executor, workflow = workflow, next_run = when, generation = last}
  if when == 'now' then o.kind, o.next_run, o.generation = 'now', '0', '0' end
  return o
end

local function closed(st)
  return st == 'settled' or st == 'skipped' or st == 'dead'
end

-- May a record for (nextRun, generation) be opened? nil, or why not.
--   wf    HASH last (nextRun), gen, block: the watermark of what was closed last for this workflow
--   prev  HASH record of generation - 1
--   final '1' when `block`, at which the caller saw the workflow, is finalized
local function refusal(wf, prev, next_run, generation, block, final, digest)
  local w = redis.call('HMGET', wf, 'last', 'gen', 'block')
  block, generation = tonumber(block), tonumber(generation)
  if w[3] and tonumber(w[3]) > block then return 'stale' end
  local at_mark = w[1] == next_run
  if at_mark and tonumber(w[2]) >= generation then return 'already' end
  if generation == 0 then return nil end
  if final ~= '1' then return 'unfinal' end
  local p = redis.call('HMGET', prev, 'st', 'digest', 'block')
  if p[1] then
    if not closed(p[1]) then return 'already' end
    if p[3] and tonumber(p[3]) > block then return 'stale' end
    if p[1] == 'dead' and (p[2] == digest or tonumber(p[3]) == block) then return 'dead' end
  elseif not (at_mark and tonumber(w[2]) == generation - 1) then
    return 'gap'
  end
  return nil
end

-- The open "now" jobs of a workflow: field `now_open`, each key followed by a blank (`force` lets there be several).
local function add_now(wf, key)
  redis.call('HSET', wf, 'now_open', (redis.call('HGET', wf, 'now_open') or '') .. key .. ' ')
end

local function drop_now(wf, key)
  local open = redis.call('HGET', wf, 'now_open')
  local from, to = string.find(open or '', key .. ' ', 1, true)
  if not from then return end
  local others = string.sub(open, 1, from - 1) .. string.sub(open, to + 1)
  if others == '' then redis.call('HDEL', wf, 'now_open') else redis.call('HSET', wf, 'now_open', others) end
end

-- A line of the history for what was closed, or tried again. More fields in pairs.
local function tell(history, length, key, workflow, st, outcome, block, words, ...)
  redis.call('XADD', history, 'MAXLEN', '~', length, '*', 'key', key, 'workflow', workflow, 'st', st,
    'outcome', outcome, 'block', block, 'text', words, ...)
end

-- Close an occurrence: the workflow's watermark moves, its places are free again. Not to a run that the workflow has
-- left behind (`passed`): an old dead letter, tried again, must not make what came since unknown.
local function close(wf, key, block, passed)
  local o = named(key)
  if o.kind == 'noop' then return end
  local w = redis.call('HMGET', wf, 'open', 'block')
  local mark = {}
  if o.kind == 'due' and not passed then mark = {'last', o.next_run, 'gen', o.generation} end
  if not w[2] or tonumber(w[2]) < tonumber(block) then mark[#mark + 1], mark[#mark + 2] = 'block', block end
  if #mark > 0 then redis.call('HSET', wf, unpack(mark)) end
  if w[1] == key then redis.call('HDEL', wf, 'open') end
  if o.kind == 'now' then drop_now(wf, key) end
end

-- Two events of one workflow that wait for one run: the newer names it, their numbers add up. Both end in a count.
local function with_earlier(earlier, event)
  local what, count = string.match(event, '^(.*):(%d+)$')
  local before = earlier and string.match(earlier, ':(%d+)$')
  if not what then return earlier or event end  -- somebody wrote something else there
  if not before then return event end
  return what .. ':' .. text(tonumber(count) + tonumber(before))
end

-- What is closed without having run gives the transfer back that it took; the next run serves it.
local function give_back(key, waited, events)
  local workflow = named(key).workflow
  if not workflow or not waited then return end
  local newer = redis.call('HGET', events, workflow)
  redis.call('HSET', events, workflow, newer and with_earlier(waited, newer) or waited)
end

-- A record for a due occurrence that comes on the list now. Most of what an enqueue costs is here: no field that its
-- key says, none that says "nothing yet".
local function open_record(rec, raw, digest, block, now)
  redis.call('HSET', rec, 'st', 'queued', 'job', raw, 'digest', digest, 'seen', block, 'queued_at', now)
end

-- Whether the caller acts under a lease that another has by now ('' claims none).
local function deposed(leader, token)
  return (token or '') ~= '' and redis.call('HGET', leader, 'token') ~= token
end
