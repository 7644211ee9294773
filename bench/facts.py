"""The facts of a real distribution: 1,540 specs and 370 commits, and the same shape at any other size.

`data/azurelinux-3.0-graph.json.gz` says of itself where it comes from. It holds names, versions, dependencies and the
times of commits; no text of a spec. Where its reader put the dist tag on twice (`2.azl3.azl3`, in what kernel modules
say of their kernel), we read it once.
"""

from __future__ import annotations

import gzip
import json
import posixpath
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from release.graph.capabilities import capabilities_in, parse
from release.graph.components import components

DATA = Path(__file__).with_name("data") / "azurelinux-3.0-graph.json.gz"
DIST = ".azl3"
# Cloned and left out are specs that few others need: a distribution of any size has one gcc and one python3.
HUB = 20
# What the synthetic images hold, and whose folders hold the macros of the tree: there at every size.
ALWAYS = (
    "core-packages", "distroless-packages", "bash", "dnf", "tdnf", "azurelinux-release", "azurelinux-rpm-macros",
    "pyproject-rpm-macros", "kernel-srpm-macros", "perl", "cmake", "golang", "systemd", "lua-rpm-macros",
)  # fmt: skip
_DOUBLED = re.compile(rf"({re.escape(DIST)})+")
_LEADING = re.compile(r"\d+")
_NAME = re.compile(r"(?P<base>.*?)(?P<end>\)?(\(x86-64\)|\(64bit\))?)\Z")


@dataclass(frozen=True, slots=True)
class Binary:
    """A binary package: `evr` with its epoch; `provides` without what rpm adds by itself."""

    name: str
    evr: str
    noarch: bool
    provides: tuple[str, ...]
    requires: tuple[str, ...]

    @property
    def own_provides(self) -> tuple[str, ...]:
        """What rpm makes every package provide."""
        plain = f"{self.name} = {self.evr}"
        return (plain,) if self.noarch else (plain, f"{self.name}(x86-64) = {self.evr}")


@dataclass(frozen=True, slots=True)
class Spec:
    """A spec: its path, its Name, and what it needs and makes. `epoch`, `version` and `release` are the Name's own."""

    path: str
    name: str
    build_requires: tuple[str, ...]
    binaries: tuple[Binary, ...]

    @property
    def stem(self) -> str:
        """The file's name without `.spec`."""
        return posixpath.basename(self.path).removesuffix(".spec")

    @property
    def folder(self) -> str:
        """The name of the folder below SPECS."""
        return self.path.split("/")[1]

    @property
    def main(self) -> Binary:
        """The package whose version is that of the spec."""
        named = [each for each in self.binaries if each.name in (self.name, f"{self.name}-debuginfo")]
        return (named or list(self.binaries))[0]

    @property
    def dependencies(self) -> Iterable[str]:
        """Everything that it, or one of its packages, requires."""
        yield from self.build_requires
        for binary in self.binaries:
            yield from binary.requires


@dataclass(frozen=True, slots=True)
class Commit:
    """A real commit: seconds since 1970, and the folders below SPECS that it touched."""

    commit: str
    time: int
    folders: tuple[str, ...]


class Kind(StrEnum):
    """What a commit does to a spec, guessed by a rule: the facts know which folders it touched and nothing else.

    PATCH: it touched one folder, as security fixes do. Of a commit that touched several, RAISE: the spec's Release is
    higher in the facts than the number of times that the commits touched it, so that no new version can have set it
    back to 1 meanwhile (glibc, and what is linked to it statically); UPDATE: any other, taken as a new version.
    """

    PATCH = "patch"
    RAISE = "raise"
    UPDATE = "update"


def kind(commit: Commit, spec: Spec) -> Kind:
    """What a commit does to a spec of one of its folders."""
    if len(commit.folders) == 1:
        return Kind.PATCH
    release = _LEADING.match(spec.main.evr.rpartition("-")[2])
    return Kind.RAISE if release and int(release[0]) > _touches()[spec.folder] else Kind.UPDATE


@cache
def _touches() -> Counter[str]:
    return Counter(folder for commit in commits() for folder in commit.folders)


