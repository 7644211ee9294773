"""Specs read by a real rpm in a real container: the facts, the cache, and every way to be nasty."""

from __future__ import annotations

import json
import tarfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from release.digests import digest_of
from release.errors import Broken, Misconfigured, Refused
from release.tools.containers import Containers
from release.tools.sealed import Ended, Sealed
from release.tools.specparser import Parsed, ParseOrder, SpecParser
from tests.tools.parser_root import write_parser_root

pytestmark = pytest.mark.integration
SPEC = """\
Name: {name}
Version: 1.3
Release: 2%{{?dist}}
Summary: One
License: MIT
URL: https://one.example
{more}
%description
Some words.
%files
/usr/bin/{name}
"""
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


class Counting(Containers):
    """Real containers that note which specs they were asked to read."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.asked: list[str] = []

    async def run(self, sealed: Sealed) -> Ended:
        self.asked += json.loads((sealed.reads["/slipway"] / "request.json").read_text())["specs"]
        return await super().run(sealed)


@pytest.fixture(scope="module")
def root_tar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tar = tmp_path_factory.mktemp("root") / "root.tar"
    write_parser_root(tar)
    return tar.rename(tar.with_stem(digest_of(tar.read_bytes()).removeprefix("sha256:")))


@pytest.fixture
async def containers(docker_url: str) -> AsyncIterator[Counting]:
    made = Counting(docker_url)
    yield made
    made.close()


@pytest.fixture
async def image(containers: Counting, root_tar: Path) -> str:
    name = f"slipway-test-parser:{root_tar.stem}"
    if not await containers.has_image(name):
        await containers.import_root(root_tar, name)
    return name


class Tree:
    """A checked-out tree under test, and a parser for it."""

    def __init__(self, folder: Path, containers: Counting, image: str) -> None:
        self.folder = folder / "tree"
        self.folder.mkdir(mode=0o700)
        self.containers = containers
        self.image = image
        self.cache = folder / "cache"
        self.macros: dict[str, str] = {"dist": ".sk1"}
        self.macro_files: tuple[str, ...] = ()
        self.specs: dict[str, str] = {}

    def add(self, name: str, more: str = "", *, text: str | bytes | None = None) -> str:
        path = f"SPECS/{name}/{name}.spec"
        raw = SPEC.format(name=name, more=more) if text is None else text
        content = raw if isinstance(raw, bytes) else raw.encode()
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_bytes(content)
        self.specs[path] = digest_of(content)
        return path

    async def parse(self, *, arch: str = "x86_64", seconds: int = 10) -> Parsed:
        parser = SpecParser(containers=self.containers, cache=self.cache, seconds=seconds)
        order = ParseOrder(
            tree=self.folder,
            specs=self.specs,
            macro_files=self.macro_files,
            macros=self.macros,
            image=self.image,
            arch=arch,
        )
        return await parser.parse(order)

    async def facts(self, path: str, *, arch: str = "x86_64") -> Mapping[str, Any]:
        parsed = await self.parse(arch=arch)
        assert parsed.failures == ()
        read: Mapping[str, Any] = json.loads(parsed.facts[path])
        return read

    async def refusal(self, **arguments: Any) -> Refused:
        (failure,) = (await self.parse(**arguments)).failures
        return failure


@pytest.fixture
def tree(tmp_path: Path, containers: Counting, image: str) -> Tree:
    return Tree(tmp_path, containers, image)


async def test_reads_what_a_spec_says(tree: Tree) -> None:
    facts = await tree.facts(tree.add("one", MORE))
    assert (facts["name"], facts["evr"]) == ("one", "1:1.3-2.sk1")
    assert (facts["summary"], facts["license"], facts["url"]) == ("One", "MIT", "https://one.example")
    assert facts["description"] == "Some words."
    assert facts["sources"] == [
        "https://one.example/one-1.3.tar.gz", "https://one.example/v1.tar.gz#/other-1.3.tar.gz", "local.conf",
    ]  # fmt: skip
    assert facts["patches"] == ["https://one.example/first.patch", "second.patch"]
    assert facts["build_requires"] == ["(clang or gcc)", "gcc", "make >= 4"]
    assert facts["lines"] == {"gcc": 13, "make >= 4": 13, "(clang or gcc)": 14}


async def test_reads_the_binary_packages_that_have_files(tree: Tree) -> None:
    one, devel = (await tree.facts(tree.add("one", MORE)))["binaries"]
    assert (one["name"], one["evr"]) == ("one", "1:1.3-2.sk1")
    assert one["provides"] == ["one = 1:1.3-2.sk1", "one(x86-64) = 1:1.3-2.sk1", "uno = 1.3"]
    assert one["requires"] == ["base(x86-64) >= 1.3"]
    assert one["files"] == ["/usr/bin/one"]
    assert devel["requires"] == ["one(x86-64) = 1:1.3-2.sk1"]
    assert devel["files"] == ["/usr/lib64/pkgconfig/one.pc"]


async def test_reads_for_the_architecture_it_is_asked_for(tree: Tree) -> None:
    path = tree.add("one", "%ifarch aarch64\nBuildRequires: only-arm\n%endif")
    assert (await tree.facts(path, arch="aarch64"))["build_requires"] == ["only-arm"]
    assert (await tree.facts(path, arch="x86_64"))["build_requires"] == []


async def test_macro_files_come_after_rpms_own_and_definitions_after_them(tree: Tree) -> None:
    (tree.folder / "macros").mkdir()
    (tree.folder / "macros/one").write_text("%_bindir /own/bin\n%flavour sour\n%dist .file\n")
    (tree.folder / "macros/two").write_text("%flavour sweet\n")
    tree.macro_files = ("macros/one", "macros/two")
    facts = await tree.facts(tree.add("one", "Requires: taste(%{flavour}), %{_bindir}/x"))
    assert facts["binaries"][0]["requires"] == ["/own/bin/x", "taste(sweet)"]
    assert facts["evr"] == "1.3-2.sk1"


async def test_a_spec_may_read_the_other_files_of_its_folder(tree: Tree) -> None:
    path = tree.add("one", "Source7: more.inc\n%include %{SOURCE7}")
    (tree.folder / "SPECS/one/more.inc").write_text("BuildRequires: included\n")
    assert (await tree.facts(path))["build_requires"] == ["included"]


async def test_what_one_spec_defines_is_unknown_to_the_next(tree: Tree) -> None:
    tree.add("aaa", "%global leaked yes")
    path = tree.add("bbb", "Requires: leaked-%{?leaked}%{!?leaked:no}")
    assert (await tree.facts(path))["binaries"][0]["requires"] == ["leaked-no"]


async def test_bytes_that_are_no_utf_8_are_refused_in_rpms_own_words(tree: Tree) -> None:
    tree.add("one", text=SPEC.format(name="one", more="").encode().replace(b"Some words", b"M\xfcll"))
    assert "invalid utf-8 encoding in Description: M\ufffdll" in str(await tree.refusal())


async def test_a_broken_spec_is_named_with_its_line_and_stops_nobody(tree: Tree) -> None:
    tree.add("bad", "Lycense: MIT")
    tree.add("worse", "%if 1")
    tree.add("good")
    parsed = await tree.parse()
    assert set(parsed.facts) == {"SPECS/good/good.spec"}
    bad, worse = parsed.failures
    assert (bad.where, bad.got) == ("SPECS/bad/bad.spec:7", "error: line 7: Unknown tag: Lycense: MIT")
    assert bad.hint == "see what rpm sees: rpmspec -P SPECS/bad/bad.spec"
    assert worse.got is not None
    assert "Unclosed %if" in worse.got


async def test_a_spec_that_is_not_there_is_a_failure_like_any_other(tree: Tree) -> None:
    tree.specs["SPECS/gone/gone.spec"] = "t"
    assert "No such file" in str(await tree.refusal())


async def test_reads_nothing_twice(tree: Tree) -> None:
    for name in ("one", "two"):
        tree.add(name)
    first = await tree.parse()
    assert await tree.parse() == first
    assert tree.containers.asked == list(tree.specs)


async def test_reads_again_only_the_folder_that_changed(tree: Tree) -> None:
    for name in ("one", "two"):
        tree.add(name)
    await tree.parse()
    path = tree.add("two", "BuildRequires: new")
    assert (await tree.facts(path))["build_requires"] == ["new"]
    assert tree.containers.asked == [*tree.specs, path]


async def test_reads_everything_again_when_a_macro_changes(tree: Tree) -> None:
    (tree.folder / "macros").write_text("%flavour sour\n")
    tree.macro_files = ("macros",)
    path = tree.add("one", "Requires: %{flavour}")
    assert (await tree.facts(path))["evr"] == "1.3-2.sk1"
    tree.macros["dist"] = ".sk2"
    assert (await tree.facts(path))["evr"] == "1.3-2.sk2"
    (tree.folder / "macros").write_text("%flavour sweet\n")
    assert (await tree.facts(path))["binaries"][0]["requires"] == ["sweet"]


async def test_a_failure_is_not_remembered(tree: Tree) -> None:
    tree.add("bad", "Lycense: MIT")
    await tree.parse()
    await tree.parse()
    assert tree.containers.asked == ["SPECS/bad/bad.spec"] * 2


async def test_an_empty_order_starts_no_container(tree: Tree) -> None:
    assert await tree.parse() == Parsed(facts={}, failures=())
    assert tree.containers.asked == []


async def test_a_shell_escape_can_neither_write_nor_reach_a_network_nor_be_root(tree: Tree, registry_url: str) -> None:
    port = registry_url.rpartition(":")[2]
    connect = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)"
    attempts = {
        "tree": "touch /tree/SPECS/one/x && echo yes || echo no",
        "own": "touch /slipway/x && echo yes || echo no",
        "root": "touch /usr/x && echo yes || echo no",
        "file": "(echo x > /tmp/x) && cat /tmp/x || echo no",
        "net": f'python3 -c \\"{connect}\\" && echo yes || echo no',
        "uid": "id -u",
        "home": "ls ~ > /dev/null && echo yes || echo no",
        "env": "echo ${DOCKER_HOST:-none}",
    }
    more = "\n".join(f"Requires: {name}-%({command} 2>/dev/null)" for name, command in attempts.items())
    requires = (await tree.facts(tree.add("one", more.replace('\\"', '"'))))["binaries"][0]["requires"]
    expected = dict.fromkeys(attempts, "no") | {"uid": "65534", "env": "none"}
    assert set(requires) == {f"{name}-{answer}" for name, answer in expected.items()}
    assert sorted(path.name for path in tree.folder.rglob("*")) == ["SPECS", "one", "one.spec"]


async def test_a_shell_escape_cannot_answer_for_another_spec(tree: Tree) -> None:
    forged = json.dumps({"spec": "SPECS/two/two.spec", "facts": {"name": "forged"}})
    shell = f"for fd in /proc/1/fd/* /proc/$PPID/fd/*; do echo '{forged}' > $fd; done 2>/dev/null; echo done"
    tree.add("one", f"Requires: %({shell})")
    path = tree.add("two")
    assert (await tree.facts(path))["name"] == "two"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("Requires: x%{lua: while true do end}", "not parsed after 1 seconds"),
        ("Requires: x%(sleep 60)", "not parsed after 1 seconds"),
        ("%{lua: local t = {} while true do t[#t + 1] = string.rep('x', 90000000) end}", "memory"),
        ("%{lua: while true do io.stderr:write(string.rep('x', 1000000)) end}", "too much output"),
        ("%define bomb() %{bomb}%{bomb}\n%{bomb}", "recursion"),
        ("%{lua: os.exit(0)}", "exit not permitted"),
        ("Requires: x%(kill -9 $PPID)", "without a word"),
    ],
)
async def test_a_hostile_spec_is_ended_and_the_others_are_read(tree: Tree, more: str, message: str) -> None:
    tree.add("bad", more)
    path = tree.add("good")
    began = time.monotonic()
    parsed = await tree.parse(seconds=1 if "1 seconds" in message else 10)
    assert time.monotonic() - began < 10
    assert path in parsed.facts
    (failure,) = parsed.failures
    assert message in str(failure)


async def test_a_spec_above_the_size_limit_is_not_even_read(tree: Tree) -> None:
    path = tree.add("one", "#" * (5 << 20))
    assert (await tree.refusal()).message == "this spec is too large"
    assert tree.containers.asked == []
    assert path == "SPECS/one/one.spec"


async def test_a_macro_file_that_does_not_load_refuses_the_order(tree: Tree) -> None:
    tree.add("one")
    tree.macro_files = ("SPECS/one",)
    with pytest.raises(Misconfigured, match="a macro file cannot be read"):
        await tree.parse()
    tree.macro_files = ("macros",)
    (tree.folder / "macros").write_text("%broken %{lua: error('no')\n%{broken}\n")
    with pytest.raises(Refused, match="the macros of the tree do not load"):
        await tree.parse()


async def test_says_what_the_toolchain_lacks(tree: Tree, tmp_path: Path, root_tar: Path) -> None:
    without = tmp_path / "without.tar"
    with tarfile.open(root_tar) as full, tarfile.open(without, "w") as out:
        for member in full:
            if "/rpm/__init__.py" not in member.name:
                out.addfile(member, full.extractfile(member) if member.isreg() else None)
    tree.image = "slipway-test-without-rpm:1"
    await tree.containers.import_root(without, tree.image)
    tree.add("one")
    with pytest.raises(Broken, match="rpm's Python bindings"):
        await tree.parse()


async def test_reads_a_hundred_specs_in_seconds(tree: Tree) -> None:
    for number in range(120):
        tree.add(f"p{number}", MORE)
    began = time.monotonic()
    parsed = await tree.parse()
    assert len(parsed.facts) == 120
    assert time.monotonic() - began < 20
    began = time.monotonic()
    await tree.parse()
    assert time.monotonic() - began < 0.5
