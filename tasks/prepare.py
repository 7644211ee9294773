"""Prepares a commit for building: the exported tree, the distribution's own words, and every spec as facts."""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from release.digests import digest_of
from release.errors import Misconfigured, Refused
from release.product.image_definitions import read_definition
from release.source.distro import Distro
from release.source.plan import TreeState
from release.source.specs import Package, package_from_facts, parse_signatures, signatures_path
from release.source.toolchain import ToolchainLock, parse_lock
from release.tools.specparser import ParseOrder
from tasks.fetch import fetch_distro, fetch_rules

if TYPE_CHECKING:
    from release.tools.git import Commit
    from tasks.wiring import Tools

KEPT_TREES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A commit, checked out. `files` are all its paths; `macro_files` those that every spec is read with."""

    commit: Commit
    folder: Path
    files: tuple[str, ...]
    distro: Distro
    lock: ToolchainLock
    macro_files: tuple[str, ...]

    @property
    def specs(self) -> tuple[str, ...]:
        """Paths of the specs."""
        return tuple(path for path in self.files if self.distro.is_spec(path))

    @property
    def macros_digest(self) -> str:
        """Digest of the macro set."""
        contents = {path: digest_of((self.folder / path).read_bytes()) for path in self.macro_files}
        return self.distro.macros_digest(contents)

    def read(self, path: str) -> bytes:
        """A file of the tree; `Misconfigured` where there is none."""
        try:
            return (self.folder / path).read_bytes()
        except OSError as error:
            raise Misconfigured("the tree has no such file", where=path, got=error.strerror) from error


async def prepare(tools: Tools, commit: str) -> Tree:
    """The tree of a commit in a folder below the state; one that is there already is used as it is."""
    repository = tools.repository
    found, distro, files = await asyncio.gather(
        asyncio.to_thread(repository.commit, commit),
        fetch_distro(tools, commit),
        asyncio.to_thread(repository.list_files, commit),
    )
    folder = tools.scratch("trees") / commit
    if not folder.exists():
        await asyncio.to_thread(repository.export, commit, "", folder)
    lock = folder / distro.toolchain.lock
    if not lock.exists():
        raise Misconfigured(
            "the toolchain set is not pinned",
            where=distro.toolchain.lock,
            hint="slipway init pins it in a new installation; otherwise commit the lock of one",
        )
    return Tree(
        commit=found,
        folder=folder,
        files=files,
        distro=distro,
        lock=parse_lock(lock.read_text(), distro.toolchain.lock),
        macro_files=distro.macro_paths(files),
    )


async def check(tools: Tools, tree: Tree) -> None:
    """`Misconfigured` for a policy or an image definition that cannot be read: now, and not after hours of building."""
    for channel in tree.distro.channels:
        await fetch_rules(tools, tree.commit.sha, channel)
    for image in tree.distro.images:
        read_definition(image.definition, tree.read)


async def parse(tools: Tools, tree: Tree, *, image: str, arch: str) -> tuple[Package, ...]:
    """Every source package of the tree, read by the toolchain's own rpm. `Refused` names each spec without facts."""
    folders = await folder_ids(tools, tree)
    order = ParseOrder(
        tree=tree.folder,
        specs={spec: folders[posixpath.dirname(spec)] for spec in tree.specs},
        macro_files=tree.macro_files,
        macros=tree.distro.macros,
        image=image,
        arch=arch,
    )
    parsed = await tools.spec_parser.parse(order)
    if parsed.failures:
        first, *others = parsed.failures
        if others:
            first.hint = f"{first.hint}\n  and {len(others)} more: {', '.join(str(each.where) for each in others[:10])}"
        raise first
    return tuple(_package(tree, folders, spec, facts) for spec, facts in parsed.facts.items())


async def state_of(tools: Tools, tree: Tree) -> TreeState:
    """What the commit holds, by content, for telling what changed."""
    roots = {posixpath.dirname(image.definition) for image in tree.distro.images}
    definitions = await asyncio.to_thread(tools.repository.tree_ids, tree.commit.sha, roots)
    return TreeState(
        folders=await folder_ids(tools, tree),
        macros=tree.macros_digest,
        toolchain=tree.lock.digest,
        images={image.name: definitions[posixpath.dirname(image.definition)] for image in tree.distro.images},
    )


async def folder_ids(tools: Tools, tree: Tree) -> Mapping[str, str]:
    """Spec folder -> git tree id."""
    folders = sorted({posixpath.dirname(spec) for spec in tree.specs})
    return await asyncio.to_thread(tools.repository.tree_ids, tree.commit.sha, folders)


def _package(tree: Tree, folders: Mapping[str, str], spec: str, facts: str) -> Package:
    folder = posixpath.dirname(spec)
    signatures = tree.folder / signatures_path(spec)
    pinned = parse_signatures(signatures.read_text(), signatures_path(spec)) if signatures.exists() else {}
    beside = {posixpath.basename(path) for path in tree.files if posixpath.dirname(path) == folder}
    package = package_from_facts(facts, spec=spec, tree_id=folders[folder], files=beside, signatures=pinned)
    if not package.binaries:
        raise Refused("a spec that makes no package", where=spec, expected="at least one %files section")
    return package
