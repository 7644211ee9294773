"""What is built again although nobody raised it has a higher release: hosts move to it, and on from it."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import libarchive
import pytest

from release.product.standing import same_product
from release.tools.builder import BuildOrder
from release.tools.repodata import compose_folder
from release.tools.rpm_reader import read_interfaces
from tasks.build import BUILD_LIMITS
from tasks.builds import pull_rpms
from tests.flows.at_sea import AtSea, certificates, opened
from tests.observed_tree import text_spec
from tests.world import World

pytestmark = pytest.mark.integration


class Host:
    """A system below a folder that has packages installed, and follows edge through the gateway with stock dnf."""

    def __init__(self, folder: Path, gateway: str) -> None:
        self._root = folder / "root"
        self._words = ["dnf", "-y", f"--config={folder}/dnf.conf", f"--installroot={self._root}", "--releasever=1"]
        (folder / "dnf.conf").write_text(
            f"[main]\nreposdir=/nonexistent\nplugins=0\ncachedir={folder}/cache\nmetadata_expire=0\n"
            f"[tiny]\nname=tiny\nbaseurl={gateway}/repo/edge/$basearch\n"
            f"gpgcheck=1\nrepo_gpgcheck=1\ngpgkey={gateway}/key\n"
        )

    def dnf(self, *words: str) -> str:
        done = subprocess.run([*self._words, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def version(self, package: str) -> str:
        argv = ["rpm", "--root", str(self._root), "-q", "--qf", "%{EVR}", package]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    def says(self, package: str) -> str:
        return (self._root / f"usr/share/{package}/{package}.txt").read_text()


@contextmanager
def gateway(world: World) -> Iterator[str]:
    """The installation's own web door, in a process of its own."""
    url = f"http://127.0.0.1:{world.settings.web_port}"
    process = subprocess.Popen(
        [*world.command()[:1], "-m", "flows.serve"], env=world.environment, cwd=world.folder, stdin=subprocess.DEVNULL
    )
    try:
        limit = time.monotonic() + 60
        while not _answers(url):
            assert time.monotonic() < limit and process.poll() is None, "the web door does not open"
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/repo/edge/x86_64/repodata/repomd.xml").status_code == 302
    except httpx.TransportError:
        return False


async def test_hosts_move_to_a_rebuild_and_on_to_what_a_person_raised(sea: AtSea, tmp_path: Path) -> None:
    world = sea.world
    with gateway(world) as url:
        host = Host(tmp_path, url)
        await asyncio.to_thread(host.dnf, "install", "almanac")
        before, count = host.version("almanac"), int(certificates(world)["almanac"]["evr"].partition("^")[2] or 0)

        await sea.change("lights: For hosts", lights="yellow")
        await asyncio.to_thread(host.dnf, "--refresh", "upgrade")
        rebuilt = host.version("almanac")
        assert (rebuilt, host.says("almanac")) == (f"1.0-1.tiny1^{count + 1}", "yellow\n")
        assert before != rebuilt == certificates(world)["almanac"]["evr"]

        command, tags = "cat /usr/share/lights/list", "BuildRequires: lights"
        await sea.commit(
            {"SPECS/almanac/almanac.spec": text_spec("almanac", command, tags=tags, release=2)}, "almanac: 2"
        )
        await asyncio.to_thread(host.dnf, "--refresh", "upgrade")
        assert host.version("almanac") == "1.0-2.tiny1"

        await sea.change("lights: For hosts again", lights="violet")
        await asyncio.to_thread(host.dnf, "--refresh", "upgrade")
        assert (host.version("almanac"), host.says("almanac")) == ("1.0-2.tiny1^1", "violet\n")


async def test_the_published_source_rpm_of_a_rebuild_builds_the_same_again(sea: AtSea, tmp_path: Path) -> None:
    if "^" not in certificates(sea.world)["almanac"]["evr"]:
        await sea.change("lights: For a source RPM", lights="orange")
    async with opened(sea.world) as (tools, previous, bench):
        published, package = previous.standing["almanac"], bench.graph.packages["almanac"]
        (srpm,) = [each for each in published.build.rpms if each.file.endswith(".src.rpm")]
        (tmp_path / srpm.file).write_bytes(sea.world.checker.blob("tiny/rpms", srpm.digest))
        unpack(tmp_path / srpm.file, tmp_path / "spec")
        lights = previous.standing["lights"].inside
        await pull_rpms(tools, "tiny/rpms", [previous.standing["lights"].build])
        compose_folder(tmp_path / "inputs", {each.rpm.file: tools.store.path_of(each.rpm.digest) for each in lights})
        bench.tree.stage(bench.tree.macro_files, tmp_path / "macros")
        for name in ("sources", "out"):
            (tmp_path / name).mkdir()
        order = BuildOrder(
            image=bench.toolchain.image, spec=tmp_path / "spec" / "almanac.spec", sources=tmp_path / "sources",
            toolchain=bench.toolchain.folder, repositories=(tmp_path / "inputs",), epoch=package.epoch,
            build_requires=package.build_requires, arch=bench.arch, macros=bench.tree.distro.macros,
            macro_files=tuple(tmp_path / "macros" / path for path in bench.tree.macro_files), limits=BUILD_LIMITS,
        )  # fmt: skip
        output = await tools.builder.build(order, tmp_path / "out")
    again = await read_interfaces(output.rpms)
    assert "^" in published.build.evr and [each.evr for each in again] == [published.build.evr]
    assert same_product(published.interfaces, again)
    assert output.srpm.name == srpm.file


def unpack(srpm: Path, folder: Path) -> None:
    """The files of a source RPM."""
    folder.mkdir()
    with libarchive.file_reader(str(srpm)) as archive:
        for entry in archive:
            (folder / Path(entry.pathname).name).write_bytes(b"".join(entry.get_blocks()))
