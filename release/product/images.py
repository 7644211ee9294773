"""Container images as documents: configuration, manifest and index, made from layers and packages and nothing else.

Source: OCI image-spec 1.1 (config.md, manifest.md, image-index.md, annotations.md). Equal input gives equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from release import oci
from release.digests import canonical_json, digest_of
from release.errors import Refused
from release.instants import instant_text
from release.product.image_definitions import Runtime

OCI_ARCHITECTURE: Mapping[str, str] = MappingProxyType({"x86_64": "amd64", "aarch64": "arm64"})
"""rpm's name of an architecture -> GOARCH, which image-spec asks for."""
LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
# What registries and scanners of the Azure Linux world read; OCI has no key of its own for it.
END_OF_LIFE = "vnd.microsoft.artifact.lifecycle.end-of-life.date"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OCI = "org.opencontainers.image."


class Compression(StrEnum):
    """How a layer is packed: gzip is read by every engine, zstd is a quarter smaller and needs Docker 23 or newer."""

    GZIP = "gzip"
    ZSTD = "zstd"


_MEDIA_TYPES: Mapping[Compression, str] = {Compression.GZIP: oci.LAYER_GZIP, Compression.ZSTD: LAYER_ZSTD}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A packed layer: digest of its tar stream (`diff_id`), digest and size in bytes of the packed file."""

    diff_id: str
    digest: str
    size: int
    compression: Compression = Compression.GZIP

    @property
    def descriptor(self) -> oci.Descriptor:
        """What a manifest says of it."""
        return oci.Descriptor(media_type=_MEDIA_TYPES[self.compression], digest=self.digest, size=self.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What an image says of itself. `end_of_life` is a date; `base` the (name, manifest digest) it derives from.

    `revision` is the commit that made this image what it is, not the commit of the release that ships it: a release
    that changes nothing in an image must not change its digest.
    """

    title: str
    description: str
    version: str
    vendor: str
    url: str
    licenses: str | None = None
    source: str | None = None
    revision: str | None = None
    end_of_life: str | None = None
    base: tuple[str, str] | None = None

    def annotations(self, epoch: int) -> dict[str, str]:
        """The predefined keys of annotations.md, without those that nobody filled in."""
        base_name, base_digest = self.base or (None, None)
        values = {
            f"{_OCI}created": _instant(epoch),
            f"{_OCI}title": self.title,
            f"{_OCI}description": self.description,
            f"{_OCI}version": self.version,
            f"{_OCI}vendor": self.vendor,
            f"{_OCI}url": self.url,
            f"{_OCI}licenses": self.licenses,
            f"{_OCI}source": self.source,
            f"{_OCI}revision": self.revision,
            f"{_OCI}base.name": base_name,
            f"{_OCI}base.digest": base_digest,
            END_OF_LIFE: self.end_of_life,
        }
        return {key: value for key, value in values.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchImage:
    """One architecture of an image, in rpm's name: the configuration's bytes and the manifest that refers to it."""

    arch: str
    config: bytes
    manifest: oci.Document


def compose_image(
    *,
    arch: str,
    layers: Sequence[Layer],
    runtime: Runtime,
    about: About,
    epoch: int,
    history: Sequence[str],
    keys: Mapping[str, str] = MappingProxyType({}),
) -> ArchImage:
    """Configuration and manifest over layers, lowest first; `history` says in words what made each of them.

    `keys` are further annotations of the manifest (release/product/image_keys.py). `Refused` for an architecture
    that OCI has no name for.
    """
    if arch not in OCI_ARCHITECTURE:
        raise Refused("no OCI name for this architecture", got=arch, expected=", ".join(sorted(OCI_ARCHITECTURE)))
    annotations = about.annotations(epoch)
    created = _instant(epoch)
    config = canonical_json(
        {
            "created": created,
            "author": about.vendor,
            "architecture": OCI_ARCHITECTURE[arch],
            "os": "linux",
            "config": _runtime_json(runtime) | {"Labels": annotations},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            "history": [{"created": created, "created_by": words} for _, words in zip(layers, history, strict=True)],
        }
    )
    manifest = oci.manifest(
        config=oci.blob(config, oci.IMAGE_CONFIG),
        layers=[layer.descriptor for layer in layers],
        annotations={**annotations, **keys},
    )
    return ArchImage(arch=arch, config=config, manifest=manifest)


def compose_index(images: Iterable[ArchImage], *, about: About, epoch: int) -> oci.Document:
    """The index over every architecture, sorted by its name, with the annotations that each manifest has, too."""
    children = [
        oci.Descriptor(
            media_type=image.manifest.media_type,
            digest=image.manifest.digest,
            size=len(image.manifest.raw),
            architecture=OCI_ARCHITECTURE[image.arch],
            annotations=MappingProxyType(about.annotations(epoch)),
        )
        for image in sorted(images, key=lambda image: image.arch)
    ]
    return oci.index(manifests=children, annotations=about.annotations(epoch))


def layers_of(manifest: oci.Document, config: bytes) -> tuple[Layer, ...]:
    """The layers of a published image, to build another on them. `Refused` when manifest and configuration are not
    of one image, and for a kind of layer that we never write."""
    wanted = oci.Descriptor.from_json(manifest.json().get("config", {}))
    diff_ids = oci.Document(media_type=oci.IMAGE_CONFIG, raw=config).json().get("rootfs", {}).get("diff_ids", [])
    if wanted.digest != digest_of(config) or len(diff_ids) != len(manifest.layers):
        raise Refused(
            "a configuration does not belong to its manifest",
            got=f"{digest_of(config)} with {len(diff_ids)} layers",
            expected=f"{wanted.digest} with {len(manifest.layers)} layers",
        )
    return tuple(
        Layer(diff_id=diff_id, digest=layer.digest, size=layer.size, compression=_compression(layer.media_type))
        for diff_id, layer in zip(diff_ids, manifest.layers, strict=True)
    )


def _compression(media_type: str) -> Compression:
    for compression, known in _MEDIA_TYPES.items():
        if media_type == known:
            return compression
    raise Refused("a foreign kind of image layer", got=media_type, expected=" or ".join(_MEDIA_TYPES.values()))


def _instant(epoch: int) -> str:
    return instant_text(datetime.fromtimestamp(epoch, UTC))


def _runtime_json(runtime: Runtime) -> dict[str, Any]:
    environment = {"PATH": PATH, **runtime.environment}
    values: dict[str, Any] = {
        "User": runtime.user,
        "Env": [f"{name}={value}" for name, value in environment.items()],
        "Entrypoint": runtime.entrypoint and list(runtime.entrypoint),
        "Cmd": runtime.command and list(runtime.command),
        "WorkingDir": runtime.working_folder,
    }
    return {key: value for key, value in values.items() if value}
