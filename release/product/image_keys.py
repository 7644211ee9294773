"""When two images are the same image: one digest over everything that decides the bytes, known before any assembly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from release.digests import digest_of, digest_of_json, hex_of
from release.product.image_definitions import ImageDefinition
from release.product.image_packages import ImagePackage
from release.product.images import About
from release.records import to_json

IMAGE_KEY = "dev.slipway.image-key"
ROOT_KEY = "dev.slipway.root-key"
# Raised when assembling the same packages gives another tree than before, so that no old image is taken for new.
ASSEMBLY_REVISION = 1


def root_key(definition: ImageDefinition, packages: Iterable[ImagePackage], *, arch: str) -> str:
    """Digest over all that decides an image's lowest layer, the one with the packages.

    Packages count by header digest, which a signature does not change. What the definition asks for by name counts
    by what it was resolved to. The epoch is no input of its own: it follows from the packages.
    """
    return digest_of_json(
        {
            "assembly": ASSEMBLY_REVISION,
            "arch": arch,
            "root": definition.root.to_json(),
            "packages": sorted([package.nevra, package.header_digest] for package in packages),
        }
    )


def image_key(
    root: str,
    definition: ImageDefinition,
    *,
    about: About,
    files: Mapping[str, bytes] = MappingProxyType({}),
) -> str:
    """Digest over all that decides a whole image: its root's key, how it is started, what it says of itself, and the
    `files` (path -> content) of the layer above. The revision does not count: it follows from the rest."""
    return digest_of_json(
        {
            "root": root,
            "runtime": to_json(definition.runtime),
            "about": to_json(replace(about, revision=None)),
            "files": {path: digest_of(content) for path, content in files.items()},
        }
    )


def image_tag(key: str) -> str:
    """The tag under which an image is found again by its key or by its root's key: `i-<64 hex digits>`."""
    return f"i-{hex_of(key)}"
