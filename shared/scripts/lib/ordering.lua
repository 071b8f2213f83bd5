-- Order: a handler with `ordered_by` runs the jobs of one key one at a time, in the order of acceptance. The protocol is
-- explained in docs/ordering.md.
--
-- A *line* holds the jobs of one handler and key that are not over, scored by their events' numbers in the order of
-- acceptance. The job whose turn it is has the score -inf: it is queued, running, scheduled, or a dead letter that holds
-- the line. The others are deferred. A job's *place* is kept on the event's record: 'hold' or 'skip' (what its death
-- does to the line), the hash of the key, and for `latest_only` the hash of its subject and the instant of the change.
-- An event is *unrouted* while it may be for such a handler and its handlers have not been chosen.

local function place_of(job_id) return redis.call('HGET', EVENT .. event_of(job_id), 'line:' .. handler_of(job_id)) end

-- Give an event the next number in the order of acceptance, as if it had just been accepted. The ledger's `accepted`
-- counts the numbers, `renumbered` those that were not an event's first. Returns 1 if the event was not open.
local function renumber(event_id)
  redis.call('HINCRBY', LEDGER, 'renumbered', 1)
  return redis.call('ZADD', OPEN, redis.call('HINCRBY', LEDGER, 'accepted', 1), event_id)
end

