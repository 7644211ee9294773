"""What a spec declares, completed by what rpmbuild made of it before: generated Provides, Requires and file lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from release.source.specs import BinaryPackage


def completed(declared: Sequence[BinaryPackage], published: Iterable[BinaryPackage]) -> tuple[BinaryPackage, ...]:
    """The `declared` packages of a spec, each with what the published one of its name has in addition.

    What names the published EVR (`libfoo(x86-64) = 1-1`) is read as naming the one that is declared now: it would
    be generated anew. Published packages that the spec no longer declares are gone.
    """
    by_name = {each.name: each for each in published}
    return tuple(_complete(each, by_name[each.name]) if each.name in by_name else each for each in declared)


def _complete(declared: BinaryPackage, published: BinaryPackage) -> BinaryPackage:
    old, new = f" = {published.evr}", f" = {declared.evr}"

    def renewed(texts: Iterable[str]) -> Iterable[str]:
        # a rich dependency may say it anywhere, a plain one only at its end
        return (each.replace(old, new) if each.endswith((old, ")")) else each for each in texts)

    return replace(
        declared,
        provides=_union(declared.provides, renewed(published.provides)),
        requires=_union(declared.requires, renewed(published.requires)),
        files=_union(declared.files, published.files),
    )


def _union(one: Iterable[str], two: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *two)))
