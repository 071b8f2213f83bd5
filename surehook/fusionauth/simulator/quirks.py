"""Switches for what no public source says about FusionAuth, and what differs by version."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import ConfigDict

NEWEST_VERSION = "1.69.0"  # the version of the published OpenAPI
# FACTS §16; that the server keeps its HTTP client's default is deduced.
USER_AGENT = "Restify (https://github.com/inversoft/restify)"


@dataclass(frozen=True, slots=True)
class Quirks:
    """Switches; the defaults are the likelier of the possible answers."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")  # scenarios set them

    edwards_algorithm: Literal["EdDSA", "Ed25519"] = "EdDSA"  # unknown (FACTS §2)
    hmac_has_key_id: bool = True  # unverified (FACTS §2)
    sends_in_parallel: bool = False  # unknown (FACTS §5)
    log_id_is_event_id: bool = False  # unknown (FACTS §10)
    # The documentation promises the receiver's own `exception`; the class may hold only Java's (FACTS §16).
    shows_receivers_exception: bool = False
    is_log_enabled: bool = True  # the sources contradict each other for new installations (FACTS §16)
    complete_comes_early: bool = False  # on logins through an identity provider (FACTS §7)
    is_attempt_wrapped: bool = True  # the documentation's sample of an attempt is bare (FACTS §16)


@dataclass(frozen=True, slots=True)
class Version:
    """A version of FusionAuth, and what follows from it (FACTS §10 and §16).

    Raises:
        ValueError: the text is no version.
    """

    text: str = NEWEST_VERSION

    def __post_init__(self) -> None:
        _numbers(self.text)

    def is_at_least(self, other: str) -> bool:
        return _numbers(self.text) >= _numbers(other)

    @property
    def has_event_log(self) -> bool:
        return self.is_at_least("1.53.0")

    @property
    def limits_search_to_last_hour(self) -> bool:
        return self.is_at_least("1.57.0")

    @property
    def has_short_pages(self) -> bool:
        """A page of the event log may hold fewer rows than asked although more exist."""
        return self.has_event_log and not self.is_at_least("1.56.0")

    @property
    def refuses_tenant_header(self) -> bool:
        """Requests for webhooks and their log with `X-FusionAuth-TenantId` get 401."""
        return self.is_at_least("1.66.0")

    @property
    def has_tenant_audit_logs(self) -> bool:
        return self.is_at_least("1.65.0")


def _numbers(text: str) -> tuple[int, ...]:
    """Returns the numbers of a version such as `1.57.0`.

    Raises:
        ValueError: it is none.
    """
    return tuple(int(part) for part in text.split("."))
