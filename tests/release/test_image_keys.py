"""When an image need not be made again, and when it must: everything that reaches its bytes changes its key."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from release.digests import digest_of
from release.product.accounts import User
from release.product.image_definitions import ImageDefinition, Runtime
from release.product.image_keys import image_key, image_tag, root_key
from release.product.image_packages import ImagePackage
from release.product.roots import AddedFile, Root, Script
from tests.release.image_samples import ABOUT, package

DEFINITION = ImageDefinition(name="base", packages=("bash",))
PACKAGES = (package("bash"), package("glibc"))
REPOSITORY = {"/etc/yum.repos.d/skiff.repo": b"[skiff]"}


def root(packages: tuple[ImagePackage, ...] = PACKAGES, arch: str = "x86_64", **more: Any) -> str:
    return root_key(replace(DEFINITION, **more), packages, arch=arch)


def whole(**more: Any) -> str:
    given: dict[str, Any] = {"definition": DEFINITION, "about": ABOUT, "files": REPOSITORY, "of": root(), **more}
    return image_key(given.pop("of"), given.pop("definition"), **given)


def test_the_order_of_packages_does_not_count() -> None:
    assert root(PACKAGES[::-1]) == root()


def test_a_signature_does_not_count() -> None:
    assert root((package("bash", digest=digest_of(b"signed again")), PACKAGES[1])) == root()


def test_the_names_that_were_asked_for_do_not_count_once_they_are_resolved() -> None:
    assert root(packages=PACKAGES, name="other") == root()
    assert root_key(replace(DEFINITION, packages=("glibc", "bash")), PACKAGES, arch="x86_64") == root()


@pytest.mark.parametrize(
    "changed",
    [
        (package("bash", header_digest="0" * 64), PACKAGES[1]),
        (package("bash", release="3.sk1"), PACKAGES[1]),
        (PACKAGES[0],),
        (*PACKAGES, package("tar")),
    ],
)
def test_a_package_that_differs_makes_another_root(changed: tuple[ImagePackage, ...]) -> None:
    assert root(changed) != root()


@pytest.mark.parametrize(
    "decision",
    [
        Root(files=(AddedFile(path="/a", content=b""),)),
        Root(users=(User(name="a", uid=1),)),
        Root(scripts=(Script(name="a", content=b""),)),
        Root(documentation=False),
        Root(locales="en"),
        Root(manifest_only=True),
    ],
)
def test_a_decision_that_differs_makes_another_root(decision: Root) -> None:
    assert root(root=decision) != root()


def test_another_architecture_is_another_root() -> None:
    assert root(arch="aarch64") != root()


@pytest.mark.parametrize(
    "change",
    [
        {"of": digest_of(b"another root")},
        {"definition": replace(DEFINITION, runtime=Runtime(user="65532"))},
        {"about": replace(ABOUT, version="1.1")},
        {"about": replace(ABOUT, end_of_life="2028-07-31")},
        {"files": {}},
        {"files": {"/etc/yum.repos.d/skiff.repo": b"[other]"}},
    ],
)
def test_whatever_reaches_the_documents_makes_another_image(change: dict[str, Any]) -> None:
    assert whole(**change) != whole()


def test_the_commit_that_ships_an_image_does_not_make_another_one() -> None:
    assert whole(about=replace(ABOUT, revision="c0ffee")) == whole()


def test_the_tag_fits_a_registry() -> None:
    tag = image_tag(whole())
    assert tag.startswith("i-") and len(tag) == 66 and f"sha256:{tag[2:]}" == whole()
