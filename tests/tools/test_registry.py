"""The registry client against a real registry: what goes up comes down, and costs no more than it must."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from release import oci
from release.digests import digest_of
from release.errors import Broken, Misconfigured, Refused
from release.tools.process import run
from release.tools.registry import Registry, gather
from release.tools.registry_http import Patience
from release.tools.store import Store
from tests.conftest import free_port
from tests.tools.registry_simulator import RegistrySimulator

pytestmark = pytest.mark.integration
HASTY = Patience(attempts=3, base=0.001, cap=0.01)


@pytest.fixture
async def registry(registry_url: str) -> AsyncIterator[Registry]:
    async with Registry(url=registry_url) as client:
        yield client


@pytest.fixture
def repository() -> str:
    return f"tests/{uuid.uuid4().hex[:8]}"


def artifact(*layers: oci.Descriptor, subject: oci.Descriptor | None = None, note: str = "x") -> oci.Document:
    return oci.manifest(
        artifact_type="application/vnd.test", layers=layers, subject=subject, annotations={"note": note}
    )


async def test_bytes_and_files_of_every_size_come_back(registry: Registry, repository: str, tmp_path: Path) -> None:
    for size in (0, 1, 20_000, (1 << 20) + 1, 5 << 20):
        content = os.urandom(size)
        path = tmp_path / f"{size}"
        path.write_bytes(content)
        pushed = await registry.push_blob(repository, path)
        assert (pushed.digest, pushed.size) == (digest_of(content), size)
        assert await registry.pull_blob(repository, pushed.digest, limit_bytes=size) == content
        await registry.pull_blob_to(repository, pushed.digest, size, tmp_path / "back" / f"{size}")
        assert (tmp_path / "back" / f"{size}").read_bytes() == content


async def test_many_blobs_keep_their_order(registry: Registry, repository: str) -> None:
    contents = [f"blob {number}".encode() for number in range(100)]
    pushed = await registry.push_blobs(repository, contents)
    assert [each.digest for each in pushed] == [digest_of(each) for each in contents]
    for each in pushed[::10]:
        assert await registry.has_blob(repository, each.digest)


async def test_a_blob_can_be_pulled_into_the_store(registry: Registry, repository: str, tmp_path: Path) -> None:
    store = Store(tmp_path)
    pushed = await registry.push_blob(repository, b"for the store")
    await registry.pull_blob_to(repository, pushed.digest, pushed.size, store.path_of(pushed.digest))
    assert store.read(pushed.digest) == b"for the store"


async def test_a_blob_that_is_not_there_is_not_there(registry: Registry, repository: str) -> None:
    unknown = digest_of(b"never pushed")
    assert not await registry.has_blob(repository, unknown)
    with pytest.raises(Broken, match="does not have this") as failure:
        await registry.pull_blob(repository, unknown, limit_bytes=100)
    assert unknown in str(failure.value)


async def test_a_document_comes_back_byte_for_byte(registry: Registry, repository: str) -> None:
    layer = await registry.push_blob(repository, b"layer")
    document = artifact(layer)
    pushed = await registry.push_document(repository, document)
    assert await registry.pull_document(repository, pushed.digest) == document
    assert await registry.resolve(repository, "latest") is None
    assert await registry.tags(repository) == ()
    await registry.push_document(repository, document, tag="latest")
    assert await registry.resolve(repository, "latest") == document.digest
    assert await registry.pull_document(repository, "latest") == document
    assert await registry.tags(repository) == ("latest",)


async def test_a_missing_document_is_none(registry: Registry, repository: str) -> None:
    assert await registry.pull_document(repository, "latest") is None
    assert await registry.pull_document(repository, digest_of(b"no")) is None
    assert await registry.tags(repository) == ()


async def test_a_document_with_a_missing_blob_is_refused_with_the_registrys_words(
    registry: Registry, repository: str
) -> None:
    with pytest.raises(Refused, match="BLOB_UNKNOWN"):
        await registry.push_document(repository, artifact(oci.blob(b"never pushed", "application/x")))


async def test_referrers_are_listed_although_this_registry_has_no_api(registry: Registry, repository: str) -> None:
    subject = await registry.push_document(repository, artifact())
    assert await registry.referrers(repository, subject.digest) == ()
    notes = [artifact(subject=subject, note=f"{number}") for number in range(5)]
    await gather(notes, lambda note: registry.push_document(repository, note), concurrency=5)
    await registry.push_document(repository, notes[0])  # again: listed once
    listed = await registry.referrers(repository, subject.digest)
    assert sorted(each.digest for each in listed) == sorted(note.digest for note in notes)
    assert {each.artifact_type for each in listed} == {"application/vnd.test"}
    assert {each.annotations["note"] for each in listed} == {"0", "1", "2", "3", "4"}


async def test_skopeo_and_oras_read_what_we_push(registry: Registry, repository: str, tmp_path: Path) -> None:
    """Third parties: skopeo verifies digests, oras-py pulls the way people do."""
    import oras.client

    layer = await registry.push_blob(repository, b"readable by others")
    titled = oci.Descriptor(
        media_type="text/plain", digest=layer.digest, size=layer.size, annotations={oci.TITLE: "read.me"}
    )
    await registry.push_document(repository, artifact(titled), tag="demo")
    reference = f"{registry.url.removeprefix('http://')}/{repository}:demo"
    raw = await run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{reference}"], seconds=30)
    assert raw.stdout == artifact(titled).raw
    oras.client.OrasClient(insecure=True).pull(target=reference, outdir=str(tmp_path))
    assert (tmp_path / "read.me").read_bytes() == b"readable by others"


async def test_a_known_digest_costs_no_request_and_an_unknown_one_two() -> None:
    with RegistrySimulator() as simulator:
        async with Registry(url=simulator.url) as registry:
            await registry.push_blob("a/b", b"known", known={digest_of(b"known")})
            assert simulator.seen == []
            await registry.push_blob("a/b", b"new")
            assert [each.method for each in simulator.seen] == ["POST", "PUT"]


async def test_a_blob_that_the_registry_has_costs_one_request_and_no_bytes(registry_url: str) -> None:
    """The mount from the repository itself works in the simulator and in the real docker-registry."""
    with RegistrySimulator() as simulator:
        async with Registry(url=simulator.url) as registry:
            await registry.push_blobs("a/b", [b"twice", b"thrice"])
            simulator.seen.clear()
            await registry.push_blobs("a/b", [b"twice", b"thrice"])
            assert [each.method for each in simulator.seen] == ["POST", "POST"]
    async with Registry(url=registry_url) as registry:
        await registry.push_blob("mount/own", b"twice")
        await registry.push_blob("mount/own", b"WRONG", digest=digest_of(b"twice"))  # would be refused if it were sent


async def test_the_registry_checks_a_digest_that_the_caller_claims(registry: Registry, repository: str) -> None:
    with pytest.raises(Refused, match="DIGEST_INVALID"):
        await registry.push_blob(repository, b"other bytes", digest=digest_of(b"claimed"))


async def test_a_dead_registry_is_named_with_its_address() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with Registry(url=url, patience=HASTY) as registry:
        with pytest.raises(Broken, match="the registry does not answer") as failure:
            await registry.ping()
    assert url in str(failure.value)
    assert failure.value.hint is not None


async def test_a_living_registry_answers_a_ping(registry: Registry) -> None:
    await registry.ping()


@pytest.mark.parametrize(
    "url", ["ftp://x", "registry.example", "http://", "http://u:p@host", "http://host/v2/", "http://host:port"]
)
def test_a_url_that_is_no_registry_is_refused_at_once(url: str) -> None:
    with pytest.raises(Misconfigured, match="not the URL of a registry"):
        Registry(url=url)


@pytest.mark.parametrize("name", ["", "UPPER", "../x", "a//b", "a/b?x=1", "a/b#", "-a"])
async def test_a_repository_name_cannot_change_the_request(name: str) -> None:
    async with Registry(url="http://127.0.0.1:1") as registry:
        with pytest.raises(Refused, match="not a repository name"):
            await registry.push_blob(name, b"")
        with pytest.raises(Refused, match="not a repository name"):
            await registry.tags(name)


@pytest.mark.parametrize("reference", ["a/b", "x" * 129, "../tags/list", "sha256:123", ""])
async def test_a_reference_cannot_change_the_request(reference: str) -> None:
    async with Registry(url="http://127.0.0.1:1") as registry:
        with pytest.raises(Refused, match="not a"):
            await registry.pull_document("a/b", reference)


async def test_a_document_too_large_for_registries_is_refused_before_it_is_sent() -> None:
    async with Registry(url="http://127.0.0.1:1", patience=HASTY) as registry:
        layers = [oci.blob(f"{number}".encode(), "application/x") for number in range(35_000)]
        with pytest.raises(Refused, match="too large for a registry"):
            await registry.push_document("a/b", artifact(*layers))


async def test_a_lost_file_is_a_clear_message(registry: Registry, repository: str, tmp_path: Path) -> None:
    with pytest.raises(Broken, match="No such file"):
        await registry.push_blobs(repository, [tmp_path / "gone"])


async def test_the_first_failure_of_many_is_raised_as_it_is() -> None:
    async def fail(number: int) -> int:
        if number == 3:
            raise Broken(f"number {number}")
        return number

    with pytest.raises(Broken, match="number 3"):
        await gather(range(100), fail, concurrency=4)
    assert await gather(range(3), fail, concurrency=4) == (0, 1, 2)
