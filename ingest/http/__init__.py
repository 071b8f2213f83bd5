"""HTTP, on top of uvicorn's protocol.

1. `protocol` limits time, headers, connections and pipelining.
2. `fast_path` hands a request that arrived completely to the endpoint without ASGI; all others go through ASGI.
3. `response_writer` writes head and body together, with a time limit.
"""
