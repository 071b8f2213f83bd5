-- The index of closed events, which lists and pages search; see docs/architecture.md and shared/event_index.py.
--
-- An event has a row of 52 bytes from its closing until it is erased or opened again: its id (16), its facts (35), and
-- its outcome (1; 0 in a row that was cleared). Rows are numbered, the newest last. A segment is a string with the rows
-- of 4,096 numbers; it ends early when a 24th of the retention is over, and expires after the records of its events. The
-- record names its row, so that a row that lies is found out.

local ROW_BYTES = 52
local FACTS_BYTES = 35
local ROWS_A_SEGMENT = 4096
local SEGMENTS_A_RETENTION = 24
local MOST_UNFINISHED = 100000  -- the walk through all records finds the others
local ANY = '\255\255\255\255'  -- several applications, or handlers that only the record names
local OUTCOME_CODES = {done = '\1', unhandled = '\2', completed = '\3', discarded = '\4', rejected = '\5',
  failed = '\6', abandoned = '\7'}
local OTHER_OUTCOME = '\255'

-- The rows that a script adds are written together.
local new_rows = {rows = {}, unfinished = {}}

-- The first bytes of a text's SHA-1, 4 or 6 of them; zeros for an empty text.
local function short_hash(text, size)  -- rare
  if not text or text == '' then return string.rep('\0', size) end
  local hex = redis.sha1hex(text)
  local first = struct.pack('>I4', tonumber(string.sub(hex, 1, 8), 16))
  return size == 4 and first or first .. struct.pack('>I2', tonumber(string.sub(hex, 9, 12), 16))
end

-- The facts of an event for its row, without its e-mail address: a worker process adds that soon. Nil: the event cannot
-- be listed.
local function facts_of(event_id)  -- rare
  local record = redis.call('HMGET', EVENT .. event_id, 'type', 'tenant', 'application', 'user', 'received_at')
  local received_at = tonumber(record[5] or '')
  if not record[1] or not received_at then return nil end
  local application = record[3] or ''
  return short_hash(record[1], 4) .. short_hash(record[2], 4)
    .. (string.find(application, ',', 1, true) and ANY or short_hash(application, 4)) .. ANY
    .. short_hash(record[4], 6) .. string.rep('\0', 7) 
    .. struct.pack('>I2I4', math.floor(received_at / 4294967296), received_at % 4294967296)
end

-- Add a row. `packed_id` and `facts` are given by scripts that have them. Returns the row's number, or false if the
-- event cannot be listed. `write_rows` must follow.
local function add_row(event_id, packed_id, facts, outcome, retention)
  if not facts or #facts ~= FACTS_BYTES then facts = facts_of(event_id) end
  if not facts then return false end
  if not packed_id or packed_id == '' then packed_id = pack_id(event_id) end
  if string.byte(facts, 29) == 0 then table.insert(new_rows.unfinished, event_id) end
  local rows = new_rows.rows
  if not new_rows.first then
    local state = redis.call('HMGET', INDEX_STATE, 'next', 'until', 'latest', 'kept')
    local number = tonumber(state[1] or 0)
    local is_over = number % ROWS_A_SEGMENT > 0 and now_ms >= tonumber(state[2] or 0)
    new_rows.first = is_over and number + ROWS_A_SEGMENT - number % ROWS_A_SEGMENT or number
    new_rows.latest = math.max(now_ms, tonumber(state[3] or 0))
    new_rows.kept = tonumber(state[4] or 0)
    new_rows.retention = tonumber(retention)
  end
  local count = #rows + 1
  rows[count] = packed_id .. facts .. (OUTCOME_CODES[outcome] or OTHER_OUTCOME)
  return new_rows.first + count - 1
end

-- Keep a segment as long as the records of its last events: rows are added for a 24th of the retention. An expiry for
-- each portion of rows would cost more than the rows.
local function keep_segment(segment)  -- rare
  local retention = new_rows.retention
  redis.call('EXPIRE', INDEX .. segment, retention + math.ceil(retention / SEGMENTS_A_RETENTION) + 1)
  redis.call('HSET', INDEX_STATE, 'kept', retention)
