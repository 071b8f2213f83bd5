-- Erase events that wait in spools: their ids become known, so that the accept script takes them for duplicates.
-- ARGV: user id ('': none), how long erased users are remembered (s), event ids. Of the user, the accept script drops
-- all that was received until now, because the ids in the spools of other machines are not known here.
if ARGV[1] ~= '' then redis.call('SET', ERASED_USER .. redis.sha1hex(ARGV[1]), now_ms, 'EX', ARGV[2]) end
for at = 3, #ARGV do remember_id(ARGV[at], pack_id(ARGV[at])) end
