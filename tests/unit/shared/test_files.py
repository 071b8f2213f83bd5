"""Files that settings name: pipes are read, and never waited for without end."""

import os
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from surehook.ingest.auth.signing_keys import keys_from_files
from surehook.ingest.tls import tls_options
from surehook.shared import files, sources
from surehook.shared.errors import Misconfigured
from surehook.shared.files import read_text
from surehook.shared.settings import Settings, load_settings
from surehook.shared.store_address import parse_store_address
from tests.support.setting_values import mistakes_of

SILENT = "it is a pipe, and no process has written to it in 0 s"


@pytest.fixture
def pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A named pipe without a writer."""
    monkeypatch.setattr(files, "READ_SECONDS", 0.05)
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_a_pipe_without_a_writer_is_a_mistake_as_a_file_of_secrets(pipe: Path) -> None:
    assert mistakes_of({"SUREHOOK_API_KEYS_FILE": str(pipe)}) == (
        f"SUREHOOK_API_KEYS_FILE={pipe} cannot be read: {SILENT}"
    )


def test_a_pipe_without_a_writer_is_a_mistake_as_dotenv(pipe: Path) -> None:
    pipe.rename(sources.ENV_FILE)

    assert mistakes_of({}).endswith(f"no.env cannot be read: {SILENT}")


def test_a_pipe_without_a_writer_is_a_mistake_as_a_public_key(pipe: Path) -> None:
    with pytest.raises(Misconfigured, match=SILENT):
        list(keys_from_files([str(pipe)]))


@pytest.mark.parametrize(
    "use",
    [
        lambda pipe: tls_options(Settings(tls_cert=pipe, tls_key=pipe)),
        lambda pipe: parse_store_address(f"rediss://store/?ssl_ca_certs={pipe}"),
    ],
    ids=["a certificate", "an authority of the store"],
)
def test_a_named_pipe_is_a_mistake_where_a_library_reads_it_again(pipe: Path, use: Callable[[Path], object]) -> None:
    with pytest.raises((Misconfigured, ValueError), match="cannot be read: it is a pipe, which can be read only once"):
        use(pipe)


@pytest.mark.parametrize("name", ["SUREHOOK_API_KEYS_FILE", ".env"])
def test_a_named_pipe_is_read_when_a_process_writes_to_it(name: str, tmp_path: Path) -> None:
    is_dotenv = name == ".env"
    pipe = sources.ENV_FILE if is_dotenv else tmp_path / "pipe"
    os.mkfifo(pipe)
    text = "SUREHOOK_API_KEYS=the-first-key\n" if is_dotenv else "the-first-key\n"
    writer = threading.Thread(target=pipe.write_text, args=(text,))
    writer.start()

    settings = load_settings({} if is_dotenv else {name: str(pipe)})
    writer.join()

    assert settings.api_keys[0].get_secret_value() == "the-first-key"


def test_the_output_of_a_command_is_read_as_often_as_needed() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"the-first-key\n")
    os.close(writer)

    with closing(open(reader, "rb")):  # noqa: PTH123 - it has no path
        path = Path(f"/dev/fd/{reader}")
        found = [read_text(path), read_text(path)]
        is_passed_on = reader in files.named_descriptors
        files.named_descriptors.discard(reader)

    assert found == ["the-first-key\n"] * 2
    assert is_passed_on
