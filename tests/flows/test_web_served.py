"""The same door behind a real server on loopback: sockets, chunks, slow senders and a real registry."""

from __future__ import annotations

import asyncio
import statistics
import time

import httpx
import pytest

from flows import web_receiver
from flows.web import LOOPBACK, create_app, server
from flows.web_receiver import MAX_BODY
from release.digests import digest_of
from release.product.repository import File
from tests import webhook_samples as samples
from tests.flows.web_doubles import House
from tests.webhook_samples import encoded

HEAD = b"POST /events HTTP/1.1\r\nHost: slipway\r\nContent-Type: application/json\r\n"


async def exchange(port: int, *parts: bytes) -> bytes:
    """Send the parts, then read until the server closes."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    answer = await asyncio.wait_for(reader.read(), timeout=30)
    writer.close()
    await writer.wait_closed()
    return answer


def test_listens_on_loopback_unless_told_otherwise() -> None:
    assert server(create_app(House().services()), port=1).config.host == "127.0.0.1"


async def test_answers_events_well_under_the_patience_of_a_forge() -> None:
    house = House()
    body = encoded(samples.github())
    headers = {"Content-Type": "application/json", **samples.github_headers(body)}
    async with house.served() as port, httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}") as client:
        times = []
        for _ in range(20):
            start = time.perf_counter()
            answer = await client.post("/events", content=body, headers=headers)
            times.append(time.perf_counter() - start)
            assert answer.status_code == 202
    assert "server" not in answer.headers
    assert statistics.median(times) < 0.1
    assert len(house.runs) == 1


async def test_accepts_a_chunked_event_without_a_length() -> None:
    body = encoded(samples.plain())

    async def chunks():
        for start in range(0, len(body), 50):
            yield body[start : start + 50]

    headers = {"Content-Type": "application/json", **samples.plain_headers(body)}
    async with House().served() as port, httpx.AsyncClient() as client:
        answer = await client.post(f"http://{LOOPBACK}:{port}/events", content=chunks(), headers=headers)
    assert "content-length" not in answer.request.headers
    assert answer.status_code == 202


async def test_gives_up_a_chunked_event_that_never_ends() -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    async with House().served() as port:
        answer = await exchange(
            port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * (MAX_BODY // 0x10000 + 1)
        )
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"the event is too large" in answer
    assert b"connection: close" in answer.lower(), "what follows on this connection is not a request"


async def test_does_not_ask_for_a_body_that_is_declared_too_large() -> None:
    async with House().served() as port:
        length = b"Content-Length: %d\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n" % (MAX_BODY + 1)
        answer = await exchange(port, HEAD + length)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in answer


async def test_does_not_wait_for_a_sender_that_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_receiver, "BODY_SECONDS", 0.2)
    async with House().served() as port:
        answer = await exchange(port, HEAD + b"Content-Length: 10\r\n\r\n", b"{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"got":"1 bytes"' in answer
    assert b"connection: close" in answer.lower()


async def test_survives_a_sender_that_hangs_up(caplog: pytest.LogCaptureFixture) -> None:
    async with House().served() as port:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
        writer.write(HEAD + b"Content-Length: 10\r\n\r\n{")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"http://{LOOPBACK}:{port}/healthz")).json() == {"status": "ok"}
    assert "Traceback" not in caplog.text


@pytest.mark.integration
async def test_a_client_that_follows_the_gateway_gets_the_bytes_from_a_real_registry(registry_url: str) -> None:
    content = b"<repomd/>"
    blobs = f"{registry_url}/v2/skiff/gateway/blobs"
    house = House()
    house.snapshots["edge"] = [{"x86_64/repodata/repomd.xml": File(digest=digest_of(content), size=len(content))}]
    async with httpx.AsyncClient(follow_redirects=True) as client:
        started = await client.post(f"{blobs}/uploads/")
        session = started.url.join(started.headers["location"])  # docker-registry may answer with a relative one
        await client.put(session.copy_merge_params({"digest": digest_of(content)}), content=content)
        async with house.served(blob_url=lambda digest: f"{blobs}/{digest}") as port:
            answer = await client.get(f"http://{LOOPBACK}:{port}/repo/edge/x86_64/repodata/repomd.xml")
    assert answer.content == content
    assert [each.status_code for each in answer.history] == [302]
