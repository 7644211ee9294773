"""A tree under test in a git repository, and a parser of its specs in a real sealed place; import the fixtures."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest

from release.digests import digest_of
from release.errors import Error
from release.source.specs import Package
from release.tools.container_place import InContainer
from release.tools.containers import Containers
from release.tools.git import Repository
from release.tools.git_files import CommitFiles
from release.tools.namespaces import InNamespaces
from release.tools.places import Place
from release.tools.sealed import Ended
from release.tools.specparser import Parsed, ParseOrder, SpecParser
from tests.tools.parser_root import write_parser_root

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


class Counting:
    """A real place that notes which specs it was asked to read."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.own_user = place.own_user
        self.asked: list[str] = []
        self.runs = 0

    async def identity(self) -> str:
        return await self._place.identity()

    async def run(
        self, argv: Sequence[str], *, reads: Mapping[str, Path], environment: Mapping[str, str], seconds: float
    ) -> Ended:
        (folder,) = reads.values()
        request = json.loads((folder / Path(environment["REQUEST"]).name).read_text())
        self.asked += request["specs"]
        self.runs += 1
        return await self._place.run(argv, reads=reads, environment=environment, seconds=seconds)


@pytest.fixture(scope="module")
def root_tar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tar = tmp_path_factory.mktemp("root") / "root.tar"
    write_parser_root(tar)
    return tar.rename(tar.with_stem(digest_of(tar.read_bytes()).removeprefix("sha256:")))


@pytest.fixture
async def containers(docker_url: str) -> AsyncIterator[Containers]:
    made = Containers(docker_url)
    yield made
    made.close()


@pytest.fixture
async def image(containers: Containers, root_tar: Path) -> str:
    name = f"slipway-test-parser:{root_tar.stem}"
    if not await containers.has_image(name):
        await containers.import_root(root_tar, name)
    return name


@pytest.fixture(params=["container", "namespaces"])
def place(request: pytest.FixtureRequest) -> Counting:
    """Both places: what holds in one holds in the other."""
    if request.param == "namespaces":
        return Counting(InNamespaces())
    return Counting(InContainer(request.getfixturevalue("containers"), request.getfixturevalue("image")))


class Tree:
    """A tree under test, committed as it is for each parse."""

    def __init__(self, folder: Path, place: Counting) -> None:
        self.folder = folder / "tree"
        self.folder.mkdir(mode=0o700)
        self._git("init", "--quiet")
        self.place = place
        self.cache = folder / "cache"
        self.macros: dict[str, str] = {"dist": ".sk1"}
        self.macro_files: tuple[str, ...] = ()
        self.lua_modules: tuple[str, ...] = ()
        self.version_prefix: str | None = None
        self.specs: list[str] = []

    def add(self, name: str, more: str = "", *, text: str | bytes | None = None) -> str:
        path = f"SPECS/{name}/{name}.spec"
        raw = SPEC.format(name=name, more=more) if text is None else text
        self.write(path, raw)
        if path not in self.specs:
            self.specs.append(path)
        return path

    def write(self, path: str, content: str | bytes) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_bytes(content if isinstance(content, bytes) else content.encode())

    def pin(self, name: str, *files: str) -> None:
        """Signatures for sources that do not lie in the tree."""
        pins = {"Signatures": dict.fromkeys(files, "ab" * 32)}
        self.write(f"SPECS/{name}/{name}.signatures.json", json.dumps(pins))

    async def parse(self, *, arch: str = "x86_64", seconds: int = 10) -> Parsed:
        parser = SpecParser(place=self.place, folder=self.cache, seconds=seconds)
        order = ParseOrder(
            files=self.files(),
            specs=tuple(self.specs),
            macro_files=self.macro_files,
            macros=self.macros,
            arch=arch,
            lua_modules=self.lua_modules,
            version_prefix=self.version_prefix,
        )
        return await parser.parse(order)

    def files(self) -> CommitFiles:
        """What the tree holds now, as a commit."""
        self._git("add", "--all", "--force")
        self._git(
            "-c", "user.name=A", "-c", "user.email=a@one.example", "commit", "--quiet", "--allow-empty", "-m", "x"
        )
        repository = Repository(url=str(self.folder), mirrors=self.folder.parent / "mirrors")
        return repository.files(str(repository.head(self._git("branch", "--show-current").strip())))

    async def package(self, path: str, *, arch: str = "x86_64") -> Package:
        parsed = await self.parse(arch=arch)
        assert parsed.failures == ()
        return parsed.packages[path]

    async def requires(self, path: str) -> Sequence[str]:
        """The Requires of a spec's first package."""
        return (await self.package(path)).binaries[0].requires

    async def refusal(self, *, seconds: int = 10) -> Error:
        (failure,) = (await self.parse(seconds=seconds)).failures
        return failure

    def _git(self, *arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=self.folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def tree(tmp_path: Path, place: Counting) -> Tree:
    return Tree(tmp_path, place)
