"""Expects what a commit means: the forecast of its builds against the release before, kept with the release."""

from __future__ import annotations

import posixpath

from release.errors import Error
from release.forecast.differences import ImageFacts, TreeFacts
from release.forecast.forecasting import Commits, forecast
from release.forecast.forecasts import Forecast
from release.product.image_definitions import read_definition
from tasks.bench import Bench
from tasks.read import SourceTree, Tree
from tasks.recall import Previous

NOTHING = TreeFacts(packages=())


def expect(bench: Bench, previous: Previous | None) -> Forecast:
    """What the bench's commit will build, may build and leaves alone, against the commit of the release before."""
    return forecast(
        Commits(before=previous.release.source.commit if previous else "", after=bench.tree.commit.sha),
        facts_of(bench.before) if bench.before else NOTHING,
        facts_of(bench.source),
        available=bench.toolchain.binaries,
        published={name: each.binaries for name, each in previous.standing.items()} if previous else {},
    )


def facts_of(source: SourceTree) -> TreeFacts:
    """A commit as the forecast sees it."""
    tree = source.tree
    return TreeFacts(
        packages=source.packages,
        macros=tree.macros_digest,
        toolchain=tree.lock.digest,
        images={entry.name: _image(tree, entry.definition) for entry in tree.distro.images},
        failed=source.failed,
        blobs=tree.blobs,
    )


def _image(tree: Tree, path: str) -> ImageFacts:
    """The folder of a definition counts as a whole: lists and files that it names lie there."""
    content = tree.files.folders.get(posixpath.dirname(path), "")
    try:
        return ImageFacts(definition=content, packages=read_definition(path, tree.read).packages)
    except Error as error:
        return ImageFacts(definition=content, problem=error.message)
