"""Requests to FusionAuth's API: their time limits, repeated attempts, the size of answers, and FusionAuth's clock."""

import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from surehook.shared.errors import Misconfigured, SurehookError

# A search of the event log may take this long on a large one (FACTS §14).
READ_SECONDS = 30.0
TIMEOUT = httpx.Timeout(READ_SECONDS, connect=5.0)
# For the whole answer: one that comes in drops is given up too.
ANSWER_SECONDS = 50.0
RETRY_SECONDS = (0.5, 2.0, 8.0)
RETRIED_STATUSES = (429, 500, 502, 503, 504)
# The answer began, and broke off or was no text.
CUT = (httpx.RemoteProtocolError, httpx.ReadError, httpx.DecodingError)
# One entry of the event log can hold an import of 100,000 users (FACTS §16).
MAX_RESPONSE_BYTES = 256 * 1024 * 1024
# A `Date` header has whole seconds, and a request takes its time: less than this is no difference.
MIN_SKEW_MS = 5_000


class FusionAuthError(SurehookError):
    """FusionAuth cannot be asked, or refuses what was asked."""


class KeyRefused(FusionAuthError):
    """The API key may not use an endpoint, or is that of one tenant."""

    def __init__(self, method: str, path: str) -> None:
        super().__init__(
            f"FusionAuth refuses the API key for {method} {path}: SUREHOOK_FUSIONAUTH_API_KEY must be a global key "
            "(without a tenant) that may use this endpoint"
        )
        self.path = path


class SearchTooBroad(FusionAuthError):
    """A search's answer is larger than what is to be read at once, or takes too long: ask for less."""


class AnswerTooLarge(SearchTooBroad):
    """A search's answer is larger than what is to be read at once."""


class PageUnreadable(FusionAuthError):
    """A page of the event log cannot be read. If it holds one entry, `log_id` is the id of that, where it is found."""

    def __init__(self, message: str, log_id: str = "") -> None:
        super().__init__(message)
        self.log_id = log_id


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, read whole. `location` is the address that it redirects to, without a query."""

    status: int
    content: bytes
    location: str

    @property
    def is_success(self) -> bool:
        return httpx.codes.is_success(self.status)


class Transport:
    """Connections to one FusionAuth.

    Raises:
        Misconfigured: the API key is none.
    """

    def __init__(self, url: str, api_key: str, sleep: Callable[[float], None]) -> None:
        if not api_key.isascii():
            raise Misconfigured("SUREHOOK_FUSIONAUTH_API_KEY: an API key of FusionAuth has ASCII characters only")
        self.clock_skew_ms = 0
        self._url = url
        self._sleep = sleep
        # FusionAuth redirects nothing; a proxy that does would lose the key or the method.
        self._http = httpx.Client(base_url=url, headers={"Authorization": api_key}, timeout=TIMEOUT)

    def close(self) -> None:
        self._http.close()

    def answer(self, method: str, path: str, body: Mapping[str, Any] | None, max_bytes: int) -> Answer:
        """Sends a request, again where another attempt may help. Only what reads is repeated after a lost answer."""
        is_search = path.endswith("/search")
        is_safe = method == "GET" or is_search
        problem, is_cut = "", False
        for pause in (*RETRY_SECONDS, None):
            try:
                response = self._request(method, path, body, max_bytes)
            except (httpx.ReadTimeout, TimeoutError):
                problem = "it takes too long"
                if is_search:  # the same search takes as long again
                    raise SearchTooBroad(f"FusionAuth at {self._url} does not answer a search in time") from None
                if not is_safe:
                    break
            except httpx.RequestError as exc:
                problem, is_cut = _reason(exc), isinstance(exc, CUT)
                if not is_safe and not isinstance(exc, httpx.ConnectError | httpx.ConnectTimeout):
                    break
            else:
                if response.status not in RETRIED_STATUSES or not is_safe or pause is None:
                    return response
            if pause is not None:
                self._sleep(pause)
        kind = PageUnreadable if is_search and is_cut else FusionAuthError
        raise kind(f"no answer from FusionAuth at {self._url} ({problem}): check SUREHOOK_FUSIONAUTH_URL")

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None, max_bytes: int) -> Answer:
        """
        Raises:
            AnswerTooLarge: the response is larger than that; the rest of it is not read.
            TimeoutError: it is not whole in time.
        """
        deadline = time.monotonic() + ANSWER_SECONDS
        with self._http.stream(method, path, json=body) as response:
            self._compare_clocks(response.headers.get("date", ""))
            content = bytearray()
            for piece in response.iter_bytes():
                content += piece
                if len(content) > max_bytes:
                    raise AnswerTooLarge(f"FusionAuth answers more than {max_bytes:,} bytes to {method} {path}")
                if time.monotonic() > deadline:
                    raise TimeoutError
            target = response.headers.get("location", "") if response.has_redirect_location else ""
            shown = urlsplit(target)._replace(query="", fragment="").geturl()
            return Answer(response.status_code, bytes(content), shown)

    def _compare_clocks(self, date: str) -> None:
        try:
            skew_ms = int(parsedate_to_datetime(date).timestamp() * 1000) + 500 - int(time.time() * 1000)
        except (ValueError, OverflowError):
            return
        self.clock_skew_ms = skew_ms if abs(skew_ms) >= MIN_SKEW_MS else 0


def _reason(exc: BaseException) -> str:
    """Returns why a connection failed; for a certificate, what is wrong with it."""
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            why = getattr(cause, "verify_message", "") or cause.reason or "the handshake fails"
            return f"its certificate is not trusted: {why}" if isinstance(cause, ssl.SSLCertVerificationError) else why
        cause = cause.__cause__ or cause.__context__
    return type(exc).__name__
