"""Replays the real commits over the synthetic tree: the real graph and the real decision, with a simulated build.

The graph of each commit is made by Slipway's own code from the facts that rpm would read at that commit (`stated`,
which a test compares with rpm), so that 370 commits need no parsing. A build is simulated: it gives every binary
package of its spec the interface that it had before, unless the assumption says that this change breaks it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property

from bench import facts
from bench.facts import Commit, Kind, Spec
from bench.synthetic_tree import SyntheticTree
from release.digests import digest_of_json
from release.source.capabilities import capabilities_in, parse
from release.source.graph import Graph, Knot
from release.source.specs import BinaryPackage, Package

Roots = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One commit over the tree: what it does to which source package, and the graph after it.

    `spoken` are the source packages whose spec speaks of a version that the commit changes, so that they say
    something else although nobody touched them. `direct` maps a package to those that name one of its binary
    packages in their BuildRequires.
    """

    commit: Commit
    kinds: Mapping[str, Kind]
    spoken: frozenset[str]
    contents: Mapping[str, str]
    shape: Shape


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the replay needs of a graph; most commits leave it as it was, and share it."""

    roots: Roots
    levels: tuple[tuple[Knot, ...], ...]
    direct: Mapping[str, frozenset[str]]
    binaries: Mapping[str, tuple[str, ...]]

    @cached_property
    def readers(self) -> Mapping[str, tuple[str, ...]]:
        """Binary package -> the source packages whose build root may hold it."""
        found: dict[str, list[str]] = {}
        for name, root in self.roots.items():
            for binary in root:
                found.setdefault(binary, []).append(name)
        return {binary: tuple(each) for binary, each in found.items()}

    @cached_property
    def toolchain(self) -> frozenset[str]:
        """The bootstrap core: the largest set of packages that need each other."""
        return frozenset(max((knot for level in self.levels for knot in level), key=len))


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """What a simulated change does to the interface of the binary packages of its spec.

    `updates`: an update breaks it. `several`: so does a raised release, because its commit touches several folders.
    `patches`: the share of security patches that break it. `static`: a patch or a raised release changes static
    libraries, as it truly does. `passed_on`: the share of rebuilt dependents whose own interface breaks too.
    """

    name: str
    updates: bool = True
    several: bool = False
    patches: float = 0.0
    static: bool = True
    passed_on: float = 0.0
    seed: int = 1

    def breaks(self, kind: Kind, name: str, binary: str, commit: Commit) -> bool:
        """Whether a commit's own change of the package `name` changes the interface of one of its binaries."""
        if kind is Kind.UPDATE:
            return self.updates
        if binary.endswith("-static") and self.static:
            return True
        if kind is Kind.RAISE:
            return self.several
        return self._drawn(self.patches, "patch", name, commit)

    def passes_on(self, name: str, commit: Commit) -> bool:
        """Whether a package that is rebuilt because of another breaks for its own dependents."""
        return self._drawn(self.passed_on, "rebuilt", name, commit)

    def _drawn(self, share: float, *words: object) -> bool:
        return share > 0 and random.Random(f"{self.seed} {words}").random() < share


@dataclass(slots=True)
class Counts:
    """Builds of a replay by the reason that came first."""

    touched: int = 0
    spoken: int = 0
    observed: int = 0
    again: int = 0
    largest: int = 0
    per_commit: list[int] = field(default_factory=list)

    @property
    def builds(self) -> int:
        """All of them."""
        return self.touched + self.spoken + self.observed + self.again


