"""Wants one package of a release: what its build would see, and whether something that stands already is the answer."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from release.product.builds import Build
from release.product.standing import Inside, Standing, choices, table
from release.source.certificates import Certificate, Comparison, compare, next_evr
from release.source.keys import Recipe, build_key
from release.source.macro_files import holds_unread
from release.source.specs import Package
from tasks.bench import Bench
from tasks.builds import find_build
from tasks.recall import Previous, standing
from tasks.verify import signers

if TYPE_CHECKING:
    from tasks.wiring import Tools


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One package that a release needs. `inside` are the tree's binary packages that its build root may hold, and
    `root` their interface digests by name; `certificate` and `before` are what the release before says of the
    package, `comparison` why that does not stand any more, if so."""

    package: Package
    recipe: Recipe
    inside: Sequence[Inside]
    root: Mapping[str, str]
    builds: Sequence[Build]
    certificate: Certificate | None
    before: Standing | None
    comparison: Comparison

    @property
    def evr(self) -> str:
        """The EVR that it is to have."""
        return next_evr(self.package.evr, self.certificate, self.comparison)

    @property
    def key(self) -> str:
        """Its build key."""
        return build_key(self.recipe, self.root, evr=self.evr)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a build that really ran took, in seconds, of these rpmbuild's, and where its log is."""

    seconds: float
    rpmbuild_seconds: float
    log_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What stands for a wanted package. `ran` is None where nothing was built: the published build stands, or the
    registry had one of this key already."""

    wanted: Wanted
    standing: Standing
    ran: Ran | None = None

    @property
    def is_new(self) -> bool:
        """Whether it has other RPMs than the release before."""
        return self.wanted.before is None or self.wanted.before.manifest != self.standing.manifest


def want(bench: Bench, name: str, view: Mapping[str, Standing], previous: Previous | None) -> Wanted:
    """What is wanted of a package, over the builds that stand in `view` for what it needs."""
    package = bench.graph.packages[name]
    names = bench.graph.build_root(name)
    needed = [view[each] for each in sorted(bench.graph.build_inputs(name)) if each in view]
    recipe = Recipe.of(
        package,
        macros=bench.macros,
        toolchain=bench.toolchain.digest,
        arch=bench.arch,
        all_macros=bench.source.all_macros if _sees_unread_macros(bench, names, needed) else None,
    )
    inside = [one for each in needed for one in each.inside if one.name in names]
    root = table(inside)
    certificate = previous.certificates.packages.get(name) if previous else None
    known = previous.certificates.interfaces if previous else {}
    return Wanted(
        package=package,
        recipe=recipe,
        inside=inside,
        root=root,
        builds=[each.build for each in needed],
        certificate=certificate,
        before=previous.standing.get(name) if previous else None,
        comparison=compare(
            certificate, known, recipe=recipe, root=root, choices=_choices(certificate, root, needed, previous)
        ),
    )


def _sees_unread_macros(bench: Bench, names: Collection[str], needed: Sequence[Standing]) -> bool:
    """Whether its build root may hold macros that its spec was not read with."""
    read = {posixpath.basename(path) for path in (*bench.tree.macro_files, *bench.tree.lua_modules)}
    return any(
        holds_unread(folders, read) for each in needed for name, folders in each.folders.items() if name in names
    )


def _choices(
    certificate: Certificate | None, root: Mapping[str, str], needed: Sequence[Standing], previous: Previous | None
) -> frozenset[str]:
    """Of what might have been in its build root, and was not, those that may be installed now instead of others."""
    if certificate is None or previous is None:
        return frozenset()
    known = previous.certificates.interfaces
    changed = {name for name in certificate.unseen if name in root and root[name] != known.get(name)}
    return choices(changed, previous.standing.values(), needed) if changed else frozenset()


async def standing_for(tools: Tools, bench: Bench, wanted: Wanted) -> Made | None:
    """What stands for a package without building: the published build where nothing that it observed changed, or a
    build of exactly this key that some machine has made and proven."""
    if wanted.before is not None and not wanted.comparison:
        return Made(wanted=wanted, standing=wanted.before)
    distro = bench.tree.distro
    found = await find_build(tools, distro.rpms_repository, wanted.key, policy=signers(tools, distro))
    if found is None:
        return None
    return Made(wanted=wanted, standing=await standing(tools, distro.rpms_repository, found.manifest, root=found.root))
