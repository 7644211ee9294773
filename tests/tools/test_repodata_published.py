"""The whole way of a repository: real RPMs, a real registry, and stock dnf that knows nothing of us."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from release import oci
from release.errors import Broken
from release.product.builds import Build
from release.product.gateway import find, routes
from release.product.repository import (
    REPOMD,
    REPOMD_DIRECT,
    Snapshot,
    binaries,
    blobs_of,
    difference,
    files,
    repodata_document,
)
from release.tools.process import run
from release.tools.registry import Registry
from release.tools.repodata import compose
from release.tools.store import Store
from tests.tools.registry_simulator import RegistrySimulator
from tests.tools.tiny_rpms import build_of

pytestmark = pytest.mark.integration
REPOSITORY = "skiff/rpms"
COMMITTED = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A published snapshot and what the next publication needs of it."""

    snapshot: Snapshot
    repodata: oci.Document
    builds: tuple[oci.Document, ...]
    files: Mapping[str, bytes]


async def publish(registry: Registry, store: Store, builds: Iterable[Build], before: Published | None) -> Published:
    """What the publishing task does: blobs, builds, repodata, index; only what the last snapshot lacks."""
    built = list(builds)
    new = compose(
        binaries(built, "x86_64"),
        store=store,
        blobs_url=f"{registry.url}/v2/{REPOSITORY}/blobs",
        revision=int(COMMITTED.timestamp()),
        previous=before.files if before else None,
    )
    documents = {build.to_document().digest: build for build in built}
    repodata = repodata_document("x86_64", new)
    made = [build.to_document() for build in built]
    snapshot = Snapshot.of(commit="c0ffee", committed=COMMITTED, repodata=[repodata], built=made)
    published = Published(snapshot=snapshot, repodata=repodata, builds=tuple(made), files=new)
    kept = difference(before.snapshot if before else None, snapshot).kept
    known = blobs_of([before.repodata, *before.builds]) if before else frozenset()
    rpms = [
        store.path_of(rpm.digest) for digest, build in documents.items() if digest not in kept for rpm in build.rpms
    ]
    await registry.push_blobs(REPOSITORY, [*rpms, *new.values()], known=known)
    for document in (*made, repodata):
        if document.digest not in kept:
            await registry.push_document(REPOSITORY, document)
    if before is None or before.snapshot != snapshot:
        await registry.push_document(REPOSITORY, snapshot.to_document())
    return published


async def dnf(root: Path, baseurl: str, *words: str) -> str:
    """Stock dnf into an installroot, with one repository and nothing else of the host."""
    config = root.with_suffix(".conf")
    config.write_text(
        f"[main]\nreposdir=/nonexistent\nkeepcache=0\ngpgcheck=0\nplugins=0\n[skiff]\nname=skiff\nbaseurl={baseurl}\n"
    )
    options = [f"--config={config}", f"--installroot={root}", f"--setopt=cachedir={root}.cache", "--releasever=1"]
    return (await run(["dnf", "-y", *options, *words], seconds=60)).text


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


async def test_stock_dnf_installs_straight_from_the_registry_by_digest(
    registry_url: str, store: Store, tmp_path: Path
) -> None:
    async with Registry(url=registry_url) as registry:
        first = await publish(registry, store, [build_of("libkeel-1.0", store), build_of("hull-1.0", store)], None)
    direct = next(layer for layer in first.repodata.layers if layer.title == REPOMD_DIRECT)
    root = tmp_path / "root"
    await dnf(root, f"{registry_url}/v2/{REPOSITORY}/blobs/{direct.digest}#", "install", "hull")
    assert (root / "usr/share/fleet/hull").read_text() == "hull 1.0\n"
    assert (root / "usr/share/fleet/libkeel").read_text() == "libkeel 1.0\n"


