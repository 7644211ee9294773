"""What is made equal in files, and what is not; and that nothing broken or hostile stops the reading."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import subprocess
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from release.interfaces.file_kinds import ElfType
from release.tools.normalising import Budget, Reading, raw, reading

PACKERS: list[Callable[[bytes], bytes]] = [gzip.compress, lzma.compress, bz2.compress, zstandard.compress]
PLANKS = b"twelve planks\n" * 500


def read(path: str, content: bytes, *, limit: int = 1 << 30) -> Reading:
    return reading(path, memoryview(content), Budget(limit))


def archive(*members: tuple[str, bytes], time: tuple[int, int, int, int, int, int] = (2026, 1, 1, 0, 0, 0)) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members:
            made.writestr(zipfile.ZipInfo(name, time), content)
    return file.getvalue()


def bytecode(*, flags: int = 0, time: int = 1, code: bytes = b"code") -> bytes:
    return b"\xa7\x0d\x0d\x0a" + struct.pack("<III", flags, time, 100) + code


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (gzip.compress(PLANKS, 1, mtime=1), gzip.compress(PLANKS, 9, mtime=2)),
        (lzma.compress(PLANKS, preset=1), lzma.compress(PLANKS, preset=9)),
        (bz2.compress(PLANKS, 1), bz2.compress(PLANKS[:99], 9) + bz2.compress(PLANKS[99:], 9)),
        (zstandard.compress(PLANKS, 1), zstandard.compress(PLANKS[:99], 19) + zstandard.compress(PLANKS[99:], 19)),
    ],
    ids=["gzip", "xz", "bzip2", "zstd"],
)
def test_compressed_files_count_by_what_is_inside(one: bytes, two: bytes) -> None:
    assert one != two
    assert read("/a", one) == read("/a", two)
    assert read("/a", one) != Reading(content=raw(memoryview(one)))


def test_another_compressor_or_content_is_another_file() -> None:
    every = [*(pack(PLANKS) for pack in PACKERS), PLANKS]
    every += [gzip.compress(PLANKS[1:])]
    assert len({read("/a", each).content for each in every}) == len(every)


def test_what_unpacks_to_too_much_counts_by_its_bytes() -> None:
    bomb = gzip.compress(bytes(64 << 20))
    assert read("/a", bomb, limit=1 << 20) == Reading(content=raw(memoryview(bomb)))
    assert read("/a", bomb, limit=65 << 20) != Reading(content=raw(memoryview(bomb)))


def test_archives_count_by_their_members() -> None:
    members = (("b", b"2"), ("a", b"1"))
    assert read("/x.jar", archive(*members)) == read("/x.jar", archive(*members, time=(2020, 2, 2, 2, 2, 2)))
    assert read("/x.jar", archive(*members)) != read("/x.jar", archive(*members[::-1]))
    assert read("/x.jar", archive(*members)) != read("/x.jar", archive(members[0], ("a", b"3")))
    assert read("/x.jar", archive(*members)) != read("/x.jar", archive(members[0], ("c", b"1")))


def test_bytecode_counts_without_the_time_of_its_source() -> None:
    assert read("/a.pyc", bytecode(time=1)) == read("/a.pyc", bytecode(time=2))
    assert read("/a.pyc", bytecode()) != read("/a.pyc", bytecode(code=b"edoc"))
    checked_by_hash = (bytecode(flags=1, time=1), bytecode(flags=1, time=2))
    assert read("/a.pyc", checked_by_hash[0]) != read("/a.pyc", checked_by_hash[1])
    assert read("/a.txt", bytecode(time=1)) != read("/a.txt", bytecode(time=2))


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(PLANKS)[:-9],
        lzma.compress(PLANKS)[:50],
        archive(("a", PLANKS))[:-30],
        b"!<arch>\nnot a member" * 9,
    ],
    ids=["gzip", "xz", "zip", "ar"],
)
def test_what_is_broken_counts_by_its_bytes(content: bytes) -> None:
    assert read("/a", content) == Reading(content=raw(memoryview(content)))


@cache
def library() -> bytes:
    folder = Path(mkdtemp(prefix="slipway-elf-"))
    (folder / "a.c").write_text("int lay(void) { return 1; }\nint data[3];\n")
    (folder / "v").write_text("A_1 { global: lay; local: *; }; A_2 { global: data; } A_1;")
    argv = [
        "gcc",
        "-shared",
        "-fPIC",
        "-nostdlib",
        "-Wl,-soname,liba.so.1",
        "-Wl,--version-script=v",
        "-o",
        "a.so",
        "a.c",
    ]
    subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    return (folder / "a.so").read_bytes()


def test_a_library_says_what_it_exports() -> None:
    found = read("/usr/lib64/liba.so.1", library())
    assert (found.elf, found.soname) == (ElfType.LIBRARY, "liba.so.1")
    assert [line for line in found.exports if line.startswith(("exports", "defines"))] == [
        "defines A_1",
        "defines A_2 < A_1",
        "defines liba.so.1",
        "exports A_1@@A_1 OBJECT 0",
        "exports A_2@@A_2 OBJECT 0",
        "exports data@@A_2 OBJECT 12",
        "exports lay@@A_1 FUNC",
    ]


def test_what_stands_behind_the_end_of_a_program_counts() -> None:
    assert read("/a", library()).content == read("/a", library() + bytes(16)).content, "padding does not"
    assert read("/a", library()).content != read("/a", library() + b"PK archive").content
    assert read("/a", library() + b"1").content != read("/a", library() + b"2").content


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, 1 << 16), value=st.integers(0, 255), size=st.integers(0, 1 << 16))
def test_a_broken_elf_file_never_stops_the_reading(place: int, value: int, size: int) -> None:
    content = bytearray(library())
    content[place % len(content)] = value
    assert read("/usr/lib64/liba.so.1", bytes(content[: 16 + size])).content


@pytest.mark.parametrize("field", ["e_shnum", "e_shoff", "e_phnum", "e_shstrndx"])
def test_an_elf_file_with_absurd_numbers_counts_by_its_bytes(field: str) -> None:
    place, form, value = {
        "e_shnum": (60, "<H", 0),
        "e_shoff": (40, "<Q", 1 << 62),
        "e_phnum": (56, "<H", 0xFFFE),
        "e_shstrndx": (62, "<H", 0xFF00),
    }[field]
    content = bytearray(library())
    struct.pack_into(form, content, place, value)
    found = read("/usr/lib64/liba.so.1", bytes(content))
    if field != "e_phnum":  # more program headers than there are: those that are there
        assert found == Reading(content=raw(memoryview(content)))


def test_sections_that_overlap_a_thousand_times_are_not_hashed_a_thousand_times() -> None:
    content = bytearray(library() + bytes(1 << 20))
    count, place = 2000, len(content)
    row = struct.pack("<IIQQQQIIQQ", 0, 1, 0, 0, 0, len(content), 0, 0, 1, 0)
    content += row * count
    struct.pack_into("<Q", content, 40, place)
    struct.pack_into("<HH", content, 60, count, 1)
    assert read("/a", bytes(content)) == Reading(content=raw(memoryview(content)))
