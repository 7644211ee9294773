"""What came out of building one source package: its RPMs by digest, under the build key that made them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from release import oci
from release.digests import canonical_json, checked
from release.errors import Refused

BUILD = "application/vnd.slipway.rpm.build.v1"
SAME = "application/vnd.slipway.rpm.same.v1"
ROOT = "application/vnd.slipway.rpm.root.v1+json"
RPM = "application/x-rpm"
SOURCE = "application/vnd.slipway.source.v1"
_PREFIX = "dev.slipway."
KEY = f"{_PREFIX}build-key"
PACKAGE = f"{_PREFIX}package"
EVR = f"{_PREFIX}evr"
ORIGIN = f"{_PREFIX}origin"
ARCH = f"{_PREFIX}arch"
HEADER = f"{_PREFIX}header-digest"
KEPT = f"{_PREFIX}kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rpm:
    """One RPM file as published: file name, digest and size of the signed file, and the digest of its header.

    `header_digest` is rpm's SHA256HEADER (hex): the immutable header with its payload digest, without the
    signature, so that it is equal for equal builds although a signature carries a time.
    """

    file: str
    digest: str
    size: int
    header_digest: str

    def to_descriptor(self) -> oci.Descriptor:
        """The layer that stands for this file in a build manifest."""
        return oci.Descriptor(
            media_type=RPM,
            digest=self.digest,
            size=self.size,
            annotations={oci.TITLE: self.file, HEADER: self.header_digest},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One source package's build. `package` is the source package name, `evr` its [epoch:]version-release.

    `origin` is `spec` for our own specs and `stage0` for packages that were imported, so that nobody
    mistakes one for the other. `sources` are the pinned source files (title, digest), kept beside the RPMs: the
    registry is the lookaside cache. `records` are JSON layers that say what others can observe of it (interfaces)
    and what it observed itself (its build root).
    """

    package: str
    evr: str
    arch: str
    key: str
    rpms: tuple[Rpm, ...]
    sources: tuple[oci.Descriptor, ...] = ()
    records: tuple[oci.Descriptor, ...] = ()
    origin: str = "spec"

    def record(self, media_type: str) -> oci.Descriptor | None:
        """The record of a kind, None in a build that has none (an imported package, a build of version 0.1)."""
        return next((each for each in self.records if each.media_type == media_type), None)

    def to_document(self, annotations: Mapping[str, str] | None = None) -> oci.Document:
        """The build manifest: RPM layers sorted by file name, sources, records. Equal builds give equal bytes."""
        layers = [rpm.to_descriptor() for rpm in sorted(self.rpms, key=lambda rpm: rpm.file)]
        layers += sorted(self.sources, key=lambda source: source.title or "")
        layers += sorted(self.records, key=lambda record: record.media_type)
        own = {KEY: self.key, PACKAGE: self.package, EVR: self.evr, ARCH: self.arch, ORIGIN: self.origin}
        return oci.manifest(artifact_type=BUILD, layers=layers, annotations={**(annotations or {}), **own})

    @classmethod
    def from_document(cls, document: oci.Document) -> Build:
        """Read a build manifest back; `Refused` when it is none or a field is missing."""
        notes = document.annotations
        try:
            return cls(
                package=notes[PACKAGE],
                evr=notes[EVR],
                arch=notes[ARCH],
                key=checked(notes[KEY]),
                origin=notes[ORIGIN],
                rpms=tuple(
                    Rpm(
                        file=layer.annotations[oci.TITLE],
                        digest=layer.digest,
                        size=layer.size,
                        header_digest=layer.annotations[HEADER],
                    )
                    for layer in document.layers
                    if layer.media_type == RPM
                ),
                sources=tuple(layer for layer in document.layers if layer.media_type == SOURCE),
                records=tuple(layer for layer in document.layers if layer.media_type not in (RPM, SOURCE)),
            )
        except KeyError as error:
            raise Refused(
                "not a build manifest", got=document.digest, expected=f"the annotation or title {error}"
            ) from error


def root_record(consumed: Mapping[str, str]) -> bytes:
    """The record of a build root: the tree's binary packages that were in it, by name, with their interface digests."""
    return canonical_json({"consumed": {name: checked(digest) for name, digest in consumed.items()}})


def parse_root(raw: bytes) -> tuple[str, ...]:
    """The names in the record of a build root, sorted; `Refused` when it is none."""
    try:
        consumed = json.loads(raw)["consumed"]
        for digest in consumed.values():
            checked(digest)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused("not the record of a build root", got=repr(raw[:80]), expected=f"consumed: {error}") from error
    return tuple(sorted(map(str, consumed)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Same:
    """A build that came out as the published one is: under its own key it says which build stands for it.

    `build` is the digest of that build's manifest; `root` the record of what this build observed.
    """

    package: str
    arch: str
    key: str
    build: str
    root: oci.Descriptor

    def to_document(self) -> oci.Document:
        """The manifest that the key's tag names."""
        notes = {KEY: self.key, PACKAGE: self.package, ARCH: self.arch, KEPT: self.build}
        return oci.manifest(artifact_type=SAME, layers=[self.root], annotations=notes)

    @classmethod
    def from_document(cls, document: oci.Document) -> Same | None:
        """Read it back; None for a document of another kind, `Refused` for a broken one."""
        if document.json().get("artifactType") != SAME:
            return None
        notes = document.annotations
        try:
            return cls(
                package=notes[PACKAGE],
                arch=notes[ARCH],
                key=checked(notes[KEY]),
                build=checked(notes[KEPT]),
                root=next(layer for layer in document.layers if layer.media_type == ROOT),
            )
        except (KeyError, StopIteration) as error:
            raise Refused("not a build that stands for another", got=document.digest, expected=f"{error}") from error
