"""The bill of materials of an image: an SPDX 2.3 document of its packages, where each came from, and their sources.

Source: SPDX 2.3 (spdx.github.io/spdx-spec/v2.3) in its JSON form. Equal images give equal bytes: the time is the
image's own, identifiers and the namespace are derived from the content.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from release import oci
from release.digests import canonical_json, digest_of, digest_of_json, hex_of
from release.instants import instant_text
from release.product.builds import Build
from release.product.image_packages import ImagePackage, builds_in
from release.product.images import OCI_ARCHITECTURE, About, ArchImage

MEDIA_TYPE = "application/spdx+json"
PREDICATE_TYPE = "https://spdx.dev/Document/v2.3"
_NONE = "NOASSERTION"
_IMAGE = "SPDXRef-Image"
_DOCUMENT = "SPDXRef-DOCUMENT"
_ORIGINS: Mapping[str, str] = {
    "spec": "built by this distribution from its own spec",
    "stage0": "imported as stage 0 from another distribution's package, not built from a spec of this one",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """How the outside world finds things: `repository` is the image's in the registry (host/name), `namespace` and
    `distro` are os-release's `ID` and `ID-VERSION_ID`, `identity` is the URI under which the distribution signs."""

    repository: str
    namespace: str
    distro: str
    identity: str


def spdx_document(
    image: ArchImage,
    packages: Iterable[ImagePackage],
    builds: Iterable[Build],
    *,
    about: About,
    epoch: int,
    naming: Naming,
) -> bytes:
    """The document for one architecture of an image, as canonical JSON.

    It describes the image, which contains its packages, which are generated from their sources. `Refused` when a
    package is in none of the `builds`.
    """
    ordered = sorted(packages, key=lambda package: package.nevra)
    built = builds_in(ordered, builds)
    sources = {source.digest: source for build in built.values() for source in build.sources}
    body: dict[str, Any] = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": _DOCUMENT,
        "name": f"{about.title}-{about.version}-{image.arch}",
        "creationInfo": {
            "created": instant_text(datetime.fromtimestamp(epoch, UTC)),
            "creators": [f"Organization: {about.vendor}", "Tool: slipway"],
        },
        "packages": [
            _image_package(image, about, naming),
            *(_rpm_package(package, built[package.digest], naming) for package in ordered),
            *(_source_package(sources[digest]) for digest in sorted(sources)),
        ],
        "relationships": [
            _relationship(_DOCUMENT, "DESCRIBES", _IMAGE),
            *(_relationship(_IMAGE, "CONTAINS", _id(package.name, package.digest)) for package in ordered),
            *(
                _relationship(_id(package.name, package.digest), "GENERATED_FROM", _source_id(source))
                for package in ordered
                for source in sorted(built[package.digest].sources, key=lambda source: source.digest)
            ),
        ],
        "hasExtractedLicensingInfos": _extracted([about.licenses or "", *(package.license for package in ordered)]),
    }
    namespace = f"{naming.identity}/sbom/{hex_of(digest_of_json(body))}"
    return canonical_json({**body, "documentNamespace": namespace})


def _image_package(image: ArchImage, about: About, naming: Naming) -> dict[str, Any]:
    query = urlencode({"arch": OCI_ARCHITECTURE[image.arch], "repository_url": naming.repository}, quote_via=quote)
    name = naming.repository.rsplit("/", 1)[-1]
    return {
        **_package(_IMAGE, about.title, about.version, image.manifest.digest),
        "supplier": f"Organization: {about.vendor}",
        "primaryPackagePurpose": "CONTAINER",
        "licenseDeclared": license_expression(about.licenses or ""),
        "externalRefs": [_purl(f"pkg:oci/{name}@{quote(image.manifest.digest, safe='')}?{query}")],
    }


def _rpm_package(package: ImagePackage, build: Build, naming: Naming) -> dict[str, Any]:
    made_from = f" ({package.source_rpm})" if package.source_rpm else ""
    return {
        **_package(_id(package.name, package.digest), package.name, package.evr, package.digest),
        "packageFileName": package.file,
        "supplier": f"Organization: {package.vendor}" if package.vendor else _NONE,
        "homepage": package.url or _NONE,
        "summary": package.summary,
        "sourceInfo": f"{_ORIGINS.get(build.origin, build.origin)}{made_from}",
        "licenseDeclared": license_expression(package.license),
        "externalRefs": [_purl(package.purl(namespace=naming.namespace, distro=naming.distro))],
    }


def _source_package(source: oci.Descriptor) -> dict[str, Any]:
    return {
        **_package(_source_id(source), source.title or source.digest, None, source.digest),
        "primaryPackagePurpose": "SOURCE",
    }


def _package(identifier: str, name: str, version: str | None, digest: str) -> dict[str, Any]:
    return {
        "SPDXID": identifier,
        "name": name,
        **({"versionInfo": version} if version else {}),
        "downloadLocation": _NONE,
        "filesAnalyzed": False,
        "licenseConcluded": _NONE,
        "licenseDeclared": _NONE,
        "copyrightText": _NONE,
        "checksums": [{"algorithm": "SHA256", "checksumValue": hex_of(digest)}],
    }


def _purl(locator: str) -> dict[str, str]:
    return {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": locator}


def _relationship(subject: str, kind: str, related: str) -> dict[str, str]:
    return {"spdxElementId": subject, "relationshipType": kind, "relatedSpdxElement": related}


def _id(name: str, digest: str) -> str:
    """An SPDX identifier holds letters, digits, dots and hyphens (clause 7.2)."""
    return f"SPDXRef-{re.sub(r'[^A-Za-z0-9.]+', '-', name)}-{hex_of(digest)[:16]}"


def _source_id(source: oci.Descriptor) -> str:
    return _id(f"Source-{source.title or ''}", source.digest)


def license_expression(text: str) -> str:
    """A License tag as SPDX says it: the expression when it is one, otherwise a reference to the text itself.

    Old tags ("GPLv2+ and BSD") are not translated: a wrong licence is worse than a foreign one.
    """
    text = text.strip()
    if text in ("", _NONE):
        return _NONE
    try:
        expression = canonicalize_license_expression(text)
    except InvalidLicenseExpression:
        return _reference(text)
    return _reference(text) if "LicenseRef-" in expression else str(expression)


def _reference(text: str) -> str:
    return f"LicenseRef-{hex_of(digest_of(text.encode()))[:16]}"


def _extracted(texts: Iterable[str]) -> list[dict[str, str]]:
    """The texts behind the references (clause 10)."""
    return [
        {"licenseId": license_expression(text), "extractedText": text, "name": text}
        for text in sorted({text.strip() for text in texts})
        if license_expression(text).startswith("LicenseRef-")
    ]
