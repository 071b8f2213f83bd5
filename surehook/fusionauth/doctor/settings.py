"""Checks of the settings: what authenticates deliveries, and our own certificate."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cryptography import x509

from surehook.fusionauth.doctor.findings import Finding, fine, loses, odd
from surehook.ingest.auth.credentials import authenticator_from
from surehook.ingest.metrics import IngestMetrics
from surehook.shared.errors import Misconfigured
from surehook.shared.settings import Settings

SOON = timedelta(days=21)


def mistakes_in_settings(exc: Misconfigured) -> list[Finding]:
    """Returns a finding for each mistake that keeps every process from starting."""
    return [
        loses("settings", sentence, "No process starts, so every event is lost.", "the environment or .env")
        for sentence in str(exc).splitlines()
    ]


def settings_findings(settings: Settings, now: datetime) -> Iterator[Finding]:
    yield fine("settings", "All settings are valid.")
    try:
        authenticator_from(settings, IngestMetrics())
    except Misconfigured as exc:
        yield loses("authentication", str(exc), "The endpoint does not start.", "the setting that the sentence names")
        return
    if not settings.requires_authentication:
        yield odd(
            "authentication",
            "Deliveries are not authenticated.",
            "Any client that reaches the endpoint can have your handlers delete or change users.",
            "SUREHOOK_API_KEYS and SUREHOOK_SIGNING_SECRETS (`surehook connect` sets both up)",
        )
    elif not settings.is_signed:
        yield odd(
            "signature",
            "Deliveries need not be signed.",
            "A proxy or a log that sees the API key once can forge events.",
            "SUREHOOK_JWKS_URL or SUREHOOK_SIGNING_SECRETS (docs/security.md)",
        )
    else:
        yield fine("authentication", "Deliveries are authenticated and signed.")
    yield from _certificate(settings, now)


def _certificate(settings: Settings, now: datetime) -> Iterator[Finding]:
    if settings.tls_cert is None:
        return
    try:
        certificates = x509.load_pem_x509_certificates(settings.tls_cert.read_bytes())
    except (OSError, ValueError) as exc:
        yield loses(
            "certificate",
            f"SUREHOOK_TLS_CERT={settings.tls_cert} cannot be read ({type(exc).__name__}).",
            "The endpoint does not start.",
            "SUREHOOK_TLS_CERT: a PEM file, readable for the endpoint's user",
        )
        return
    yield expiry(certificates[0].not_valid_after_utc, now, "SUREHOOK_TLS_CERT")


def expiry(ends_at: datetime, now: datetime, place: str) -> Finding:
    """Judges the end of a certificate's validity."""
    day = ends_at.astimezone(UTC).strftime("%Y-%m-%d")
    if ends_at <= now:
        return loses(
            "certificate", f"The certificate expired on {day}.", "FusionAuth refuses it: no event arrives.", place
        )
    if ends_at - now < SOON:
        return odd("certificate", f"The certificate expires on {day}.", "From then on no event arrives.", place)
    return fine("certificate", f"The certificate is valid until {day}.")
