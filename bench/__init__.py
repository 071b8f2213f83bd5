"""Benchmarks, each against a baseline in the same run: `python -m bench [PART…]`.

Rounds alternate (baseline, ours, baseline, ours), because on a shared machine the same program differs from minute to
minute by more than what is to be seen. Everything runs on loopback, on a private store that fsyncs always.
"""
