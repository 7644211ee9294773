"""The gateway: what dnf asks for becomes a redirect, and a crowd costs the registry one question."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from urllib.parse import quote

import pytest

from flows.web_gateway import KEEP
from flows.web_shared import Shared
from release.digests import digest_of, hex_of
from release.errors import Broken
from release.product.repository import File, package_path
from tests.flows.web_doubles import House
from tests.webhook_samples import NOW

REPOMD, SIGNATURE = "x86_64/repodata/repomd.xml", "x86_64/repodata/repomd.xml.asc"
PRIMARY = f"x86_64/repodata/{hex_of(digest_of(b'primary'))}-primary.xml.zst"
ODD = f"x86_64/{package_path('libstdc++-13.2~rc1-1^git.x86_64.rpm', digest_of(b'rpm'))}"
OLD = f"x86_64/{package_path('zlib-1.3-1.x86_64.rpm', digest_of(b'old rpm'))}"
BLOBS = "https://registry.example/v2/skiff/rpms/blobs/"


def file(content: bytes) -> File:
    return File(digest=digest_of(content), size=len(content))


NEWEST = {
    REPOMD: file(b"new repomd"),
    SIGNATURE: file(b"signature"),
    PRIMARY: file(b"primary"),
    ODD: file(b"rpm"),
}
OLDER = {REPOMD: file(b"old repomd"), OLD: file(b"old rpm")}


@pytest.fixture
def house() -> House:
    house = House()
    house.snapshots["edge"] = [NEWEST, OLDER]
    return house


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("path", "to"), [*NEWEST.items(), (OLD, OLDER[OLD])])
async def test_redirects_a_path_to_its_blob_also_of_an_older_snapshot(
    house: House, method: str, path: str, to: File
) -> None:
    async with house.door() as client:
        answer = await client.request(method, f"/repo/edge/{path}")
    assert (answer.status_code, answer.headers["Location"]) == (302, BLOBS + to.digest)
    assert answer.content == b""


async def test_a_path_may_be_percent_encoded(house: House) -> None:
    async with house.door() as client:
        answer = await client.get(f"/repo/edge/{quote(ODD)}")
    assert "%2B%2B" in str(answer.request.url)
    assert answer.headers["Location"] == BLOBS + NEWEST[ODD].digest


@pytest.mark.parametrize("path", [REPOMD, SIGNATURE])
async def test_what_moves_is_asked_for_each_time(house: House, path: str) -> None:
    async with house.door() as client:
        assert (await client.get(f"/repo/edge/{path}")).headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", [PRIMARY, ODD, OLD])
async def test_what_is_named_by_its_content_may_be_kept_for_good(house: House, path: str) -> None:
    async with house.door() as client:
        assert "immutable" in (await client.get(f"/repo/edge/{path}")).headers["Cache-Control"]


@pytest.mark.parametrize(
    "path",
    ["", "repodata/", "repodata/repomd.xml/", "../stable/repodata/repomd.xml", "x" * 5000, "%00", "%F0%9F%9A%A2"],
)
async def test_an_unknown_path_is_told_in_one_line(house: House, path: str) -> None:
    async with house.door() as client:
        answer = await client.get(f"/repo/edge/{path}")
    assert answer.status_code == 404
    assert len(answer.text.splitlines()) == 1 and len(answer.text) < 600


async def test_an_unknown_channel_names_the_known_ones_and_asks_nobody(house: House) -> None:
    async with house.door() as client:
        answer = await client.get(f"/repo/nightly/{REPOMD}")
    assert (answer.status_code, answer.json()["expected"]) == (404, "edge or beta or stable")
    assert house.asked == []


async def test_a_channel_without_a_release_has_no_files(house: House) -> None:
    async with house.door() as client:
        answer = await client.get(f"/repo/stable/{REPOMD}")
    assert answer.status_code == 404
    assert "stable" in answer.json()["message"]


async def test_a_stampede_asks_the_registry_once(house: House) -> None:
    house.slow = 0.05
    async with house.door() as client:
        answers = await asyncio.gather(*(client.get(f"/repo/edge/{PRIMARY}") for _ in range(100)))
    assert {answer.status_code for answer in answers} == {302}
    assert house.asked == ["edge"]


async def test_channels_are_asked_for_apart_and_again_after_a_few_seconds(house: House) -> None:
    async with house.door() as client:
        for channel in ("edge", "beta", "edge"):
            await client.get(f"/repo/{channel}/{REPOMD}")
        assert house.asked == ["edge", "beta"]
        house.now += KEEP
        house.snapshots["edge"] = [OLDER]
        answer = await client.get(f"/repo/edge/{REPOMD}")
    assert answer.headers["Location"] == BLOBS + OLDER[REPOMD].digest
    assert house.asked == ["edge", "beta", "edge"]


async def test_a_registry_that_is_down_is_503_for_all_who_wait_and_asked_again_by_the_next(house: House) -> None:
    house.fails = Broken("the registry does not answer", where="http://127.0.0.1:5801")
    house.slow = 0.02
    async with house.door() as client:
        answers = await asyncio.gather(*(client.get(f"/repo/edge/{REPOMD}") for _ in range(20)))
        assert {answer.status_code for answer in answers} == {503}
        assert {answer.headers["Retry-After"] for answer in answers} == {"30"}
        assert house.asked == ["edge"]
        house.fails = None
        assert (await client.get(f"/repo/edge/{REPOMD}")).status_code == 302


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_the_repository_is_read_only(house: House, method: str) -> None:
    async with house.door() as client:
        assert (await client.request(method, f"/repo/edge/{REPOMD}")).status_code == 405


async def test_serves_the_key_and_the_trust_root(house: House) -> None:
    async with house.door() as client:
        key = await client.get("/key")
        root = await client.get("/trust/trusted_root.json")
    assert key.text.startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")
    assert key.headers["Content-Type"].startswith("application/pgp-keys")
    assert root.json() == {"mediaType": "root"}


@pytest.mark.parametrize("name", ["secret.pem", "%2e%2e%2fkeys%2fwebhook-secret", "trusted_root.json%00", ""])
async def test_serves_no_other_file_of_the_trust_root(house: House, name: str) -> None:
    async with house.door() as client:
        assert (await client.get(f"/trust/{name}")).status_code == 404


class TestShared:
    """The answers that visitors share."""

    async def test_a_visitor_who_leaves_does_not_take_the_question_along(self) -> None:
        asked = []

        async def ask(key: str) -> str:
            asked.append(key)
            await asyncio.sleep(0.05)
            return key

        shared = Shared(ask, keep=timedelta(seconds=1), now=lambda: NOW)
        leaving = asyncio.create_task(shared.get("edge"))
        await asyncio.sleep(0.01)
        staying = asyncio.create_task(shared.get("edge"))
        leaving.cancel()
        assert await staying == "edge"
        assert asked == ["edge"]

    async def test_a_failure_that_nobody_waits_for_is_not_reported_as_forgotten(self) -> None:
        async def ask(key: str) -> str:
            await asyncio.sleep(0.01)
            raise Broken(key)

        shared = Shared(ask, keep=timedelta(seconds=1), now=lambda: NOW)
        leaving = asyncio.create_task(shared.get("edge"))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0.05)  # an unread exception would be an error of this test session

    async def test_a_clock_that_jumps_back_does_not_keep_an_answer_forever(self) -> None:
        times, asked = [NOW], []

        async def ask(key: str) -> str:
            asked.append(key)
            return key

        shared = Shared(ask, keep=timedelta(seconds=1), now=lambda: times[-1])
        await shared.get("edge")
        times.append(NOW - timedelta(days=1))
        await shared.get("edge")
        assert asked == ["edge", "edge"]
