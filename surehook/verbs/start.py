"""The first steps of every long-running command."""

import logging
import os

from surehook.shared.child_processes import stop_with_parent
from surehook.shared.log import set_up_logging
from surehook.shared.settings import Settings, load_settings, unknown_variables

log = logging.getLogger(__name__)


def start() -> Settings:
    """Load the settings, set up logging, and warn of misspelt variables."""
    is_child = stop_with_parent()
    settings = load_settings()
    set_up_logging(settings.log_level, settings.log_format)
    for name in () if is_child else unknown_variables(os.environ):
        log.warning("unknown SUREHOOK_ variable ignored", extra={"variable": name})
    return settings
