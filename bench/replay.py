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
from release.graph.capabilities import capabilities_in, parse
from release.graph.graph import Graph, Knot
from release.source.certificates import Certificate, Outcome, compare
from release.source.keys import Recipe
from release.source.specs import BinaryPackage, Package

Roots = Mapping[str, frozenset[str]]
_NO_DIGEST = f"sha256:{0:064}"  # of what stays the same here: tree-wide macros, the toolchain; and of no real build


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
    recipes: Mapping[str, Recipe]
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
class History:
    """The tree before the first commit, by shape and recipes, and the commits."""

    first: Shape
    recipes: Mapping[str, Recipe]
    steps: tuple[Step, ...]


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
    per_commit: list[int] = field(default_factory=list)

    def add(self, reason: str) -> None:
        """One more."""
        setattr(self, reason, getattr(self, reason) + 1)

    @property
    def builds(self) -> int:
        """All of them."""
        return self.touched + self.spoken + self.observed + self.again


@cache
def history(limit: int | None = None) -> History:
    """The history of the synthetic tree: all commits, or the first `limit`."""
    tree = SyntheticTree()
    packages = {path: _package(tree, spec) for path, spec in tree.specs.items()}
    graph = Graph.of(packages.values())
    names = {package.spec: name for name, package in graph.packages.items()}
    asked = _asked(graph)
    first = shape = _shape(graph)
    recipes = {name: _recipe(package) for name, package in graph.packages.items()}
    found = []
    for commit in facts.commits()[:limit]:
        touched = tree.touched(commit)
        tree.apply(commit)
        others = [other for spec in touched for other in _all_followers(tree, spec) if other not in touched]
        spoken = [spec for spec in others if _package(tree, spec).content != packages[spec.path].content]
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
                recipes={name: _recipe(graph.packages[name]) for name in changed},
                shape=shape,
            )
        )
    return History(first=first, recipes=recipes, steps=tuple(found))


class Distribution:
    """What is published: the interface of each binary package, a certificate for each source package, and what its last
    build observed."""

    def __init__(self, first: Shape, recipes: Mapping[str, Recipe]) -> None:
        self.interfaces = {binary: _digest(binary, "at first") for each in first.binaries.values() for binary in each}
        self.certificates = {name: _certificate(recipe, first.roots[name]) for name, recipe in recipes.items()}
        self.observed = {name: self.root(first, name) for name in recipes}
        self._before: Mapping[str, str] = self.interfaces
        self._built: set[str] = set()

    def replay(self, step: Step, assumption: Assumption, counts: Counts) -> None:
        """One commit: what must be built, in the order of flows/building.py: level by level, knots in two passes."""
        self._before, self._built = dict(self.interfaces), set()
        dirty = {*step.kinds, *step.spoken}
        start = counts.builds
        for level in step.shape.levels:
            for knot in level:
                if not dirty.isdisjoint(knot):
                    self._build_knot(step, assumption, counts, knot, dirty)
        counts.per_commit.append(counts.builds - start)

    def root(self, shape: Shape, name: str) -> Mapping[str, str]:
        """The interfaces, as published now, of what the build root of a package may hold."""
        return {binary: self.interfaces[binary] for binary in shape.roots[name]}

    def _build_knot(self, step: Step, assumption: Assumption, counts: Counts, knot: Knot, dirty: set[str]) -> None:
        """Each package once; then, once more, those that saw something else than what came out."""
        seen = {}
        for name in knot:
            seen[name] = self.root(step.shape, name)
            if name in dirty:
                dirty |= self._build(step, assumption, counts, name, seen[name])
        for name in knot:
            if (now := self.root(step.shape, name)) != seen[name]:
                self._build(step, assumption, counts, name, now, second=True)

    def _build(
        self,
        step: Step,
        assumption: Assumption,
        counts: Counts,
        name: str,
        root: Mapping[str, str],
        *,
        second: bool = False,
    ) -> set[str]:
        """Build a package if it must be built; those whose build root may hold something of it that changed."""
        certificate = self.certificates[name]
        recipe = step.recipes.get(name, certificate.recipe)
        if not compare(certificate, self._before, recipe=recipe, root=root):
            return set()
        again, kind = name in self._built, step.kinds.get(name)
        counts.add("again" if again else "touched" if kind else "spoken" if name in step.spoken else "observed")
        self._built.add(name)
        self.certificates[name] = _certificate(recipe, root)
        self.observed[name] = root
        if second:  # what gives other interfaces in the second pass does not converge, and is refused
            return set()
        broken = [
            binary
            for binary in step.shape.binaries[name]
            if (assumption.breaks(kind, name, binary, step.commit) if kind else assumption.passes_on(name, step.commit))
        ]
        self.interfaces.update({binary: _digest(binary, step.commit.commit) for binary in broken})
        return {reader for binary in broken for reader in step.shape.readers.get(binary, ())}


def _certificate(recipe: Recipe, root: Iterable[str]) -> Certificate:
    """Every package that may be in the build root was there: what is consumed is what the graph says."""
    return Certificate(outcome=Outcome.BUILT, evr="0-1", build=_NO_DIGEST, recipe=recipe, consumed=tuple(sorted(root)))


def slipway(assumption: Assumption, over: History) -> Counts:
    """Replay the commits of a history, one after another."""
    counts, distribution = Counts(), Distribution(over.first, over.recipes)
    for step in over.steps:
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
    said = [[each.name, each.evr, *each.provides, *each.requires] for each in now.binaries]
    content = digest_of_json([now.path, str(tree.states[spec.path].changes[0]), list(now.build_requires), said])
    return Package(
        name=now.name,
        evr=now.main.evr,
        spec=now.path,
        folder=f"SPECS/{now.folder}",
        content=content,
        expanded=content,
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


def _recipe(package: Package) -> Recipe:
    return Recipe.of(package, macros=_NO_DIGEST, toolchain=_NO_DIGEST, arch="x86_64")
