"""Certificates: for each package of a release, whether it was built anew, and what was compared to know that."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from release.records import Digest, Recorded, from_bytes, to_bytes
from release.source.keys import Recipe, explain
from release.source.rebuild_suffix import next_rebuild, suffixed
from release.wording import listed


class Outcome(StrEnum):
    """What became of a package, compared with the release before; the same whichever attempt made the release.

    UNCHANGED: nothing that it is made from is another. SKIPPED: packages below it were built anew, and nothing
    that its build observed of them changed. KEPT: it was built again and came out the same, so the published RPMs stay.
    BUILT: it has new RPMs.
    """

    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    KEPT = "kept"
    BUILT = "built"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate(Recorded):
    """The record of one source package. `evr` and `build` (the digest of the build's manifest) are what is published.

    `consumed` are the tree's binary packages that were in its build root, by name, as the build itself recorded
    them; `unseen` those that might have been there and were not. What each of them looked like is in the
    release's table of interfaces. `reasons` say in plain words why it was built, `via` names the source packages
    through which the change came, and `differs` what others can observe of its own change.
    """

    outcome: Outcome
    evr: str
    build: Digest
    recipe: Recipe
    consumed: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    via: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()

    @property
    def root(self) -> frozenset[str]:
        """The binary packages of the tree that its build root may hold."""
        return frozenset((*self.consumed, *self.unseen))


class ImageOutcome(StrEnum):
    """What became of an image. PINNED: its packages and their layer are those of the release before; what lies
    above is another: the file that names the repository of its release, or how it is started."""

    UNCHANGED = "unchanged"
    PINNED = "pinned"
    REBUILT = "rebuilt"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCertificate(Recorded):
    """The record of one image: the digest of its index, the NEVRAs of its packages, and which of them are others."""

    outcome: ImageOutcome
    digest: Digest
    packages: tuple[str, ...]
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates(Recorded):
    """All certificates of a release by source package, and the interface digest of each binary package by name.

    Every package's `consumed` names were, when it was last built or checked, exactly as the table has them:
    otherwise it would have been built again. That is why one table is enough.
    """

    packages: Mapping[str, Certificate] = field(default_factory=lambda: MappingProxyType({}))
    interfaces: Mapping[str, Digest] = field(default_factory=lambda: MappingProxyType({}))
    images: Mapping[str, ImageCertificate] = field(default_factory=lambda: MappingProxyType({}))

    def to_bytes(self) -> bytes:
        """Canonical JSON: a release is the same whichever attempt made it."""
        return to_bytes(self)


def parse_certificates(raw: bytes) -> Certificates:
    """Read recorded certificates; `Refused` when they are none. Those of version 0.1 count as none at all."""
    return from_bytes(Certificates, raw, what="the certificates of a release")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Why a package must be built, in plain words; nothing to say means that what is published stands.

    `via` are the binary packages whose change it observed.
    """

    reasons: tuple[str, ...] = ()
    via: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether it must be built."""
        return bool(self.reasons)


def compare(
    certificate: Certificate | None,
    interfaces: Mapping[str, str],
    *,
    recipe: Recipe,
    root: Mapping[str, str],
    choices: Collection[str] = (),
) -> Comparison:
    """Whether a build would observe anything else than the published one did.

    `interfaces` is the table that stands beside the certificate; `root` maps the binary packages that the build root
    may hold now to their interface digests now. A package that may come in or is gone counts, because the build would
    see it; a changed one that was never in the root does not, unless it is one of the `choices`: those whose
    dependencies are others than before, so that it may be installed now instead of another. No certificate, or a
    consumed package that the table does not know: it must be built.
    """
    if certificate is None:
        return Comparison(reasons=("it was not built before",))
    reasons = [*explain(certificate.recipe, recipe)]
    new, gone = sorted(root.keys() - certificate.root), sorted(certificate.root - root.keys())
    changed = [name for name in certificate.consumed if name in root and interfaces.get(name) != root[name]]
    chosen = sorted({*choices} & {*certificate.unseen} & root.keys())
    seen = ("may now see", [*new, *chosen])
    for word, names in (seen, ("sees no longer", gone), ("observes a change of", changed)):
        if names:
            reasons.append(f"its build {word} {listed(names)}")
    return Comparison(reasons=tuple(reasons), via=tuple(sorted({*new, *chosen, *gone, *changed})))


def next_evr(evr: str, certificate: Certificate | None, comparison: Comparison) -> str:
    """The EVR that a package gets whose spec says `evr`: that of the published build while it stands, a higher one
    where it is built again although no person raised it, so that hosts that have the old RPMs move to the new ones."""
    if certificate is None:
        return suffixed(evr, 0)
    return next_rebuild(evr, certificate.evr) if comparison else certificate.evr


def outcome(certificate: Certificate | None, comparison: Comparison, *, build: str, touched: bool) -> Outcome:
    """What became of a package whose published build is now `build`; `touched` when a package below it was built."""
    if not comparison:
        return Outcome.SKIPPED if touched else Outcome.UNCHANGED
    return Outcome.KEPT if certificate is not None and certificate.build == build else Outcome.BUILT


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the builds of a release say of one package: what stands for it now, over which `root` (interface digests
    by name), what was compared, the source packages it is built from, and what others observe of its change."""

    evr: str
    build: str
    recipe: Recipe
    root: Mapping[str, str]
    consumed: tuple[str, ...]
    comparison: Comparison
    inputs: frozenset[str] = frozenset()
    differs: tuple[str, ...] = ()


def certify(
    answers: Mapping[str, Answer],
    before: Certificates,
    *,
    interfaces: Mapping[str, str],
    sources: Mapping[str, str],
    images: Mapping[str, ImageCertificate] = MappingProxyType({}),
) -> Certificates:
    """The certificates of a release. `interfaces` is the table of all its binary packages, `sources` maps each of them
    to its source package."""
    built = {name for name, each in answers.items() if each.comparison}
    packages = {}
    for name, each in sorted(answers.items()):
        known = before.packages.get(name)
        packages[name] = Certificate(
            outcome=outcome(known, each.comparison, build=each.build, touched=bool(each.inputs & built)),
            evr=each.evr,
            build=each.build,
            recipe=each.recipe,
            consumed=each.consumed,
            unseen=tuple(sorted(each.root.keys() - set(each.consumed))),
            reasons=each.comparison.reasons,
            via=tuple(sorted({sources[binary] for binary in each.comparison.via if binary in sources})),
            differs=each.differs,
        )
    return Certificates(packages=packages, interfaces=dict(sorted(interfaces.items())), images=dict(images))


def certify_image(before: ImageCertificate | None, *, digest: str, packages: Iterable[str]) -> ImageCertificate:
    """What became of an image that now has this digest and these packages (NEVRAs)."""
    now = tuple(sorted(packages))
    if before is None:
        return ImageCertificate(outcome=ImageOutcome.REBUILT, digest=digest, packages=now, changed=now)
    changed = tuple(sorted(set(now) - set(before.packages)))
    gone = set(before.packages) - set(now)
    same = ImageOutcome.UNCHANGED if digest == before.digest else ImageOutcome.PINNED
    return ImageCertificate(
        outcome=ImageOutcome.REBUILT if changed or gone else same, digest=digest, packages=now, changed=changed
    )


def nothing_new(certificates: Certificates) -> str:
    """Why a commit gives no release: in one line, what was built and came out as it is published."""
    kept = [name for name, each in certificates.packages.items() if each.outcome is Outcome.KEPT]
    if not kept:
        return "nothing that a release is made of changed"
    return f"built again and the same as published: {listed(kept)}"
