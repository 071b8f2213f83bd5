"""The exit statuses of the commands, and of the processes that supervisors start."""

FAILED = 1
MISCONFIGURED = 2
NOT_FOUND = 3
# EX_CONFIG of sysexits.h, for a child process: neither a handler nor Python ends a process with it by accident. The
# child has said what is wrong, and another one would say the same.
CHILD_MISCONFIGURED = 78
# A newer version has written to the store: no other process of this version can use it either.
CHILD_INCOMPATIBLE = 79
