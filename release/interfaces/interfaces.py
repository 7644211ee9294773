"""Binary RPMs as their dependents and their users see them: interface digest, product digest, the record of both."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from release import records
from release.digests import digest_of_json
from release.interfaces.file_rules import Counts, FileKind, rule_of
from release.interfaces.interface_dependencies import observable, own_releases, shippable, without_symbol_versions
from release.source.rebuild_suffix import unsuffixed
from release.source.specs import BinaryPackage

INTERFACES = "application/vnd.slipway.rpm.interfaces.v1+json"
SCHEME = 1
"""Part of every digest: a change of what counts raises it, so that no digest of the old rules equals one of the new."""
# What runs when a package is installed into a build root, and so can leave something there for the build to see.
_INSTALLING = ("pre", "post", "pretrans", "posttrans", "triggers", "filetriggers", "transfiletriggers")


class FileEntry(NamedTuple):
    """One file: its kind, its mode (octal) with owner and group unless both are root, capabilities or device number if
    it has them, rpm's flags, and its content.

    `content` is the fingerprint of the normalised content, or a link's target; `exports` that of a library's exports.
    """

    kind: FileKind
    attributes: str
    flags: int = 0
    content: str = ""
    exports: str = ""

    @property
    def observable(self) -> list[str] | None:
        """What a build can see of it; None when that is nothing."""
        counts = rule_of(self.kind).counts
        if counts is Counts.NOTHING:
            return None
        return [self.attributes, self.exports if counts is Counts.EXPORTS else self.content]

    @property
    def shipped(self) -> list[Any] | None:
        """What an installed system has of it; None when that is nothing."""
        if self.kind is FileKind.BUILD_ID:
            return None
        return [self.attributes, self.flags, self.content if rule_of(self.kind).product else ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryInterface(records.Recorded):
    """One binary RPM. Dependencies are as rpm prints them, with real versions; `weak` begin with their kind.

    `file` is the name of the RPM, `source` that of its source RPM. `texts` and `scripts` hold fingerprints by name.
    `files` are grouped by folder, `libraries` list what each shared library exports, in words, where it is not too
    much; the fingerprint in the entry is the whole.
    """

    scheme: int = SCHEME
    name: str
    epoch: int
    version: str
    release: str
    arch: str
    file: str
    source: str = ""
    provides: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    obsoletes: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    scripts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    files: Mapping[str, Mapping[str, FileEntry]] = field(default_factory=lambda: MappingProxyType({}))
    libraries: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def evr(self) -> str:
        """`[epoch:]version-release`, without an epoch of 0."""
        return f"{self.epoch}:{self.version}-{self.release}" if self.epoch else f"{self.version}-{self.release}"

    def paths(self) -> Iterator[tuple[str, FileEntry]]:
        """Every file by its absolute path."""
        for folder, names in self.files.items():
            for name, entry in names.items():
                yield posixpath.join(folder, name), entry

    @property
    def digest(self) -> str:
        """The interface digest: equal when a build that has this package installed cannot tell the difference.

        Its one deliberate gap: the code inside a shared library (docs/interfaces.md).
        """
        return digest_of_json(observed(self))

    @property
    def product(self) -> str:
        """The product digest: equal if and only if an installed system has the same product.

        Without the suffix of a rebuild, times, build host, changelog, build ids, signature and how it is compressed.
        """
        return digest_of_json(shipped(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceRecord(records.Recorded):
    """What is kept with a build: the interfaces of all its binary RPMs, by file name."""

    packages: tuple[BinaryInterface, ...]


def observed(package: BinaryInterface) -> dict[str, Any]:
    """What the interface digest is taken of, as JSON."""
    own = own_releases(package.release, package.source)
    seen = ((path, entry.observable) for path, entry in package.paths())
    return {
        "scheme": package.scheme,
        "name": package.name,
        "arch": package.arch,
        "provides": observable(package.provides, own),
        "requires": without_symbol_versions(observable(package.requires, own)),
        "conflicts": observable(package.conflicts, own),
        "obsoletes": observable(package.obsoletes, own),
        "scripts": {name: text for name, text in package.scripts.items() if name in _INSTALLING},
        "files": {path: facts for path, facts in seen if facts is not None},
    }


def chosen_by(package: BinaryInterface) -> dict[str, Any]:
    """What a resolver of dependencies looks at when it chooses between this package and others, as JSON."""
    seen = observed(package)
    words = ("name", "arch", "provides", "requires", "conflicts", "obsoletes")
    return {**{each: seen[each] for each in words}, "paths": sorted(path for path, _ in package.paths())}


def shipped(package: BinaryInterface) -> dict[str, Any]:
    """What the product digest is taken of, as JSON."""
    own = own_releases(package.release, package.source)
    entries = ((path, entry, entry.shipped) for path, entry in package.paths())
    return {
        "scheme": package.scheme,
        "nevra": [package.name, package.epoch, package.version, unsuffixed(package.release)[0], package.arch],
        "provides": shippable(package.provides, own),
        "requires": shippable(package.requires, own),
        "conflicts": shippable(package.conflicts, own),
        "obsoletes": shippable(package.obsoletes, own),
        "weak": shippable(package.weak, own),
        "texts": dict(package.texts),
        "scripts": dict(package.scripts),
        "files": {
            without_suffix(path, package): [*facts[:-1], without_suffix(facts[-1], package)]
            if entry.kind is FileKind.LINK
            else facts
            for path, entry, facts in entries
            if facts is not None
        },
    }


def without_suffix(text: str, package: BinaryInterface) -> str:
    """A path, a link's target or a script with our own version-release as if it were the first build's."""
    return first_build(text, package.version, package.release)


def first_build(text: str, version: str, release: str) -> str:
    """`text` with `version-release` in it replaced by the same without the suffix of a rebuild."""
    own = unsuffixed(release)[0]
    return text if own == release else text.replace(f"{version}-{release}", f"{version}-{own}")


def to_bytes(packages: Iterable[BinaryInterface]) -> bytes:
    """The record of a build's binary RPMs: canonical JSON, whatever their order was."""
    return records.to_bytes(InterfaceRecord(packages=tuple(sorted(packages, key=lambda each: each.file))))


def from_bytes(raw: bytes) -> tuple[BinaryInterface, ...]:
    """Read a record back; `Refused` when it is none. What a newer Slipway wrote in a package survives."""
    return records.from_bytes(InterfaceRecord, raw, what="a record of interfaces").packages


def as_binary(package: BinaryInterface) -> BinaryPackage:
    """The same package for the resolver of dependencies, with real provides, requires and file paths."""
    return BinaryPackage(
        name=package.name,
        evr=package.evr,
        provides=package.provides,
        requires=package.requires,
        files=tuple(path for path, _ in package.paths()),
    )