end

-- Begin a segment. Its score is an instant that no row of an older segment is later than.
local function begin_segment(segment)  -- rare
  redis.call('DEL', INDEX_SUMMARY .. segment)  -- of one with the same number, if the state of the index was lost
  local before = INDEX .. segment - 1
  local rows = redis.call('GET', before)
  if rows then redis.call('SET', before, rows, 'KEEPTTL') end  -- without the room for more that APPEND leaves
  redis.call('ZADD', INDEX_SEGMENTS, new_rows.latest, segment)
  redis.call('HSET', INDEX_STATE, 'until', now_ms + math.floor(new_rows.retention * 1000 / SEGMENTS_A_RETENTION))
  for _, each in ipairs(redis.call('ZRANGE', INDEX_SEGMENTS, 0, 1)) do
    if each ~= tostring(segment) and redis.call('EXISTS', INDEX .. each) == 0 then
      redis.call('ZREM', INDEX_SEGMENTS, each)
    end
  end
end

local function write_rows()
  local rows, first = new_rows.rows, new_rows.first
  if not first then return end
  local at = 1
  while at <= #rows do
    local segment, offset = math.floor((first + at - 1) / ROWS_A_SEGMENT), (first + at - 1) % ROWS_A_SEGMENT
    local last = math.min(#rows, at + ROWS_A_SEGMENT - offset - 1)
    redis.call('SETRANGE', INDEX .. segment, offset * ROW_BYTES, table.concat(rows, '', at, last))
    if offset == 0 then begin_segment(segment) end
    -- Never shorter than before: the setting may have changed.
    if offset == 0 or new_rows.retention > new_rows.kept then keep_segment(segment) end
    at = last + 1
  end
  redis.call('HSET', INDEX_STATE, 'next', first + #rows, 'latest', new_rows.latest)
  if #new_rows.unfinished > 0 and redis.call('SCARD', INDEX_UNFINISHED) < MOST_UNFINISHED then
    redis.call('SADD', INDEX_UNFINISHED, unpack(new_rows.unfinished))
    redis.call('EXPIRE', INDEX_UNFINISHED, new_rows.retention)
  end
  new_rows = {rows = {}, unfinished = {}}
end

local function has_row(event_id, number)  -- rare
  local at = number % ROWS_A_SEGMENT * ROW_BYTES
  return redis.call('GETRANGE', INDEX .. math.floor(number / ROWS_A_SEGMENT), at, at + 15) == pack_id(event_id)
end

-- Tells whether an event's row is there with its e-mail address, if the event names one.
local function is_finished_row(event_id, number)
  local at = number % ROWS_A_SEGMENT * ROW_BYTES
  local row = redis.call('GETRANGE', INDEX .. math.floor(number / ROWS_A_SEGMENT), at, at + ROW_BYTES - 1)
  return #row == ROW_BYTES and string.sub(row, 1, 16) == pack_id(event_id) and string.byte(row, 45) == 1
end

-- Forget what is in the segment of a row: a value was added, or must not be kept.
local function forget_summary(number)  -- rare
  number = tonumber(number or '')
  if number then redis.call('DEL', INDEX_SUMMARY .. math.floor(number / ROWS_A_SEGMENT)) end
end

local function clear_row(event_id, number)  -- rare
  redis.call('SREM', INDEX_UNFINISHED, event_id)
  number = tonumber(number or '')
  if not number or not has_row(event_id, number) then return end
  redis.call('SETRANGE', INDEX .. math.floor(number / ROWS_A_SEGMENT), number % ROWS_A_SEGMENT * ROW_BYTES,
    string.rep('\0', ROW_BYTES))
end

-- Give a closed event a new row in place of the one that it has, if any. `write_rows` must follow.
local function index_again(event_id, facts, retention)  -- rare
  local record = redis.call('HMGET', EVENT .. event_id, 'row', 'outcome')
  clear_row(event_id, record[1])
  local number = add_row(event_id, nil, facts, record[2], retention)
  if number then redis.call('HSET', EVENT .. event_id, 'row', number) end
end
