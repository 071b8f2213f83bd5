"""The keys that FusionAuth publishes: fetched regularly, and when a token names an unknown key.

A fetch that fails, or brings no usable key, leaves the previous keys in use.
"""

import asyncio
import logging
import os
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from urllib.parse import urlsplit

import httpx

from surehook.ingest.auth.signing_keys import SigningKey, keys_from_jwks
from surehook.ingest.metrics import IngestMetrics
from surehook.shared.auth_settings import LOOPBACK
from surehook.shared.errors import Misconfigured

log = logging.getLogger(__name__)

REFRESH_SECONDS = 300.0
RETRY_SECONDS = 5.0  # after the first failure; doubled after each further one
JITTER = 0.2
FETCH_SECONDS = 3.0
MAX_DOCUMENT_BYTES = 1024 * 1024
# For a token with an unknown key. Waiting is worth it: FusionAuth sends an event once, and its read timeout is 2 s.
WAIT_SECONDS = 1.0
FETCH_EVERY_SECONDS = 10.0
MAX_WAITERS = 256

Fetch = Callable[[], Awaitable[bytes]]


class FetchFailed(Exception):
    """The keys could not be fetched; the message contains no secret."""


class Jwks:
    """The published keys in one process. `run` refreshes them, `find` looks one up."""

    def __init__(
        self,
        fetch: Fetch,
        metrics: IngestMetrics,
        *,
        pinned: Collection[str] = (),
        is_only_source: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._metrics = metrics
        self._pinned = frozenset(pinned)
        self._clock = clock
        self._keys: Mapping[str, Sequence[SigningKey]] = {}
        self._is_only_source = is_only_source
        self._failures = 0
        self._fetching: asyncio.Task[None] | None = None
        self._requested_at = float("-inf")
        self._waiter_count = 0
        metrics.set_without_keys(is_without=is_only_source)

    @property
    def has_keys(self) -> bool:
        return bool(self._keys)

    @property
    def is_ready(self) -> bool:
        """False only while no delivery could be authenticated; an outage does not matter once keys were fetched."""
        return self.has_keys or not self._is_only_source

    async def run(self) -> None:
        """Refresh until cancelled."""
        try:
            while True:
                await asyncio.wait({self._fetching or self._start_fetch()})
                await asyncio.sleep(self._pause() * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - no secret
        finally:
            if self._fetching is not None:
                self._fetching.cancel()

    async def find(self, key_id: str) -> Sequence[SigningKey]:
        """The keys with that id; if there is none, wait for a fetch that all waiting deliveries share.

        Unknown ids cause at most one fetch every ten seconds. A key that is published ten seconds before its first use
        is never missed: a fetch has brought it by then, or one is allowed.
        """
        deadline = self._clock() + WAIT_SECONDS
        while not self._keys.get(key_id) and self._waiter_count < MAX_WAITERS and self._clock() < deadline:
            if self._fetching is None:
                if self._clock() - self._requested_at < FETCH_EVERY_SECONDS:
                    break
                self._requested_at = self._clock()
            await self._wait_for(self._fetching or self._start_fetch(), deadline - self._clock())
        return self._keys.get(key_id, ())

    async def _wait_for(self, fetching: "asyncio.Task[None]", seconds: float) -> None:
        self._waiter_count += 1
        try:
            await asyncio.wait({fetching}, timeout=seconds)
        finally:
            self._waiter_count -= 1

    def _start_fetch(self) -> "asyncio.Task[None]":
        self._fetching = asyncio.create_task(self._refresh())
        return self._fetching

    async def _refresh(self) -> None:
        try:
            document = await self._fetch()
            keys = await asyncio.to_thread(keys_from_jwks, document, self._pinned)
        except Exception as exc:  # noqa: BLE001 - after any error the old keys stay in use
            self._failures += 1
            self._metrics.jwks_fetches.labels("failed").inc()
            reason = str(exc) if isinstance(exc, FetchFailed | ValueError) else type(exc).__name__
            log.warning("signing key fetch failed", extra={"reason": reason, "count": self._failures})
        else:
            self._use(keys)
        finally:
            self._fetching = None

    def _use(self, keys: Mapping[str, Sequence[SigningKey]]) -> None:
        if keys.keys() != self._keys.keys():
            log.info("signing keys changed", extra={"count": len(keys)})
        for key_id in self._pinned - keys.keys():
            log.warning("pinned signing key not published", extra={"key_id": key_id})
        self._keys = keys
        self._failures = 0
        self._metrics.jwks_fetches.labels("ok").inc()
        self._metrics.jwks_keys.set(len(keys))
        self._metrics.jwks_fetched_at.set_to_current_time()
        self._metrics.set_without_keys(is_without=False)

    def _pause(self) -> float:
        if not self._failures:
            return REFRESH_SECONDS
        return min(REFRESH_SECONDS, RETRY_SECONDS * 2.0 ** min(self._failures - 1, 10))


def fetch_from(url: str) -> Fetch:
    """A function that fetches the document, with limits of time and size, and without following redirects.

    Raises:
        Misconfigured: the certificates to trust cannot be read.
    """
    is_loopback = urlsplit(url).hostname in LOOPBACK  # the loopback address is reached without a proxy
    verify = _trusted() if url.startswith("https") else False

    async def fetch() -> bytes:
        try:
            async with (
                asyncio.timeout(FETCH_SECONDS),
                httpx.AsyncClient(verify=verify, trust_env=not is_loopback, timeout=FETCH_SECONDS) as client,
                # Not compressed: a few bytes could unpack to more than fits in memory.
                client.stream(
                    "GET", url, headers={"Accept": "application/json", "Accept-Encoding": "identity"}
                ) as response,
            ):
                return await _read_document(response)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as exc:
            raise FetchFailed(type(exc).__name__) from exc

    return fetch


def _trusted() -> ssl.SSLContext:
    try:
        return httpx.create_ssl_context()
    except OSError as exc:  # ssl.SSLError is one
        given = {name: value for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if (value := os.environ.get(name))}
        named = " and ".join(f"{name}={value}" for name, value in given.items()) or "the system's certificates"
        raise Misconfigured(f"{named} cannot be used for SUREHOOK_JWKS_URL: {exc.strerror or exc}") from exc


async def _read_document(response: httpx.Response) -> bytes:
    if response.status_code != httpx.codes.OK:
        # Redirects are refused as well: the target of a redirect would choose the trusted keys.
        raise FetchFailed(f"status {response.status_code}")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise FetchFailed("compressed")
    document = bytearray()
    async for chunk in response.aiter_raw():
        document += chunk
        if len(document) > MAX_DOCUMENT_BYTES:
            raise FetchFailed("too large")
    return bytes(document)
