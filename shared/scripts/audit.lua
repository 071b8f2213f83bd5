-- Write an operator's action to the audit.
-- ARGV: who, action, target, count, reason.
audit(ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5])
