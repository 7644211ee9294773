"""Packages from the parser's facts: every source is in the tree or pinned."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from release.errors import Misconfigured, Refused
from release.source.facts import package_from_facts, package_from_record, package_to_record
from release.source.specs import Package, Source, parse_signatures, signatures_path

HASH = "ab" * 32
FACTS: dict[str, Any] = {
    "name": "zlib",
    "evr": "1:1.3-2.sk1",
    "expanded": "sha256:e",
    "elsewhere": False,
    "summary": "Compression",
    "description": "Compresses.\nWell.",
    "license": "Zlib",
    "url": "https://zlib.example",
    "changed": 1700000000,
    "sources": [
        "https://zlib.example/zlib-1.3.tar.gz",
        "https://forge.example/v1.tar.gz#/other-1.tar.gz",
        "local.conf",
    ],
    "patches": ["fix.patch"],
    "build_requires": ["gcc", "make >= 4"],
    "lines": {"gcc": 12},
    "binaries": [
        {"name": "zlib", "evr": "1:1.3-2.sk1", "provides": ["zlib = 1:1.3-2.sk1"], "requires": [], "files": []},
        {
            "name": "zlib-devel",
            "evr": "1:1.3-2.sk1",
            "provides": [],
            "requires": ["zlib = 1:1.3-2.sk1"],
            "files": ["/usr/include/zlib.h", "/usr/lib64/pkgconfig/zlib.pc", "/usr/share/pkgconfig/z2.pc", "/opt/a.pc"],
        },
    ],
}
BESIDE = ("zlib.spec", "zlib.signatures.json", "local.conf", "fix.patch", "README", "other.spec")
PINNED = {"zlib-1.3.tar.gz": HASH, "other-1.tar.gz": HASH}


def package(
    changed: Mapping[str, Any] | None = None,
    signatures: Mapping[str, str] = PINNED,
    files: Mapping[str, Mapping[str, str]] | None = None,
) -> Package:
    return package_from_facts(
        json.dumps({**FACTS, **(changed or {})}),
        spec="SPECS/zlib/zlib.spec",
        files=files or {name: {name: f"id of {name}"} for name in BESIDE},
        signatures=signatures,
    )


def test_converts_facts_into_a_package() -> None:
    read = package()
    assert (read.name, read.evr, read.folder) == ("zlib", "1:1.3-2.sk1", "SPECS/zlib")
    assert (read.summary, read.license, read.url) == ("Compression", "Zlib", "https://zlib.example")
    assert read.build_requires == ("gcc", "make >= 4")
    assert [binary.name for binary in read.binaries] == ["zlib", "zlib-devel"]
    assert read.binaries[1].requires == ("zlib = 1:1.3-2.sk1",)


def test_builds_are_dated_by_the_changelog_or_else_as_early_as_archives_can_say() -> None:
    assert package().epoch == 1700000000 - 36 * 3600  # past everywhere on the day that the entry names
    assert package({"changed": 0}).epoch == 315532800


def test_names_a_source_by_what_follows_the_last_slash() -> None:
    first, second, third = package().sources
    assert (first.file, first.url) == ("zlib-1.3.tar.gz", "https://zlib.example/zlib-1.3.tar.gz")
    assert (second.file, second.url) == ("other-1.tar.gz", "https://forge.example/v1.tar.gz")
    assert third == Source(file="local.conf", url=None, sha256=None, local=True)
    assert first.digest == f"sha256:{HASH}"
    assert third.digest is None


def test_a_build_sees_the_spec_and_its_local_sources_and_nothing_else() -> None:
    assert package().files == ("SPECS/zlib/fix.patch", "SPECS/zlib/local.conf", "SPECS/zlib/zlib.spec")
    ids = {name: {name: f"id of {name}"} for name in BESIDE}
    for name in BESIDE:
        changed = package(files={**ids, name: {name: "other"}}).content != package().content
        assert changed is (name in ("zlib.spec", "local.conf", "fix.patch")), name


def test_what_a_link_leads_to_is_seen_too() -> None:
    ids = {name: {name: f"id of {name}"} for name in BESIDE}
    linked = package(files={**ids, "local.conf": {"local.conf": "link", "sub/real.conf": "1"}})
    assert "SPECS/zlib/sub/real.conf" in linked.files
    other = package(files={**ids, "local.conf": {"local.conf": "link", "sub/real.conf": "2"}})
    assert linked.content != other.content


def test_a_record_reads_back_as_the_same_package() -> None:
    assert package_from_record(package_to_record(package())) == package()


def test_refuses_a_spec_that_makes_no_package() -> None:
    with pytest.raises(Refused, match="makes no package"):
        package({"binaries": []})


def test_pinned_are_the_sources_and_patches_outside_the_tree() -> None:
    assert [source.file for source in package().pinned] == ["zlib-1.3.tar.gz", "other-1.tar.gz"]
    remote = package({"patches": ["https://zlib.example/cve.patch"]}, {**PINNED, "cve.patch": HASH})
    assert [source.file for source in remote.pinned] == ["zlib-1.3.tar.gz", "other-1.tar.gz", "cve.patch"]


def test_keeps_the_hash_of_a_file_that_is_in_the_tree_too() -> None:
    local = package(signatures={**PINNED, "local.conf": HASH}).sources[2]
    assert (local.local, local.sha256) == (True, HASH)


def test_refuses_a_source_without_a_pinned_hash_and_shows_the_line_to_add() -> None:
    with pytest.raises(Refused) as caught:
        package(signatures={"other-1.tar.gz": HASH})
    error = caught.value
    assert error.where == "SPECS/zlib/zlib.spec"
    assert error.message == "the source zlib-1.3.tar.gz has no pinned hash"
    assert error.expected == "its sha256 in SPECS/zlib/zlib.signatures.json"
    assert error.hint is not None
    assert '"Signatures": "zlib-1.3.tar.gz": "<its sha256>"' in error.hint


def test_refuses_a_patch_that_is_nowhere_and_offers_to_commit_it() -> None:
    with pytest.raises(Refused, match=r"commit cve.patch beside the spec") as caught:
        package({"patches": ["cve.patch"]})
    assert caught.value.message == "the source cve.patch has no pinned hash"


def test_says_on_which_line_a_requirement_stands() -> None:
    assert package().where("gcc") == "SPECS/zlib/zlib.spec:12"
    assert package().where("make >= 4") == "SPECS/zlib/zlib.spec"


def test_adds_the_pkgconfig_provides_that_rpmbuild_will_find_in_the_files() -> None:
    assert package().binaries[1].provides == ("pkgconfig(zlib)", "pkgconfig(z2)")


@pytest.mark.parametrize("name", ["", "../x", "a b", "-a", "a/b", "a\n"])
def test_refuses_facts_with_a_name_that_is_none(name: str) -> None:
    with pytest.raises(Misconfigured, match="wrong value of 'name'"):
        package({"name": name})


def test_refuses_facts_of_another_shape() -> None:
    with pytest.raises(Misconfigured, match="unknown key 'extra'"):
        package({"extra": 1})
    with pytest.raises(Misconfigured, match="build_requires"):
        package({"build_requires": "gcc"})


def test_signatures_stand_beside_the_spec() -> None:
    assert signatures_path("SPECS/zlib/zlib.spec") == "SPECS/zlib/zlib.signatures.json"


@pytest.mark.parametrize("key", ["Signatures", "signatures"])
def test_reads_both_spellings_of_signatures(key: str) -> None:
    assert parse_signatures(f'{{"{key}": {{"a.tar.gz": "{HASH}"}}}}', "a.json") == {"a.tar.gz": HASH}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{\n"Signatures": {\n"a": "xyz"}}', "a.json:3: wrong value of 'Signatures.a'"),
        ('{\n"Signatures": {\n"a": 1}}', "a.json:3: wrong value"),
        ('{"Signatures": {"a": "' + HASH.upper() + '"}}', "wrong value of 'Signatures.a'"),
        ('{"Signature": {}}', "did you mean 'Signatures'"),
        ('{"Signatures": {}, "signatures": {}}', 'one key "Signatures"'),
        ("{}", 'one key "Signatures"'),
        ('{"Signatures": {"a": "' + HASH + '",\n "a": "' + HASH + '"}}', "a.json:2: duplicate key 'a'"),
    ],
)
def test_refuses_a_wrong_signatures_file(text: str, message: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        parse_signatures(text, "a.json")
    assert message in str(caught.value)
