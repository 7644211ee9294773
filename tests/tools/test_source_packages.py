"""Source packages as an origin: found by hash alone, through a real apt, on a mirror in a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from release.errors import Broken
from release.source.specs import Source, parse_signatures
from release.tools.source_packages import SystemSources, for_sources
from tests.conftest import ROOT, free_port
from tests.tools.test_sources import CONTENT, pinned

INDEX = """\
Package: zlib
Binary: zlib1g
Version: 1:1.0-2
Directory: {folder}
Checksums-Sha256:
 {dsc} 4 zlib_1.0-2.dsc
 {orig} {size} zlib_1.0.orig.tar.gz

Package: other
Binary: other
Version: 3
Directory: {folder}
Checksums-Sha256:
 {gone} 5 other_3.tar.xz

"""


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A mirror of source packages in a folder; the entry for apt that names it."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "zlib_1.0-2.dsc").write_bytes(b"dsc\n")
    (folder / "zlib_1.0.orig.tar.gz").write_bytes(CONTENT)
    text = INDEX.format(
        folder=".",
        dsc=hashlib.sha256(b"dsc\n").hexdigest(),
        orig=pinned().sha256,
        size=len(CONTENT),
        gone=pinned(b"gone\n").sha256,
    )
    (folder / "Sources").write_text(text)
    entry = tmp_path / "local.list"
    entry.write_text(f"deb [trusted=yes] file:{folder} ./\n")
    return entry


async def test_finds_a_source_package_by_the_hash_alone(mirror: Path, tmp_path: Path) -> None:
    origin = SystemSources(tmp_path / "apt", entries=[mirror])
    await origin.fetch(pinned(file="libz.tgz"), tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == CONTENT


async def test_says_when_no_source_package_has_the_hash(mirror: Path, tmp_path: Path) -> None:
    origin = SystemSources(tmp_path / "apt", entries=[mirror])
    with pytest.raises(Broken, match="no file of this hash"):
        await origin.fetch(pinned(b"unknown"), tmp_path / "target")


async def test_says_when_the_mirror_has_lost_a_file(mirror: Path, tmp_path: Path) -> None:
    origin = SystemSources(tmp_path / "apt", entries=[mirror])
    with pytest.raises(Broken, match="does not have it") as caught:
        await origin.fetch(pinned(b"gone\n"), tmp_path / "target")
    assert caught.value.got == "other 3"


async def test_reads_the_lists_at_hand_before_it_fetches_new_ones(mirror: Path, tmp_path: Path) -> None:
    await SystemSources(tmp_path / "apt", entries=[mirror]).fetch(pinned(), tmp_path / "target")
    later = SystemSources(tmp_path / "apt", entries=[tmp_path / "unplugged.list"])
    await later.fetch(pinned(), tmp_path / "target")
    with pytest.raises(Broken, match=r"unplugged\.list"):
        await later.fetch(pinned(b"unknown"), tmp_path / "target")


async def test_fetches_the_lists_once(mirror: Path, tmp_path: Path) -> None:
    origin = SystemSources(tmp_path / "apt", entries=[mirror])
    await origin.fetch(pinned(), tmp_path / "target")
    with pytest.raises(Broken, match="no file of this hash"):
        await origin.fetch(pinned(b"unknown"), tmp_path / "target")
    mirror.rename(tmp_path / "moved")
    with pytest.raises(Broken, match="no file of this hash"):
        await origin.fetch(pinned(b"unknown"), tmp_path / "target")


async def test_says_that_a_mirror_does_not_answer(tmp_path: Path) -> None:
    entry = tmp_path / "gone.list"
    entry.write_text("deb [trusted=yes] file:/nonexistent ./\n")
    with pytest.raises(Broken, match="apt-get failed"):
        await SystemSources(tmp_path / "apt", entries=[entry]).fetch(pinned(), tmp_path / "target")


async def test_says_that_one_of_the_mirrors_does_not_answer(mirror: Path, tmp_path: Path) -> None:
    dead = tmp_path / "dead.list"
    dead.write_text(f"deb [trusted=yes] http://127.0.0.1:{free_port()} ./\n")
    origin = SystemSources(tmp_path / "apt", entries=[mirror, dead])
    await origin.fetch(pinned(), tmp_path / "target")
    with pytest.raises(Broken, match="no file of this hash") as caught:
        await origin.fetch(pinned(b"unknown"), tmp_path / "target")
    assert "Failed to fetch http://127.0.0.1" in (caught.value.got or "")


def test_asks_for_source_packages_in_both_styles_of_entries() -> None:
    fields = "Types: deb\nURIs: http://mirror.example/\nSuites: one\nSigned-By: /keys/one.gpg\n"
    assert for_sources(fields) == fields.replace("Types: deb", "Types: deb-src")
    assert for_sources("# deb old\ndeb [signed-by=/k] http://m.example/ one main\n") == (
        "# deb old\ndeb-src [signed-by=/k] http://m.example/ one main\n"
    )
    assert for_sources("deb-src http://m.example/ one main\n") == "deb-src http://m.example/ one main\n"


@pytest.mark.integration
async def test_a_source_of_skiff_comes_from_the_machines_own_mirror(tmp_path: Path) -> None:
    path = ROOT / "manifests" / "SPECS" / "lua" / "lua.signatures.json"
    ((file, sha256),) = parse_signatures(path.read_text(), str(path)).items()
    source = Source(file=file, url=None, sha256=sha256, local=False)
    await SystemSources(tmp_path / "apt").fetch(source, tmp_path / "target")
    assert hashlib.sha256((tmp_path / "target").read_bytes()).hexdigest() == sha256
