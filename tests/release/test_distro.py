"""distro.yaml: what it says when it is right, and the line it names when it is wrong."""

from __future__ import annotations

import pytest

from release.errors import Misconfigured
from release.source.distro import Distro, ImageEntry, parse_distro

LINES = """\
name: skiff
title: Skiff Linux
version: "1.0"
dist: .sk1
vendor: Skiff Project
url: https://slipway.example/skiff
bug_url: https://slipway.example/skiff/issues
identity: https://slipway.example/skiff
arches: [x86_64]
branch: stable
channels_branch: channels
channels: [edge, beta, stable]
spec_roots: [SPECS, SPECS-EXTENDED]
macro_files: [SPECS/macros/macros.*, other/macros.late]
defines: {with_check: "1", azl: "3"}
rpms_repository: skiff/rpms
releases_repository: skiff/releases
images:
  - name: base
    repository: skiff/base
    definition: imageconfigs/base.json
toolchain:
  lock: toolchain.lock
  seeds: [bash, gcc]
"""


def edited(old: str, new: str) -> str:
    assert old in LINES
    return LINES.replace(old, new)


def refused(old: str, new: str) -> Misconfigured:
    with pytest.raises(Misconfigured) as caught:
        parse_distro(edited(old, new))
    return caught.value


def test_reads_a_distribution() -> None:
    distro = parse_distro(LINES)
    assert (distro.name, distro.version, distro.dist, distro.arches) == ("skiff", "1.0", ".sk1", ("x86_64",))
    assert distro.channels == ("edge", "beta", "stable")
    assert distro.images == (ImageEntry(name="base", repository="skiff/base", definition="imageconfigs/base.json"),)
    assert (distro.toolchain.seeds, distro.toolchain.baseurl) == (("bash", "gcc"), None)
    assert dict(distro.defines) == {"azl": "3", "with_check": "1"}


def test_reads_a_toolchain_from_a_repository() -> None:
    repository = "repository: {baseurl: 'https://packages.example/3.0', packages: [gcc]}"
    toolchain = parse_distro(edited("seeds: [bash, gcc]", repository)).toolchain
    assert (toolchain.baseurl, toolchain.packages, toolchain.seeds) == ("https://packages.example/3.0", ("gcc",), ())


def test_finds_macro_files_in_the_order_of_the_list_then_by_name() -> None:
    paths = ["other/macros.late", "SPECS/macros/macros.b", "SPECS/macros/macros.a", "SPECS/macros/sub/macros.c", "x"]
    expected = ("SPECS/macros/macros.a", "SPECS/macros/macros.b", "other/macros.late")
    assert parse_distro(LINES).macro_paths(paths) == expected


def test_refuses_a_pattern_of_macro_files_that_finds_nothing() -> None:
    with pytest.raises(Misconfigured, match=r"other/macros\.late"):
        parse_distro(LINES).macro_paths(["SPECS/macros/macros.a"])


def test_finds_lua_modules_like_macro_files_and_counts_them_for_the_macro_set() -> None:
    text = edited("defines:", "lua_modules: [SPECS/macros/*.lua]\nversion_macros: azl\ndefines:")
    distro = parse_distro(text)
    blobs = {"SPECS/macros/macros.a": "1", "other/macros.late": "3", "SPECS/macros/b.lua": "4"}
    assert distro.lua_paths(blobs) == ("SPECS/macros/b.lua",)
    assert distro.version_macros == "azl"
    assert distro.macros_digest(blobs) != distro.macros_digest({**blobs, "SPECS/macros/b.lua": "5"})
    with pytest.raises(Misconfigured, match="a Lua module of macros is not in the tree"):
        distro.lua_paths(["SPECS/macros/macros.a"])


