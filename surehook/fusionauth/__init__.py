"""FusionAuth's side of a webhook, for `surehook trigger` and `surehook dev`.

1. `samples` builds a sample event of any type, from the objects in `sample_parts`.
2. `sender` makes the headers that FusionAuth would send with a body, and `signer` the signature among them.
3. `own_endpoint` gives the URL of our own endpoint and the certificate to trust.
4. `transaction_setting` sends a transactional event to every webhook and decides whether the operation commits.
"""
