"""RPM files that are damaged, cut short, or lie about what is in them: one clear refusal, and nothing unpacked."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import hashlib
import json
import lzma
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
import zstandard

from release.errors import Refused
from release.interfaces.interfaces import BinaryInterface
from release.tools.process import run
from release.tools.rpm_reader import read_interfaces
from tests.tools.changed_rpms import Keel, build
from tests.tools.tiny_rpms import fleet

ROOT = Path(__file__).parents[2]


@cache
def whole() -> bytes:
    return build(Keel(), Path(mkdtemp(prefix="slipway-keel-")))["keel"].read_bytes()


def read(*paths: Path) -> tuple[BinaryInterface, ...]:
    return asyncio.run(read_interfaces(paths))


def written(folder: Path, content: bytes) -> Path:
    path = folder / "keel.rpm"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kept", [0, 50, 150, 3000, 0.5, 0.999])
def test_a_file_that_is_cut_short_is_refused_by_name(tmp_path: Path, kept: float) -> None:
    raw = whole()
    path = written(tmp_path, raw[: int(kept if kept > 1 else kept * len(raw))])
    with pytest.raises(Refused, match=r"keel\.rpm"):
        read(path)


@pytest.mark.parametrize("where", ["header", "payload"])
def test_one_flipped_bit_is_refused(tmp_path: Path, where: str) -> None:
    raw = bytearray(whole())
    raw[raw.index(b"A keel") if where == "header" else len(raw) - 100] ^= 4
    with pytest.raises(Refused, match=r"keel\.rpm"):
        read(written(tmp_path, bytes(raw)))


def test_a_flipped_bit_is_found_although_no_file_had_to_be_read(tmp_path: Path) -> None:
    raw = bytearray(fleet()["hull-1.0"].read_bytes())
    assert read(written(tmp_path, bytes(raw)))
    raw[-1] ^= 4
    with pytest.raises(Refused, match="damaged or cut short"):
        read(written(tmp_path, bytes(raw)))


def test_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"not a whole RPM file"):
        read(written(tmp_path, b"#!/bin/sh\n" * 1000))
    with pytest.raises(Refused, match=r"none\.rpm"):
        read(tmp_path / "none.rpm")


def test_a_source_rpm_is_refused() -> None:
    with pytest.raises(Refused, match="source RPM"):
        read(fleet()["hull.src"])


def test_one_bad_file_among_good_ones_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"keel\.rpm"):
        read(fleet()["hull-1.0"], written(tmp_path, whole()[:-9]), fleet()["libkeel-1.0"])


def test_nothing_asked_is_nothing_answered() -> None:
    assert read() == ()


# What follows asks the reader of payloads itself, because rpmbuild makes no such thing.


def cpio(*members: tuple[str, bytes, int]) -> bytes:
    """Members of name, content and the size they claim, in the format of RPM payloads ("newc")."""
    raw = b""
    for number, (name, content, size) in enumerate((*members, ("TRAILER!!!", b"", 0))):
        fields = [number + 1, 0o100644, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name) + 1, 0]
        raw += b"070701" + b"".join(b"%08x" % each for each in fields) + name.encode() + b"\0"
        raw += b"\0" * (-len(raw) % 4) + content
        raw += b"\0" * (-len(raw) % 4)
    return raw


def ask(
    folder: Path, payload: bytes, compressor: str, sizes: dict[str, int], wanted: dict[str, str]
) -> dict[str, object]:
    path = folder / "payload"
    path.write_bytes(b"head" + payload)
    digest = hashlib.sha256(payload).hexdigest()
    order = {
        "path": str(path),
        "offset": 4,
        "compressor": compressor,
        "digest": digest,
        "sizes": sizes,
        "wanted": wanted,
    }
    argv = [sys.executable, "-B", "-m", "release.tools.payload_reader"]
    done = asyncio.run(run(argv, seconds=60, cwd=ROOT, stdin=json.dumps({"rpms": [order]}).encode()))
    answer: dict[str, object] = json.loads(done.text)
    return answer


@pytest.mark.parametrize(
    ("compressor", "compress"),
    [
        ("zstd", zstandard.compress),
        ("xz", lzma.compress),
        ("gzip", gzip.compress),
        ("bzip2", bz2.compress),
        ("", bytes),
    ],
)
def test_every_compressor_of_rpm_is_read(tmp_path: Path, compressor: str, compress: object) -> None:
    payload = compress(cpio(("./a", b"x" * 100, 100)))  # type: ignore[operator]
    answer = ask(tmp_path, payload, compressor, {"/a": 100}, {"/a": hashlib.sha256(b"x" * 100).hexdigest()})
    assert list(answer["readings"]) == ["/a"]


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    size = 3 << 30
    compressor = zstandard.ZstdCompressor(level=1).compressobj()
    head = cpio(("./a", b"", size)).partition(b"070701000000020000")[0]
    payload = compressor.compress(head)
    for _ in range(8):
        payload += compressor.compress(bytes(1 << 24))
    answer = ask(tmp_path, payload + compressor.flush(), "zstd", {"/a": 100, "/b": 1}, {"/a": "", "/b": ""})
    assert "more than the header says, at /a" in str(answer["error"])


def test_members_that_the_header_does_not_name_are_refused(tmp_path: Path) -> None:
    answer = ask(tmp_path, gzip.compress(cpio(("./b", b"b", 1))), "gzip", {"/a": 1}, {"/a": ""})
    assert "more than the header says, at /b" in str(answer["error"])


def test_thousands_of_empty_members_are_refused(tmp_path: Path) -> None:
    payload = gzip.compress(cpio(*((f"./{number}", b"", 0) for number in range(5000))))
    answer = ask(tmp_path, payload, "gzip", {"/a": 1}, {"/a": ""})
    assert "more than the header says" in str(answer["error"])


def test_content_that_is_not_what_the_header_says_is_refused(tmp_path: Path) -> None:
    answer = ask(tmp_path, gzip.compress(cpio(("./a", b"evil", 4))), "gzip", {"/a": 4}, {"/a": "00" * 32})
    assert "the content of /a is not what the header says" in str(answer["error"])


@pytest.mark.parametrize("compressor", ["lrzip", "../../bin/sh", "zstd"])
def test_an_unknown_or_wrong_compressor_is_refused(tmp_path: Path, compressor: str) -> None:
    answer = ask(tmp_path, gzip.compress(cpio(("./a", b"a", 1))), compressor, {"/a": 1}, {"/a": ""})
    assert "error" in answer


def test_a_large_file_is_read_through_the_disk(tmp_path: Path) -> None:
    content = b"\x7fELF" + bytes(40 << 20)
    answer = ask(tmp_path, cpio(("./a", content, len(content))), "", {"/a": len(content)}, {"/a": ""})
    assert list(answer["readings"]) == ["/a"]
