"""Where calls go: connections, each in an httpx client of its own because that is what scales, and their URLs."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from urllib.parse import urljoin

import httpx

from release.errors import Broken, Refused


class Lanes:
    """Up to `count` connections to one host, each in an httpx client of its own.

    Why not one client with many connections: for each request httpcore walks all connections of its pool and asks
    the kernel about every idle one; 32 in one pool need four times the CPU of 32 pools (docs/decisions).
    """

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)
        self._idle: list[httpx.AsyncClient] = []

    @asynccontextmanager
    async def take(self) -> AsyncIterator[httpx.AsyncClient]:
        """A connection for one exchange; the one used last, so that few stay open under light load."""
        async with self._free:
            client = self._idle.pop() if self._idle else _new_client()
            try:
                yield client
            finally:
                self._idle.append(client)

    async def aclose(self) -> None:
        """Close what is open."""
        while self._idle:
            await self._idle.pop().aclose()


def _new_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(
        verify=_trust(),
        trust_env=False,  # proxies and .netrc of whoever runs us are no part of a release
        limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
        headers={"accept-encoding": "identity", "user-agent": "slipway"},
    )


@cache
def _trust() -> ssl.SSLContext:
    """The system's certificate authorities, so that a company's own registry works; reading them takes 20 ms."""
    return ssl.create_default_context()


def origin(url: httpx.URL) -> str:
    """`scheme://host[:port]`: what connections and credentials are keyed by."""
    return f"{url.scheme}://{url.netloc.decode()}"


def url_of(reference: str, *, base: httpx.URL) -> httpx.URL:
    """What a path, a Location or a realm means to who read it at `base`.

    `Refused` when it would leave https for an open connection, `Broken` when it is malformed.
    """
    try:
        target = httpx.URL(urljoin(str(base), reference))  # URL.join would parse three times, on every call
    except (httpx.InvalidURL, ValueError) as error:
        raise Broken("the registry sent a malformed URL", where=shown(base), got=repr(reference)[:200]) from error
    if target.scheme != "https" and base.scheme == "https":
        raise Refused("the registry sends us to an open connection", got=shown(target), expected="https")
    return target


def shown(url: httpx.URL) -> str:
    """A URL for people: without the query, which holds signatures of storage services and upload states."""
    return str(url.copy_with(query=None))
