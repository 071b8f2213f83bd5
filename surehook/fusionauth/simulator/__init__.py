"""A simulated FusionAuth: its webhook sender, and the part of its API that concerns webhooks.

1. `instance` holds what an installation knows: tenants, webhooks, keys, API keys and its configuration. `records`
   checks and completes what the API saves, and `quirks` lists what no public source settles or what differs by version.
2. `delivery` fires an event: it finds the webhooks that receive it, sends under the tenant's transaction setting,
   sends again to those that failed, and records every attempt in the `event_log`.
3. `http_client` sends one request as FusionAuth's HTTP client does; `signing_keys` makes the keys and signs with them.
4. `population` fires the events of users who register, log in and leave; `operations` sends them and keeps count.
   `scenario` reads a file that says what happens, and `disturbance` what goes wrong on the way.
5. `api` answers the API's requests, `page` shows what was sent, and `server` serves both.

Each behaviour names its source in FACTS.
"""
