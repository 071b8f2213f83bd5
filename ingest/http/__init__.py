"""HTTP, on top of uvicorn's protocol.

1. `protocol` limits time, headers, connections and pipelining.
2. `head` checks the headers of a request.
3. `fast_path` hands a request that arrived completely to the endpoint without ASGI; all others go through ASGI.
4. `connection` ends a connection.
5. `response_writer` writes head and body together, with a time limit.
6. `lingering` reads on after the last response of a connection, so that no reset destroys it.
"""
