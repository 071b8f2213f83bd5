"""Shared by tests and benchmarks: a stack of real processes, events to send, certificates, and FusionAuth's signing."""
