"""The place of the events of an installation, as text: databases of the spool tell by it whose events they hold."""

from surehook.shared.embedded import socket_path
from surehook.shared.settings import Settings
from surehook.shared.store_address import StoreAddress, socket_address


def store_address(settings: Settings) -> StoreAddress:
    """The address of the store; of the embedded one by default."""
    return settings.redis_url or socket_address(socket_path(settings.data_dir))


def store_name(settings: Settings) -> str:
    """The store and the prefix of the keys in it."""
    return f"{store_address(settings).identity} {settings.key_prefix}"
