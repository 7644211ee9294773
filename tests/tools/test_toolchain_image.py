"""The toolchain as an image: complete, its own distribution to rpm and dnf, and Debian's scripts not missed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from docker import APIClient

from release.errors import Broken
from release.tools.containers import Containers
from release.tools.rpm_repository import fetch_toolchain, resolve
from release.tools.sealed import Limits, Sealed
from release.tools.toolchain_image import make_toolchain_image, toolchain_image
from tests.tools.toolchain_world import ToolchainWorld, toolchain_world

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def world(docker_url: str) -> ToolchainWorld:
    return toolchain_world(docker_url)


@pytest.fixture
def containers(docker_url: str) -> Iterator[Containers]:
    with Containers(docker_url) as made:
        yield made


async def said(containers: Containers, world: ToolchainWorld, script: str) -> list[str]:
    sealed = Sealed(image=world.image, argv=("/bin/bash", "-ec", script), scratch=("/work",), limits=Limits(seconds=60))
    ended = await containers.run(sealed)
    assert ended.code == 0, ended.log.decode()
    return ended.log.decode().splitlines()


async def test_rpm_knows_every_package_of_the_set(containers: Containers, world: ToolchainWorld) -> None:
    names = await said(containers, world, "rpm -qa --qf '%{NAME}\\n'")
    assert sorted(names) == sorted([*(each.name for each in world.lock.packages), "stage0-filesystem"])


async def test_no_file_is_missing_or_changed_but_documentation(containers: Containers, world: ToolchainWorld) -> None:
    found = await said(containers, world, "rpm -Va --nodeps || true")
    left_out = ("/usr/share/doc/", "/usr/share/info/", "/usr/share/locale/", "/usr/share/man/")
    odd = [line for line in found if not line[13:].startswith(left_out) and not line.endswith("/dev")]
    assert odd == []


async def test_every_dependency_is_met(containers: Containers, world: ToolchainWorld) -> None:
    assert await said(containers, world, "rpm -Va --nofiles") == []


async def test_compiles_and_runs(containers: Containers, world: ToolchainWorld) -> None:
    script = "cd /work; echo 'int main(void) { return 42; }' > a.c; cc a.c -o a; ./a || echo $?"
    assert await said(containers, world, script) == ["42"]


async def test_what_debians_scripts_would_make_is_there(containers: Containers, world: ToolchainWorld) -> None:
    script = """
        echo 'a b' | awk '{print $2}'
        which sh
        perl -e 'use strict; use POSIX; print "perl\\n"'
        id -un; automake --version > /dev/null; aclocal --version > /dev/null
        grep -c BEGIN /etc/ssl/certs/ca-certificates.crt | grep -q '^[0-9][0-9]' && echo certificates
        dnf --version | head -1 | cut -d. -f1
        ls -d /usr/lib/python3.*/__pycache__ > /dev/null && echo compiled
        ldconfig -p | grep -q /lib/x86_64-linux-gnu/libc.so.6 && echo cached
    """
    found = await said(containers, world, script)
    assert found == ["b", "/usr/bin/sh", "perl", "root", "certificates", "4", "compiled", "cached"]


async def test_it_is_nobodys_distribution_yet(containers: Containers, world: ToolchainWorld) -> None:
    script = "ls /etc/os-release /usr/lib/os-release /etc/debian_version /etc/issue /var/cache/ldconfig/* 2>&1 || true"
    assert all("No such file" in line for line in await said(containers, world, script))


async def test_is_made_once(containers: Containers, world: ToolchainWorld, tmp_path: Path) -> None:
    nowhere = tmp_path / "no-rpms-needed"
    name = await make_toolchain_image(containers, rpms=nowhere, digest=world.lock.digest, scratch=tmp_path)
    assert name == world.image


async def test_a_set_that_is_not_closed_is_refused_by_name(
    containers: Containers, world: ToolchainWorld, tmp_path: Path
) -> None:
    (rpms := tmp_path / "rpms").mkdir()
    for pattern in ("stage0-filesystem-*", "bash-5*"):
        shutil.copy(next(world.folder.glob(pattern)), rpms)
    digest = "sha256:" + "0" * 64
    with pytest.raises(Broken, match=r"cannot be installed[^$]*libtinfo6 >= 6 is needed by bash"):
        await make_toolchain_image(containers, rpms=rpms, digest=digest, scratch=tmp_path)
    assert not await containers.has_image(toolchain_image(digest))


async def test_a_set_from_a_repository_keeps_its_database_where_its_own_rpm_looks(
    containers: Containers, docker_url: str, world: ToolchainWorld, tmp_path: Path
) -> None:
    lock = await resolve(("bash", "dash", "rpm"), baseurl=world.folder.as_uri(), home=tmp_path / "dnf")
    await fetch_toolchain(lock, tmp_path / "rpms", baseurl=world.folder.as_uri(), home=tmp_path / "dnf")
    write_macros_rpm(tmp_path / "rpms", "%%_dbpath /var/lib/rpm")
    name = await make_toolchain_image(containers, rpms=tmp_path / "rpms", digest=lock.digest, scratch=tmp_path / "work")
    try:
        small = replace(world, image=name)
        found = await said(containers, small, "rpm -qa --qf '%{NAME}\\n'; rpm --eval %_dbpath")
        assert sorted(found[:-1]) == sorted([*(each.name for each in lock.packages), "elsewhere"])
        assert found[-1] == "/var/lib/rpm"
    finally:
        APIClient(base_url=docker_url, version="auto").remove_image(name)


def write_macros_rpm(folder: Path, macro: str) -> None:
    """A package, `elsewhere`, whose macro file comes after the toolchain's."""
    path = "%{buildroot}/usr/lib/rpm/macros.d"
    spec = folder.parent / "elsewhere.spec"
    spec.write_text(
        "Name: elsewhere\nVersion: 1\nRelease: 1\nSummary: -\nLicense: -\nBuildArch: noarch\n%description\n"
        f"%install\nmkdir -p {path}\necho '{macro}' > {path}/macros.zz\n%files\n/usr/lib/rpm/macros.d/macros.zz\n"
    )
    defines = (f"_topdir {folder.parent}/top", f"_rpmdir {folder}")
    words = [word for define in defines for word in ("--define", define)]
    subprocess.run(["rpmbuild", "-bb", "--quiet", *words, spec], check=True)
    shutil.copy(folder / "noarch" / "elsewhere-1-1.noarch.rpm", folder)
