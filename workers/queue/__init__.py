"""Ordinary events: from a job in the queue to its acknowledgement.

1. The fetcher (`fetcher`) makes a numbered exchange with the store: it sends acknowledgements (`acks`) and receives
   claims (`claims`), as many as the prefetch (`prefetch`) asks for.
2. It keeps the list of its jobs (`in_progress`), and hands the claims to threads (`handoff`). A job that took a process
   down before waits in quarantine (`quarantine`) until nothing else runs.
3. A handler thread (`threads`) gives the claim to the executor (`executor`), which chooses the handler and runs it. If
   several handlers match, it replaces the job by one for each. While an `async` handler runs in the event loop, no
   thread waits for it; but no more handlers run at once than there are threads.
4. The result becomes a completion (`completion`): an acknowledgement and the facts to log.
5. The next exchange delivers the acknowledgement; then the completion is logged and counted.
6. When the queue is empty, the notifier (`notifier`) waits for the next job and wakes the fetcher.
"""
