-- Check the account's rights without using them. ARGV: commands.
-- Returns those that it may not use on keys of ours, or the kinds of keys of which it may use none.
local refused = {}
for _, key in ipairs({OPEN, QUEUES}) do
  if redis.acl_check_cmd('GET') and not redis.acl_check_cmd('GET', key) then
    table.insert(refused, 'the keys ' .. string.match(key, '^.*:') .. '*')
  end
end
if #refused > 0 then return refused end
for _, command in ipairs(ARGV) do
  -- As many keys as any command takes; those without a key ignore them.
  if not redis.acl_check_cmd(command, OPEN, OPEN, OPEN, OPEN) then table.insert(refused, command) end
end
return refused
