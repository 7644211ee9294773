"""HTTP to one registry: connections, redirects, tokens, patience, and one clear error for each way to fail."""

from __future__ import annotations

import asyncio
import email.utils
import json
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

import httpx

from release.errors import Broken, Error, Refused
from release.tools.registry_auth import Access, Authorizer, CredentialStore
from release.tools.registry_lanes import Lanes, origin, shown, url_of

Result = TypeVar("Result")
Body = Callable[[], bytes | AsyncIterator[bytes]]
ANSWER_BYTES = 1 << 20  # what is read of an answer that is no blob and no document
REDIRECTS = 5
SECONDS = 30.0  # without a sign of life: to connect, and between two pieces of an answer
UPLOAD_SECONDS = 300.0  # a registry hashes and moves a large blob before it answers
# RFC 9110, 15.5.9 (408) and 15.6; RFC 6585, 4 (429)
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Transient(Broken):
    """A failure that may pass: `Wire.patiently` tries again, after `after` seconds when the registry named them."""

    after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often and how long we try: full jitter below `base * 2**n` seconds, at most `cap`.

    Full jitter because equal waits make clients collide again (M. Brooker, Exponential Backoff And Jitter, 2015).
    A registry that asks for more than `longest` seconds (Retry-After) gets no further request now.
    """

    attempts: int = 5
    base: float = 0.2
    cap: float = 5.0
    longest: float = 120.0

    def wait(self, attempt: int, after: float | None) -> float:
        """Seconds to wait before the next attempt."""
        jitter = random.uniform(0, min(self.cap, self.base * 2**attempt))  # noqa: S311 - spreads load, guards nothing
        return max(after or 0.0, jitter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP exchange: `path` is below the registry's URL or absolute; `body` can be sent again on demand."""

    method: str
    path: str
    access: Access | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    body: Body | None = None
    expect: tuple[int, ...] = (200,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole answer: status, headers, and a body that was capped while it came."""

    status: int
    headers: httpx.Headers
    content: bytes
    url: httpx.URL


class Wire:
    """Sends calls to the registry at `url` (checked by the caller), at most `concurrency` at once to each host."""

    def __init__(
        self,
        *,
        url: httpx.URL,
        credentials: CredentialStore | None,
        concurrency: int,
        patience: Patience,
        on_warning: Callable[[str], None],
    ) -> None:
        self.url = url
        self._lanes: defaultdict[str, Lanes] = defaultdict(lambda: Lanes(concurrency))
        self._authorizer = Authorizer(registry=url, credentials=credentials, fetch=self._fetch_token)
        self._patience = patience
        self._on_warning = on_warning

    async def aclose(self) -> None:
        """Close every connection."""
        for lanes in self._lanes.values():
            await lanes.aclose()

    async def patiently(self, operation: Callable[[], Awaitable[Result]]) -> Result:
        """Run an operation again after each `Transient`, a bounded number of times; the last one is raised."""
        for attempt in range(1, self._patience.attempts):
            try:
                return await operation()
            except Transient as failure:
                wait = self._patience.wait(attempt, failure.after)
                if wait > self._patience.longest:
                    raise
                await asyncio.sleep(wait)
        return await operation()

    async def send(self, call: Call, *, limit: int = ANSWER_BYTES) -> Reply:
        """`exchange` with patience, for calls that stand alone."""
        return await self.patiently(lambda: self.exchange(call, limit=limit))

    async def exchange(self, call: Call, *, limit: int = ANSWER_BYTES) -> Reply:
        """Send once and read the answer, at most `limit` bytes of it (`Refused` beyond)."""
        async with self.stream(call) as response:
            content = await _read(response, limit)
            return Reply(status=response.status_code, headers=response.headers, content=content, url=response.url)

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[httpx.Response]:
        """Send once; the answer's body is still to come. A status that the call does not expect is raised."""
        url = url_of(call.path, base=self.url)
        for _ in range(REDIRECTS + 1):
            async with self._authorized(call, url) as response:
                if response.status_code in _REDIRECTS and call.method in ("GET", "HEAD"):
                    url = url_of(response.headers.get("location", ""), base=response.url)
                    await _read(response)  # an answer that was read leaves its connection open
                    continue
                if response.status_code not in call.expect:
                    raise await _complaint(call, response)
                yield response
                return
        raise Broken("the registry redirects in a circle", where=str(url), expected=f"at most {REDIRECTS} redirects")

    @asynccontextmanager
    async def _authorized(self, call: Call, url: httpx.URL) -> AsyncIterator[httpx.Response]:
        """Send with our authorization; answer a challenge once: the first one, or that of a token that died."""
        if origin(url) != origin(self.url):  # credentials never follow to another host
            async with self._once(call, url, None) as response:
                yield response
            return
        for last in (False, True):
            sent = await self._authorizer.header(call.access)
            async with self._once(call, url, sent) as response:
                challenged = response.status_code == 401 and not last
                if not challenged or not self._authorizer.learn(response.headers, call.access, sent):
                    yield response
                    return
                await _read(response)

    @asynccontextmanager
    async def _once(self, call: Call, url: httpx.URL, authorization: str | None) -> AsyncIterator[httpx.Response]:
        headers = {**call.headers, **({"authorization": authorization} if authorization else {})}
        body = call.body() if call.body else None
        timeout = httpx.Timeout(SECONDS, read=UPLOAD_SECONDS if body else SECONDS)
        try:
            async with (
                self._lanes[origin(url)].take() as client,
                client.stream(call.method, url, headers=headers, content=body, timeout=timeout) as response,
            ):
                self._report_warnings(response)
                yield response
        except httpx.HTTPError as error:
            raise Transient(
                "the registry does not answer" if isinstance(error, httpx.ConnectError) else "the connection broke",
                where=f"{call.method} {shown(url)}",
                got=f"{type(error).__name__}: {error}" if str(error) else type(error).__name__,
                hint=f"is {origin(url)} up and reachable? `slipway up` starts the embedded registry",
            ) from error

    def _report_warnings(self, response: httpx.Response) -> None:
        """OCI distribution-spec 1.1, Warnings: `299 - "text"`; other codes are no message to people."""
        for value in response.headers.get_list("warning"):
            if value.startswith("299 "):
                text = value.split(" ", 2)[-1].strip('"')
                self._on_warning(f"{self.url.host}: {text}"[:500])

    async def _fetch_token(self, url: httpx.URL, authorization: str | None) -> bytes:
        call = Call(method="GET", path=str(url))
        async with self._once(call, url, authorization) as response:
            if response.status_code != 200:
                raise await _complaint(call, response)
            return await _read(response)


async def capped(response: httpx.Response, limit: int) -> AsyncIterator[bytes]:
    """The body in pieces as it came over the wire; `Refused` once it exceeds `limit` bytes."""
    received = 0
    async for chunk in response.aiter_raw():
        received += len(chunk)
        if received > limit:
            raise Refused("an answer is too large", where=shown(response.url), expected=f"at most {limit} bytes")
        yield chunk


async def _read(response: httpx.Response, limit: int = ANSWER_BYTES) -> bytes:
    return b"".join([chunk async for chunk in capped(response, limit)])


async def _complaint(call: Call, response: httpx.Response) -> Error:
    """The error that an unexpected answer means."""
    said = _said(await _read(response))
    status, where = response.status_code, f"{call.method} {shown(response.url)}"
    got = f"{status} {response.reason_phrase}{': ' if said else ''}{said}"
    if status in _PASSING:
        failure = Transient("the registry is busy or ill", where=where, got=got, hint="try again later")
        failure.after = _retry_after(response.headers.get("retry-after"))
        return failure
    if status in (401, 403):
        hint = f"`docker login {response.url.netloc.decode()}` with an account that may do this"
        return Refused("the registry refused the request", where=where, got=got, hint=hint)
    if status == 404:
        return Broken("the registry does not have this", where=where, got=got, hint="was it published here?")
    return Refused("the registry does not accept the request", where=where, got=got)


def _said(body: bytes) -> str:
    """The registry's own words (distribution-spec 1.1, Error Codes), cut short; empty when there are none."""
    try:
        errors = json.loads(body)["errors"]
        return "; ".join(f"{each.get('code')}: {each.get('message')}" for each in errors)[:500]
    except (ValueError, KeyError, TypeError, AttributeError):
        return body.decode("utf-8", "replace").strip()[:200]


def _retry_after(value: str | None) -> float | None:
    """Seconds (RFC 9110, 10.2.3: a number or a date)."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