@cache
def _data() -> dict[str, Any]:
    text = gzip.decompress(DATA.read_bytes()).decode()
    return json.loads(_DOUBLED.sub(DIST, text))  # type: ignore[no-any-return]


@cache
def specs() -> tuple[Spec, ...]:
    """The specs of the real tree, by path."""
    return tuple(_spec(path, each) for path, each in sorted(_data()["specs"].items()))


@cache
def commits() -> tuple[Commit, ...]:
    """The real commits, oldest first."""
    return tuple(Commit(each["commit"], each["time"], tuple(each["spec_dirs"])) for each in _data()["commits"])


@cache
def scaled(count: int, seed: int = 1) -> tuple[Spec, ...]:
    """A tree of `count` specs in which a spec needs as many others as in the real one, at as many levels.

    Fewer: specs are drawn; what the others need of a spec that was not, they need of one that is on the same level
    or below. More: specs are drawn to be cloned, again and again; a clone needs the clones of what the original
    needs where there are such, and the originals otherwise. Hubs and the bootstrap core stay as they are.
    """
    real = specs()
    if count == len(real):
        return real
    levels, kept = _levels(real)
    others = [spec for spec in real if spec.path not in kept]
    draw = random.Random(seed)
    if count < len(real):
        drawn = draw.sample(others, max(0, count - len(kept)))
        return _fewer(real, [each for each in real if each.path in kept or each in drawn], levels, draw)
    clones: list[Spec] = []
    while missing := count - len(real) - len(clones):
        round_ = len(clones) // len(others) + 1
        group = sorted(draw.sample(others, min(missing, len(others))), key=lambda each: each.path)
        clones += _clones(group, f"-c{round_}")
    return tuple(sorted((*real, *clones), key=lambda each: each.path))


