"""A checked-out tree under test, and a parser of its specs on real containers; import the fixtures by name."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from release.digests import digest_of
from release.errors import Refused
from release.tools.containers import Containers
from release.tools.sealed import Ended, Sealed
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
