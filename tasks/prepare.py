"""Prepares a commit for building: its tree, with a pinned toolchain, all that people wrote checked, all specs read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from release.product.image_definitions import read_definition
from tasks.fetch import fetch_rules
from tasks.read import SourceTree, Tree, open_tree, parse_tree

if TYPE_CHECKING:
    from tasks.wiring import Tools

__all__ = ["SourceTree", "Tree", "check", "parse", "prepare"]


async def prepare(tools: Tools, commit: str) -> Tree:
    """The tree of a commit; `Misconfigured` when it cannot be built because its toolchain is not pinned."""
    tree = await open_tree(tools.repository, commit)
    _ = tree.lock
    return tree


async def check(tools: Tools, tree: Tree) -> None:
    """`Misconfigured` for a policy or an image definition that cannot be read: now, and not after hours of building."""
    for channel in tree.distro.channels:
        await fetch_rules(tools, tree.commit.sha, channel)
    for image in tree.distro.images:
        read_definition(image.definition, tree.read)


async def parse(tools: Tools, tree: Tree, *, image: str, arch: str) -> SourceTree:
    """Every source package of the tree, read by the toolchain's own rpm, and the specs that make none."""
    return await parse_tree(tree, parser=tools.spec_parser(image), arch=arch)