@cache
def steps(limit: int | None = None) -> tuple[Shape, tuple[Step, ...]]:
    """The shape of the tree before the first commit, and each commit (or the first `limit`) with the shape after it."""
    tree = SyntheticTree()
    packages = {path: _package(tree, spec) for path, spec in tree.specs.items()}
    graph = Graph.of(packages.values())
    names = {package.spec: name for name, package in graph.packages.items()}
    asked = _asked(graph)
    first = shape = _shape(graph)
    found = []
    for commit in facts.commits()[:limit]:
        touched = tree.touched(commit)
        tree.apply(commit)
        spoken = tuple(other for spec in touched for other in _all_followers(tree, spec) if other not in touched)
        for spec in (*touched, *spoken):
            packages[spec.path] = _package(tree, spec)
        changed = frozenset(names[spec.path] for spec in (*touched, *spoken))
        before, graph = graph, Graph.of(packages.values())
        if _resolves_otherwise(before, graph, changed, asked):
            shape = _shape(graph)
        found.append(
            Step(
                commit=commit,
                kinds={names[spec.path]: facts.kind(commit, spec) for spec in touched},
                spoken=frozenset(names[spec.path] for spec in spoken),
                contents={name: graph.packages[name].content for name in changed},
                shape=shape,
            )
        )
    return first, tuple(found)


class Distribution:
    """What is published: the interface of each binary package, and what each source package's build observed."""

    def __init__(self, shape: Shape) -> None:
        self.interfaces = {binary: _digest(binary, "at first") for each in shape.binaries.values() for binary in each}
        self.contents = dict.fromkeys(shape.roots, "")
        self.observed = {name: self._root(shape, name) for name in shape.roots}

    def replay(self, step: Step, assumption: Assumption, counts: Counts) -> None:
        """One commit: build what must be built, level by level, knots twice where the first pass breaks something."""
        before = counts.builds
        dirty: set[str] = {*step.kinds, *step.spoken}
        for level in step.shape.levels:
            for knot in level:
                for turn in range(2):
                    broken = self._build(step, assumption, counts, [each for each in knot if each in dirty], turn)
                    dirty.update(reader for binary in broken for reader in step.shape.readers.get(binary, ()))
                    if not broken:
                        break
        counts.per_commit.append(counts.builds - before)
        counts.largest = max(counts.largest, counts.builds - before)

    def _build(self, step: Step, assumption: Assumption, counts: Counts, names: Iterable[str], turn: int) -> list[str]:
        """Decide on packages over what is published at this moment, and build; the binaries that changed."""
        roots = {name: self._root(step.shape, name) for name in names}
        broken: list[str] = []
        for name, root in roots.items():
            content = step.contents.get(name, self.contents[name])
            if not must_build(self.contents[name], self.observed[name], content, root):
                continue
            kind = step.kinds.get(name)
            own = turn == 0 and self.contents[name] != content
            _count(counts, "again" if turn else "touched" if kind and own else "spoken" if own else "observed")
            self.contents[name], self.observed[name] = content, root
            for binary in step.shape.binaries[name]:
                breaks = assumption.breaks(kind, name, binary, step.commit) if kind and own else (
                    turn == 0 and assumption.passes_on(name, step.commit))  # fmt: skip
                if breaks:
                    self.interfaces[binary] = _digest(binary, step.commit.commit)
                    broken.append(binary)
        return broken

    def _root(self, shape: Shape, name: str) -> Mapping[str, str]:
        return {binary: self.interfaces[binary] for binary in shape.roots[name]}


def must_build(old: str, observed: Mapping[str, str], content: str, root: Mapping[str, str]) -> bool:
    """Whether a build would observe anything else than the last one did: what it is made of, or an interface."""
    return old != content or observed != root


def slipway(assumption: Assumption, history: tuple[Shape, Sequence[Step]]) -> Counts:
    """Replay the commits of a history (`steps`), one after another."""
    first, replayed = history
    counts, distribution = Counts(), Distribution(first)
    for step in replayed:
        distribution.replay(step, assumption, counts)
    return counts


def peers(replayed: Sequence[Step]) -> Mapping[str, Sequence[int]]:
    """How many builds each of the rules that need no look into a package takes, for each commit."""
    rules: Mapping[str, Callable[[Step], int]] = {
        "changed only": lambda step: len(step.kinds),
        "changed and direct dependents": lambda step: len(_followed(step, far=False)),
        "changed and all dependents": lambda step: len(_followed(step)),
        "the same, but never through the toolchain": lambda step: len(_followed(step, but=step.shape.toolchain)),
    }
    return {name: [rule(step) for step in replayed] for name, rule in rules.items()}


