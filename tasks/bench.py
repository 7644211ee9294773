"""Sets up the bench for a commit: toolchain, every spec as facts, and the graph of what needs what."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from release.errors import Error, Misconfigured, Refused
from release.graph.graph import Graph
from release.graph.unresolved import refuse_knots, refuse_unresolved
from release.source.specs import BinaryPackage
from tasks.bootstrap import Progress, ToolchainSet, bootstrap
from tasks.prepare import Tree, parse, prepare
from tasks.read import SourceTree
from tasks.recall import Previous

if TYPE_CHECKING:
    from tasks.wiring import Tools


class Bench:
    """Everything that the builds of a commit work with. A plain class: Prefect walks through dataclasses.

    The graph starts from what the specs declare and what the release before shows of their packages, and learns from
    each build what its packages really provide and require.
    """

    def __init__(
        self,
        source: SourceTree,
        toolchain: ToolchainSet,
        *,
        invocation: str,
        previous: Previous | None,
        before: SourceTree | None,
    ) -> None:
        self.source = source
        self.before = before
        self.tree = source.tree
        self.toolchain = toolchain
        self.arch = source.arch
        self.invocation = invocation
        self.macros = source.common_macros
        self._binaries = {name: each.binaries for name, each in previous.standing.items()} if previous else {}
        self._kept = tuple(each for each in before.packages if each.spec in source.failed) if before else ()

    @cached_property
    def failures(self) -> Mapping[str, Error]:
        """Why specs make no package, by package. One that could not be read does not say its name: it has the one that
        it had before, or its file's. What it made before keeps its place in the graph, for those whom it stops."""
        names = {each.spec: each.name for each in self._kept}
        return {names.get(spec, _stem(spec)): error for spec, error in self.source.failed.items()}

    @cached_property
    def graph(self) -> Graph:
        """What needs what, as far as is known by now."""
        return Graph.of((*self.source.packages, *self._kept), self.toolchain.binaries, self._binaries)

    @cached_property
    def needs(self) -> Mapping[tuple[str, ...], frozenset[str]]:
        """For each package, or knot of packages that need each other, what must be built before. A package with a
        BuildRequires that nothing is known to provide waits until something does."""
        graph = self.graph
        waiting = {each.package for each in graph.unresolved if not each.guesses}
        return MappingProxyType(
            {
                knot: frozenset(
                    need for name in knot for need in (*graph.build_inputs(name), *(["?"] if name in waiting else []))
                ).difference(knot)
                for level in graph.levels()
                for knot in level
            }
        )

    def no_way_in(self, knot: Collection[str]) -> Refused:
        """Why packages that need each other cannot be built from nothing."""
        cycles = [cycle for cycle in self.graph.cycles if not set(cycle).isdisjoint(knot)]
        return refuse_knots(self.graph.packages, cycles, self.graph.through)

    def require_complete(self, done: Collection[str]) -> None:
        """`Refused` when packages were never built because nothing that was built provides what they ask for."""
        waiting = {each.package for each in self.graph.unresolved if not each.guesses} - set(done)
        missing = [each for each in self.graph.unresolved if each.package in waiting and not each.guesses]
        if missing:
            raise refuse_unresolved(missing, self.graph.edges.providers.names)
        if left := sorted(self.graph.packages.keys() - set(done)):
            raise Refused("packages were not built", got=", ".join(left[:10]), expected="every package of the tree")

    def learn(self, built: Mapping[str, Iterable[BinaryPackage]]) -> None:
        """From now on these are the binary packages of these source packages."""
        new = {name: tuple(binaries) for name, binaries in built.items()}
        if any(self._binaries.get(name) != binaries for name, binaries in new.items()):
            self._binaries |= new
            vars(self).pop("graph", None)
            vars(self).pop("needs", None)


async def make_bench(
    tools: Tools, tree: Tree, previous: Previous | None, *, invocation: str, progress: Progress = lambda *_: None
) -> Bench:
    """The bench for a tree, for its first architecture, over the `previous` release; `invocation` is the run that
    provenance will name.

    Containers of runs that were killed are removed: they hold memory that the next build needs.
    """
    arch, *others = tree.distro.arches
    if others:
        raise Misconfigured(
            "only one architecture is built yet", where="distro.yaml", got=", ".join(tree.distro.arches), expected=arch
        )
    await tools.containers.remove_strays()
    toolchain = await bootstrap(tools, tree, arch=arch, progress=progress)
    source = await parse(tools, tree, image=toolchain.image, arch=arch)
    before = None
    if previous is not None:
        old = await prepare(tools, previous.release.source.commit)
        before = await parse(tools, old, image=toolchain.image, arch=arch)
    return Bench(source, toolchain, invocation=invocation, previous=previous, before=before)


def _stem(spec: str) -> str:
    return posixpath.basename(spec).removesuffix(".spec")
