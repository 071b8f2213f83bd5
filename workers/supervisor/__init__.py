"""The parent of the worker processes.

1. `supervisor` starts the processes of each queue, and replaces those that die or are recycled.
2. `child` is one process as the parent sees it: it reads the process's slots and kills it when a handler does not stop.
   Between the two is a `guard`, which ends everything that the process has started.
3. When a process has died, `own_claims` gives back the claims that it held, each by an `interruption`. If it was killed
   because a handler did not stop at its timeout, `overruns` settles that run as a timeout, with the stack it has left.
4. `recovery` does the same for claims of other machines whose leases have expired, if `store_health` trusts that.
5. On SIGHUP, `rollout` replaces all processes one by one, for a new `plan`. `stopping` ends all of them at a stop.
6. The parent imports no handler module: the first process of a plan does, and announces what the others and the
   parent need to know.
"""