-- The steps of the order, by name. They are created with the first use, because a store creates the functions of a
-- script again in each call, and most calls need none of them.
local order_steps
local function order(step, ...)  -- rare
  if order_steps then return order_steps[step](...) end
  local TURN = '-inf'
  local UNROUTED_PLACE = 'unrouted'
  local DEFAULT_TIMEOUT_SECONDS = 30
  local lines_left, passes_left = 50, 200  -- in one script: thousands would stop the store for a second

  local function line_of(job_id, place) return LINE .. handler_of(job_id) .. ':' .. (string.match(place, '^%a+:(%x+)') or '') end

  -- An open event's number in the order of acceptance.
  local function number_of(job_id) return redis.call('ZSCORE', OPEN, event_of(job_id)) or 0 end

  local function defer(job_id, queue)
    register_queue(queue)
    redis.call('HSET', JOB .. job_id, 'status', 'deferred', 'origin', queue)
    redis.call('ZADD', DEFERRED .. queue, now_seconds, job_id)
  end

  -- The first job of a line, if it may have its turn now. It waits while an event accepted before it is unrouted, because
  -- that event may have the same key.
  local function next_in(line)
    local first = redis.call('ZRANGE', line, 0, 0, 'WITHSCORES')
    if not first[1] or first[2] == TURN then
      redis.call('ZREM', WAITING_LINES, line)
      return nil
    end
    local unrouted = redis.call('ZRANGE', UNROUTED, 0, 0, 'WITHSCORES')
    if unrouted[1] and tonumber(unrouted[2]) < tonumber(first[2]) then
      redis.call('ZADD', WAITING_LINES, first[2], line)
      return nil
    end
    redis.call('ZREM', WAITING_LINES, line)
    return first[1]
  end

  -- 1 if it is a dead letter that holds no line.
  local function is_skipped(job_id, queue)
    return string.sub(place_of(job_id) or '', 1, 4) == 'skip' and redis.call('ZSCORE', FAILED .. queue, job_id) and 1
  end

  -- Queue a job whose turn has come. A dead letter gets its turn too, and holds the line, unless it is skipped. Returns
  -- false if it has no reason to run: its record was deleted or changed by hand.
  local function start_turn(line, job_id)
    local handler = handler_of(job_id)
    local record = redis.call('HMGET', EVENT .. event_of(job_id), 'line:' .. handler, 'state:' .. handler,
      'queue:' .. handler, 'closed_at')
    if not record[1] or record[2] or record[4] then
      redis.call('ZREM', line, job_id)
      return false
    end
    redis.call('ZADD', line, TURN, job_id)
    local queue = redis.call('HGET', JOB .. job_id, 'origin') or record[3] or 'events'
    local was_deferred = redis.call('ZREM', DEFERRED .. queue, job_id) == 1
    if is_skipped(job_id, queue) then
      redis.call('ZREM', line, job_id)
      return false
    end
    if redis.call('ZSCORE', FAILED .. queue, job_id) or redis.call('ZSCORE', CANCELED .. queue, job_id) then return true end
    ensure_job(job_id, queue, DEFAULT_TIMEOUT_SECONDS)
    -- RQ's tools or the sweep may have queued it before its turn: a second copy would run it again after it has failed.
    if was_deferred or not redis.call('LPOS', QUEUE .. queue, job_id) then enqueue(job_id, queue) end
    return true
  end

  -- Give the turn to the next job, if no other has it. Jobs without a reason to run are passed over; after many of them
  -- the next claims let the line go on.
  local function advance(line)
    local job_id = next_in(line)
    while job_id and not start_turn(line, job_id) do
      passes_left = passes_left - 1
      if passes_left < 0 then return redis.call('ZADD', WAITING_LINES, 0, line) end
      job_id = next_in(line)
    end
  end

  -- Queue a job now, or when its turn comes. `place` is '' for a job that runs in no order.
  local function queue_in_turn(job_id, queue, place)
    if place == '' or place == UNROUTED_PLACE then return enqueue(job_id, queue) end
    redis.call('HSET', EVENT .. event_of(job_id), 'line:' .. handler_of(job_id), place)
    local line = line_of(job_id, place)
    if redis.call('ZSCORE', line, job_id) == TURN then return enqueue(job_id, queue) end
    redis.call('ZADD', line, number_of(job_id), job_id)
    defer(job_id, queue)
    advance(line)
  end

  local function leave_line(job_id, place)
    local line = line_of(job_id, place)
    if redis.call('ZREM', line, job_id) == 1 then advance(line) end
  end

  -- Let lines go on that wait for no unrouted event any more. The next claims let the others go on.
  local function open_lines()
    local first = redis.call('ZRANGE', UNROUTED, 0, 0, 'WITHSCORES')
    local before = first[1] and '(' .. first[2] or '+inf'
    for _, line in ipairs(redis.call('ZRANGEBYSCORE', WAITING_LINES, '-inf', before, 'LIMIT', 0, lines_left)) do
      lines_left = lines_left - 1
      advance(line)
    end
  end

  -- Record that an event's handlers have been chosen, and let the lines go on that waited for it.
  local function end_routing(event_id)
    redis.call('HDEL', EVENT .. event_id, 'line:')
    if redis.call('ZREM', UNROUTED, event_id) == 1 then open_lines() end
  end

  local function has_turn(job_id, queue, place)
    local line = line_of(job_id, place)
    local score = redis.call('ZSCORE', line, job_id)
    if score == TURN then return true end
    if not score then redis.call('ZADD', line, number_of(job_id), job_id) end
    if next_in(line) == job_id then
      redis.call('ZADD', line, TURN, job_id)
      redis.call('ZREM', DEFERRED .. queue, job_id)
      return true
    end
    defer(job_id, queue)
    return false
  end

  local function is_ordered_type(event_type, ordered_types)
    for pattern in string.gmatch(ordered_types, '%S+') do
      if string.find(event_type, pattern) then return true end
    end
    return false
  end

  -- Check that a popped job may run now. A job that was queued out of turn, by RQ's tools or by the sweep, is deferred
  -- again. `ordered_types` are patterns of the types that handlers with `ordered_by` match.
  local function admit_in_turn(job_id, queue, place, event_type, has_handler, ordered_types)
    if place then return place == UNROUTED_PLACE or has_turn(job_id, queue, place) end
    if ordered_types ~= '' and not has_handler and handler_of(job_id) == '' and is_ordered_type(event_type, ordered_types) then
      redis.call('HSET', EVENT .. job_id, 'line:', UNROUTED_PLACE)
      redis.call('ZADD', UNROUTED, number_of(job_id), job_id)
    end
    return true
  end

  -- The key that holds the instant of the newest change that a handler has applied, and the instant of this job's change.
  local function latest_of(job_id, place)
    local subject, instant = string.match(place, ':(%x+):(%d+)$')
    if subject then return LATEST .. handler_of(job_id) .. ':' .. subject, tonumber(instant) end
  end

  -- 1 if the handler has applied a newer change of the same subject.
  local function is_outdated(job_id, place)
    local key, instant = latest_of(job_id, place or '')
    return key and instant < tonumber(redis.call('GET', key) or 0) and 1 or 0
  end

  local function record_latest(job_id, place, kind, retention)
    local key, instant = latest_of(job_id, place)
    if not key then return end
    if kind == 'finish' and instant > tonumber(redis.call('GET', key) or 0) then
      redis.call('SET', key, string.format('%.0f', instant), 'EX', retention)
    else
      redis.call('EXPIRE', key, retention)
    end
  end

  -- Handle the end of a run of a job with a place. A retry, and a job that was given back, keep their turn.
  local function settle_turn(job_id, place, kind, retention)
    if place == UNROUTED_PLACE then
      if kind ~= 'give_back' then end_routing(job_id) end
    elseif kind == 'finish' or kind == 'skip' then
      record_latest(job_id, place, kind, retention)
      leave_line(job_id, place)
    end
  end

  local function settle_dead_turn(job_id, place)
    if place == UNROUTED_PLACE then
      end_routing(job_id)
    elseif string.sub(place, 1, 4) == 'skip' then
      leave_line(job_id, place)
    end
  end

  -- Take a job out of its line, because the job is discarded or erased.
  local function release_turn(job_id)
    local place = place_of(job_id)
    if place == UNROUTED_PLACE then
      end_routing(job_id)
    elseif place then
      leave_line(job_id, place)
    end
    return place
  end

  -- The same for an event that is erased, of which nothing may stay.
  local function forget_turn(job_id, queue)
    redis.call('ZREM', DEFERRED .. queue, job_id)
    local place = release_turn(job_id)
    local key = place and latest_of(job_id, place)
    if key then redis.call('DEL', key) end
  end

  order_steps = {advance = advance, line_of = line_of, number_of = number_of, queue_in_turn = queue_in_turn,
    is_skipped = is_skipped, end_routing = end_routing, open_lines = open_lines, admit = admit_in_turn,
    is_outdated = is_outdated, settle = settle_turn, settle_dead = settle_dead_turn, release = release_turn, forget = forget_turn}
  return order_steps[step](...)
end
