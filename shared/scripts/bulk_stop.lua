-- End a bulk action, for now or for good.
-- ARGV: id, the runner's token ('' if an operator stops it), 'stopped' or 'done', a sentence that says why, who.
-- Returns 1, or 0 if it does not run, or not for this runner.
local key = BULK .. ARGV[1]
local known = redis.call('HMGET', key, 'state', 'token', 'verb', 'target', 'done')
if known[1] ~= 'running' or (ARGV[2] ~= '' and known[2] ~= ARGV[2]) then return 0 end
redis.call('HSET', key, 'state', ARGV[3], 'token', '', 'lease_until', 0, 'note', ARGV[4], 'updated_at', now_ms,
  'stopped_by', ARGV[2] == '' and ARGV[5] or '')
redis.call('EXPIRE', key, BULK_KEPT_SECONDS)
local word = ARGV[3] == 'done' and ' ended' or ' stopped'
audit(ARGV[5], 'bulk ' .. known[3] .. word, known[4], tonumber(known[5] or 0), ARGV[4], ARGV[1])
return 1
