"""The forms of an instant and of a span of time that commands and pages take: UTC, as they show times."""

FORMATS = ("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
