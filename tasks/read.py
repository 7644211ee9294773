"""Reads a commit: what it holds by content, what the distribution says of itself, every spec as a source package."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from release.errors import Error, Misconfigured
from release.source.azure_linux import default_distro
from release.source.distro import DISTRO_FILE, Distro, parse_distro
from release.source.macro_files import beside, filled
from release.source.specs import Package
from release.source.toolchain import ToolchainLock, parse_lock
from release.tools.git_files import CommitFiles, write_file
from release.tools.namespaces import InNamespaces
from release.tools.specparser import Parsed, ParseOrder, SpecParser

if TYPE_CHECKING:
    from release.tools.git import Commit, Repository


class Tree:
    """A commit. Nothing is checked out: what is needed is read, or staged, out of git.

    A plain class on purpose: Prefect walks through dataclasses that it gets as parameters.
    """

    def __init__(self, commit: Commit, files: CommitFiles, distro: Distro) -> None:
        self.commit = commit
        self.files = files
        self.distro = distro

    @property
    def blobs(self) -> Mapping[str, str]:
        """Path -> git's id of the content, of every file."""
        return self.files.blobs

    @cached_property
    def specs(self) -> tuple[str, ...]:
        """Paths of the specs, sorted."""
        return tuple(sorted(path for path in self.blobs if self.distro.is_spec(path)))

    @cached_property
    def macro_files(self) -> tuple[str, ...]:
        """Paths of the macro files that every spec is read and built with, in the order of loading."""
        return self.distro.macro_paths(self.blobs)

    @cached_property
    def lua_modules(self) -> tuple[str, ...]:
        """Paths of the Lua modules that macros may require."""
        return self.distro.lua_paths(self.blobs)

    @property
    def lock(self) -> ToolchainLock:
        """The toolchain that this commit pins; `Misconfigured` when it pins none."""
        path = self.distro.toolchain.lock
        if path not in self.blobs:
            raise Misconfigured(
                "the toolchain set is not pinned",
                where=path,
                hint="slipway init pins it in a new installation; otherwise commit the lock of one",
            )
        return parse_lock(self.read(path).decode(), path)

    def read(self, path: str) -> bytes:
        """A file of the tree; `Misconfigured` where there is none."""
        return self.files.read(path)

    def stage(self, paths: tuple[str, ...], target: Path) -> None:
        """Write these files, and no other, to their paths below the folder `target`."""
        self.files.stage({path: target / path for path in paths})

    def stage_macros(self, packages: Iterable[Package], target: Path) -> tuple[Path, ...]:
        """Write the macro files as every spec is read with them, below `target`; in the order of loading."""
        specs = {package.spec: package for package in packages}
        places = tuple(target / path for path in self.macro_files)
        for path, place in zip(self.macro_files, places, strict=True):
            evr = next((specs[spec].evr for spec in beside(path, specs)), None)
            write_file(place, filled(self.read(path), evr))
        return places


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTree:
    """A commit whose specs were read. `failed` says which specs make no package, and why; they stop nobody here.

    `elsewhere` are packages that exclude the architecture: nothing of them can be built on it. `common_macros` is the
    digest of the macros that count for every package, whatever its spec says; `Package.expanded` shows the others.
    `all_macros` is the digest of all of the tree's macros.
    """

    tree: Tree
    arch: str
    packages: tuple[Package, ...]
    failed: Mapping[str, Error]
    elsewhere: tuple[Package, ...]
    common_macros: str
    all_macros: str

    @property
    def failures(self) -> tuple[Error, ...]:
        """The errors alone; `where` is the spec, or its signatures file, with the line where one is known."""
        return tuple(self.failed.values())


async def open_tree(repository: Repository, commit: str, *, distro: Distro | None = None) -> Tree:
    """The tree of a commit with the `distro` given, its own `distro.yaml`, or what an Azure Linux tree is without."""
    found, files = await asyncio.gather(
        asyncio.to_thread(repository.commit, commit), asyncio.to_thread(repository.files, commit)
    )
    if distro is None:
        distro = await asyncio.to_thread(_distro, files)
    return Tree(found, files, distro)


async def read_tree(
    repository: Repository, commit: str, *, parser: SpecParser, arch: str, distro: Distro | None = None
) -> SourceTree:
    """A commit with all its source packages: all that a plan or a graph needs of it, and no more than git and rpm.

    No registry, no toolchain, no network, no settings: a forecast runs where there is nothing but a clone. Specs
    that cannot be read are in `failed`; `refuse_failures` makes one refusal of them.
    """
    return await parse_tree(await open_tree(repository, commit, distro=distro), parser=parser, arch=arch)


async def parse_tree(tree: Tree, *, parser: SpecParser, arch: str) -> SourceTree:
    """Every source package of an open tree; see `read_tree`."""
    order = ParseOrder(
        files=tree.files,
        specs=tree.specs,
        macro_files=tree.macro_files,
        macros=tree.distro.macros,
        arch=arch,
        lua_modules=tree.lua_modules,
        version_prefix=tree.distro.version_macros,
        strict=not tree.distro.guessed,
        unpinned=tree.distro.unpinned,
    )
    parsed: Parsed = await parser.parse(order)
    return SourceTree(
        tree=tree,
        arch=arch,
        packages=tuple(each for each in parsed.packages.values() if not each.elsewhere),
        failed=parsed.failed,
        elsewhere=tuple(each for each in parsed.packages.values() if each.elsewhere),
        common_macros=parsed.common_macros,
        all_macros=parsed.all_macros,
    )


def system_parser(folder: Path) -> SpecParser:
    """Reads specs with the system's own rpm, in namespaces: for forecasts. `folder` keeps what it read."""
    return SpecParser(place=InNamespaces(), folder=folder)


def refuse_failures(source: SourceTree) -> tuple[Package, ...]:
    """The packages when every spec could be read; otherwise the first refusal, which names the others."""
    if source.failed:
        first, *others = source.failures
        if others:
            first.hint = f"{first.hint}\n  and {len(others)} more: {', '.join(str(each.where) for each in others[:10])}"
        raise first
    return source.packages


def _distro(files: CommitFiles) -> Distro:
    if DISTRO_FILE in files.blobs:
        return parse_distro(files.read(DISTRO_FILE).decode("utf-8", "replace"), DISTRO_FILE)
    return default_distro(frozenset(path for path in files.blobs if files.is_file(path)))
