"""The first steps of every long-running command."""

from surehook.shared.child_processes import stop_with_parent
from surehook.shared.log import set_up_logging
from surehook.shared.settings import Settings, load_settings


def start() -> Settings:
    """Load the settings and set up logging."""
    stop_with_parent()
    settings = load_settings()
    set_up_logging(settings.log_level, settings.log_format)
    return settings
