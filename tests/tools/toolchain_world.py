"""The real toolchain set for tests: resolved, imported and installed once, kept beside the test engine's images."""

from __future__ import annotations

import asyncio
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from release.digests import hex_of
from release.source.distro import parse_distro
from release.source.toolchain import ToolchainLock, parse_lock
from release.tools.containers import Containers
from release.tools.stage0 import import_toolchain, resolve
from release.tools.toolchain_image import make_toolchain_image
from tests.conftest import CREATEREPO, ROOT, STATE

EPOCH = 1577836800


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolchainWorld:
    """An image to build in and the folder of RPMs, with repodata, that it was made from."""

    lock: ToolchainLock
    image: str
    folder: Path


def toolchain_world(docker_url: str) -> ToolchainWorld:
    """The toolchain of Skiff; the first call on a machine takes about a minute, later ones find all of it."""
    return asyncio.run(_made(docker_url, STATE / "toolchain"))


async def _made(docker_url: str, home: Path) -> ToolchainWorld:
    home.mkdir(parents=True, exist_ok=True)
    seeds = parse_distro((ROOT / "manifests" / "distro.yaml").read_text()).toolchain.seeds
    file = home / "toolchain.lock.json"
    if not file.exists() or parse_lock(file.read_text(), str(file)).seeds != seeds:
        file.write_text(json.dumps((await resolve(seeds, home=home)).to_json()))
    lock = parse_lock(file.read_text(), str(file))
    folder = home / hex_of(lock.digest)
    await import_toolchain(lock, folder, home=home, epoch=EPOCH)
    if not (folder / "repodata").exists():
        subprocess.run([CREATEREPO, "--quiet", folder], check=True)
    with Containers(docker_url) as containers:
        image = await make_toolchain_image(containers, rpms=folder, digest=lock.digest, scratch=home)
    return ToolchainWorld(lock=lock, image=image, folder=folder)
