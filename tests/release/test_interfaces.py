"""The two digests as laws: order says nothing, what counts counts, and words are found exactly when a digest moved."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from release.digests import digest_of
from release.errors import Refused
from release.interfaces.file_rules import FileKind
from release.interfaces.interface_dependencies import observable, own_releases, shippable, without_symbol_versions
from release.interfaces.interface_differences import differences, product_differences
from release.interfaces.interfaces import (
    BinaryInterface,
    FileEntry,
    as_binary,
    chosen_by,
    first_build,
    from_bytes,
    to_bytes,
)
from release.product.builds import Build
from release.product.standing import Standing, choices
from release.source.rebuild_suffix import suffixed

WORDS = st.text("abc/", min_size=1, max_size=6)
ENTRIES = st.builds(
    FileEntry,
    kind=st.sampled_from(FileKind),
    attributes=st.sampled_from(["100644 root root", "100755 root root"]),
    flags=st.sampled_from([0, 17]),
    content=WORDS,
).map(lambda entry: entry._replace(exports=entry.content[:1]))  # equal content exports equal things
FILES = st.dictionaries(
    st.text("ab", min_size=1, max_size=4).map("/{}".format),
    st.dictionaries(st.text("xyz", min_size=1), ENTRIES, max_size=3),
)
TEXTS = st.lists(WORDS.map("cap-{}".format), max_size=4, unique=True).map(tuple)
INTERFACES = st.builds(
    BinaryInterface,
    name=st.just("keel"),
    epoch=st.integers(0, 1),
    version=st.just("1.2"),
    release=st.sampled_from(["1.azl3", "1.azl3^1", "2.azl3"]),
    arch=st.just("x86_64"),
    file=st.just("keel.rpm"),
    source=st.just("keel-1.2-1.azl3.src.rpm"),
    provides=TEXTS,
    requires=TEXTS,
    conflicts=TEXTS,
    obsoletes=TEXTS,
    weak=TEXTS,
    texts=st.dictionaries(st.just("summary"), WORDS),
    scripts=st.dictionaries(st.sampled_from(["post", "preun"]), WORDS),
    files=FILES,
    libraries=st.dictionaries(WORDS, TEXTS, max_size=2),
)
KEEL = BinaryInterface(
    name="keel",
    epoch=2,
    version="1.2",
    release="1.azl3^4",
    arch="x86_64",
    file="keel-1.2-1.azl3^4.x86_64.rpm",
    source="keel-1.2-1.azl3^4.src.rpm",
    provides=("keel = 2:1.2-1.azl3^4", "libkeel.so.1()(64bit)"),
    requires=("libc.so.6(GLIBC_2.34)(64bit)", "rope >= 3"),
    files={"/usr/include": {"keel.h": FileEntry(kind=FileKind.HEADER, attributes="100644 root root", content="c")}},
)


@given(package=INTERFACES, data=st.data())
def test_order_changes_no_digest_and_no_record(package: BinaryInterface, data: st.DataObject) -> None:
    def shuffled(each: Any) -> Any:
        return dict(data.draw(st.permutations(list(each.items()))))

    other = replace(
        package,
        provides=tuple(data.draw(st.permutations(package.provides))),
        requires=tuple(data.draw(st.permutations(package.requires))),
        weak=tuple(data.draw(st.permutations(package.weak))),
        files={folder: shuffled(names) for folder, names in shuffled(package.files).items()},
    )
    assert (other.digest, other.product) == (package.digest, package.product)
    assert to_bytes([replace(other, provides=package.provides, requires=package.requires, weak=package.weak)]) == (
        to_bytes([package])
    )


@given(one=INTERFACES, two=INTERFACES)
def test_words_are_found_exactly_when_a_digest_moved(one: BinaryInterface, two: BinaryInterface) -> None:
    assert bool(differences([one], [two])) is (one.digest != two.digest)
    assert bool(product_differences([one], [two])) is (one.product != two.product)


@given(package=INTERFACES)
def test_a_record_is_read_back_as_it_was(package: BinaryInterface) -> None:
    assert from_bytes(to_bytes([package])) == (package,)


@given(one=INTERFACES, two=INTERFACES)
def test_where_the_product_is_equal_no_dependent_saw_a_difference(one: BinaryInterface, two: BinaryInterface) -> None:
    """Then the published RPMs are kept, so that this must hold."""
    same_release = replace(two, release=one.release)
    if one.product == same_release.product:
        assert one.digest == same_release.digest


def test_keys_of_a_newer_slipway_survive() -> None:
    document = json.loads(to_bytes([KEEL]))
    document["packages"][0]["colour"] = {"of": "the hull"}
    (read,) = from_bytes(json.dumps(document).encode())
    assert json.loads(to_bytes([read]))["packages"][0]["colour"] == {"of": "the hull"}
    assert read.digest == KEEL.digest


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"packages": [{"name": "x"}]}', b'{"packages": 3}'])
def test_what_is_no_record_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused, match="record of interfaces"):
        from_bytes(raw)


def test_the_resolver_gets_the_real_versions_and_paths() -> None:
    binary = as_binary(KEEL)
    assert (binary.name, binary.evr) == ("keel", "2:1.2-1.azl3^4")
    assert "keel = 2:1.2-1.azl3^4" in binary.provides
    assert binary.files == ("/usr/include/keel.h",)


def test_a_new_scheme_makes_another_digest() -> None:
    newer = replace(KEEL, scheme=KEEL.scheme + 1)
    assert newer.digest != KEEL.digest
    assert "other rules" in differences([KEEL], [newer])[0]


def test_packages_that_come_and_go_are_named() -> None:
    other = replace(KEEL, name="hull")
    assert differences([KEEL], [KEEL, other]) == ("hull: the package is new (x86_64)",)
    assert product_differences([KEEL, other], [KEEL]) == ("hull: the package is gone (x86_64)",)


def test_our_own_version_counts_without_release_and_others_whole() -> None:
    own = ("2.azl3^3",)
    texts = ["keel = 1.2-2.azl3^3", "keel(x86-64) = 4:1.2-2.azl3^3", "rope = 1.2-2.azl3", "rope >= 2.azl3^3", "x"]
    assert observable(texts, own) == [
        "keel = 1.2",
        "keel(x86-64) = 4:1.2",
        "rope = 1.2-2.azl3",
        "rope >= 2.azl3^3",
        "x",
    ]
    assert shippable(texts, own)[:2] == ["keel = 1.2-2.azl3", "keel(x86-64) = 4:1.2-2.azl3"]


def test_our_own_version_is_found_in_rich_dependencies() -> None:
    assert observable(["(keel = 1.2-3 if (hull or keel-libs = 1.2-3))"], ["3"]) == [
        "(keel = 1.2 if (hull or keel-libs = 1.2))"
    ]


def test_a_subpackage_with_a_version_of_its_own_knows_the_release_of_its_source() -> None:
    own = own_releases("490.azl3", "perl-5.38.2-2.azl3^1.src.rpm")
    assert own == ("490.azl3", "2.azl3^1")
    assert observable(["perl-libs = 4:5.38.2-2.azl3^1"], own) == ["perl-libs = 4:5.38.2"]


def test_capabilities_of_rpm_and_of_one_build_never_count() -> None:
    texts = ["rpmlib(FileDigests) <= 4.6.0-1", "debuginfo(build-id) = 00ff", "elf(buildid) = 00ff"]
    texts += ["libkeel.so.1-1-1.azl3^1.x86_64.debug()(64bit)"]
    assert observable(texts, ["1"]) == shippable(texts, ["1"]) == []


def test_a_requirement_of_a_symbol_version_is_one_of_its_library() -> None:
    texts = ["libc.so.6(GLIBC_2.34)(64bit)", "libc.so.6()(64bit)", "libz.so.1(ZLIB_1.2)", "perl(Carp)", "/bin/sh"]
    assert without_symbol_versions(texts) == ["/bin/sh", "libc.so.6()(64bit)", "libz.so.1()", "perl(Carp)"]


@given(count=st.integers(0, 30))
def test_paths_with_our_version_are_those_of_the_first_build(count: int) -> None:
    release = suffixed("2.azl3", count)
    path = "/usr/lib/debug/usr/bin/keel-1.2-{}.x86_64.debug"
    assert first_build(path.format(release), "1.2", release) == path.format("2.azl3")


@pytest.mark.parametrize(
    ("word", "value", "chosen"),
    [
        ("provides", ("keel = 3",), True),
        ("requires", ("rope >= 4",), True),
        ("obsoletes", ("raft",), True),
        ("files", {"/usr/bin": {"keel": FileEntry(kind=FileKind.EXECUTABLE, attributes="100755 root root")}}, True),
        ("files", {"/usr/include": {"keel.h": KEEL.files["/usr/include"]["keel.h"]._replace(content="d")}}, False),
        ("release", "1.azl3^5", False),
    ],
)
def test_what_a_resolver_looks_at_is_not_what_a_package_holds(word: str, value: Any, chosen: bool) -> None:
    other = replace(KEEL, **{word: value})
    assert (chosen_by(other) != chosen_by(KEEL)) is chosen


def test_only_a_package_that_is_resolved_otherwise_may_be_chosen_now() -> None:
    build = Build(package="keel", evr="1.2-1", arch="x86_64", key=digest_of(b"key"), rpms=())
    before, same, other = (
        Standing(build=build, manifest=digest_of(b"manifest"), interfaces=(each,), consumed=())
        for each in (KEEL, replace(KEEL, texts={"summary": "s"}), replace(KEEL, obsoletes=("raft",)))
    )
    assert choices({"keel", "raft"}, [before], [same]) == frozenset()
    assert choices({"keel", "raft"}, [before], [other]) == {"keel"}
    assert choices({"raft"}, [before], [other]) == frozenset()
