"""The machine's own mirror, asked for real: a small package of Debian's Essential set stands for all."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from release.errors import Misconfigured, Refused
from release.source.toolchain import LockedPackage, Origin, ToolchainLock
from release.tools.apt import Apt
from release.tools.stage0 import import_toolchain, resolve

pytestmark = pytest.mark.integration
EPOCH = 1700000000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("apt")


@pytest.fixture(scope="module")
def apt(home: Path) -> Apt:
    return Apt(home)


@pytest.fixture(scope="module")
def closure(apt: Apt) -> dict[str, LockedPackage]:
    return {package.name: package for package in asyncio.run(apt.resolve(("hostname",)))}


@pytest.fixture
def package(closure: dict[str, LockedPackage]) -> LockedPackage:
    return closure["hostname"]


def inside(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_resolves_what_the_seeds_need_as_if_nothing_were_installed(closure: dict[str, LockedPackage]) -> None:
    assert {"hostname", "libc6", "libgcc-s1"} <= closure.keys()


def state_of_the_machines_apt() -> dict[str, int]:
    folders = ("/etc/apt", "/var/lib/apt/lists", "/var/cache/apt", "/var/lib/dpkg")
    paths = [path for folder in folders for path in Path(folder).rglob("*") if path.name not in ("lock", "partial")]
    return {str(path): path.lstat().st_mtime_ns for path in paths}


async def test_leaves_the_machines_own_apt_alone(tmp_path: Path) -> None:
    before = state_of_the_machines_apt()
    private = Apt(tmp_path)
    (package,) = (each for each in await private.resolve(("hostname",)) if each.name == "hostname")
    await private.download([package], tmp_path / "debs")
    assert state_of_the_machines_apt() == before


async def test_imports_what_it_resolved_and_finds_it_again(home: Path, package: LockedPackage, tmp_path: Path) -> None:
    small = ToolchainLock.of(Origin.STAGE0, ("hostname",), [package])
    seen: list[tuple[int, int, str]] = []
    rpms = await import_toolchain(
        small, tmp_path / "rpms", home=home, epoch=EPOCH, progress=lambda *step: seen.append(step)
    )
    assert [path.name.split("-")[0] for path in rpms] == ["hostname", "stage0"]
    assert seen == [(1, 1, "hostname")]
    assert inside(tmp_path) == {"rpms"}  # nothing half-made beside it
    changed = rpms[0].stat().st_mtime_ns
    assert await import_toolchain(small, tmp_path / "rpms", home=home, epoch=EPOCH) == rpms
    assert rpms[0].stat().st_mtime_ns == changed


async def test_refuses_a_download_that_is_not_what_the_lock_says(
    apt: Apt, package: LockedPackage, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match=r"hostname: not the package of the lock[^$]*expected: sha256:a{64}"):
        await apt.download([replace(package, sha256="a" * 64)], tmp_path)
    assert not inside(tmp_path)


async def test_downloads_a_damaged_file_again(apt: Apt, package: LockedPackage, tmp_path: Path) -> None:
    (path,) = await apt.download([package], tmp_path)
    path.write_bytes(b"damaged")
    assert await apt.download([package], tmp_path) == (path,)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == package.sha256


async def test_says_which_seed_does_not_exist(home: Path) -> None:
    with pytest.raises(Misconfigured, match=r"cannot resolve the seeds[^$]*no-such-package"):
        await resolve(("no-such-package",), home=home)


async def test_says_that_a_version_is_gone(apt: Apt, package: LockedPackage, tmp_path: Path) -> None:
    gone = replace(package, version="0.1-1")
    with pytest.raises(Misconfigured, match=r"no longer has[^$]*hostname 0.1-1[^$]*resolve the toolchain again"):
        await apt.download([gone], tmp_path)
