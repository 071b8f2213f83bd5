"""TLS in the endpoint itself; FusionAuth can be told to trust its certificate for one webhook.

Client certificates, address lists and renewal without a restart are left to a reverse proxy.
"""

import logging
import ssl
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.x509 import InvalidVersion, load_pem_x509_certificate

from surehook.shared.errors import Misconfigured
from surehook.shared.files import read_file
from surehook.shared.settings import Settings
from surehook.shared.sources import reason

log = logging.getLogger(__name__)

NO_PASSWORD = b""  # or OpenSSL would ask the terminal for one


def tls_options(settings: Settings) -> dict[str, Any]:
    """The TLS options for uvicorn; empty if no certificate is set.

    Raises:
        Misconfigured: the certificate or its key cannot be used.
    """
    if settings.tls_cert is None or settings.tls_key is None:
        return {}
    certificate, key = settings.tls_cert, settings.tls_key
    _require_pem("SUREHOOK_TLS_CERT", certificate, "CERTIFICATE")
    _require_pem("SUREHOOK_TLS_KEY", key, "PRIVATE KEY")
    try:
        # uvicorn loads them again later, but would report an error as a traceback.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, lambda: NO_PASSWORD)
    except ssl.SSLError as exc:
        why = "belong to different keys" if exc.reason == "KEY_VALUES_MISMATCH" else "cannot be used"
        raise Misconfigured(
            f"SUREHOOK_TLS_CERT={certificate} and SUREHOOK_TLS_KEY={key} {why} ({exc.reason or 'no PEM'}). The "
            "first holds the certificate and its chain, the second its private key without a password"
        ) from exc
    _check_dates(certificate)
    return {"ssl_certfile": certificate, "ssl_keyfile": key}


def _require_pem(name: str, path: Path, kind: str) -> None:
    try:
        content = read_file(path, is_read_again=True)  # the comments between its parts may be in any encoding
    except OSError as exc:
        raise Misconfigured(f"{name}={path} cannot be read: {reason(exc)}") from exc
    if f"{kind}-----".encode() not in content:
        raise Misconfigured(f"{name}={path} holds no {kind} in PEM form")


def _check_dates(path: Path) -> None:
    facts = {"variable": "SUREHOOK_TLS_CERT", "reason": str(path)}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about parts that clients may tolerate
            certificate = load_pem_x509_certificate(read_file(path))
        is_valid = certificate.not_valid_before_utc <= datetime.now(UTC) <= certificate.not_valid_after_utc
    except (ValueError, InvalidVersion):
        # OpenSSL, which serves it, is less strict: whether clients accept it is for them to say.
        log.warning("TLS certificate not checked for its dates", extra=facts)
        return
    if not is_valid:
        log.error("TLS certificate outside its validity period", extra=facts)
