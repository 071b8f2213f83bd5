"""A server that is part of a cluster is refused everywhere with one sentence: no event could run there."""

from collections.abc import Iterator

import pytest

from harness.stack import API_KEY, wait_until
from surehook.shared.embedded import start_server, stop_server
from surehook.shared.errors import IncompatibleStore
from surehook.shared.exit_status import MISCONFIGURED
from surehook.shared.settings import Settings
from surehook.shared.store_format import CLUSTER
from surehook.workers.supervisor.supervisor import Supervisor
from tests.support.command import command_on
from tests.support.endpoint import open_endpoint
from tests.support.log_reasons import reasons


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("c")
    server = start_server(folder, "--cluster-enabled", "yes")
    yield Settings(data_dir=folder, api_keys=(API_KEY,), metrics_bind="off")
    stop_server(server)


def test_the_endpoint_is_not_ready_and_takes_nothing(cluster: Settings, caplog: pytest.LogCaptureFixture) -> None:
    with open_endpoint(cluster, is_awaited=False) as endpoint:
        wait_until(lambda: CLUSTER in reasons(caplog).splitlines(), "it is told")
        response, readyz = endpoint.deliver(), endpoint.request("GET", "/readyz")
        assert endpoint.metric("surehook_not_ready", reason="incompatible_store") == 1

    assert (response.status_code, readyz.status_code) == (503, 503)


def test_workers_do_not_start(cluster: Settings) -> None:
    with pytest.raises(IncompatibleStore, match="cluster_enabled:1"):
        Supervisor(cluster, processes=1, threads=1).run()


@pytest.mark.parametrize(
    "command",
    [("ledger",), ("queues", "list"), ("events", "list"), ("dead-letters", "list")],
    ids=" ".join,
)
def test_commands_refuse_it(cluster: Settings, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    assert command_on(cluster, monkeypatch)(*command) == (MISCONFIGURED, CLUSTER)
