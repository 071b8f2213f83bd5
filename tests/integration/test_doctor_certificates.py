"""A certificate that FusionAuth would not trust, or not for long, is found at the address that it is sent to."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from surehook.fusionauth.doctor.endpoint import endpoint_findings
from surehook.fusionauth.doctor.findings import Level
from surehook.shared.settings import Settings
from tests.support.expiring_certificate import a_certificate

NOW = datetime.now(UTC)
Examine = Callable[..., dict[str, Level]]


@pytest.fixture
def examine(tmp_path: Path) -> Iterator[Examine]:
    with ExitStack() as stack:

        def examine(days: int, *, is_own: bool, is_ours: bool = True) -> dict[str, Level]:
            files = a_certificate(tmp_path, NOW + timedelta(days=days, minutes=1))
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*files)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            given = {"tls_cert": files[0], "tls_key": files[1]} if is_ours else {}
            settings = Settings.model_validate({"api_keys": ("a-key-for-tests-only",), **given})
            url = f"https://localhost:{server.server_port}/fusionauth-webhook"
            return {each.check: each.level for each in endpoint_findings(settings, url, NOW, is_own=is_own)}

        yield examine


@pytest.mark.parametrize(("days", "level"), [(90, Level.OK), (21, Level.OK), (20, Level.ODD)])
def test_the_end_of_a_trusted_certificate_is_told(days: int, level: Level, examine: Examine) -> None:
    found = examine(days, is_own=True)

    assert found["certificate"] is level
    assert "certificate-authority" not in found


def test_a_certificate_that_no_one_vouches_for_loses_events(examine: Examine) -> None:
    assert examine(90, is_own=False, is_ours=False) == {"certificate": Level.LOSES_EVENTS}


def test_a_certificate_that_only_our_settings_vouch_for_may_be_refused_by_fusionauth(examine: Examine) -> None:
    assert examine(90, is_own=False)["certificate-authority"] is Level.ODD
