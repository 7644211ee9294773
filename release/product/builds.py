"""What came out of building one source package: its RPMs by digest, under the build key that made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from release import oci
from release.digests import checked
from release.errors import Refused

BUILD = "application/vnd.slipway.rpm.build.v1"
RPM = "application/x-rpm"
SOURCE = "application/vnd.slipway.source.v1"
_PREFIX = "dev.slipway."
KEY = f"{_PREFIX}build-key"
PACKAGE = f"{_PREFIX}package"
EVR = f"{_PREFIX}evr"
ORIGIN = f"{_PREFIX}origin"
ARCH = f"{_PREFIX}arch"
HEADER = f"{_PREFIX}header-digest"


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
    registry is the lookaside cache.
    """

    package: str
    evr: str
    arch: str
    key: str
    rpms: tuple[Rpm, ...]
    sources: tuple[oci.Descriptor, ...] = ()
    origin: str = "spec"

    def to_document(self, annotations: Mapping[str, str] | None = None) -> oci.Document:
        """The build manifest: RPM layers sorted by file name, then sources. Equal builds give equal bytes."""
        layers = [rpm.to_descriptor() for rpm in sorted(self.rpms, key=lambda rpm: rpm.file)]
        layers += sorted(self.sources, key=lambda source: source.title or "")
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
            )
        except KeyError as error:
            raise Refused(
                "not a build manifest", got=document.digest, expected=f"the annotation or title {error}"
            ) from error
