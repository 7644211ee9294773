"""Debian's words in RPM's: the cases that a naive translation gets wrong."""

from __future__ import annotations

import pytest

from release.errors import Refused
from release.source.debian import merged, parse_control, relations, rpm_version

CONTROL = """Package: libc6
Source: glibc (2.36-9)
Version: 2.36-9+deb12u14
Architecture: amd64
Maintainer: GNU Libc Maintainers <debian-glibc@lists.debian.org>
Depends: libgcc-s1, libcrypt1 (>= 1:4.4.10-10~)
Pre-Depends: libgcc-s1, dpkg (>> 1.17)
Provides: libc6-2.36, glibc-abi (= 2)
Homepage: https://www.gnu.org/software/libc/libc.html
Description: GNU C Library: Shared libraries
 Contains the standard libraries. Depends: nothing here.
 .
 More.
"""


def test_reads_a_control_file() -> None:
    control = parse_control(CONTROL, "libc6.deb")
    assert (control.name, control.source, control.arch) == ("libc6", "glibc", "x86_64")
    assert (control.epoch, control.version, control.release) == (None, "2.36", "9+deb12u14")
    assert control.summary == "GNU C Library: Shared libraries"
    assert control.provides == ("libc6-2.36", "glibc-abi = 2")
    assert control.requires == ("libgcc-s1", "dpkg > 1.17-0", "libcrypt1 >= 1:4.4.10-10~")
    assert control.url == "https://www.gnu.org/software/libc/libc.html"


def test_a_package_without_a_source_field_is_its_own_source() -> None:
    assert parse_control(CONTROL.replace("Source: glibc (2.36-9)\n", ""), "x").source == "libc6"


@pytest.mark.parametrize("field", ["Package", "Version", "Architecture", "Description"])
def test_refuses_a_control_file_that_lacks_a_field(field: str) -> None:
    lacking = CONTROL.replace(f"\n{field}:", "\nX-Lost:") if field != "Package" else CONTROL.replace("Package:", "X:")
    with pytest.raises(Refused, match=field):
        parse_control(lacking, "libc6.deb")


def test_refuses_an_architecture_it_does_not_know() -> None:
    with pytest.raises(Refused, match="m68k"):
        parse_control(CONTROL.replace("amd64", "m68k"), "libc6.deb")


@pytest.mark.parametrize(
    ("debian", "rpm"),
    [
        ("1.34", "1.34"),
        ("1.34+dfsg-1.2+deb12u1", "1.34+dfsg-1.2+deb12u1"),
        ("4:12.2.0-3", "4:12.2.0-3"),
        ("1:2.06-3~deb10u1", "1:2.06-3~deb10u1"),
        ("0.6.0~really-1", "0.6.0~really-1"),
        ("20210119-3.1-7", "20210119.3.1-7"),  # only the last dash splits
    ],
)
def test_says_a_version(debian: str, rpm: str) -> None:
    assert rpm_version(debian) == rpm


@pytest.mark.parametrize("bad", ["", "a:1", "1 2", "1%{x}", "1:", "-1"])
def test_refuses_what_is_no_version(bad: str) -> None:
    with pytest.raises(Refused, match="not a Debian version"):
        rpm_version(bad)


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("", ()),
        ("aa, bb", ("aa", "bb")),
        ("perl:any", ("perl",)),
        ("python3 (<< 3.12)", ("python3 < 3.12",)),
        ("gawk (= 1:5.2.1-2)", ("gawk = 1:5.2.1-2",)),
        ("debconf (>= 0.5) | debconf-2.0", ("(debconf >= 0.5 or debconf-2.0)",)),
        # without a release on one side RPM compares versions only, and 2.36-9 would not be later than 2.36
        ("libc6 (>> 2.36), libc6 (<< 2.37)", ("libc6 > 2.36-0", "libc6 < 2.37")),
        ("aa (<= 1.0)", ("aa <= 1.0-0",)),
        ("aa (>> 1.0-3)", ("aa > 1.0-3",)),
    ],
)
def test_says_relations(field: str, said: tuple[str, ...]) -> None:
    assert relations(field) == said


@pytest.mark.parametrize("bad", ["aa (~> 1)", "AA", "aa bb", "aa (>= 1", "aa\nRequires: bb", "aa | "])
def test_refuses_what_is_no_relation(bad: str) -> None:
    with pytest.raises(Refused, match="not a Debian"):
        relations(bad)


@pytest.mark.parametrize(
    ("path", "after"),
    [
        ("./bin/sh", "usr/bin/sh"),
        ("./lib/x86_64-linux-gnu/libc.so.6", "usr/lib/x86_64-linux-gnu/libc.so.6"),
        ("./lib64/", "usr/lib64"),
        ("./sbin/ldconfig", "usr/sbin/ldconfig"),
        ("./usr/bin/env", "usr/bin/env"),
        ("./libexec/x", "libexec/x"),
        ("./etc/bin/x", "etc/bin/x"),
        ("./", "."),
        ("/bin/../bin/sh", "usr/bin/sh"),
        ("./usr/../../etc/passwd", "../etc/passwd"),  # refused by whoever unpacks
    ],
)
def test_moves_paths_under_usr(path: str, after: str) -> None:
    assert merged(path) == after
