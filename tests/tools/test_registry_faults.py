"""The registry client against registries that misbehave: it waits, resumes, restarts, verifies, gives up clearly."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from release import oci
from release.digests import digest_of
from release.errors import Broken, Refused
from release.tools.registry import Registry
from release.tools.registry_http import Patience
from release.tools.registry_lanes import url_of
from tests.tools.registry_simulator import RegistrySimulator

HASTY = Patience(attempts=4, base=0.001, cap=0.01, longest=3)
BLOB = os.urandom(300_000)
DIGEST = digest_of(BLOB)
GET_BLOB = r"GET .*/blobs/"


@pytest.fixture
def simulator() -> Iterator[RegistrySimulator]:
    with RegistrySimulator() as registry:
        registry.blobs["a/b", DIGEST] = BLOB
        yield registry


@pytest.fixture
async def registry(simulator: RegistrySimulator) -> AsyncIterator[Registry]:
    async with Registry(url=simulator.url, patience=HASTY) as client:
        yield client


def document(note: str = "x", subject: oci.Descriptor | None = None) -> oci.Document:
    return oci.manifest(artifact_type="application/vnd.test", layers=(), subject=subject, annotations={"note": note})


def files_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_a_busy_registry_is_asked_again(simulator: RegistrySimulator, registry: Registry, status: int) -> None:
    simulator.misbehave("HEAD", status=status, times=2)
    assert await registry.has_blob("a/b", DIGEST)
    assert simulator.count("HEAD") == 3


async def test_retry_after_is_obeyed(simulator: RegistrySimulator, registry: Registry) -> None:
    simulator.misbehave("HEAD", status=429, headers={"Retry-After": "1"})
    started = time.monotonic()
    assert await registry.has_blob("a/b", DIGEST)
    assert time.monotonic() - started >= 1


async def test_a_registry_that_wants_a_long_pause_is_not_asked_again(
    simulator: RegistrySimulator, registry: Registry
) -> None:
    simulator.misbehave("HEAD", status=503, headers={"Retry-After": "3600"}, times=9)
    with pytest.raises(Broken, match="busy or ill"):
        await registry.has_blob("a/b", DIGEST)
    assert simulator.count("HEAD") == 1


async def test_patience_ends(simulator: RegistrySimulator, registry: Registry) -> None:
    simulator.misbehave("HEAD", status=500, times=99)
    with pytest.raises(Broken, match="busy or ill"):
        await registry.has_blob("a/b", DIGEST)
    assert simulator.count("HEAD") == HASTY.attempts


async def test_what_is_wrong_for_good_is_not_asked_again(simulator: RegistrySimulator, registry: Registry) -> None:
    simulator.misbehave("PUT .*/manifests/", status=400)
    with pytest.raises(Refused, match="does not accept the request") as refusal:
        await registry.push_document("a/b", document())
    assert "SIMULATED: simulated simulated" in str(refusal.value)
    assert simulator.count("PUT .*/manifests/") == 1


def test_waits_are_spread_and_grow_to_a_limit() -> None:
    patience = Patience(base=1, cap=4)
    for attempt, most in ((1, 2), (2, 4), (9, 4)):
        waits = [patience.wait(attempt, None) for _ in range(200)]
        assert max(waits) <= most
        assert min(waits) < most / 4
        assert max(waits) > most / 2
    assert patience.wait(1, 7.5) == 7.5


@pytest.mark.parametrize("how", [{"drop": True}, {"status": 503}, {"status": 404}, {"status": 416}])
async def test_a_broken_upload_starts_again(
    simulator: RegistrySimulator, registry: Registry, how: dict[str, object], tmp_path: Path
) -> None:
    large = tmp_path / "large"
    large.write_bytes(os.urandom(3 << 20))
    simulator.misbehave("PUT .*/uploads/", times=1, **how)
    pushed = await registry.push_blob("a/b", large)
    assert simulator.blobs["a/b", pushed.digest] == large.read_bytes()
    assert simulator.count("POST") == 2


async def test_a_dropped_answer_to_the_opening_is_asked_for_again(
    simulator: RegistrySimulator, registry: Registry
) -> None:
    simulator.misbehave("POST", drop=True)
    await registry.push_blob("a/b", b"content")
    assert simulator.blobs["a/b", digest_of(b"content")] == b"content"


async def test_a_truncated_download_is_resumed_where_it_broke(
    simulator: RegistrySimulator, registry: Registry, tmp_path: Path
) -> None:
    simulator.misbehave(GET_BLOB, truncate=100_000)
    await registry.pull_blob_to("a/b", DIGEST, len(BLOB), tmp_path / "blob")
    assert (tmp_path / "blob").read_bytes() == BLOB
    ranges = [each.headers["range"] for each in simulator.seen]
    assert ranges[0] is None
    assert 0 < int(ranges[1].removeprefix("bytes=").removesuffix("-")) <= 100_000


async def test_a_registry_that_ignores_ranges_is_read_from_the_start(tmp_path: Path) -> None:
    with RegistrySimulator(ranges=False) as simulator:
        simulator.blobs["a/b", DIGEST] = BLOB
        simulator.misbehave(GET_BLOB, truncate=100_000)
        async with Registry(url=simulator.url, patience=HASTY) as registry:
            await registry.pull_blob_to("a/b", DIGEST, len(BLOB), tmp_path / "blob")
        assert simulator.count(GET_BLOB) == 2
    assert (tmp_path / "blob").read_bytes() == BLOB


async def test_a_registry_that_cannot_resume_is_read_from_the_start(
    simulator: RegistrySimulator, registry: Registry, tmp_path: Path
) -> None:
    simulator.misbehave(GET_BLOB, truncate=100_000)
    simulator.misbehave(GET_BLOB, status=416)
    await registry.pull_blob_to("a/b", DIGEST, len(BLOB), tmp_path / "blob")
    assert (tmp_path / "blob").read_bytes() == BLOB


@pytest.mark.parametrize("how", [{"corrupt": True}, {"more": b"and more"}])
async def test_wrong_bytes_are_thrown_away_and_asked_for_again(
    simulator: RegistrySimulator, registry: Registry, how: dict[str, object], tmp_path: Path
) -> None:
    simulator.misbehave(GET_BLOB, times=2, **how)
    await registry.pull_blob_to("a/b", DIGEST, len(BLOB), tmp_path / "blob")
    assert (tmp_path / "blob").read_bytes() == BLOB
    assert simulator.count(GET_BLOB) == 3


@pytest.mark.parametrize("how", [{"corrupt": True}, {"more": b"and more"}, {"truncate": 5}])
async def test_bytes_that_stay_wrong_never_become_a_file(
    simulator: RegistrySimulator, registry: Registry, how: dict[str, object], tmp_path: Path
) -> None:
    simulator.misbehave(GET_BLOB, times=99, **how)
    with pytest.raises(Broken, match=r"other bytes|connection broke"):
        await registry.pull_blob_to("a/b", DIGEST, len(BLOB), tmp_path / "blob")
    with pytest.raises(Broken, match=r"other bytes|connection broke"):
        await registry.pull_blob("a/b", DIGEST, limit_bytes=1 << 20)
    assert files_in(tmp_path) == []


async def test_a_blob_with_a_wrong_size_never_becomes_a_file(registry: Registry, tmp_path: Path) -> None:
    for size in (len(BLOB) - 1, len(BLOB) + 1):
        with pytest.raises(Broken, match=r"other bytes|ended early"):
            await registry.pull_blob_to("a/b", DIGEST, size, tmp_path / "blob")
    assert files_in(tmp_path) == []


async def test_a_cancelled_download_leaves_nothing(registry: Registry, tmp_path: Path) -> None:
    pull = asyncio.create_task(registry.pull_blob_to("a/b", DIGEST, len(BLOB), tmp_path / "blob"))
    while not files_in(tmp_path):
        await asyncio.sleep(0)
    pull.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pull
    assert files_in(tmp_path) == []
    assert await registry.has_blob("a/b", DIGEST)  # the connection was not poisoned


async def test_answers_are_capped(simulator: RegistrySimulator, registry: Registry) -> None:
    with pytest.raises(Refused, match="too large"):
        await registry.pull_blob("a/b", DIGEST, limit_bytes=len(BLOB) - 1)
    await registry.push_document("a/b", document(), tag="t")
    simulator.misbehave("GET .*/manifests/", more=b" " * (4 << 20))
    with pytest.raises(Refused, match="too large"):
        await registry.pull_document("a/b", "t")


async def test_a_document_with_another_digest_is_not_taken(simulator: RegistrySimulator, registry: Registry) -> None:
    pushed = await registry.push_document("a/b", document(), tag="t")
    for reference in ("t", pushed.digest):
        simulator.misbehave("GET .*/manifests/", more=b" ")
        with pytest.raises(Broken, match="sent another document"):
            await registry.pull_document("a/b", reference)


async def test_a_document_of_two_types_is_refused(simulator: RegistrySimulator, registry: Registry) -> None:
    """CVE-2021-41190: an index to one reader must not be a manifest to another."""
    simulator.documents["a/b", "t"] = oci.Document(media_type=oci.INDEX, raw=document().raw)
    with pytest.raises(Refused, match="two types"):
        await registry.pull_document("a/b", "t")


async def test_a_registry_that_stores_something_else_is_noticed(
    simulator: RegistrySimulator, registry: Registry
) -> None:
    simulator.misbehave("PUT .*/manifests/", headers={"Docker-Content-Digest": digest_of(b"else")})
    with pytest.raises(Broken, match="stored another document"):
        await registry.push_document("a/b", document())


async def test_warnings_of_the_registry_reach_us(simulator: RegistrySimulator) -> None:
    heard: list[str] = []
    simulator.misbehave("GET /v2/", headers={"Warning": '299 - "this registry closes in May"'})
    simulator.misbehave("GET /v2/", headers={"Warning": '110 - "stale"'})
    async with Registry(url=simulator.url, on_warning=heard.append) as registry:
        await registry.ping()
        await registry.ping()
    assert heard == ["127.0.0.1: this registry closes in May"]


async def test_a_malformed_location_is_a_clear_error(simulator: RegistrySimulator, registry: Registry) -> None:
    simulator.misbehave("POST", headers={"Location": "http://host:port/"})
    with pytest.raises(Broken, match="malformed URL"):
        await registry.push_blob("a/b", b"content")


@pytest.mark.parametrize("target", ["http://elsewhere.example/x", "//elsewhere.example/x"])
def test_what_came_over_tls_does_not_lead_to_an_open_connection(target: str) -> None:
    base = httpx.URL("https://r.example/v2/")
    if target.startswith("//"):
        assert url_of(target, base=base).scheme == "https"
    else:
        with pytest.raises(Refused, match="open connection"):
            url_of(target, base=base)
    assert url_of(target, base=httpx.URL("http://127.0.0.1")).host == "elsewhere.example"


async def test_tags_follow_every_page() -> None:
    with RegistrySimulator(page=3) as simulator:
        for number in range(8):
            simulator.documents["a/b", f"t{number}"] = document()
        async with Registry(url=simulator.url) as registry:
            assert await registry.tags("a/b") == tuple(f"t{number}" for number in range(8))
        assert simulator.count("GET .*/tags/list") == 3


@pytest.mark.parametrize("api", [True, False])
async def test_referrers_work_with_and_without_the_api(api: bool) -> None:
    with RegistrySimulator(referrers_api=api) as simulator:
        async with Registry(url=simulator.url) as registry:
            subject = await registry.push_document("a/b", document())
            pushed = {(await registry.push_document("a/b", document(f"{n}", subject))).digest for n in range(3)}
            assert {each.digest for each in await registry.referrers("a/b", subject.digest)} == pushed
            assert await registry.tags("a/b") == (() if api else (subject.digest.replace(":", "-"),))


async def test_a_referrer_that_another_publisher_overwrote_is_listed_again() -> None:
    with RegistrySimulator(referrers_api=False) as simulator:
        async with Registry(url=simulator.url) as registry:
            subject = await registry.push_document("a/b", document())
            tag = subject.digest.replace(":", "-")
            theirs = oci.index(manifests=[document("theirs", subject).descriptor])
            healthy = simulator.answer

            def overwrite_once(*request: object) -> object:
                answer = healthy(*request)  # type: ignore[arg-type]
                if "PUT" in str(request[0]) and str(request[0]).endswith(tag):
                    simulator.documents["a/b", tag] = theirs
                    simulator.answer = healthy  # type: ignore[method-assign]
                return answer

            simulator.answer = overwrite_once  # type: ignore[method-assign,assignment]
            ours = await registry.push_document("a/b", document("ours", subject))
            listed = {each.digest for each in await registry.referrers("a/b", subject.digest)}
    assert listed == {ours.digest, document("theirs", subject).digest}


async def test_a_list_that_is_no_list_is_an_error(simulator: RegistrySimulator, registry: Registry) -> None:
    simulator.misbehave("GET .*/tags/list", corrupt=True)
    with pytest.raises(Broken, match="did not answer with a list"):
        await registry.tags("a/b")
