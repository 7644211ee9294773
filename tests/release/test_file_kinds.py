"""Which kind a file is, and that the table in the docs is the table in the code."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from release.interfaces.file_kinds import ElfType, FileFlag, kind_of
from release.interfaces.file_rules import RULES, Counts, FileKind, rule_of

DOCS = Path(__file__).parents[2] / "docs" / "interfaces.md"
FILE, PROGRAM, FOLDER, LINK = stat.S_IFREG | 0o644, stat.S_IFREG | 0o755, stat.S_IFDIR | 0o755, stat.S_IFLNK | 0o777


def table() -> str:
    """The table as docs/interfaces.md has it."""
    lines = ["| kind | files | interface digest | product digest | reason |", "|---|---|---|---|---|"]
    for rule in RULES:
        paths = " ".join(f"`{path}`" for path in rule.paths)
        product = "whole" if rule.product else "nothing" if rule.kind is FileKind.BUILD_ID else "without content"
        lines.append(f"| {rule.kind} | {paths} | {rule.counts} | {product} | {rule.reason} |")
    return "\n".join(lines)


def test_the_docs_hold_the_table_of_the_code() -> None:
    assert table() in DOCS.read_text(), f"docs/interfaces.md needs this table:\n{table()}"


def test_every_kind_has_one_line_with_a_reason() -> None:
    assert sorted(rule.kind for rule in RULES) == sorted(FileKind)
    assert all(rule.reason for rule in RULES)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/usr/include/sys/cdefs.h", FileKind.HEADER),
        ("/usr/lib/gcc/x86_64-linux/13/include/stddef.h", FileKind.HEADER),
        ("/usr/lib64/pkgconfig/zlib.pc", FileKind.BUILD_FILE),
        ("/usr/share/aclocal/libtool", FileKind.BUILD_FILE),
        ("/usr/lib/rpm/macros.d/macros.python", FileKind.RPM_MACROS),
        ("/usr/lib64/libz.a", FileKind.STATIC),
        ("/usr/lib64/crt1.o", FileKind.STATIC),
        ("/usr/lib64/libc.so", FileKind.DATA),
        ("/usr/share/perl5/Carp.pm", FileKind.SCRIPT_MODULE),
        ("/usr/lib64/girepository-1.0/GLib-2.0.typelib", FileKind.BINDING),
        ("/usr/share/java/ant.jar", FileKind.ARCHIVE),
        ("/etc/ld.so.conf", FileKind.CONFIGURATION),
        ("/etc/ld.so.cache", FileKind.CACHE),
        ("/usr/share/misc/magic", FileKind.DATA),
        ("/usr/share/gocode/src/x/x.go", FileKind.DATA),
        ("/usr/share/doc/zlib/examples/zpipe.h", FileKind.DOCUMENTATION),
        ("/usr/share/man/man3/zlib.3.gz", FileKind.DOCUMENTATION),
        ("/usr/share/locale/de/LC_MESSAGES/bash.mo", FileKind.TRANSLATION),
        ("/usr/lib/debug/usr/bin/bash.debug", FileKind.DEBUG),
        ("/usr/src/debug/bash-5/shell.c", FileKind.DEBUG),
        ("/nobody/knows/this", FileKind.DATA),
    ],
)
def test_a_plain_file_is_of_the_kind_of_its_place_and_name(path: str, kind: FileKind) -> None:
    assert kind_of(path, mode=FILE) is kind


@pytest.mark.parametrize(
    ("path", "elf", "soname", "kind"),
    [
        ("/usr/lib64/libz.so.1.3", ElfType.LIBRARY, "libz.so.1", FileKind.SHARED_LIBRARY),
        ("/usr/lib/x86_64-linux-gnu/libz.so.1.3", ElfType.LIBRARY, "libz.so.1", FileKind.SHARED_LIBRARY),
        ("/usr/lib64/libodd.so", ElfType.LIBRARY, "", FileKind.SHARED_LIBRARY),
        ("/usr/lib64/mysql/libmysqlclient.so.21.2", ElfType.LIBRARY, "libmysqlclient.so.21", FileKind.SHARED_LIBRARY),
        ("/usr/lib64/libpython3.12.so.1.0", ElfType.LIBRARY, "libpython3.12.so.1.0", FileKind.TOOL_LIBRARY),
        ("/usr/lib64/libLLVM-18.so", ElfType.LIBRARY, "libLLVM-18.so", FileKind.TOOL_LIBRARY),
        ("/usr/lib/systemd/libsystemd-shared-255.so", ElfType.LIBRARY, "libsystemd-shared-255.so", FileKind.MODULE),
        ("/usr/libexec/gcc/liblto_plugin.so", ElfType.LIBRARY, "liblto_plugin.so", FileKind.MODULE),
        ("/usr/lib64/python3.12/site-packages/yaml/_yaml.so", ElfType.DYNAMIC, "", FileKind.MODULE),
        ("/usr/lib64/gconv/UTF-16.so", ElfType.DYNAMIC, "", FileKind.MODULE),
        ("/usr/bin/ld", ElfType.PROGRAM, "", FileKind.EXECUTABLE),
        ("/usr/lib64/crti.o", ElfType.OBJECT, "", FileKind.STATIC),
        ("/usr/lib/debug/usr/lib64/libz.so.1.3.debug", ElfType.LIBRARY, "libz.so.1", FileKind.DEBUG),
    ],
)
def test_an_elf_file_is_what_it_is_for(path: str, elf: ElfType, soname: str, kind: FileKind) -> None:
    assert kind_of(path, mode=PROGRAM, elf=elf, soname=soname) is kind


def test_marks_count_where_nothing_says_that_builds_read_the_file() -> None:
    assert kind_of("/opt/x/NOTES", mode=FILE, flags=FileFlag.DOC) is FileKind.DOCUMENTATION
    assert kind_of("/opt/x/COPYING", mode=FILE, flags=FileFlag.LICENSE) is FileKind.DOCUMENTATION
    assert kind_of("/usr/include/x.h", mode=FILE, flags=FileFlag.DOC) is FileKind.HEADER
    assert kind_of("/opt/x/run", mode=PROGRAM, flags=FileFlag.DOC) is FileKind.EXECUTABLE
    assert kind_of("/usr/share/hunspell/de.aff", mode=FILE, lang="de") is FileKind.TRANSLATION
    assert kind_of("/usr/lib/locale/de_DE/LC_TIME", mode=FILE, lang="de") is FileKind.DATA
    assert kind_of("/usr/include/x.h", mode=FILE, flags=FileFlag.GHOST) is FileKind.GHOST


def test_bytecode_is_left_out_only_beside_its_source() -> None:
    path = "/usr/lib/python3.12/__pycache__/ast.cpython-312.pyc"
    assert kind_of(path, mode=FILE, has_source=True) is FileKind.BYTECODE
    assert kind_of(path, mode=FILE, has_source=False) is FileKind.SCRIPT_MODULE


def test_links_and_folders_count_unless_they_lie_among_what_is_left_out() -> None:
    assert kind_of("/usr/lib64/libz.so", mode=LINK) is FileKind.LINK
    assert kind_of("/usr/share/zlib", mode=FOLDER) is FileKind.DIRECTORY
    assert kind_of("/usr/share/doc/zlib", mode=FOLDER) is FileKind.DOCUMENTATION
    assert kind_of("/usr/lib/.build-id/ab/cd", mode=LINK) is FileKind.BUILD_ID
    assert kind_of("/dev/null", mode=stat.S_IFCHR | 0o666) is FileKind.DEVICE


def test_what_is_not_known_counts_by_its_content() -> None:
    assert rule_of(kind_of("/a/thing", mode=FILE)).counts is Counts.CONTENT
