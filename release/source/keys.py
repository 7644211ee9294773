"""The build key: same key, same RPMs. What goes into it, and which part of it differs when two of them do."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from release.digests import checked, digest_of_json
from release.records import Digest, Recorded, to_json
from release.source.specs import Package


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(Recorded):
    """Everything of a build that does not come from other packages of the tree.

    `spec` tells the specs of one folder apart; `content` covers the files of the folder that the build sees,
    `expanded` the spec as rpm reads it, with all macros in their places; `sources` maps file names to pinned sha256
    (hex). `macros` are the macros that count whatever a spec says, `toolchain` is the toolchain set.
    """

    spec: str
    content: Digest
    expanded: Digest
    sources: Mapping[str, str]
    macros: Digest
    toolchain: Digest
    arch: str

    @classmethod
    def of(cls, package: Package, *, macros: str, toolchain: str, arch: str, all_macros: str | None = None) -> Recipe:
        """The recipe of one package; `Refused` for what is no digest.

        `all_macros` is the digest of all of the tree's macros, for a package whose build root may hold macros that the
        spec was not read with: what these use does not show in its expanded text.
        """
        expanded = checked(package.expanded)
        return cls(
            spec=posixpath.basename(package.spec),
            content=checked(package.content),
            expanded=digest_of_json([expanded, checked(all_macros)]) if all_macros else expanded,
            sources=MappingProxyType({source.file: source.sha256 or "" for source in package.pinned}),
            macros=checked(macros),
            toolchain=checked(toolchain),
            arch=arch,
        )


def build_key(recipe: Recipe, root: Mapping[str, str], *, evr: str) -> str:
    """The build key: a digest over the recipe, the interface digest of each binary package of the tree that the build
    root may hold (`root`, by name), and the EVR that it is to have (the spec's own, or that of a rebuild)."""
    inputs = {name: checked(digest) for name, digest in root.items()}
    return digest_of_json({"recipe": to_json(recipe), "root": inputs, "evr": evr})


def explain(before: Recipe, after: Recipe) -> tuple[str, ...]:
    """In plain words what makes two recipes of a package differ; empty when they are equal."""
    pairs = (
        ("the spec's file name", before.spec, after.spec),
        ("the toolchain set", before.toolchain, after.toolchain),
        ("the architecture", before.arch, after.arch),
        ("a macro that counts for every package", before.macros, after.macros),
    )
    lines = [f"{word} changed: {short(one)} -> {short(two)}" for word, one, two in pairs if one != two]
    lines += _differences("the source", before.sources, after.sources)
    if before.content != after.content:
        lines.append("its spec or a file beside it changed")
    elif before.expanded != after.expanded:
        lines.append("a macro that its spec uses changed")
    return tuple(lines)


def short(text: str) -> str:
    """A digest or id shortened for people; other words stay as they are."""
    algorithm, colon, digits = text.rpartition(":")
    return f"{algorithm}{colon}{digits[:12]}" if len(digits) in (40, 64) else text


def _differences(word: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterable[str]:
    for name in sorted(before.keys() | after.keys()):
        one, two = before.get(name), after.get(name)
        if one is None and two is not None:
            yield f"{word} {name} is new: {short(two)}"
        elif one is not None and two is None:
            yield f"{word} {name} is gone: {short(one)}"
        elif one is not None and two is not None and one != two:
            yield f"{word} {name} changed: {short(one)} -> {short(two)}"
