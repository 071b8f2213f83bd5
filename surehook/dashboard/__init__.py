"""The web pages: ours, and rq-dashboard under `/rq/`.

1. `server` accepts connections on `DASHBOARD_BIND`, with limits.
2. `app` puts the application together. `guard` decides who may see a page and what may change something: the host's
   name, the login, the page it comes from. `logins` slows down guesses, `tokens` makes the tokens of
   forms and the cookies, `headers` has the Content-Security-Policy.
3. `site` turns a request into a page: it reads the form, calls the page's view (`views`), and renders the view's
   template (`rendering`, `templates`). `search` understands filters. `static` has the style and one script; every page
   works without the script.
4. `rq_app` is rq-dashboard with our own scripts behind its requeue buttons, run in threads by `wsgi`. `rq_jobs` reads
   RQ's jobs without unpickling them and without changing the store. `rq_templates` rewrites its templates so that they
   escape every value and run under a strict Content-Security-Policy.
"""
