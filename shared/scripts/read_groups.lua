-- Read the failure groups with the number of their dead letters now.
-- ARGV: 1 to include groups without any, and a handler, if only its groups are wanted.
-- Returns groups, each: id, handler, error, frame, source's fingerprint, first seen, last seen (ms), total, letters, the
-- job id of one of them; then the number of all dead letters that are in none of these groups, and one of them.
local MOST_CHECKED = 10000
local with_empty, handlers = ARGV[1] == '1', #ARGV > 1 and {ARGV[2]} or redis.call('SMEMBERS', GROUP_HANDLERS)
local queues, found, grouped = redis.call('SMEMBERS', OUR_QUEUES), {}, 0
local counts, samples = read_letters()

-- The dead letters with scores that are no group's. Jobs of other applications are none of them.
local function count_ours(first, last)
  local count, sample = 0, ''
  for _, queue in ipairs(queues) do
    for _, job_id in ipairs(redis.call('ZRANGEBYSCORE', FAILED .. queue, first, last, 'LIMIT', 0, MOST_CHECKED)) do
      if redis.call('EXISTS', EVENT .. event_of(job_id)) == 1 then count, sample = count + 1, job_id end
    end
  end
  return count, sample
end

for _, handler in ipairs(handlers) do
  for _, id in ipairs(redis.call('ZREVRANGE', GROUPS .. handler, 0, -1)) do
    local score = score_of_group(id)
    local count = counts[score] or 0
    grouped = grouped + count
    if count > 0 or with_empty then
      local group = redis.call('HMGET', GROUP .. id, 'handler', 'error', 'frame', 'code', 'first_seen', 'last_seen', 'total')
      table.insert(found, {id, group[1] or handler, group[2] or '', group[3] or '', group[4] or '', group[5] or '0',
        group[6] or '0', tonumber(group[7] or 0), count, samples[score] or ''})
    end
  end
end
if #ARGV > 1 then return {found, 0, ''} end
local below, one = count_ours('-inf', '(' .. FIRST_GROUP)
local above, other = count_ours('(' .. LAST_GROUP, '+inf')
local rest = count_letters(FIRST_GROUP, LAST_GROUP) - grouped
return {found, below + above + rest, one ~= '' and one or other}
