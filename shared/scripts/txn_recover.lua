-- Look after transactions that somebody has forgotten: an ingest process that died before it confirmed or abandoned.
-- A worker process that died in a handler is only found here: `txn_bury` needs to know whom to tell.
-- ARGV: ms after the deadline when a run counts as dead if its process is, how many at most.
-- Returns {orphans made, then for each dead run its event id, round, type, tenant, application}.
local orphans, dead = 0, {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', TXNS, '-inf', '(' .. now_ms, 'LIMIT', 0, ARGV[2])) do
  local txn = load_txn(id)
  if not txn then
    redis.call('ZREM', TXNS, id)  -- deleted by hand
    if redis.call('HGET', EVENT .. id, 'decision') == 'pending' then
      redis.call('HSET', EVENT .. id, 'decision', 'abandoned', 'decided_at', now_ms)
      redis.call('LREM', QUEUE .. TRANSACTIONAL, 1, id)
      hand_over(id, {retention = FORGOTTEN_SECONDS}, '', 'abandoned')
    end
  elseif txn.state == 'completed' then
    orphan(id, txn)
    orphans = orphans + 1
  else
    if txn.state == 'waiting' or txn.state == 'running' then decide(id, txn, 'abandoned', '') end
    if not txn.running then
      redis.call('LREM', QUEUE .. TRANSACTIONAL, 1, id)
      conclude(id, txn, '', false)
    else
      local is_due = is_dead(id, txn, tonumber(ARGV[1]))
      -- The dead stay due, behind all others: the door looks as often as a worker does, and must not hide them.
      redis.call('ZADD', TXNS, is_due and now_ms or now_ms + LOOK_AGAIN_MS, id)
      if is_due then
        local record = redis.call('HMGET', EVENT .. id, 'type', 'tenant', 'application')
        for _, value in ipairs({id, txn.round, record[1] or '', record[2] or '', record[3] or ''}) do
          table.insert(dead, value)
        end
      end
    end
  end
end
return {orphans, unpack(dead)}
