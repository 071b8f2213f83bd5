"""Benchmarks, each against a baseline in the same run: `python -m bench [PART…]`.

Rounds alternate (baseline, ours, baseline, ours), because on a shared machine the same program varies from minute to
minute by more than the difference to measure. Everything runs on loopback, on a private store that fsyncs always.
"""
