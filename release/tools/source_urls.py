"""The spec's own URL as an origin of sources: streamed, bounded in size and time, never led astray by a redirect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from release.errors import Broken, Error, Refused
from release.source.specs import Source
from release.tools.store import disk_errors

LIMIT_BYTES = 4 << 30
LIMIT_SECONDS = 900.0
LIMIT_REDIRECTS = 5


class UrlOrigin:
    """Downloads over http and https with `client`, which should carry no credentials: any site may be asked."""

    name = "its URL"

    def __init__(
        self, client: httpx.AsyncClient, *, limit_bytes: int = LIMIT_BYTES, limit_seconds: float = LIMIT_SECONDS
    ) -> None:
        self._client = client
        self._limit_bytes = limit_bytes
        self._limit_seconds = limit_seconds

    async def fetch(self, source: Source, target: Path) -> None:
        """Write what the URL serves to `target`. `Refused` for a rule (scheme, redirect, size), else `Broken`."""
        if source.url is None:
            raise Refused("the spec gives no URL")
        try:
            async with asyncio.timeout(self._limit_seconds):
                await self._download(_url(source.url), target)
        except TimeoutError as error:
            raise Broken(f"{source.url} did not end in time", got=f"{self._limit_seconds:g} s") from error
        except httpx.HTTPError as error:
            raise Broken(f"{source.url} failed", got=f"{type(error).__name__}: {error}".rstrip(": ")) from error

    async def _download(self, url: httpx.URL, target: Path) -> None:
        async with self._followed(url) as response:
            if response.status_code != 200:
                raise Broken(f"{response.url} answered {response.status_code}")
            if int(response.headers.get("content-length") or 0) > self._limit_bytes:
                raise self._too_large(response.url)
            received = 0
            with disk_errors(target), target.open("wb") as file:
                # raw: a server that calls a .tar.gz "Content-Encoding: gzip" must not have it unpacked
                async for chunk in response.aiter_raw():
                    received += len(chunk)
                    if received > self._limit_bytes:
                        raise self._too_large(response.url)
                    await asyncio.to_thread(file.write, chunk)

    @asynccontextmanager
    async def _followed(self, url: httpx.URL) -> AsyncIterator[httpx.Response]:
        """The response at the end of the redirects."""
        for _ in range(LIMIT_REDIRECTS + 1):
            request = self._client.stream("GET", url, headers={"accept-encoding": "identity"}, follow_redirects=False)
            async with request as response:
                if response.next_request is None:
                    yield response
                    return
                url = _allowed(response.url, response.next_request.url)
        raise Broken("too many redirects", got=f"more than {LIMIT_REDIRECTS}, the last to {url}")

    def _too_large(self, url: httpx.URL) -> Error:
        return Refused(f"{url} is too large", got=f"more than {self._limit_bytes} bytes")


def _url(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise Refused(f"{text} is not a URL", got=error) from error
    if url.scheme not in ("http", "https") or not url.host:
        raise Refused(f"{url} cannot be asked", got=f"scheme {url.scheme!r}", expected="http or https")
    return url


def _allowed(here: httpx.URL, there: httpx.URL) -> httpx.URL:
    """Where a redirect leads: to https, or on the same server. Otherwise a site could make us call, in the clear,
    whatever answers on the build machine's own network."""
    if there.scheme != "https" and (there.scheme, there.host, there.port) != (here.scheme, here.host, here.port):
        raise Refused(f"{here} redirects to {there}", expected="https, or the same server")
    return there
