"""What stands for a source package: its build, with what others can observe of it and what it observed itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from release.digests import digest_of_json
from release.interfaces.interfaces import BinaryInterface, as_binary, chosen_by
from release.product.builds import Build, Rpm
from release.source.specs import BinaryPackage


class Inside(NamedTuple):
    """A binary package that a build root may hold: its name, its interface digest, and the RPM file that holds it."""

    name: str
    digest: str
    rpm: Rpm


@dataclass(frozen=True, kw_only=True)  # without slots, for what is computed once
class Standing:
    """A package's build as it stands in a registry: what it is, the digest of its manifest, what others can observe of
    its binary packages, and the names of the tree's packages that were in its build root."""

    build: Build
    manifest: str
    interfaces: tuple[BinaryInterface, ...]
    consumed: tuple[str, ...]

    @cached_property
    def inside(self) -> tuple[Inside, ...]:
        """Its binary packages, as a build root may hold them."""
        files = {rpm.file: rpm for rpm in self.build.rpms}
        return tuple(Inside(each.name, each.digest, files[each.file]) for each in self.interfaces)

    @cached_property
    def folders(self) -> Mapping[str, Mapping[str, Iterable[str]]]:
        """The names of the files of each of its binary packages, by folder."""
        return {each.name: each.files for each in self.interfaces}

    @property
    def table(self) -> Mapping[str, str]:
        """The interface digest of each of its binary packages by name."""
        return table(self.inside)

    @property
    def binaries(self) -> tuple[BinaryPackage, ...]:
        """Its binary packages with all that they provide and require, as they were really built."""
        return tuple(as_binary(each) for each in self.interfaces)


def table(packages: Iterable[Inside]) -> Mapping[str, str]:
    """The interface digest of each binary package by name; of several with one name, all count together."""
    found: dict[str, list[str]] = {}
    for each in packages:
        found.setdefault(each.name, []).append(each.digest)
    return {name: one[0] if len(one) == 1 else digest_of_json(sorted(one)) for name, one in sorted(found.items())}


def choices(names: Collection[str], before: Iterable[Standing], now: Iterable[Standing]) -> frozenset[str]:
    """Of these binary packages those that dnf may choose otherwise now: what they provide, need or replace, or the
    paths that they own, are others than before."""

    def facts(standings: Iterable[Standing]) -> Mapping[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for each in (one for standing in standings for one in standing.interfaces if one.name in names):
            found.setdefault(each.name, []).append(chosen_by(each))
        return found

    old, new = facts(before), facts(now)
    return frozenset(name for name in names if old.get(name) != new.get(name))


def same_product(before: Iterable[BinaryInterface], after: Iterable[BinaryInterface]) -> bool:
    """Whether two builds made the same packages, each the same product for whoever installs it."""
    one, two = ({(each.name, each.arch): each.product for each in some} for some in (before, after))
    return one == two
