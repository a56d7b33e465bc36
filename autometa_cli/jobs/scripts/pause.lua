-- pause(): nobody claims, until a time or `queue resume`. Whoever leads the ledger, also in a recovery; does not advance
-- seq: it decides nothing about a job.
--   KEYS[1] {q}:epoch  [2] {q}:paused STRING
--   ARGV[1] run  [2] the pause, as it is stored  [3] until (s), or '' for no end
--   answer  ok
redis.call('DEL', KEYS[2])  -- a deleting write first: a full Redis lets the other follow
if ARGV[3] == '' then
  redis.call('SET', KEYS[2], ARGV[2])
else
  redis.call('SET', KEYS[2], ARGV[2], 'EXAT', ARGV[3])
end
return {'ok', seq()}
