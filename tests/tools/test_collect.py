"""What comes out of a container is not believed: only regular files arrive, and only where they may."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from release.errors import Broken
from release.tools.collect import collect
from tests.tools.tiny_debs import file, folder, hard_link, link


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def files(target: Path) -> dict[str, bytes]:
    return {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "in" / "here"


@pytest.mark.parametrize("size", [1, 7, 511, 512, 1 << 20])
def test_brings_files_whatever_the_pieces_they_come_in(target: Path, size: int) -> None:
    whole = archive(folder("out"), file("out/one", b"1" * 3000), folder("out/deep"), file("out/deep/two", b"2"))
    pieces = (whole[start : start + size] for start in range(0, len(whole), size))
    collect(pieces, "/some/out", target)
    assert files(target) == {"one": b"1" * 3000, "deep/two": b"2"}


@pytest.mark.parametrize(
    "member",
    [
        link("out/link", "/etc/passwd"),
        hard_link("out/hard", "/etc/passwd"),
        link("out/device", "", tarfile.CHRTYPE),
        link("out/pipe", "", tarfile.FIFOTYPE),
        file("out/../../outside", b"x"),
        file("../outside", b"x"),
        file("/outside", b"x"),
        file("elsewhere/file", b"x"),
    ],
)
def test_does_not_bring_what_is_no_file_or_leads_out(target: Path, member: tuple[tarfile.TarInfo, bytes]) -> None:
    collect([archive(member, file("out/good", b"good"))], "/out", target)
    assert files(target.parent.parent) == {"in/here/good": b"good"}


def test_a_link_on_the_way_is_not_followed(target: Path) -> None:
    collect([archive(link("out/way", "../.."), file("out/way/file", b"x"))], "/out", target)
    assert files(target.parent.parent) == {"in/here/way/file": b"x"}


def test_says_that_it_broke_off(target: Path) -> None:
    whole = archive(file("out/one", b"1" * 30000))
    with pytest.raises(Broken, match="did not arrive whole"):
        collect([whole[:20000]], "/out", target)


def test_says_that_there_is_no_archive_at_all(target: Path) -> None:
    with pytest.raises(Broken, match="did not arrive whole"):
        collect([b"not a tar" * 100], "/out", target)


def test_names_a_full_disk(target: Path) -> None:
    target.mkdir(parents=True)
    (target / "one").symlink_to("/dev/full")
    with pytest.raises(Broken, match="the disk is full"):
        collect([archive(file("out/one", b"1" * 100000))], "/out", target)
