import logging
import ssl
from pathlib import Path

import pytest
import uvicorn

from harness.certificates import write_certificate
from harness.signing import signer
from surehook.ingest.tls import tls_options
from surehook.shared.errors import Misconfigured
from surehook.shared.settings import Settings


def options_for(certificate: str, key: str) -> dict[str, object]:
    return tls_options(Settings(tls_cert=Path(certificate), tls_key=Path(key)))


def test_without_a_certificate_there_are_no_tls_options() -> None:
    assert tls_options(Settings()) == {}


def test_a_certificate_and_its_key_are_used(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)

    assert options_for(certificate, key)["ssl_certfile"] == Path(certificate)


def test_an_unusable_certificate_or_key_is_a_readable_error(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    _, other = write_certificate(tmp_path, "other")
    _, locked = write_certificate(tmp_path, "locked", password="geheim")
    (tmp_path / "empty").touch()
    (tmp_path / "public.pem").write_text(signer("RS256").public_pem())
    (tmp_path / "broken").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")
    sentences = {
        (certificate, other): "belong to different keys",
        (certificate, locked): "private key without a password",
        (certificate, str(tmp_path / "none")): "SUREHOOK_TLS_KEY=.*none cannot be read: No such file",
        (str(tmp_path), key): "SUREHOOK_TLS_CERT=.* cannot be read: Is a directory",
        (str(tmp_path / "empty"), key): "SUREHOOK_TLS_CERT=.*empty holds no CERTIFICATE",
        (certificate, str(tmp_path / "public.pem")): "SUREHOOK_TLS_KEY=.*holds no PRIVATE KEY",
        (key, certificate): "SUREHOOK_TLS_CERT=.*holds no CERTIFICATE",
        (str(tmp_path / "broken"), key): "cannot be used",
    }

    for pair, sentence in sentences.items():
        with pytest.raises(Misconfigured, match=sentence):
            options_for(*pair)


def test_a_certificate_that_has_expired_is_an_error_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate, key = write_certificate(tmp_path, days=-1)

    options_for(certificate, key)

    assert [record.levelno for record in caplog.records] == [logging.ERROR]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b"\x17\r", b"\x17\r301399", id="a month that does not exist"),
        pytest.param(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x06", id="a version that does not exist"),
    ],
)
def test_a_certificate_that_only_openssl_reads_is_used(
    old: bytes, new: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate, key = write_certificate(tmp_path)
    der = ssl.PEM_cert_to_DER_cert(Path(certificate).read_text())
    at = der.index(old)
    Path(certificate).write_text(ssl.DER_cert_to_PEM_cert(der[:at] + new + der[at + len(new) :]))

    assert options_for(certificate, key)["ssl_certfile"] == Path(certificate)
    assert [record.message for record in caplog.records] == ["TLS certificate not checked for its dates"]


def test_a_trusted_certificate_and_comments_in_another_encoding_are_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate, key = write_certificate(tmp_path)
    pem = Path(certificate).read_text().replace("CERTIFICATE", "TRUSTED CERTIFICATE")
    Path(certificate).write_bytes("# für München\n".encode("latin-1") + pem.encode())

    assert options_for(certificate, key)["ssl_certfile"] == Path(certificate)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_tls_1_2_is_the_minimum(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    config = uvicorn.Config(lambda: None, **tls_options(Settings(tls_cert=Path(certificate), tls_key=Path(key))))
    config.load()

    assert config.ssl is not None
    assert config.ssl.minimum_version >= ssl.TLSVersion.TLSv1_2
