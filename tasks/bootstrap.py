"""Brings the toolchain set: from the registry where a machine has imported it before, otherwise from stage 0."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from release import oci
from release.digests import digest_of_json, hex_of
from release.errors import Misconfigured
from release.product.builds import Build, Rpm
from release.source.distro import Distro
from release.source.specs import BinaryPackage
from release.source.toolchain import Origin, ToolchainLock
from release.tools import rpm_repository, stage0
from release.tools.repodata import capabilities, compose_folder
from release.tools.toolchain_image import make_toolchain_image
from signing.attestations import Run, import_statement
from signing.policy import Role
from signing.statements import PROVENANCE, Resource
from tasks.builds import find_build, keep_rpms, pull_rpms
from tasks.fetch import fetch_build
from tasks.prepare import Tree
from tasks.publish import log_resource, publish_build, publish_log
from tasks.sign import Claim
from tasks.verify import signers

if TYPE_CHECKING:
    from tasks.wiring import Tools

SHARD = 100  # RPMs a manifest: registries limit the layers of one (reference: ECR at about 500)
_IMPORT_LOG = b"brought from the packages that the toolchain lock pins; no program of theirs was run\n"
EPOCH = 1577836800  # 2020-01-01: imported packages have no commit of ours to take a time from
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolchainSet:
    """The toolchain, ready for use: an image to build in, a folder with repodata, and its builds in the registry."""

    digest: str
    image: str
    folder: Path
    builds: tuple[Build, ...]
    binaries: tuple[BinaryPackage, ...]


async def bootstrap(tools: Tools, tree: Tree, *, arch: str, progress: Progress = lambda *_: None) -> ToolchainSet:
    """The toolchain set that a commit pins. What the registry or this machine has already is not made again."""
    lock, repository = tree.lock, tree.distro.rpms_repository
    policy = signers(tools, tree.distro)
    keys = _keys(lock, arch)
    found = await asyncio.gather(*(find_build(tools, repository, key, policy=policy) for key in keys))
    shards = [each.manifest for each in found if each is not None]
    if len(shards) == len(keys):
        builds = tuple(await asyncio.gather(*(fetch_build(tools, repository, each) for each in shards)))
    else:
        builds = await _import(tools, tree, arch, progress)
    folder = tools.scratch("toolchains") / hex_of(lock.digest)
    if not (folder / "repodata" / "repomd.xml").exists():
        await pull_rpms(tools, repository, builds)
        rpms = {rpm.file: tools.store.path_of(rpm.digest) for build in builds for rpm in build.rpms}
        shutil.rmtree(folder, ignore_errors=True)
        await asyncio.to_thread(compose_folder, folder, rpms)
    image = await make_toolchain_image(
        tools.containers, rpms=folder, digest=lock.digest, scratch=tools.scratch("image")
    )
    binaries = await asyncio.to_thread(capabilities, folder)
    return ToolchainSet(digest=lock.digest, image=image, folder=folder, builds=builds, binaries=binaries)


def _keys(lock: ToolchainLock, arch: str) -> list[str]:
    """The build key of each shard: known before any package is here, because the lock decides everything."""
    own = 1 if lock.origin is Origin.STAGE0 else 0  # the filesystem package
    shards = -(-(len(lock.packages) + own) // SHARD)
    return [digest_of_json({"toolchain": lock.digest, "arch": arch, "shard": n, "of": shards}) for n in range(shards)]


async def _import(tools: Tools, tree: Tree, arch: str, progress: Progress) -> tuple[Build, ...]:
    lock = tree.lock
    started = tools.now()
    signed = await _signed(tools, await _brought(tools, tree, progress))
    log = await publish_log(tools, tree.distro.rpms_repository, _IMPORT_LOG)
    run = Run(
        builder=f"{tree.distro.identity}/builder",
        invocation=lock.digest,
        started=started,
        finished=tools.now(),
        trust=tools.verifier.trust,
        log=log_resource(tools, tree.distro.rpms_repository, log),
    )
    keys = _keys(lock, arch)
    shards = [signed[n * SHARD : (n + 1) * SHARD] for n in range(len(keys))]
    return tuple([await _publish(tools, tree, arch, n, key, shard, run)
                  for n, (key, shard) in enumerate(zip(keys, shards, strict=True))])  # fmt: skip


async def resolve_toolchain(tools: Tools, distro: Distro) -> ToolchainLock:
    """The lock of what distro.yaml asks for, as its origin has it now."""
    wanted, home = distro.toolchain, tools.settings.folder
    if wanted.baseurl:
        return await rpm_repository.resolve(wanted.packages, baseurl=wanted.baseurl, home=home / "dnf")
    return await stage0.resolve(wanted.seeds, home=home / "apt")


async def _brought(tools: Tools, tree: Tree, progress: Progress) -> tuple[Path, ...]:
    """The RPMs of the lock, from where its packages come from."""
    lock, home = tree.lock, tools.settings.folder
    folder = tools.scratch("imported") / hex_of(lock.digest)
    if lock.origin is Origin.STAGE0:
        return await stage0.import_toolchain(lock, folder, home=home / "apt", epoch=EPOCH, progress=progress)
    if not tree.distro.toolchain.baseurl:
        raise Misconfigured(
            "the toolchain lock is of an RPM repository, and distro.yaml names none", where=tree.distro.toolchain.lock
        )
    return await rpm_repository.fetch_toolchain(lock, folder, baseurl=tree.distro.toolchain.baseurl, home=home / "dnf")


async def _signed(tools: Tools, paths: Sequence[Path]) -> list[Rpm]:
    """Signed copies in the store; the import itself stays unsigned, so that a killed run finds it as it was."""
    work = tools.scratch("signing") / "toolchain"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    copies = [Path(shutil.copy(path, work)) for path in paths]
    await (await tools.rpm_signer()).sign_rpms(copies)
    rpms = await keep_rpms(tools, copies)
    shutil.rmtree(work)
    return sorted(rpms, key=lambda rpm: rpm.file)


async def _publish(tools: Tools, tree: Tree, arch: str, n: int, key: str, rpms: Sequence[Rpm], run: Run) -> Build:
    build = Build(
        package=f"stage0-{n + 1:02}",
        evr=f"0-{hex_of(tree.lock.digest)[:12]}",
        arch=arch,
        key=key,
        rpms=tuple(rpms),
        origin=str(tree.lock.origin),
    )
    materials = [
        Resource(uri=f"pkg:deb/debian/{each.name}@{each.version}?arch={each.arch}", digests={"sha256": each.sha256})
        for each in tree.lock.packages
    ]

    def claim(subject: oci.Descriptor) -> Claim:
        return Claim(
            repository=tree.distro.rpms_repository,
            subject=subject,
            role=Role.BUILD,
            predicate_type=PROVENANCE,
            statement=import_statement(build=build, manifest=subject.digest, materials=materials, run=run),
        )

    await publish_build(tools, tree.distro, build, claim=claim)
    return build
