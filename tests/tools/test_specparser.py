"""Specs read by a real rpm in real sealed places: the facts, what is remembered, and the mistakes of honest people."""

from __future__ import annotations

import tarfile
import time
from pathlib import Path

import pytest

from release.errors import Broken, Refused
from release.tools.container_place import InContainer
from release.tools.containers import Containers
from release.tools.specparser import Parsed
from tests.tools.spec_tree import SPEC, Counting, Tree, containers, image, place, root_tar, tree

__all__ = ["containers", "image", "place", "root_tar", "tree"]  # fixtures
pytestmark = pytest.mark.integration
MORE = """\
Epoch: 1
Source0: https://one.example/%{name}-%{version}.tar.gz
Source1: https://one.example/v1.tar.gz#/other-%{version}.tar.gz
Source2: local.conf
Patch1: second.patch
Patch0: https://one.example/first.patch
BuildRequires: gcc, make >= 4
BuildRequires: (clang or gcc)
BuildRequires: gcc
Requires: base%{?_isa} >= %{version}
Provides: uno = %{version}
%package devel
Summary: Headers
Requires: %{name}%{?_isa} = %{epoch}:%{version}-%{release}
%description devel
Headers.
%package ghost
Summary: Has no files, so it is not made
%description ghost
None.
%files devel
%{_libdir}/pkgconfig/one.pc
%{_includedir}/*.h
%dir /usr/share/one
"""


PINS = ("one-1.3.tar.gz", "other-1.3.tar.gz", "first.patch")


def full(tree: Tree, name: str = "one") -> str:
    """A spec that says everything, with its local files and pins."""
    for file in ("local.conf", "second.patch"):
        tree.write(f"SPECS/{name}/{file}", "x")
    tree.pin(name, *(each.replace("one-", f"{name}-") for each in PINS))
    return tree.add(name, MORE)


async def test_reads_what_a_spec_says(tree: Tree) -> None:
    read = await tree.package(full(tree))
    assert (read.name, read.evr) == ("one", "1:1.3-2.sk1")
    assert (read.summary, read.license, read.url) == ("One", "MIT", "https://one.example")
    assert read.description == "Some words."
    assert [(each.file, each.url) for each in read.sources] == [
        ("one-1.3.tar.gz", "https://one.example/one-1.3.tar.gz"),
        ("other-1.3.tar.gz", "https://one.example/v1.tar.gz"),
        ("local.conf", None),
    ]
    assert [each.file for each in read.patches] == ["first.patch", "second.patch"]
    assert read.files == ("SPECS/one/local.conf", "SPECS/one/one.spec", "SPECS/one/second.patch")
    assert read.build_requires == ("(clang or gcc)", "gcc", "make >= 4")
    assert read.lines == {"gcc": 13, "make >= 4": 13, "(clang or gcc)": 14}


async def test_dates_a_spec_by_its_newest_changelog_entry(tree: Tree) -> None:
    log = "* Fri Jan 02 2026 A <a@one.example> - 2\n- b\n\n* Thu Jan 01 2026 A <a@one.example> - 1\n- a\n"
    dated = tree.add("one", text=f"{SPEC.format(name='one', more='')}%changelog\n{log}")
    assert (await tree.package(dated)).epoch == 1767355200 - 36 * 3600  # rpm reads a date as noon
    assert (await tree.package(tree.add("two"))).epoch == 315532800


async def test_reads_the_binary_packages_that_have_files(tree: Tree) -> None:
    one, devel = (await tree.package(full(tree))).binaries
    assert (one.name, one.evr) == ("one", "1:1.3-2.sk1")
    assert one.provides == ("one = 1:1.3-2.sk1", "one(x86-64) = 1:1.3-2.sk1", "uno = 1.3")
    assert one.requires == ("base(x86-64) >= 1.3",)
    assert one.files == ("/usr/bin/one",)
    assert devel.requires == ("one(x86-64) = 1:1.3-2.sk1",)
    assert devel.files == ("/usr/lib64/pkgconfig/one.pc",)


