"""The web pages: rq-dashboard behind a login, with its requeue buttons wired to our scripts.

1. `server` accepts connections on `DASHBOARD_BIND`, with limits, and runs the application in threads.
2. `app` builds the application: rq-dashboard's routes, with ours in place of those that change something.
3. `guard` decides who may see a page and what may change something: the host's name, the login, the page it comes from.
   `logins` slows down guesses.
4. `jobs` reads RQ's jobs without unpickling them and without changing the store.
5. `pages` rewrites rq-dashboard's templates so that they escape every value and run under a strict
   Content-Security-Policy.
"""
