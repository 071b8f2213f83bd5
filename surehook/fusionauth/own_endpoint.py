"""How our own commands reach our own door: its address, and the certificate it must show."""

import ssl

import httpx

from surehook.shared.errors import Misconfigured
from surehook.shared.settings import Settings, host_and_port

EVERY_INTERFACE = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to


def door_url(settings: Settings, path: str | None = None) -> str:
    """Where deliveries go, or another path of the same door."""
    host, port = host_and_port(settings.bind)
    reachable = "127.0.0.1" if host in EVERY_INTERFACE else host
    scheme = "http" if settings.tls_cert is None else "https"
    return f"{scheme}://{f'[{reachable}]' if ':' in reachable else reachable}:{port}{path or settings.webhook_path}"


def trust(settings: Settings, *, is_own: bool = True) -> "ssl.SSLContext | bool":
    """Our own door must show the very certificate of the settings, whatever name is in it: we know it by its address.
    For another address the usual authorities vouch, or that certificate.

    Raises:
        Misconfigured: the certificate cannot be read.
    """
    if settings.tls_cert is None:
        return True
    try:
        if not is_own:
            context = httpx.create_ssl_context()
            context.load_verify_locations(settings.tls_cert)
            return context
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(settings.tls_cert)
    except OSError as exc:  # ssl.SSLError is one
        raise Misconfigured(f"SUREHOOK_TLS_CERT={settings.tls_cert} cannot be read: {type(exc).__name__}") from exc
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it is the certificate itself that we trust
    return context
