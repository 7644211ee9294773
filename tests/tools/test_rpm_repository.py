"""A toolchain set from an RPM repository: a small real one, as it is, as it was, and as it should not be."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from release.errors import Broken, Misconfigured, Refused
from release.source.toolchain import Origin, ToolchainLock
from release.tools.rpm_repository import fetch_toolchain, resolve
from release.tools.store import digest_of_file
from tests.conftest import CREATEREPO
from tests.tools.tiny_rpms import fleet


class Mirror:
    """A repository of `hull`, which needs a `libkeel`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.put("libkeel-1.0", "hull-1.0")

    @property
    def baseurl(self) -> str:
        return self.folder.as_uri()

    def put(self, *names: str) -> None:
        for path in self.folder.glob("*.rpm"):
            path.unlink()
        for name in names:
            shutil.copy(fleet()[name], self.folder)
        subprocess.run([CREATEREPO, "--quiet", self.folder], check=True)


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    return Mirror(tmp_path / "mirror")


async def locked(mirror: Mirror, tmp_path: Path, *packages: str) -> ToolchainLock:
    return await resolve(packages or ("hull",), baseurl=mirror.baseurl, home=tmp_path / "home")


async def fetched(lock: ToolchainLock, mirror: Mirror, tmp_path: Path) -> tuple[Path, ...]:
    return await fetch_toolchain(lock, tmp_path / "rpms", baseurl=mirror.baseurl, home=tmp_path / "again")


async def test_resolves_what_the_packages_need(mirror: Mirror, tmp_path: Path) -> None:
    lock = await locked(mirror, tmp_path)
    assert (lock.origin, lock.seeds) == (Origin.REPOSITORY, ("hull",))
    assert [(each.name, each.version, each.arch) for each in lock.packages] == [
        ("hull", "2:1.0-1", "noarch"),
        ("libkeel", "1.0-1", "noarch"),
    ]
    hashes = {f"sha256:{each.sha256}" for each in lock.packages}
    assert hashes == {digest_of_file(path) for path in mirror.folder.glob("*.rpm")}


async def test_fetches_exactly_that_and_only_once(mirror: Mirror, tmp_path: Path) -> None:
    lock = await locked(mirror, tmp_path)
    rpms = await fetched(lock, mirror, tmp_path)
    assert [path.name for path in rpms] == ["hull-1.0-1.noarch.rpm", "libkeel-1.0-1.noarch.rpm"]
    mirror.put()
    assert await fetched(lock, mirror, tmp_path) == rpms


async def test_says_that_a_version_is_gone(mirror: Mirror, tmp_path: Path) -> None:
    lock = await locked(mirror, tmp_path)
    mirror.put("libkeel-1.1", "hull-1.0")
    with pytest.raises(Misconfigured, match=r"libkeel-1.0-1.noarch[^$]*resolve it again"):
        await fetched(lock, mirror, tmp_path)
    assert not (tmp_path / "rpms").exists()


async def test_refuses_another_file_under_the_same_name(mirror: Mirror, tmp_path: Path) -> None:
    lock = await locked(mirror, tmp_path)
    changed = replace(lock, packages=tuple(replace(each, sha256="a" * 64) for each in lock.packages))
    with pytest.raises(Refused, match="something else than the toolchain lock says"):
        await fetched(changed, mirror, tmp_path)


async def test_refuses_a_file_that_is_not_what_the_metadata_says(mirror: Mirror, tmp_path: Path) -> None:
    lock = await locked(mirror, tmp_path)
    (damaged,) = mirror.folder.glob("hull*.rpm")
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(Broken, match="incorrect checksum"):
        await fetched(lock, mirror, tmp_path)


async def test_names_a_package_that_the_repository_lacks(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"cannot give[^$]*no-such-package"):
        await locked(mirror, tmp_path, "no-such-package")


async def test_names_what_nothing_provides(mirror: Mirror, tmp_path: Path) -> None:
    mirror.put("hull-1.0")
    with pytest.raises(Misconfigured, match=r"nothing provides libkeel >= 1.0 needed by hull"):
        await locked(mirror, tmp_path)


async def test_says_that_the_repository_does_not_answer(mirror: Mirror, tmp_path: Path) -> None:
    shutil.rmtree(mirror.folder)
    with pytest.raises(Broken, match=r"mirror: the toolchain's repository failed"):
        await locked(mirror, tmp_path)
