-- Finish transactions that were neglected, because their ingest process died before it confirmed or abandoned them.
-- Runs of dead worker processes are only found here; `txn_bury` ends them, with the jobs that undo their effects.
-- ARGV: ms after the deadline from which the run of a dead process counts as dead, limit.
-- Returns {orphans made, then for each dead run its event id, round, type, tenant, application}.
local dead = {}

-- Returns the number of orphans made.
local function recover(id)
  local txn = load_txn(id)
  if not txn then
    redis.call('ZREM', TXNS, id)  -- deleted by hand
    if redis.call('HGET', EVENT .. id, 'decision') == 'pending' then
      redis.call('HSET', EVENT .. id, 'decision', 'abandoned', 'decided_at', now_ms)
      redis.call('LREM', QUEUE .. TRANSACTIONAL, 1, id)
      local record = redis.call('HMGET', EVENT .. id, 'erasing', 'late_undo')
      queue_follow_ups(id, {retention = DEFAULT_RETENTION_SECONDS}, record[2] or '', 'abandoned', record[1])
    end
    return 0
  end
  if txn.state == 'completed' then
    make_orphan(id, txn)
    return 1
  end
  if txn.state == 'waiting' or txn.state == 'running' then decide(id, txn, 'abandoned', '') end
  if not txn.running then
    redis.call('LREM', QUEUE .. TRANSACTIONAL, 1, id)
    finish_round(id, txn, '', false)
    return 0
  end
  local is_due = is_run_dead(id, txn, tonumber(ARGV[1]))
  -- A dead run stays due, behind all others: the endpoint calls this as often as a worker, and must not hide it.
  redis.call('ZADD', TXNS, is_due and now_ms or now_ms + RECHECK_MS, id)
  if is_due then
    local record = redis.call('HMGET', EVENT .. id, 'type', 'tenant', 'application')
    for _, value in ipairs({id, txn.round, record[1] or '', record[2] or '', record[3] or ''}) do
      table.insert(dead, value)
    end
  end
  return 0
end

local orphans = 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', TXNS, '-inf', '(' .. now_ms, 'LIMIT', 0, ARGV[2])) do
  orphans = orphans + guarded(id, function() return recover(id) end)
end
return {orphans, unpack(dead)}