async def test_a_list_of_files_without_even_an_empty_line_makes_a_package(tree: Tree) -> None:
    sections = "".join(f"%package {name}\nSummary: x\n%description {name}\nx\n" for name in ("none", "meta", "-n own"))
    lists = "%files meta\n%FILES -f list -n own\n%files\n%files other -f list\n%changelog\n"
    sections += "%package other\nSummary: x\n%description other\nx\n"
    text = SPEC.format(name="one", more="").replace("%files\n/usr/bin/one\n", sections + lists)
    package = await tree.package(tree.add("one", text=text))
    assert [each.name for each in package.binaries] == ["one", "one-meta", "own", "one-other"]


async def test_a_path_that_no_file_should_have_refuses_its_spec_alone(tree: Tree) -> None:
    tree.write("SPECS/new\nline/one.spec", SPEC.format(name="one", more=""))
    tree.specs.append("SPECS/new\nline/one.spec")
    tree.version_prefix = "sk"
    good = tree.add("two")
    parsed = await tree.parse()
    assert list(parsed.packages) == [good]
    assert parsed.failed["SPECS/new\nline/one.spec"].message == "not a path inside the tree"


async def test_what_a_spec_says_in_a_refusal_is_told_once_and_cannot_steer_a_terminal(tree: Tree) -> None:
    bad = tree.add("one", "%(echo oops >&2; echo oops >&2)\nL\x1b[31mycense: MIT")
    told = str((await tree.parse()).failed[bad].got)
    assert "L?[31mycense" in told and told.isprintable() is ("\n" not in told)
    assert told.count("oops") == 1


async def test_reads_for_the_architecture_it_is_asked_for(tree: Tree) -> None:
    path = tree.add("one", "%ifarch aarch64\nBuildRequires: only-arm\n%endif")
    assert (await tree.package(path, arch="aarch64")).build_requires == ("only-arm",)
    assert (await tree.package(path, arch="x86_64")).build_requires == ()


async def test_macro_files_come_after_rpms_own_and_definitions_after_them(tree: Tree) -> None:
    (tree.folder / "macros").mkdir()
    (tree.folder / "macros/one").write_text("%_bindir /own/bin\n%flavour sour\n%dist .file\n")
    (tree.folder / "macros/two").write_text("%flavour sweet\n")
    tree.macro_files = ("macros/one", "macros/two")
    path = tree.add("one", "Requires: taste(%{flavour}), %{_bindir}/x")
    assert await tree.requires(path) == ("/own/bin/x", "taste(sweet)")
    assert (await tree.package(path)).evr == "1.3-2.sk1"


async def test_a_spec_may_read_the_other_files_of_its_folder(tree: Tree) -> None:
    path = tree.add("one", "Source7: more.inc\n%include %{SOURCE7}")
    (tree.folder / "SPECS/one/more.inc").write_text("BuildRequires: included\n")
    assert (await tree.package(path)).build_requires == ("included",)


async def test_tells_the_specs_of_one_folder_apart(tree: Tree) -> None:
    path = tree.add("one")
    other = "SPECS/one/other.spec"
    (tree.folder / other).write_text(SPEC.format(name="other", more=""))
    tree.specs.append(other)
    for _ in range(2):
        assert (await tree.package(path)).name == "one"
        assert (await tree.package(other)).name == "other"


async def test_what_one_spec_defines_is_unknown_to_the_next(tree: Tree) -> None:
    tree.add("aaa", "%global leaked yes")
    path = tree.add("bbb", "Requires: leaked-%{?leaked}%{!?leaked:no}")
    assert await tree.requires(path) == ("leaked-no",)


async def test_bytes_that_are_no_utf_8_are_refused_in_rpms_own_words(tree: Tree) -> None:
    tree.add("one", text=SPEC.format(name="one", more="").encode().replace(b"Some words", b"M\xfcll"))
    assert "invalid utf-8 encoding in Description: M\ufffdll" in str(await tree.refusal())


