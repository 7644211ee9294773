"""How the specs of a tree are called: by their Name, or, where several specs share one, by their file names."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from release.errors import Refused
from release.source.specs import Package


def identified(packages: Iterable[Package]) -> Mapping[str, Package]:
    """The packages of a tree by identity, which is also the `name` of each then; sorted.

    Of the specs with one Name, the one whose file is called like it keeps it, the others go by their file names:
    `golang.spec` is golang, `golang-1.23.spec` is golang-1.23. Where that is taken too, the folder comes before it.
    `Refused` when two specs make the same Name with the same EVR: one would overwrite the other.
    """
    by_name: dict[str, list[Package]] = defaultdict(list)
    for package in packages:
        by_name[package.name].append(package)
    found: dict[str, Package] = {}
    # those that need not give way come first, so that what is named by its file never takes another one's Name
    for name in sorted(by_name, key=lambda each: (len(by_name[each]), each)):
        if len(by_name[name]) == 1 and name not in found:
            found[name] = by_name[name][0]
            continue
        shared = sorted(by_name[name], key=lambda each: (_stem(each) != name, len(each.spec), each.spec))
        _refuse_equals(shared)
        for package in shared:
            identity = next(each for each in _candidates(package, len(shared) > 1) if each not in found)
            found[identity] = package if identity == package.name else replace(package, name=identity)
    return MappingProxyType({identity: found[identity] for identity in sorted(found)})


def _candidates(package: Package, shared: bool) -> Iterator[str]:
    if not shared:
        yield package.name
    yield _stem(package)
    yield f"{package.folder.replace('/', '-')}-{_stem(package)}"
    yield package.spec.removesuffix(".spec").replace("/", "-")


def _stem(package: Package) -> str:
    return posixpath.basename(package.spec).removesuffix(".spec")


def _refuse_equals(shared: Sequence[Package]) -> None:
    by_evr: dict[str, Package] = {}
    for package in shared:
        other = by_evr.setdefault(package.evr, package)
        if other is not package:
            raise Refused(
                f"two specs make the source package {package.name} {package.evr}",
                where=package.spec,
                got=f"{other.spec} makes it too",
                expected="another Name: or another version for each spec",
                hint=f"remove one of them, or raise the Release: of {package.spec}",
            )
