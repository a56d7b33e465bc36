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
local function now_ms()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

local function text(number)
  return string.format('%.0f', number)
end

local function seq()
  return redis.call('HGET', KEYS[1], 'seq') or '0'
end

-- False while the ledger belongs to another Redis process or is being rebuilt.
local function guard()
  local epoch = redis.call('HMGET', KEYS[1], 'run', 'recovering')
  return epoch[1] == ARGV[1] and (not epoch[2] or epoch[2] == '')
end

-- Counts a write. Not while the ledger belongs to another process: a number that went on would hide that writes are gone.
local function advance()
  if redis.call('HGET', KEYS[1], 'run') ~= ARGV[1] then return seq() end
  return text(redis.call('HINCRBY', KEYS[1], 'seq', 1))
end

-- Ends the script here, before its first write, where somebody made the list something else.
local function must_be_list(key)
  redis.call('LLEN', key)
end

-- A worker is alive while its beat is positive; a tombstone has a negative score.
local function alive(workers, id)
  local score = redis.call('ZSCORE', workers, id)
  return score and tonumber(score) > 0
end

-- True when the record belongs to this worker and was not taken from it since.
local function own(rec, workers, worker, fence)
  local r = redis.call('HMGET', rec, 'holder', 'fence')
  return r[1] == worker and r[2] == fence and alive(workers, worker)
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

-- A line of the history for what a script closes without a transaction. `reason` as in the record.
local function tell(history, length, key, workflow, st, reason, block, words)
  redis.call('XADD', history, 'MAXLEN', '~', length, '*', 'key', key, 'workflow', workflow, 'st', st,
    'outcome', reason, 'tx', '', 'block', block, 'fee', '0', 'text', words)
end

-- Close an occurrence: the workflow's watermark moves, its places are free again. Not to a run that the workflow has
-- left behind (`passed`): an old dead letter, tried again, must not make what came since unknown.
local function close(rec, wf, key, block, passed)
  local r = redis.call('HMGET', rec, 'kind', 'nextRun', 'gen')
  if r[1] == 'noop' then return end
  local w = redis.call('HMGET', wf, 'open', 'block')
  if r[1] == 'due' and not passed then redis.call('HSET', wf, 'last', r[2], 'gen', r[3]) end
  if not w[2] or tonumber(w[2]) < tonumber(block) then redis.call('HSET', wf, 'block', block) end
  if w[1] == key then redis.call('HDEL', wf, 'open') end
  drop_now(wf, key)
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
local function give_back(rec, events)
  local r = redis.call('HMGET', rec, 'workflow', 'waited')
  if not r[1] or not r[2] then return end
  local newer = redis.call('HGET', events, r[1])
  redis.call('HSET', events, r[1], newer and with_earlier(r[2], newer) or r[2])
end

-- A record for an occurrence that comes on the list now.
local function open_record(rec, key, raw, chain, executor, workflow, next_run, generation, digest, block, now)
  redis.call('HSET', rec, 'kind', 'due', 'chain', chain, 'executor', executor, 'workflow', workflow,
    'nextRun', next_run, 'gen', generation, 'digest', digest, 'id', key, 'job', raw,
    'st', 'queued', 'holder', '', 'fence', '0', 'attempts', '0', 'queued_at', now, 'seen', block)
end

-- Whether the caller acts under a lease that another has by now ('' claims none).
local function deposed(leader, token)
  return (token or '') ~= '' and redis.call('HGET', leader, 'token') ~= token
end
