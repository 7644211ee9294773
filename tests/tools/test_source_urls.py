"""The URL of a spec as an origin: real HTTP servers on loopback that redirect, lie, stall, and die."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from release.errors import Broken, Refused
from release.tools.source_urls import LIMIT_REDIRECTS, UrlOrigin
from release.tools.sources import SourceResolver
from release.tools.store import Store
from tests.conftest import free_port
from tests.tools.test_sources import CONTENT, SPEC, pinned

Answer = Callable[[BaseHTTPRequestHandler], None]


class Site:
    """A web server on loopback; `pages` say how each path answers, `seen` what was asked."""

    def __init__(self) -> None:
        self.pages: dict[str, Answer] = {}
        self.seen: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                site.seen.append(self.path)
                site.pages.get(self.path, answer(404, b"nothing here"))(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def answer(status: int, body: bytes = b"", *, length: int | None = None, **headers: str) -> Answer:
    """A page; `length` is what it claims, when that is a lie."""

    def write(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("content-length", str(len(body) if length is None else length))
        handler.send_header("connection", "close")
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True

    return write


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


async def fetched(url: str | None, folder: Path, *, content: bytes = CONTENT, limit_bytes: int = 1 << 20) -> bytes:
    """What the origin writes for a URL."""
    async with httpx.AsyncClient(trust_env=False) as client:
        origin = UrlOrigin(client, limit_bytes=limit_bytes, limit_seconds=5)
        await origin.fetch(pinned(content, url=url), folder / "target")
    return (folder / "target").read_bytes()


async def test_downloads_from_the_url(site: Site, tmp_path: Path) -> None:
    site.pages["/zlib.tar.gz"] = answer(200, CONTENT)
    assert await fetched(f"{site.url}/zlib.tar.gz", tmp_path) == CONTENT


async def test_takes_the_bytes_as_they_are_sent(site: Site, tmp_path: Path) -> None:
    site.pages["/zlib.tar.gz"] = answer(200, CONTENT, content_encoding="gzip", content_type="application/x-gzip")
    assert await fetched(f"{site.url}/zlib.tar.gz", tmp_path) == CONTENT


async def test_follows_a_redirect_on_the_same_server(site: Site, tmp_path: Path) -> None:
    site.pages["/old"] = answer(302, location="/new")
    site.pages["/new"] = answer(200, CONTENT)
    assert await fetched(f"{site.url}/old", tmp_path) == CONTENT


async def test_refuses_a_redirect_to_another_server_in_the_clear(site: Site, tmp_path: Path) -> None:
    other = Site()
    other.pages["/metadata"] = answer(200, CONTENT)
    site.pages["/old"] = answer(302, location=f"{other.url}/metadata")
    with pytest.raises(Refused, match="redirects to"):
        await fetched(f"{site.url}/old", tmp_path)
    assert other.seen == []
    other.close()


async def test_goes_to_https_where_a_redirect_says_so(site: Site, tmp_path: Path) -> None:
    site.pages["/old"] = answer(301, location=f"https://127.0.0.1:{free_port()}/new")
    with pytest.raises(Broken, match="ConnectError"):
        await fetched(f"{site.url}/old", tmp_path)


async def test_refuses_a_redirect_to_nowhere(site: Site, tmp_path: Path) -> None:
    site.pages["/old"] = answer(302, location="http://[::1/new")
    with pytest.raises(Broken, match="Invalid URL"):
        await fetched(f"{site.url}/old", tmp_path)


async def test_does_not_follow_redirects_for_ever(site: Site, tmp_path: Path) -> None:
    site.pages["/round"] = answer(302, location="/round")
    with pytest.raises(Broken, match="too many redirects"):
        await fetched(f"{site.url}/round", tmp_path)
    assert len(site.seen) == LIMIT_REDIRECTS + 1


async def test_a_body_that_ends_early_is_no_source(site: Site, tmp_path: Path) -> None:
    site.pages["/cut"] = answer(200, CONTENT[:1000], length=len(CONTENT))
    with pytest.raises(Broken, match="failed"):
        await fetched(f"{site.url}/cut", tmp_path)


@pytest.mark.parametrize("claims", [True, False], ids=["that says so", "that does not"])
async def test_refuses_a_file_that_is_too_large(site: Site, tmp_path: Path, claims: bool) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("connection", "close")
        handler.end_headers()
        handler.wfile.write(CONTENT)

    site.pages["/large"] = answer(200, CONTENT) if claims else endless
    with pytest.raises(Refused, match="too large"):
        await fetched(f"{site.url}/large", tmp_path, limit_bytes=1000)
    assert (tmp_path / "target").exists() is not claims, "a file that says so is not even begun"


async def test_gives_up_a_server_that_never_ends(site: Site, tmp_path: Path) -> None:
    done = threading.Event()
    site.pages["/slow"] = lambda handler: done.wait(5) and None
    async with httpx.AsyncClient(trust_env=False) as client:
        origin = UrlOrigin(client, limit_seconds=0.2)
        with pytest.raises(Broken, match="did not end in time"):
            await origin.fetch(pinned(url=f"{site.url}/slow"), tmp_path / "target")
    done.set()


async def test_says_what_a_missing_page_answered(site: Site, tmp_path: Path) -> None:
    with pytest.raises(Broken, match="answered 404"):
        await fetched(f"{site.url}/gone.tar.gz", tmp_path)


async def test_says_that_a_server_is_dead(tmp_path: Path) -> None:
    with pytest.raises(Broken, match="ConnectError"):
        await fetched(f"http://127.0.0.1:{free_port()}/zlib.tar.gz", tmp_path)


@pytest.mark.parametrize("url", [None, "ftp://127.0.0.1/zlib.tar.gz", "file:///etc/passwd", "http://[::1/x"])
async def test_asks_only_what_is_a_web_address(url: str | None, tmp_path: Path) -> None:
    with pytest.raises(Refused):
        await fetched(url, tmp_path)


async def test_wrong_content_of_a_url_is_refused_by_the_resolver(site: Site, tmp_path: Path) -> None:
    site.pages["/zlib.tar.gz"] = answer(200, b"<html>Welcome to our hotel's network</html>")
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(Refused) as caught:
            source = pinned(url=f"{site.url}/zlib.tar.gz")
            resolver = SourceResolver(
                store=Store(tmp_path / "store"), origins=[UrlOrigin(client)], scratch=tmp_path / "scratch"
            )
            await resolver.resolve([source], spec=SPEC)
    assert caught.value.where == SPEC
