"""What a release is: one immutable OCI artifact that names, by digest, everything that was built from one commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from release import oci
from release.errors import Refused
from release.instants import Instant, instant_text
from release.records import Descriptor, Digest, Recorded, from_bytes, to_bytes

RELEASE = "application/vnd.slipway.release.v1"
RECORD = "application/vnd.slipway.release.v1+json"
PLAN = "application/vnd.slipway.plan.v1+json"
CERTIFICATES = "application/vnd.slipway.certificates.v1+json"
_ORDER: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "images": attrgetter("name"),
        "referrers": attrgetter("repository", "subject", "kind", "digest"),
        "tests": attrgetter("name"),
    }
)
_CREATED, _REVISION = "org.opencontainers.image.created", "org.opencontainers.image.revision"
_SOURCE, _VERSION = "org.opencontainers.image.source", "org.opencontainers.image.version"


class Trust(StrEnum):
    """Who vouches for the signing identities: our embedded Sigstore, the public one, or a private one."""

    EMBEDDED = "embedded"
    PUBLIC = "public"
    PRIVATE = "private"


class Verdict(StrEnum):
    """The answer to a question about a release. UNKNOWN: the oracle erred. Only PASS passes."""

    PASS = "PASS"  # noqa: S105 - the word of promotion, no password
    FAIL = "FAIL"
    PENDING = "PENDING"
    UNKNOWN = "UNKNOWN"

    @property
    def severity(self) -> int:
        """How much a verdict stands in the way: the worst of several answers is the answer."""
        return ("PASS", "PENDING", "UNKNOWN", "FAIL").index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCommit(Recorded):
    """The commit a release was built from; `time` is the commit's own time."""

    repository: str
    commit: str
    time: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageManifest(Recorded):
    """One architecture of an image, in rpm's name (`x86_64`)."""

    arch: str
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseImage(Recorded):
    """One published image: the index's digest and the manifest of each architecture."""

    name: str
    repository: str
    digest: Digest
    manifests: tuple[ImageManifest, ...]

    def __post_init__(self) -> None:
        """Order the architectures, so that equal images are equal."""
        object.__setattr__(self, "manifests", tuple(sorted(self.manifests, key=attrgetter("arch"))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Referrer(Recorded):
    """A proof that stands beside a subject in a repository: `kind` is `sbom` or `provenance`."""

    kind: str
    repository: str
    subject: Digest
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseTest(Recorded):
    """The result of a named test. `failures` are the failing cases, so that an old failure is told from a new one.

    `since` is when a PENDING test began; `log` the digest of its output.
    """

    name: str
    verdict: Verdict
    failures: tuple[str, ...] = ()
    since: Instant | None = None
    log: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(Recorded):
    """A release. Nothing in it depends on when or where it was made: equal content, equal digest.

    `snapshot` is the snapshot index in `rpms_repository`; `plan` and `certificates` are JSON blobs beside the record.
    """

    source: SourceCommit
    distro: str
    version: str
    trust: Trust
    rpms_repository: str
    snapshot: Descriptor
    images: tuple[ReleaseImage, ...]
    referrers: tuple[Referrer, ...]
    plan: Descriptor
    certificates: Descriptor
    tests: tuple[ReleaseTest, ...] = ()

    def __post_init__(self) -> None:
        """Put every list into an order that content alone decides; one image a name and a repository."""
        for name, order in _ORDER.items():
            object.__setattr__(self, name, tuple(sorted(getattr(self, name), key=order)))
        for taken in ([each.name for each in self.images], [each.repository for each in self.images]):
            if len(set(taken)) != len(taken):
                raise ValueError("every image with a name and a repository of its own: a tag names one thing")

    def record(self) -> bytes:
        """`release.json`, the first layer, in canonical JSON."""
        return to_bytes(self)

    def to_document(self) -> oci.Document:
        """The artifact. Its layers (`record()`, the plan, the certificates) must be pushed before it."""
        layers = (
            oci.blob(self.record(), RECORD, title="release.json"),
            _titled(self.plan, PLAN, "plan.json"),
            _titled(self.certificates, CERTIFICATES, "certificates.json"),
        )
        annotations = {
            _CREATED: instant_text(self.source.time),
            _REVISION: self.source.commit,
            _SOURCE: self.source.repository,
            oci.TITLE: self.distro,
            _VERSION: self.version,
        }
        return oci.manifest(artifact_type=RELEASE, layers=layers, annotations=annotations)

    @property
    def digest(self) -> str:
        """The identity of the release: the digest of its artifact."""
        return self.to_document().digest

    @property
    def artifacts(self) -> tuple[str, ...]:
        """Digests that consumers can reach through the release: the snapshot and every image; a denial may name one."""
        of_images = [digest for each in self.images for digest in (each.digest, *(m.digest for m in each.manifests))]
        return tuple(sorted({self.snapshot.digest, *of_images}))


def record_layer(document: oci.Document) -> oci.Descriptor:
    """The layer of a release artifact that holds its record; `Refused` when the document is no release."""
    kind = document.descriptor.artifact_type
    found = [layer for layer in document.layers if layer.media_type == RECORD]
    if kind != RELEASE or len(found) != 1:
        raise Refused(
            "not a release",
            where=document.digest,
            got=f"artifactType {kind}, {len(found)} records",
            expected=f"{RELEASE} with one layer {RECORD}",
        )
    return found[0]


def parse_release(document: oci.Document, record: bytes) -> Release:
    """Read a release from its artifact and the content of `record_layer`. Unknown keys of the record survive.

    `Refused` when the record is not the one that the artifact names, or is no release.
    """
    layer, got = record_layer(document), oci.blob(record, RECORD).digest
    if got != layer.digest:
        raise Refused("the record is not the release's own", where=document.digest, got=got, expected=layer.digest)
    return from_bytes(Release, record, what="a release record")


def _titled(descriptor: oci.Descriptor, media_type: str, title: str) -> oci.Descriptor:
    annotations = MappingProxyType({oci.TITLE: title})
    return oci.Descriptor(
        media_type=media_type, digest=descriptor.digest, size=descriptor.size, annotations=annotations
    )