async def test_a_pinned_repository_stays_as_it_was_and_the_next_one_has_the_update(
    registry_url: str, store: Store, tmp_path: Path
) -> None:
    old = [build_of("libkeel-1.0", store), build_of("hull-1.0", store)]
    async with Registry(url=registry_url) as registry:
        monday = await publish(registry, store, old, None)
        tuesday = await publish(registry, store, [build_of("libkeel-1.1", store), old[1]], monday)
    for day, expected in ((monday, "1.0"), (tuesday, "1.1")):
        direct = next(layer for layer in day.repodata.layers if layer.title == REPOMD_DIRECT)
        root = tmp_path / expected
        await dnf(root, f"{registry_url}/v2/{REPOSITORY}/blobs/{direct.digest}#", "install", "libkeel")
        assert (root / "usr/share/fleet/libkeel").read_text() == f"libkeel {expected}\n"


async def test_dnf_notices_an_rpm_that_is_not_the_one_in_the_metadata(store: Store, tmp_path: Path) -> None:
    with RegistrySimulator() as simulator:
        build = build_of("libkeel-1.0", store)
        async with Registry(url=simulator.url) as registry:
            made = await publish(registry, store, [build], None)
        direct = next(layer for layer in made.repodata.layers if layer.title == REPOMD_DIRECT)
        simulator.blobs[REPOSITORY, build.rpms[0].digest] = b"x" * build.rpms[0].size
        with pytest.raises(Broken, match="dnf failed"):
            await dnf(tmp_path / "r", f"{simulator.url}/v2/{REPOSITORY}/blobs/{direct.digest}#", "install", "libkeel")


async def test_dnf_follows_a_gateways_routes(registry_url: str, store: Store, tmp_path: Path) -> None:
    """A folder of links made from the routes stands for the 302 of the web process: the paths are what is proved."""
    async with Registry(url=registry_url) as registry:
        made = await publish(registry, store, [build_of("libkeel-1.0", store), build_of("hull-1.0", store)], None)
        channel = routes([files([made.repodata], made.builds)])
        for path in channel:
            route = find({"edge": channel}, f"/edge/{path}")
            assert route is not None
            await registry.pull_blob_to(REPOSITORY, route.digest, route.size, tmp_path / "edge" / path)
    await dnf(tmp_path / "root", (tmp_path / "edge" / "x86_64").as_uri(), "install", "hull")
    assert (tmp_path / "root/usr/share/fleet/hull").exists()


async def test_an_unchanged_publication_sends_nothing(store: Store) -> None:
    with RegistrySimulator() as simulator:
        async with Registry(url=simulator.url) as registry:
            builds = [build_of("libkeel-1.0", store), build_of("hull-1.0", store)]
            first = await publish(registry, store, builds, None)
            simulator.seen.clear()
            again = await publish(registry, store, reversed(builds), first)
        assert again.snapshot == first.snapshot
        assert simulator.seen == []


async def test_an_incremental_publication_sends_only_what_is_new(tmp_path: Path, store: Store) -> None:
    with RegistrySimulator() as simulator:
        async with Registry(url=simulator.url) as registry:
            keel, hull = build_of("libkeel-1.0", store), build_of("hull-1.0", store)
            first = await publish(registry, store, [keel, hull], None)
            before = set(simulator.blobs)
            simulator.seen.clear()
            only_new = Store(tmp_path / "only-new")  # nothing of the old build is at hand
            newer = build_of("libkeel-1.1", only_new)
            await publish(registry, only_new, [newer, hull], first)
        sent = {digest for _, digest in set(simulator.blobs) - before}
        assert newer.rpms[0].digest in sent
        assert (
            simulator.count("PUT .*/blobs/") == len(sent) == 7
        )  # an RPM; primary twice, filelists, other; repomd twice
        assert simulator.count("PUT .*/manifests/") == 3  # the build, the repodata, the index
        assert simulator.count("(GET|HEAD)") == 0


async def test_two_publishers_far_apart_make_the_same_metadata(tmp_path: Path) -> None:
    made = []
    for name in ("here", "there"):
        store = Store(tmp_path / name)
        with RegistrySimulator() as simulator:
            async with Registry(url=simulator.url) as registry:
                builds = [build_of("libkeel-1.0", store), build_of("hull-1.0", store)]
                made.append((await publish(registry, store, builds, None)).files[REPOMD])
    assert made[0] == made[1]
