"""What differs between two trees for each package: its own content, and what its build root may hold."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from release import wording
from release.errors import Error
from release.graph.capabilities import capabilities_in, parse
from release.graph.graph import Graph
from release.graph.needers import names_in
from release.source.macro_files import holds_unread
from release.source.specs import BinaryPackage, Package

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What decides an image besides its packages: an id of its whole definition, and the names that it lists.

    `problem` says why the definition could not be read; its packages are not known then. `files` are the paths that
    were read for it, with the ids of their contents.
    """

    definition: str
    packages: tuple[str, ...] = ()
    problem: str | None = None
    files: Mapping[str, str] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeFacts:
    """All that a forecast knows of a commit.

    `macros` is the digest of the macros that count for every package, `all_macros` that of all that the tree has in
    `macro_files` (paths), `toolchain` that of the toolchain set. `failed`
    maps the specs that make no package to their errors. `blobs` maps every path to an id of its content, for naming
    the files that changed; without it they are not named.
    """

    packages: tuple[Package, ...]
    macros: str = ""
    all_macros: str = ""
    macro_files: Collection[str] = ()
    toolchain: str = ""
    images: Mapping[str, ImageFacts] = field(default_factory=lambda: _NOTHING)
    failed: Mapping[str, Error] = field(default_factory=lambda: _NOTHING)
    blobs: Mapping[str, str] = field(default_factory=lambda: _NOTHING)


def own_changes(
    before: Mapping[str, Package], after: Mapping[str, Package], old: TreeFacts, new: TreeFacts
) -> dict[str, tuple[str, ...]]:
    """Why each package of `after` that is another by itself must be built, by identity: plain words."""
    everything = tuple(
        reason
        for reason, differs in (
            ("a macro that counts for every package changed", old.macros != new.macros),
            ("the toolchain set changed", old.toolchain != new.toolchain),
        )
        if differs
    )
    found = {}
    for name, package in after.items():
        reasons = (*_own(before.get(name), package, old, new), *everything)
        if reasons:
            found[name] = reasons
    return found


def macro_changes(before: Graph, after: Graph, old: TreeFacts, new: TreeFacts) -> dict[str, tuple[str, ...]]:
    """Where a macro of the tree changed: the packages whose build root may hold macros that no spec is read with, which
    may use it."""
    if old.all_macros == new.all_macros:
        return {}
    read = {posixpath.basename(path) for path in new.macro_files}
    holders = {
        offer.binary.name
        for offer in after.edges.providers.offers
        if offer.source is not None and holds_unread(_by_folder(offer.binary.files), read)
    }
    found: dict[str, tuple[str, ...]] = {}
    for name in after.followers(after.makers(holders), direct=True).hops.keys() & before.packages.keys():
        if seen := after.build_root(name) & holders:
            found[name] = (f"changed: macros that it may use through {listed(seen)}",)
    return found


