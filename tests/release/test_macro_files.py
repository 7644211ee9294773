"""Placeholders of macro files, and macros of the versions of other specs."""

from __future__ import annotations

import pytest

from release.source.macro_files import (
    beside,
    filled,
    has_placeholders,
    holds_unread,
    mentioned,
    speaks_of,
    version_macros,
)

CMAKE = b"%_v @@CMAKE_VERSION@@\n%cmake@@CMAKE_MAJOR_VERSION@@ %cmake\n%x @@OTHER@@ @@ a@b\n"


@pytest.mark.parametrize(
    ("evr", "expected"),
    [
        ("3.30.3-2.azl3", b"%_v 3.30.3\n%cmake3 %cmake\n%x 0 @@ a@b\n"),
        ("1:3-2", b"%_v 3\n%cmake3 %cmake\n%x 0 @@ a@b\n"),
        (None, b"%_v 0\n%cmake0 %cmake\n%x 0 @@ a@b\n"),
    ],
)
def test_fills_placeholders_with_the_version(evr: str | None, expected: bytes) -> None:
    assert has_placeholders(CMAKE)
    assert filled(CMAKE, evr) == expected
    assert not has_placeholders(expected)


def test_the_specs_beside_a_file_are_those_of_its_folder() -> None:
    assert beside("S/a/macros.a", ["S/a/b.spec", "S/a/a.spec", "S/b/c.spec"]) == ("S/a/a.spec", "S/a/b.spec")


def test_names_version_macros_by_the_file_of_the_spec_as_the_toolkit_does() -> None:
    assert version_macros("SPECS/k/kernel-64k.spec", "1:6.6.51.1-9.azl3", prefix="azl", dist=".azl3") == {
        "azl_kernel_64k_version": "1:6.6.51.1",
        "azl_kernel_64k_release": "9",
    }
    suffixed = version_macros("S/o/openssl.spec", "3.3.0-1.azl3.1", prefix="azl", dist=".azl3")
    assert suffixed["azl_openssl_release"] == "1.1"
    assert speaks_of(["S/k/kernel-64k.spec"], "azl")["azl_kernel_64k_version"] == "S/k/kernel-64k.spec"


def test_finds_the_version_macros_that_a_text_holds() -> None:
    text = b"%azl_b_version %{azl_a_release}%{?azl_c_version}\n# xazl_d_version azl_e_versions azl_f"
    assert mentioned(text, "azl") == ("azl_a_release", "azl_b_version", "azl_c_version")


@pytest.mark.parametrize(
    ("folder", "name", "unread"),
    [
        ("/usr/lib/rpm/macros.d", "macros.own", True),
        ("/usr/lib/rpm/macros.d", "macros.read", False),
        ("/etc/rpm", "macros.own", True),
        ("/usr/lib/rpm/lua", "own.lua", True),
        ("/usr/lib/rpm/platform/x86_64-linux", "macros", True),
        ("/usr/lib/rpm", "find-debuginfo", False),
        ("/usr/share/doc/own/usr/lib/rpm", "macros.own", False),
    ],
)
def test_macros_that_builds_load_and_no_spec_is_read_with_are_told_by_path(
    folder: str, name: str, unread: bool
) -> None:
    assert holds_unread({folder: [name]}, {"macros.read"}) is unread
