"""The web pages: rq-dashboard behind a login, with its requeue buttons wired to our scripts.

1. `app` builds the WSGI application and serves it on `DASHBOARD_BIND`.
2. A request that changes something must come from a page of this dashboard.
3. Requeue runs the same script as `surehook dead-letters replay`; the other buttons are disabled.
"""
