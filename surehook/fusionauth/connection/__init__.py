"""Sets FusionAuth up so that it sends to this endpoint.

1. `goal` says what the settings and the handlers ask for.
2. `plan` compares that with what FusionAuth has, and lists the steps, each with the way back.
3. `proof` waits for the next delivery of FusionAuth's own.
"""
