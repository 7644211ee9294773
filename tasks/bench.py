"""Sets up the bench for a commit: toolchain, every spec as facts, and the graph of what needs what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from release.errors import Misconfigured
from release.source.graph import Graph
from tasks.bootstrap import Progress, ToolchainSet, bootstrap
from tasks.prepare import Tree, parse
from tasks.read import refuse_failures

if TYPE_CHECKING:
    from tasks.wiring import Tools


class Bench:
    """Everything a build of this commit works with. A plain class: Prefect walks through dataclasses."""

    def __init__(self, tree: Tree, toolchain: ToolchainSet, graph: Graph, *, arch: str, invocation: str) -> None:
        self.tree = tree
        self.toolchain = toolchain
        self.graph = graph
        self.arch = arch
        self.invocation = invocation
        self.macros_digest = tree.macros_digest


async def make_bench(tools: Tools, tree: Tree, *, invocation: str, progress: Progress = lambda *_: None) -> Bench:
    """The bench for a tree, for its first architecture; `invocation` is the run that provenance will name.

    Containers of runs that were killed are removed: they hold memory that the next build needs.
    """
    arch, *others = tree.distro.arches
    if others:
        raise Misconfigured(
            "only one architecture is built yet", where="distro.yaml", got=", ".join(tree.distro.arches), expected=arch
        )
    await tools.containers.remove_strays()
    toolchain = await bootstrap(tools, tree, arch=arch, progress=progress)
    packages = refuse_failures(await parse(tools, tree, image=toolchain.image, arch=arch))
    return Bench(tree, toolchain, Graph.of(packages, toolchain.binaries), arch=arch, invocation=invocation)
