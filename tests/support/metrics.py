"""The endpoint's metrics, as Prometheus would read them."""

import re

from harness.stack import Stack


def metric(house: Stack, series: str) -> float:
    """0 for a series that is not there (yet)."""
    page = house.client.get(f"http://127.0.0.1:{house.metrics_port}/metrics").text
    found = re.search(rf"^{re.escape(series)} (\S+)$", page, re.MULTILINE)
    return float(found[1]) if found else 0.0


def refusals(house: Stack, reason: str) -> float:
    return metric(house, f'surehook_deliveries_refused_total{{reason="{reason}"}}')
