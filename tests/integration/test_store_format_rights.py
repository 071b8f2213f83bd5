"""An account that may not read the store's format number is refused, so that no version is used on another's store."""

import asyncio
from typing import Any

import pytest
import redis

from surehook.shared.embedded import socket_path
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings
from tests.integration.test_session import running


def test_an_account_that_may_not_read_the_stores_format_is_not_ready(
    settings: Settings, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    store.set(Keys().store_format, 99)  # a newer version
    rules = "on >word ~* +@all -get"
    store.execute_command("ACL", "SETUSER", "no-get", "reset", *rules.split())  # type: ignore[no-untyped-call] # redis-py's
    login = f"unix://no-get:word@{socket_path(settings.data_dir)}?db=0"

    async def play() -> bool:
        async with running(Settings(redis_url=login)) as acceptor:
            return acceptor.is_ready

    try:
        assert not asyncio.run(play())
        assert "may not use GET" in facts(caplog, "store not ready")["reason"]
        store.execute_command("ACL", "SETUSER", "no-get", "+get")  # type: ignore[no-untyped-call] # redis-py's
        assert not asyncio.run(play())
        assert "format 99" in facts(caplog, "store not ready")["reason"]
    finally:
        store.execute_command("ACL", "DELUSER", "no-get")  # type: ignore[no-untyped-call] # redis-py's


def facts(caplog: pytest.LogCaptureFixture, message: str) -> dict[str, Any]:
    """The fields of the last log line with this message."""
    return vars([record for record in caplog.records if record.getMessage() == message][-1])