def _followed(step: Step, *, far: bool = True, but: frozenset[str] = frozenset()) -> set[str]:
    """The changed packages with those that follow, which those in `but` let nobody do."""
    found = set(step.kinds)
    waiting = list(found)
    while waiting:
        name = waiting.pop()
        new = step.shape.direct.get(name, frozenset()) - found if name not in but else frozenset()
        found |= new
        waiting += new if far else ()
    return found


def _package(tree: SyntheticTree, spec: Spec) -> Package:
    """What the parser would make of a spec; the facts at this commit stand for its content and its expansion."""
    now = tree.stated(spec)
    binaries = tuple(
        BinaryPackage(name=each.name, evr=each.evr, provides=each.provides + each.own_provides, requires=each.requires)
        for each in now.binaries
    )
    content = digest_of_json([now.path, str(tree.states[spec.path].changes[0]), list(now.build_requires), now.main.evr])
    return Package(
        name=now.name,
        evr=now.main.evr,
        spec=now.path,
        folder=f"SPECS/{now.folder}",
        content=content,
        sources=(),
        patches=(),
        build_requires=now.build_requires,
        binaries=binaries,
        summary="",
        description="",
        license="",
        url="",
        epoch=0,
    )


def _all_followers(tree: SyntheticTree, spec: Spec) -> Iterator[Spec]:
    """Kernel modules speak of the kernel, and of a module that does."""
    waiting, seen = [spec], {spec.path}
    while waiting:
        for other in tree.followers(waiting.pop()):
            if other.path not in seen:
                seen.add(other.path)
                waiting.append(other)
                yield other


def _shape(graph: Graph) -> Shape:
    direct: dict[str, set[str]] = {}
    for name, row in zip(graph.packages, graph.edges.build, strict=True):
        for _, offers in row:
            for each in offers:
                source = graph.edges.providers.offers[each].source
                if source not in (None, name):
                    direct.setdefault(str(source), set()).add(name)
    return Shape(
        roots={name: graph.build_root(name) for name in graph.packages},
        levels=graph.levels(),
        direct={name: frozenset(each) for name, each in direct.items()},
        binaries={name: tuple(each.name for each in package.binaries) for name, package in graph.packages.items()},
    )


def _asked(graph: Graph) -> Mapping[str, tuple[str, ...]]:
    """Capability name -> every requirement of the tree that speaks of it."""
    found: dict[str, dict[str, None]] = {}
    for package in graph.packages.values():
        for text in _requirements(package):
            for capability in capabilities_in(parse(text)):
                found.setdefault(capability.name, {})[text] = None
    return {name: tuple(texts) for name, texts in found.items()}


def _requirements(package: Package) -> list[str]:
    return [*package.build_requires, *(text for binary in package.binaries for text in binary.requires)]


def _resolves_otherwise(
    before: Graph, after: Graph, changed: Iterable[str], asked: Mapping[str, Sequence[str]]
) -> bool:
    """Whether a requirement is met by others than before: one of the `changed` packages, or one that speaks of what
    these provide. Names of packages stay, so that offers keep their numbers, and so do the names that are asked for."""
    names = set(changed)
    for name in names:
        old, new = (_requirements(graph.packages[name]) for graph in (before, after))
        if [before.edges.resolve(text)[0] for text in old] != [after.edges.resolve(text)[0] for text in new]:
            return True
    provided = {
        text.partition(" ")[0] for name in names for each in after.packages[name].binaries for text in each.provides
    }
    texts = {text for name in provided for text in asked.get(name, ())}
    differing = {text for text in texts if before.edges.resolve(text)[0] != after.edges.resolve(text)[0]}
    # an exact version that went up together with what it asks for is said by nobody any more
    others = (package for name, package in after.packages.items() if name not in names)
    return bool(differing) and any(not differing.isdisjoint(_requirements(package)) for package in others)


def _digest(binary: str, since: str) -> str:
    return digest_of_json([binary, since])


def _count(counts: Counts, reason: str) -> None:
    setattr(counts, reason, getattr(counts, reason) + 1)
