"""The bill of materials: every package, its origin and its sources, in the words of SPDX 2.3."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from release.errors import Refused
from release.product.builds import Build
from release.product.image_definitions import Runtime
from release.product.image_packages import ImagePackage
from release.product.images import compose_image
from release.product.sbom import Naming, license_expression, spdx_document
from tests.release.image_samples import ABOUT, EPOCH, LAYER, build, package

NAMING = Naming(
    repository="registry.example/skiff/base",
    namespace="skiff",
    distro="skiff-1.0",
    identity="https://slipway.example/skiff",
)
IMAGE = compose_image(
    arch="x86_64", layers=[LAYER], runtime=Runtime(), about=ABOUT, epoch=EPOCH, history=["3 packages"]
)
BASH, DOC = package("bash", license="GPL-3.0-or-later"), package("bash-doc", license="GFDL, no version said")
GLIBC = package("glibc", license="", vendor="", url="", source_rpm="")
PACKAGES = (GLIBC, DOC, BASH)
BUILDS = (build(BASH, DOC, sources=("bash-5.2.tar.gz", "fix.patch")), build(GLIBC, origin="stage0"))


def raw(packages: tuple[ImagePackage, ...] = PACKAGES, builds: tuple[Build, ...] = BUILDS) -> bytes:
    return spdx_document(IMAGE, packages, builds, about=ABOUT, epoch=EPOCH, naming=NAMING)


def document(packages: tuple[ImagePackage, ...] = PACKAGES, builds: tuple[Build, ...] = BUILDS) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(raw(packages, builds))
    return value


def by_name() -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in document()["packages"]}


def test_the_document_says_what_spdx_requires() -> None:
    found = document()
    assert found["spdxVersion"] == "SPDX-2.3" and found["dataLicense"] == "CC0-1.0"
    assert found["SPDXID"] == "SPDXRef-DOCUMENT" and found["name"] == "Skiff base-1.0-x86_64"
    assert found["creationInfo"] == {
        "created": "2023-11-14T22:13:20Z",
        "creators": ["Organization: Skiff Project", "Tool: slipway"],
    }
    assert re.fullmatch(r"https://slipway\.example/skiff/sbom/[0-9a-f]{64}", found["documentNamespace"])


def test_every_identifier_is_well_formed_unique_and_known_to_the_relationships() -> None:
    found = document()
    identifiers = [each["SPDXID"] for each in found["packages"]]
    assert len(set(identifiers)) == len(identifiers) == 6
    assert all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", each) for each in identifiers)
    related = {each[key] for each in found["relationships"] for key in ("spdxElementId", "relatedSpdxElement")}
    assert related == {*identifiers, "SPDXRef-DOCUMENT"}


def test_the_image_is_named_by_the_digest_of_its_manifest() -> None:
    image = by_name()["Skiff base"]
    assert image["checksums"] == [{"algorithm": "SHA256", "checksumValue": IMAGE.manifest.digest[7:]}]
    assert image["externalRefs"][0]["referenceLocator"] == (
        f"pkg:oci/base@sha256%3A{IMAGE.manifest.digest[7:]}?arch=amd64&repository_url=registry.example%2Fskiff%2Fbase"
    )


def test_a_package_has_its_digest_version_licence_and_package_url() -> None:
    bash = by_name()["bash"]
    assert bash["versionInfo"] == "1.3-2.sk1" and bash["packageFileName"] == BASH.file
    assert bash["checksums"][0]["checksumValue"] == BASH.digest[7:]
    assert bash["licenseDeclared"] == "GPL-3.0-or-later"
    assert bash["externalRefs"][0]["referenceLocator"] == BASH.purl(namespace="skiff", distro="skiff-1.0")
    assert bash["supplier"] == "Organization: Skiff Project" and bash["homepage"] == "https://bash.example"


def test_what_is_not_known_is_not_asserted() -> None:
    glibc = by_name()["glibc"]
    assert (glibc["licenseDeclared"], glibc["supplier"], glibc["homepage"]) == ("NOASSERTION",) * 3


def test_nobody_mistakes_an_imported_package_for_our_own() -> None:
    assert "built by this distribution" in by_name()["bash"]["sourceInfo"]
    assert "bash-1.3-2.sk1.src.rpm" in by_name()["bash"]["sourceInfo"]
    assert "stage 0" in by_name()["glibc"]["sourceInfo"]


def test_packages_lead_to_their_sources() -> None:
    found = document()
    names = {each["SPDXID"]: each["name"] for each in found["packages"]}
    links = {(names[each["spdxElementId"]], each["relationshipType"], names[each["relatedSpdxElement"]])
             for each in found["relationships"] if each["relationshipType"] == "GENERATED_FROM"}  # fmt: skip
    assert links == {
        (name, "GENERATED_FROM", source) for name in ("bash", "bash-doc") for source in ("bash-5.2.tar.gz", "fix.patch")
    }
    assert by_name()["fix.patch"]["primaryPackagePurpose"] == "SOURCE"


def test_the_image_contains_every_package_and_no_source() -> None:
    found = document()
    names = {each["SPDXID"]: each["name"] for each in found["packages"]}
    contained = [
        names[each["relatedSpdxElement"]] for each in found["relationships"] if each["relationshipType"] == "CONTAINS"
    ]
    assert contained == ["bash", "bash-doc", "glibc"]


def test_a_licence_in_other_words_is_kept_as_it_is() -> None:
    reference = by_name()["bash-doc"]["licenseDeclared"]
    assert reference.startswith("LicenseRef-")
    assert document()["hasExtractedLicensingInfos"] == [
        {"licenseId": reference, "extractedText": "GFDL, no version said", "name": "GFDL, no version said"}
    ]


@pytest.mark.parametrize(
    ("tag", "expression"),
    [
        ("MIT", "MIT"),
        (" mit AND (gpl-2.0-only or zlib) ", "MIT AND (GPL-2.0-only OR Zlib)"),
        ("", "NOASSERTION"),
        ("NOASSERTION", "NOASSERTION"),
        ("GPL-2.0-only WITH Linux-syscall-note", "GPL-2.0-only WITH Linux-syscall-note"),
    ],
)
def test_a_licence_expression_is_written_canonically(tag: str, expression: str) -> None:
    assert license_expression(tag) == expression


@pytest.mark.parametrize("tag", ["GPLv2+", "Public Domain", "MIT AND", "LicenseRef-mine"])
def test_a_licence_is_never_guessed(tag: str) -> None:
    assert re.fullmatch(r"LicenseRef-[0-9a-f]{16}", license_expression(tag))


def test_equal_images_give_equal_bytes() -> None:
    assert raw(PACKAGES[::-1], BUILDS[::-1]) == raw()


def test_another_content_has_another_namespace() -> None:
    other = (replace(BASH, summary="x"), DOC, GLIBC)
    assert document(other)["documentNamespace"] != document()["documentNamespace"]


def test_refuses_a_package_that_the_snapshot_does_not_have() -> None:
    with pytest.raises(Refused, match="not in the snapshot"):
        raw(builds=BUILDS[:1])
