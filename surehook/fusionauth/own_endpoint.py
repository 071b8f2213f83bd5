"""The URL of our own endpoint, and the TLS settings to reach it with."""

import ssl

import httpx

from surehook.shared.errors import Misconfigured
from surehook.shared.settings import SYSTEMD, UNIX, Settings, host_and_port

EVERY_INTERFACE = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to


def endpoint_url(settings: Settings, path: str | None = None) -> str:
    """Returns the URL of the webhook, or of another path of the endpoint.

    Raises:
        Misconfigured: it listens on a socket that has no URL.
    """
    if settings.bind == SYSTEMD or settings.bind.startswith(UNIX):
        raise Misconfigured(f"SUREHOOK_BIND={settings.bind} has no URL: this command needs an address with a port")
    host, port = host_and_port(settings.bind)
    reachable = "127.0.0.1" if host in EVERY_INTERFACE else host
    scheme = "http" if settings.tls_cert is None else "https"
    return f"{scheme}://{f'[{reachable}]' if ':' in reachable else reachable}:{port}{path or settings.webhook_path}"


def tls_trust(settings: Settings, *, is_own: bool = True) -> "ssl.SSLContext | bool":
    """Returns the certificates to trust.

    Our own endpoint must present the certificate of the settings, with any name in it, since we know its address.
    Another address may also present one of a public authority.

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
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # we trust the certificate itself
    return context
