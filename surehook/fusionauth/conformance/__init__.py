"""Tries documented behaviour of FusionAuth against any receiver.

1. `credentials` holds what the receiver expects to authenticate FusionAuth with; `tokens` makes signatures, right and
   forged, and `published_keys` serves the public keys as FusionAuth's JWKS does.
2. `probe` sends events as FusionAuth's HTTP client does and notes each exchange; `wire` sends what that client never
   would, but what proxies make of it.
3. `cases` are the behaviours, each with the answer that FusionAuth needs; `judgement` compares the answers with it.
4. `examination` runs the cases in their order and `proof` looks into our own store, where the receiver is ours.
5. `report` writes the results as JSON and as a page.
"""