async def test_a_broken_spec_is_named_with_its_line_and_stops_nobody(tree: Tree) -> None:
    tree.add("bad", "Lycense: MIT")
    tree.add("worse", "%if 1")
    tree.add("good")
    parsed = await tree.parse()
    assert set(parsed.packages) == {"SPECS/good/good.spec"}
    bad, worse = parsed.failures
    assert (bad.where, bad.got) == ("SPECS/bad/bad.spec:7", "error: line 7: Unknown tag: Lycense: MIT")
    assert bad.hint == "see what rpm sees: rpmspec -P SPECS/bad/bad.spec"
    assert worse.got is not None
    assert "Unclosed %if" in worse.got


async def test_reads_nothing_twice(tree: Tree) -> None:
    for name in ("one", "two"):
        tree.add(name)
    first = await tree.parse()
    assert await tree.parse() == first
    assert tree.place.asked == list(tree.specs)


async def test_reads_again_only_the_folder_that_changed(tree: Tree) -> None:
    for name in ("one", "two"):
        tree.add(name)
    await tree.parse()
    path = tree.add("two", "BuildRequires: new")
    assert (await tree.package(path)).build_requires == ("new",)
    assert tree.place.asked == [*tree.specs, path]


async def test_reads_everything_again_when_a_macro_changes(tree: Tree) -> None:
    (tree.folder / "macros").write_text("%flavour sour\n")
    tree.macro_files = ("macros",)
    path = tree.add("one", "Requires: %{flavour}")
    assert (await tree.package(path)).evr == "1.3-2.sk1"
    tree.macros["dist"] = ".sk2"
    assert (await tree.package(path)).evr == "1.3-2.sk2"
    (tree.folder / "macros").write_text("%flavour sweet\n")
    assert await tree.requires(path) == ("sweet",)


async def test_a_failure_is_not_remembered(tree: Tree) -> None:
    tree.add("bad", "Lycense: MIT")
    await tree.parse()
    await tree.parse()
    assert tree.place.asked == ["SPECS/bad/bad.spec"] * 2


async def test_an_empty_order_starts_no_reader(tree: Tree) -> None:
    assert await tree.parse() == Parsed(packages={}, failed={}, common_macros="")
    assert tree.place.runs == 0


async def test_a_macro_file_that_does_not_load_refuses_the_order(tree: Tree) -> None:
    tree.add("one")
    tree.macro_files = ("macros",)
    (tree.folder / "macros").write_text("%broken %{lua: error('no')\n%{broken}\n")
    with pytest.raises(Refused, match="the macros of the tree do not load"):
        await tree.parse()


async def test_says_what_the_toolchain_lacks(tmp_path: Path, containers: Containers, root_tar: Path) -> None:
    without = tmp_path / "without.tar"
    with tarfile.open(root_tar) as whole, tarfile.open(without, "w") as out:
        for member in whole:
            if "/rpm/__init__.py" not in member.name:
                out.addfile(member, whole.extractfile(member) if member.isreg() else None)
    image = "slipway-test-without-rpm:1"
    await containers.import_root(without, image)
    tree = Tree(tmp_path, Counting(InContainer(containers, image)))
    tree.add("one")
    with pytest.raises(Broken, match="rpm's Python bindings"):
        await tree.parse()


async def test_reads_a_hundred_specs_in_seconds(tree: Tree) -> None:
    for number in range(120):
        full(tree, f"p{number}")
    began = time.monotonic()
    parsed = await tree.parse()
    assert len(parsed.packages) == 120
    assert time.monotonic() - began < 20
    began = time.monotonic()
    await tree.parse()
    assert time.monotonic() - began < 0.5


async def test_the_spec_of_the_macros_is_read_like_any_other(tree: Tree) -> None:
    tree.write("SPECS/macros/own", "%flavour sweet\n")
    tree.macro_files = ("SPECS/macros/own",)
    path = tree.add("macros", "Source0: own\nRequires: %{flavour}-%(cat %{SOURCE0} | cut -c 2-4)")
    assert await tree.requires(path) == ("sweet-fla",)
