"""Packages of an image: the names that rpm and scanners use, the image's time, and where each was built."""

from __future__ import annotations

import pytest

from release.errors import Refused
from release.product.image_packages import builds_in, image_epoch
from tests.release.image_samples import EPOCH, build, package


def test_an_epoch_is_written_only_when_there_is_one() -> None:
    assert package("bash").nevra == "bash-1.3-2.sk1.x86_64"
    assert package("bash", epoch=2).nevra == "bash-2:1.3-2.sk1.x86_64"


def test_a_package_url_is_what_scanners_expect() -> None:
    assert package("bash").purl(namespace="skiff", distro="skiff-1.0") == (
        "pkg:rpm/skiff/bash@1.3-2.sk1?arch=x86_64&distro=skiff-1.0&upstream=bash-1.3-2.sk1.src.rpm"
    )


def test_a_package_url_escapes_what_a_url_cannot_hold() -> None:
    odd = package("libstdc++", version="1.0~rc1^git", epoch=1, source_rpm="")
    assert odd.purl(namespace="skiff", distro="skiff-1.0") == (
        "pkg:rpm/skiff/libstdc%2B%2B@1.0~rc1%5Egit-2.sk1?arch=x86_64&distro=skiff-1.0&epoch=1"
    )


def test_an_image_is_as_old_as_its_newest_package() -> None:
    assert image_epoch([package("a"), package("b", build_time=EPOCH + 5), package("c", build_time=1)]) == EPOCH + 5


def test_an_image_without_packages_has_no_time() -> None:
    with pytest.raises(Refused, match="no packages"):
        image_epoch([])


def test_each_package_is_found_in_its_build() -> None:
    bash, tar = package("bash"), package("tar")
    builds = [build(bash, package("bash-doc")), build(tar)]
    assert builds_in([tar, bash], builds) == {bash.digest: builds[0], tar.digest: builds[1]}


def test_refuses_a_package_that_no_build_of_the_release_made() -> None:
    with pytest.raises(Refused, match="not in the snapshot") as caught:
        builds_in([package("bash"), package("sneaked-in"), package("also")], [build(package("bash"))])
    assert caught.value.got == "also-1.3-2.sk1.x86_64, sneaked-in-1.3-2.sk1.x86_64"


def test_a_package_with_another_content_is_a_stranger() -> None:
    with pytest.raises(Refused, match="not in the snapshot"):
        builds_in([package("bash", digest=package("tar").digest)], [build(package("bash"))])