def test_the_digest_of_the_macro_set_follows_contents_definitions_and_order() -> None:
    blobs = {
        "SPECS/macros/macros.a": "1",
        "SPECS/macros/macros.b": "2",
        "other/macros.late": "3",
        "SPECS/x/x.spec": "4",
    }
    digest = parse_distro(LINES).macros_digest(blobs)
    assert parse_distro(LINES).macros_digest({**blobs, "SPECS/x/x.spec": "5"}) == digest
    others = [
        parse_distro(LINES).macros_digest({**blobs, "other/macros.late": "9"}),
        parse_distro(LINES).macros_digest({**blobs, "SPECS/macros/macros.a": "2", "SPECS/macros/macros.b": "1"}),
        parse_distro(edited(".sk1", ".sk2")).macros_digest(blobs),
        parse_distro(edited("vendor: Skiff", "vendor: Other")).macros_digest(blobs),
        parse_distro(edited('azl: "3"', 'azl: "4"')).macros_digest(blobs),
    ]
    assert len({digest, *others}) == 6


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("SPECS/zlib/zlib.spec", True),
        ("SPECS-EXTENDED/zlib/other.spec", True),
        ("SPECS/zlib/zlib.patch", False),
        ("SPECS/zlib/deep/zlib.spec", False),
        ("SPECS/zlib.spec", False),
        ("SPECS-SIGNED/zlib/zlib.spec", False),
    ],
)
def test_knows_a_spec_by_its_place(path: str, answer: bool) -> None:
    assert parse_distro(LINES).is_spec(path) is answer


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('version: "1.0"', "version: 1.0", 3),
        ("dist: .sk1", "dist: sk1", 4),
        ("title: Skiff Linux", 'title: "a\\nb"', 2),
        ("title: Skiff Linux", "title: $(id)", 2),
        ("identity: https://slipway.example/skiff", "identity: https://slipway.example/", 8),
        ("identity: https://slipway.example/skiff", "identity: http://slipway.example", 8),
        ("[x86_64]", "[amd64]", 9),
        ("[x86_64]", "[]", 9),
        ("channels_branch: channels", "channels_branch: stable", 1),
        ("[edge, beta, stable]", "[edge, beta, edge]", 12),
        ("[SPECS, SPECS-EXTENDED]", "[]", 13),
        ("[edge, beta, stable]", "[]", 12),
        ("[SPECS, SPECS-EXTENDED]", "[../SPECS]", 13),
        ("[SPECS, SPECS-EXTENDED]", "[/SPECS]", 13),
        ("[SPECS, SPECS-EXTENDED]", "[SPECS/]", 13),
        ("{with_check:", "{x:", 15),
        ("skiff/rpms", "Skiff/rpms", 16),
        ("definition: imageconfigs/base.json", "definition: a/../../b", 21),
        ("seeds: [bash, gcc]", "seeds: []", 22),
        ("seeds: [bash, gcc]", "seeds: bash", 24),
    ],
)
def test_names_the_line_of_a_wrong_value(old: str, new: str, line: int) -> None:
    assert refused(old, new).where == f"distro.yaml:{line}"


def test_refuses_two_origins_of_the_toolchain() -> None:
    error = refused("  seeds", "  repository: {baseurl: 'https://a.example/r', packages: [gcc]}\n  seeds")
    assert error.expected == "exactly one of seeds and repository"


def test_refuses_a_repository_of_which_nothing_is_wanted() -> None:
    error = refused("seeds: [bash, gcc]", "repository: {baseurl: 'https://a.example/r', packages: []}")
    assert error.message == "wrong value of 'toolchain.repository.packages'"


def test_refuses_two_images_of_one_name() -> None:
    error = refused("toolchain:", "  - {name: base, repository: a, definition: b}\ntoolchain:")
    assert (error.where, error.expected) == ("distro.yaml:18", "each one once")


def test_meets_a_typing_error_with_the_right_word() -> None:
    error = refused("channels_branch:", "channel_branch:")
    assert "unknown key 'channel_branch'" in str(error)
    assert "did you mean 'channels_branch'?" in str(error)
    assert "missing key 'channels_branch'" in str(error)


def test_a_distribution_cannot_be_changed() -> None:
    distro: Distro = parse_distro(LINES)
    with pytest.raises(TypeError):
        distro.defines["x"] = "y"  # type: ignore[index]
