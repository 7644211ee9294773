"""The OCI vocabulary every room shares: descriptors, manifests and indexes as immutable bytes.

Source: OCI image-spec 1.1 (descriptor.md, manifest.md, image-index.md). A document's bytes are made once and
never serialized again, because its digest is its identity.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from release.digests import canonical_json, checked, digest_of
from release.errors import Refused

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
IMAGE_CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
TITLE = "org.opencontainers.image.title"
EMPTY_CONTENT = b"{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """A reference by content: media type, digest, size in bytes, and what the reader may know beforehand."""

    media_type: str
    digest: str
    size: int
    artifact_type: str | None = None
    architecture: str | None = None  # platform.architecture in OCI terms (amd64); the os is always linux
    annotations: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def title(self) -> str | None:
        """The file name a layer stands for (`org.opencontainers.image.title`)."""
        return self.annotations.get(TITLE)

    def to_json(self) -> dict[str, Any]:
        """The descriptor as OCI JSON; optional fields only when set."""
        out: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.artifact_type:
            out["artifactType"] = self.artifact_type
        if self.architecture:
            out["platform"] = {"architecture": self.architecture, "os": "linux"}
        if self.annotations:
            out["annotations"] = dict(self.annotations)
        return out

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Descriptor:
        """Read a descriptor from a fetched document; `Refused` where a required field is missing or wrong."""
        try:
            platform = value.get("platform") or {}
            return cls(
                media_type=str(value["mediaType"]),
                digest=checked(value["digest"]),
                size=int(value["size"]),
                artifact_type=value.get("artifactType"),
                architecture=platform.get("architecture"),
                annotations=MappingProxyType(dict(value.get("annotations") or {})),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Refused(
                "malformed OCI descriptor", got=repr(value)[:200], expected="mediaType, digest, size"
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A manifest or an index: its media type and its exact bytes."""

    media_type: str
    raw: bytes

    @property
    def digest(self) -> str:
        """Digest of the exact bytes."""
        return digest_of(self.raw)

    @property
    def descriptor(self) -> Descriptor:
        """What a parent index or a referrer's `subject` says about this document."""
        return Descriptor(
            media_type=self.media_type,
            digest=self.digest,
            size=len(self.raw),
            artifact_type=self.json().get("artifactType"),
        )

    def json(self) -> dict[str, Any]:
        """The parsed document; `Refused` when the bytes are no JSON object."""
        try:
            value = json.loads(self.raw)
        except ValueError as error:
            raise Refused("an OCI document is not JSON", got=repr(self.raw[:80])) from error
        if not isinstance(value, dict):
            raise Refused("an OCI document is not a JSON object", got=repr(self.raw[:80]))
        return value

    @property
    def annotations(self) -> Mapping[str, str]:
        """The document's own annotations."""
        return MappingProxyType(dict(self.json().get("annotations") or {}))

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """Layers of a manifest (empty for an index)."""
        return tuple(Descriptor.from_json(each) for each in self.json().get("layers", ()))

    @property
    def manifests(self) -> tuple[Descriptor, ...]:
        """Children of an index (empty for a manifest)."""
        return tuple(Descriptor.from_json(each) for each in self.json().get("manifests", ()))


def blob(content: bytes, media_type: str, *, title: str | None = None) -> Descriptor:
    """Descriptor of bytes that will be pushed as a blob."""
    annotations = MappingProxyType({TITLE: title} if title else {})
    return Descriptor(media_type=media_type, digest=digest_of(content), size=len(content), annotations=annotations)


def manifest(
    *,
    artifact_type: str | None = None,
    config: Descriptor | None = None,
    layers: Iterable[Descriptor],
    subject: Descriptor | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Document:
    """An image manifest; without a config it is an artifact and carries the empty one (image-spec 1.1)."""
    body: dict[str, Any] = {"schemaVersion": 2, "mediaType": MANIFEST}
    if artifact_type:
        body["artifactType"] = artifact_type
    body["config"] = (config or blob(EMPTY_CONTENT, EMPTY)).to_json()
    body["layers"] = [layer.to_json() for layer in layers]
    return _finish(body, MANIFEST, subject, annotations)


def index(
    *,
    artifact_type: str | None = None,
    manifests: Iterable[Descriptor],
    subject: Descriptor | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Document:
    """An image index over child descriptors, in the order given."""
    body: dict[str, Any] = {"schemaVersion": 2, "mediaType": INDEX}
    if artifact_type:
        body["artifactType"] = artifact_type
    body["manifests"] = [child.to_json() for child in manifests]
    return _finish(body, INDEX, subject, annotations)


def _finish(
    body: dict[str, Any],
    media_type: str,
    subject: Descriptor | None,
    annotations: Mapping[str, str] | None,
) -> Document:
    if subject:
        # A subject is only type, digest and size: what else the caller knows of it is not part of identity.
        body["subject"] = {"mediaType": subject.media_type, "digest": subject.digest, "size": subject.size}
    if annotations:
        body["annotations"] = dict(annotations)
    return Document(media_type=media_type, raw=canonical_json(body))