def _by_folder(paths: Iterable[str]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for folder, name in map(posixpath.split, paths):
        found.setdefault(folder, []).append(name)
    return found


def root_changes(before: Graph, after: Graph, changed: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The packages whose build root may hold other binary packages than before, and which: plain words.

    `changed` are the source packages that differ in any way, are new or gone. Only what asks for a name that one of
    them provides, or did, is looked at: in most commits that is nothing that resolves to anything else.
    """
    texts = frozenset(moved_texts(before, after, changed))
    candidates = _candidates(before, after, texts, changed)
    found = {}
    for name in sorted(candidates & before.packages.keys()):
        old, new = before.build_root(name), after.build_root(name)
        reasons = [f"its build may now see {listed(new - old)}"] if new - old else []
        reasons += [f"its build sees no longer {listed(old - new)}"] if old - new else []
        if reasons:
            found[name] = tuple(reasons)
    return found


def moved_texts(before: Graph, after: Graph, changed: Collection[str]) -> Iterator[str]:
    """The requirements in use (BuildRequires and Requires, as written) that other binary packages meet than before."""
    mentions = after.needers.mentions
    texts = {needer.text for name in names_that_moved(before, after, changed) for needer in mentions.get(name, ())}
    if _binary_names(before, changed) != _binary_names(after, changed):
        texts |= after.needers.guesses  # they hang on the names of packages, not on what these provide
    return (text for text in texts if _met(before, text) != _met(after, text))


def names_that_moved(before: Graph, after: Graph, changed: Collection[str]) -> frozenset[str]:
    """The names and paths whose Provides are others than before, among those of the `changed` source packages."""
    old, new = ({name: _provides(graph, name) for name in changed} for graph in (before, after))
    moved: set[str] = set()
    for name in changed:
        moved.update(text for text, _, _ in old[name] ^ new[name])
    return frozenset(moved)


def listed(names: Collection[str]) -> str:
    """The first names in the order of the alphabet, and how many more there are."""
    return wording.listed(sorted(names), most=_SHOWN)


def _own(before: Package | None, after: Package, old: TreeFacts, new: TreeFacts) -> Iterator[str]:
    if before is None:
        yield f"new: {after.spec}"
        return
    if before.spec != after.spec:
        yield f"moved: {before.spec} -> {after.spec}"
    raised = f" ({before.evr} -> {after.evr})" if before.evr != after.evr else ""
    if before.content != after.content:
        yield f"changed: {_files(before, after, old, new)}{raised}"
    elif before.expanded != after.expanded:
        yield f"changed: macros that {posixpath.basename(after.spec)} uses{raised}"
    pins = ({each.file: each.sha256 for each in package.pinned} for package in (before, after))
    one, two = pins
    names = {name for name in one.keys() | two.keys() if one.get(name) != two.get(name)}
    if names:
        yield f"other sources: {listed(names)}"


def _files(before: Package, after: Package, old: TreeFacts, new: TreeFacts) -> str:
    paths = {*before.files, *after.files}
    differ = [path for path in paths if old.blobs.get(path) != new.blobs.get(path)]
    return listed([posixpath.basename(path) for path in differ]) or posixpath.basename(after.spec)


def _provides(graph: Graph, name: str) -> set[tuple[str, str, str]]:
    """(name or path, its text, the binary package) of all that a source package provides."""
    if name not in graph.packages:
        return set()
    found = set()
    for binary in graph.whole(name).binaries:
        found.add((binary.name, binary.evr, binary.name))
        found |= {(text.partition(" ")[0], text, binary.name) for text in (*binary.provides, *binary.files)}
    return found


def _binary_names(graph: Graph, changed: Iterable[str]) -> set[str]:
    return {each.name for name in changed if name in graph.packages for each in graph.packages[name].binaries}


def _met(graph: Graph, text: str) -> tuple[object, ...]:
    """What meets a requirement, and what could for a package that must not provide for itself: every match, and of
    binary packages with several makers the EVR as well, which says who comes next."""
    providers = graph.edges.providers
    found = graph.edges.resolve(text)[0]
    matches = {each for capability in capabilities_in(parse(text)) for each in providers.matches(capability)}
    offers = [providers.offers[each] for each in matches]
    return (
        None if found is None else frozenset(graph.edges.maker_and_name(each) for each in found),
        frozenset(
            (each.source, each.binary.name, each.binary.evr if each.binary.name in providers.makers else "")
            for each in offers
        ),
    )


def _candidates(before: Graph, after: Graph, texts: Collection[str], changed: Collection[str]) -> set[str]:
    """The packages in whose build root something asks for one of `texts`, or requires other things than before."""
    edges, needers = after.edges, after.needers
    found = {name for name in changed if name in after.packages}
    old = {each.name: each for name in changed if name in before.packages for each in before.whole(name).binaries}
    numbers = (number for number, package in enumerate(edges.packages) if package.name in changed)
    waiting = [
        position
        for number in numbers
        for position in edges.made[number]
        if _requires(old.get(edges.providers.offers[position].binary.name))
        != _requires(edges.providers.offers[position].binary)
    ]
    asking = (needer for text in texts for name in names_in(text) for needer in needers.mentions[name])
    for needer in asking:
        if needer.text in texts:
            if needer.build:
                found.add(edges.packages[needer.number].name)
            else:
                waiting.append(needer.number)
    seen = set(waiting)
    while waiting:
        for needer in needers.of(waiting.pop()):
            if needer.build:
                found.add(edges.packages[needer.number].name)
            elif needer.number not in seen:
                seen.add(needer.number)
                waiting.append(needer.number)
    return found


def _requires(binary: BinaryPackage | None) -> frozenset[str]:
    return frozenset(binary.requires) if binary else frozenset()