def providers(tree: Iterable[Spec]) -> Mapping[str, tuple[str, ...]]:
    """Capability name -> paths of the specs that provide it."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for spec in tree:
        for binary in spec.binaries:
            for text in (*binary.own_provides, *binary.provides):
                found[text.split(" ")[0]][spec.path] = None
    return {name: tuple(paths) for name, paths in found.items()}


def edges(tree: Iterable[Spec]) -> Mapping[str, set[str]]:
    """Spec path -> paths of the specs that it or its packages may need, by name alone."""
    tree = tuple(tree)
    by_name = providers(tree)
    return {
        spec.path: {path for text in spec.dependencies for name in _names(text) for path in by_name.get(name, ())}
        - {spec.path}
        for spec in tree
    }


def _spec(path: str, facts: Mapping[str, Any]) -> Spec:
    binaries = tuple(map(_binary, facts["packages"]))
    folder, stem = path.split("/")[1], posixpath.basename(path).removesuffix(".spec")
    names = [each.name for each in binaries]
    debuginfo = [each.removesuffix("-debuginfo") for each in names if each.endswith("-debuginfo")]
    # golang-1.23.spec says Name: golang, and python-h5py.spec says Name: h5py
    name = next((each for each in (stem, *debuginfo, folder) if each in names or each in debuginfo), stem)
    requires = tuple(sorted(set(facts["build_requires"])))
    return Spec(path=path, name=name, build_requires=requires, binaries=binaries)


def _binary(facts: Mapping[str, Any]) -> Binary:
    name, own = facts["name"], facts["version_release"]
    evrs = [text.partition(" = ")[2] for text in facts["provides"] if text.startswith(f"{name} = ")]
    bare = Binary(name, next(each for each in evrs if each.split(":")[-1] == own), facts["arch"] == "noarch", (), ())
    # scripts in Lua and scripts with macros: said by the script itself
    requires = sorted({each for each in facts["requires"] if not each.startswith("rpmlib(")})
    provides = sorted(set(facts["provides"]) - set(bare.own_provides))
    return replace(bare, provides=tuple(provides), requires=tuple(requires))


def _names(text: str) -> Iterable[str]:
    return (capability.name for capability in capabilities_in(parse(text)))


def _levels(tree: tuple[Spec, ...]) -> tuple[Mapping[str, int], set[str]]:
    """The level of each spec, and the paths of those that stay: hubs, cycles, pinned versions, shared folders."""
    needs = edges(tree)
    paths = [spec.path for spec in tree]
    number = {path: position for position, path in enumerate(paths)}
    successors = [[number[each] for each in needs[path]] for path in paths]
    levels: dict[str, int] = {}
    fan_in: dict[str, int] = defaultdict(int)
    kept: set[str] = set()
    for knot in components(successors):
        level = 1 + max((levels[paths[e]] for n in knot for e in successors[n] if e not in knot), default=-1)
        levels.update({paths[each]: level for each in knot})
        kept |= {paths[each] for each in knot} if len(knot) > 1 else set()
    for path in paths:
        for each in needs[path]:
            fan_in[each] += 1
    by_name = providers(tree)
    pinned = {
        path
        for spec in tree
        for text in spec.dependencies
        if " = " in text and not text.startswith("(")
        for path in by_name.get(text.split(" ")[0], ())
        if path != spec.path
    }
    shared = [spec.folder for spec in tree]
    for spec in tree:
        if fan_in[spec.path] >= HUB or spec.path in pinned or spec.folder in ALWAYS or shared.count(spec.folder) > 1:
            kept.add(spec.path)
    return levels, kept


def _fewer(
    tree: tuple[Spec, ...], kept: list[Spec], levels: Mapping[str, int], draw: random.Random
) -> tuple[Spec, ...]:
    by_name, here = providers(tree), {spec.path for spec in kept}
    by_level = sorted(kept, key=lambda each: levels[each.path])
    stand_ins: dict[str, str] = {}
    for spec in tree:
        if spec.path not in here:
            below = [each for each in by_level if levels[each.path] <= levels[spec.path]]
            same = [each for each in below if levels[each.path] == levels[spec.path]]
            stand_ins[spec.path] = draw.choice((same or below)[-50:]).binaries[0].name

    def changed(name: str) -> str | None:
        paths = by_name.get(name, ())
        return stand_ins[paths[0]] if paths and not here & set(paths) else None

    return tuple(_rewritten(spec, lambda text: _redirected(text, changed)) for spec in kept)


def _redirected(text: str, changed: Callable[[str], str | None]) -> str:
    """A dependency on what is gone becomes one on its stand-in, without a version; rich ones become plain."""
    names = [changed(name) for name in _names(text)]
    return next((name for name in names if name), text)


def _clones(group: Iterable[Spec], end: str) -> list[Spec]:
    group = tuple(group)
    ours = set(providers(group))

    def rename(text: str) -> str:
        for name in sorted(set(_names(text)) & ours, key=len, reverse=True):
            text = re.sub(rf"(?<![^\s(]){re.escape(name)}(?![^\s)])", lambda found: _named(found[0], end), text)
        return text

    clones = []
    for spec in group:
        path = f"SPECS/{spec.folder}{end}/{spec.stem}{end}.spec"
        clone = replace(_rewritten(spec, rename), path=path, name=f"{spec.name}{end}")
        clones.append(replace(clone, binaries=tuple(_debuginfo(each, spec, clone) for each in clone.binaries)))
    return clones


def _debuginfo(binary: Binary, spec: Spec, clone: Spec) -> Binary:
    """rpm names the package after the spec: `foo-c1-debuginfo`."""
    ours = binary.name.startswith(spec.name) and binary.name.endswith("-debuginfo")
    return replace(binary, name=f"{clone.name}-debuginfo") if ours else binary


def _rewritten(spec: Spec, rewrite: Callable[[str], str]) -> Spec:
    """With every name and dependency rewritten."""
    binaries = tuple(
        replace(
            each,
            name=rewrite(each.name),
            provides=tuple(sorted({rewrite(text) for text in each.provides})),
            requires=tuple(sorted({rewrite(text) for text in each.requires})),
        )
        for each in spec.binaries
    )
    return replace(
        spec, build_requires=tuple(sorted({rewrite(text) for text in spec.build_requires})), binaries=binaries
    )


def _named(capability: str, end: str) -> str:
    """`foo` -> `foo-c1`, `foo(x86-64)` -> `foo-c1(x86-64)`, `perl(A::B)` -> `perl(A::B-c1)`."""
    found = _NAME.match(capability)
    assert found
    return f"{found['base']}{end}{found['end']}"
