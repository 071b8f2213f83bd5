"""The endpoint's metrics, as Prometheus would read them."""

import re

from harness.stack import Stack


def metric(stack: Stack, series: str) -> float:
    """Returns the value of a series; 0 if it does not exist yet."""
    page = stack.client.get(f"http://127.0.0.1:{stack.metrics_port}/metrics").text
    found = re.search(rf"^{re.escape(series)} (\S+)$", page, re.MULTILINE)
    return float(found[1]) if found else 0.0


def refusals(stack: Stack, reason: str) -> float:
    return metric(stack, f'surehook_deliveries_refused_total{{reason="{reason}"}}')
