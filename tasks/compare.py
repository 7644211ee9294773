"""Compares commits: each one as a forecast sees it, its packages and what its images are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from release.digests import digest_of_json
from release.errors import Error
from release.forecast.differences import ImageFacts, TreeFacts
from release.product.image_definitions import read_definition

if TYPE_CHECKING:
    from tasks.read import SourceTree, Tree


def facts_of(source: SourceTree, known: TreeFacts | None = None) -> TreeFacts:
    """A commit as the forecast sees it. `known` is another commit: images that are made of the same there are not
    read again."""
    tree = source.tree
    return TreeFacts(
        packages=source.packages,
        macros=source.common_macros,
        all_macros=source.all_macros,
        macro_files=(*tree.macro_files, *tree.lua_modules),
        toolchain=tree.lock.digest if tree.distro.toolchain.lock in tree.blobs else "",
        images={image.name: _image(tree, image.name, image.definition, known) for image in tree.distro.images},
        failed=source.failed,
        blobs=tree.blobs,
    )


def _image(tree: Tree, name: str, definition: str, known: TreeFacts | None) -> ImageFacts:
    """What an image's definition says, and which files at which content it was read from."""
    before = known.images.get(name) if known else None
    if before and before.files.get(definition) and _is_same(before.files, tree.blobs):
        return before
    read: dict[str, str] = {}

    def reading(path: str) -> bytes:
        read[path] = tree.blobs.get(path, "")
        return tree.read(path)

    packages: tuple[str, ...] = ()
    problem = None
    try:
        packages = read_definition(definition, reading).packages
    except Error as error:
        problem = f"{error.where or definition}: {error.message}"
    return ImageFacts(definition=digest_of_json(read), packages=packages, problem=problem, files=read)


def _is_same(files: Mapping[str, str], blobs: Mapping[str, str]) -> bool:
    return all(blobs.get(path, "") == blob for path, blob in files.items())
