"""Authentication of deliveries.

1. `credentials` checks the API key, the Basic pair and the required headers.
2. `signature` verifies the signed token with a key of `signing_keys`, or of `jwks`, which fetches published ones.
3. `signature` compares the digest in the token with the body.
"""
