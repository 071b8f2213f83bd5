"""Traces, exported where `surehook[otel]` is installed and OpenTelemetry's own variables name an exporter.

Nothing of OpenTelemetry is imported otherwise.
"""

import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from surehook.shared.otel import Traces

log = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def open_traces(service: str) -> "Traces | None":
    """The traces of this process; None if none are asked for, or cannot be exported, which is logged.

    Args:
        service: the name that is shown, unless OTEL_SERVICE_NAME gives another.
    """
    if not _is_asked_for():
        return None
    try:
        from surehook.shared.otel import Traces  # noqa: PLC0415 - only there with the extra

        return Traces(service)
    except ImportError as exc:
        log.warning("traces not exported", extra={"reason": f"{exc}: install surehook[otel]"})
    except (LookupError, ValueError) as exc:
        log.warning("traces not exported", extra={"reason": str(exc.args[0])})
    return None


def _is_asked_for() -> bool:
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = os.environ.get("OTEL_TRACES_EXPORTER")
    return exporter != "none" if exporter else any(map(os.environ.get, ENDPOINTS))
