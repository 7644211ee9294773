"""Makes one image: resolves its packages, and reuses, or installs, packs, proves and publishes it by digest."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from release import oci
from release.digests import digest_of_json
from release.product.builds import Build
from release.product.image_definitions import read_definition
from release.product.image_keys import IMAGE_KEY, ROOT_KEY, image_key, image_tag, root_key
from release.product.image_packages import ImagePackage, image_epoch
from release.product.images import About, ArchImage, Layer, compose_image, compose_index, layers_of
from release.product.releases import ImageManifest, Referrer, ReleaseImage
from release.product.sbom import Naming, spdx_document
from release.source.distro import ImageEntry
from release.tools.layers import write_files_layer
from release.tools.repodata import compose_folder
from release.tools.rootfs import RootAssembler
from signing.attestations import sbom_statement, signature_statement
from signing.policy import Role
from signing.statements import SIGNATURE, SPDX
from tasks.bench import Bench
from tasks.builds import pull_rpms
from tasks.publish import PublishedSnapshot, blob_url
from tasks.sign import Claim, proofs_of, sign
from tasks.verify import signers

if TYPE_CHECKING:
    from tasks.wiring import Tools

CONFIG_BYTES = 1024 * 1024
Stage = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """An image of the release, the SBOM's referrer for each of its manifests, and whether it was there already."""

    image: ReleaseImage
    sboms: tuple[Referrer, ...]
    packages: tuple[str, ...]
    reused: bool
    seconds: float = 0.0


class Pantry:
    """The signed packages of a release as a folder that dnf can install from, and what a consumer knows of them."""

    def __init__(self, folder: Path, builds: Sequence[Build], snapshot: PublishedSnapshot, key: str) -> None:
        self.folder = folder
        self.builds = builds
        self.snapshot = snapshot
        self.key = key


async def stock(tools: Tools, bench: Bench, builds: Sequence[Build], snapshot: PublishedSnapshot) -> Pantry:
    """Every binary RPM of the snapshot in one folder with repodata; made once for a set of packages."""
    await pull_rpms(tools, bench.tree.distro.rpms_repository, builds)
    rpms = {
        rpm.file: tools.store.path_of(rpm.digest)
        for build in builds
        for rpm in build.rpms
        if not rpm.file.endswith(".src.rpm")
    }
    identity = digest_of_json(sorted(rpm.digest for build in builds for rpm in build.rpms))
    folder = tools.scratch("pantry") / identity.removeprefix("sha256:")[:16]
    if not (folder / "repodata" / "repomd.xml").exists():
        shutil.rmtree(folder, ignore_errors=True)
        for old in folder.parent.iterdir():
            shutil.rmtree(old, ignore_errors=True)
        await asyncio.to_thread(compose_folder, folder, rpms)
    key = await (await tools.rpm_signer()).public_key()
    return Pantry(folder, builds, snapshot, key)


async def assemble(
    tools: Tools, bench: Bench, pantry: Pantry, entry: ImageEntry, *, stage: Stage = lambda _: None
) -> Assembled:
    """One image by digest, signed, with an SBOM for each architecture. No tag but its key's moves here.

    An image whose packages and definition are those of an earlier one *is* that one. Where only the repository that
    it is pinned to is another, the packages' layer is kept and a layer of a kilobyte is made.
    """
    started = tools.now()
    distro = bench.tree.distro
    definition = read_definition(entry.definition, bench.tree.read)
    assembler = RootAssembler(containers=tools.containers, image=bench.toolchain.image, folder=tools.scratch("roots"))
    stage("resolving")
    packages = await assembler.resolve(definition, pantry.folder)
    about = _about(tools, bench, entry)
    root = root_key(definition, packages, arch=bench.arch)
    files = _pinned_repository(tools, bench, pantry) if _has_dnf(packages) else {}
    key = image_key(root, definition, about=about, files=files)
    index = await tools.registry.pull_document(entry.repository, image_tag(key))
    if index is not None and (found := await _known(tools, bench, entry, index, key, packages)):
        return found
    epoch = image_epoch(packages)
    out = tools.scratch("layers") / f"{entry.name}.tar.gz"
    lower = await _known_root(tools, bench, entry, root)
    reused_root = lower is not None
    if lower is None:
        lower = await assembler.assemble(
            definition, packages, out, repository=pantry.folder, key=pantry.key, stage=stage
        )
    stage("publishing")
    layers = [(lower, None if reused_root else out)]
    history = [f"slipway: {len(packages)} packages of {distro.title}"]
    if files:
        upper = out.with_name(f"{entry.name}-release.tar.gz")
        layers.append((await asyncio.to_thread(write_files_layer, files, upper, epoch=epoch), upper))
        history.append("slipway: the repository of this release")
    image = compose_image(
        arch=bench.arch,
        layers=[layer for layer, _ in layers],
        runtime=definition.runtime,
        about=about,
        epoch=epoch,
        history=history,
        keys={ROOT_KEY: root, IMAGE_KEY: key},
    )
    index = compose_index([image], about=about, epoch=epoch)
    await _push(tools, entry, image, index, layers)
    made = await _prove(tools, bench, entry, image, index, packages, pantry, epoch=epoch, about=about)
    for each in (key, root):
        await tools.registry.push_document(entry.repository, index, tag=image_tag(each))
    seconds = round((tools.now() - started).total_seconds(), 2)
    return Assembled(image=made[0], sboms=made[1], packages=_names(packages), reused=False, seconds=seconds)


async def _push(
    tools: Tools, entry: ImageEntry, image: ArchImage, index: oci.Document, layers: Sequence[tuple[Layer, Path | None]]
) -> None:
    for layer, path in layers:
        if path is not None:
            await tools.registry.push_blob(entry.repository, path, digest=layer.digest)
            path.unlink()
    await tools.registry.push_blob(entry.repository, image.config)
    await tools.registry.push_document(entry.repository, image.manifest)
    await tools.registry.push_document(entry.repository, index)


async def _prove(
    tools: Tools,
    bench: Bench,
    entry: ImageEntry,
    image: ArchImage,
    index: oci.Document,
    packages: Sequence[ImagePackage],
    pantry: Pantry,
    *,
    epoch: int,
    about: About,
) -> tuple[ReleaseImage, tuple[Referrer, ...]]:
    """Signatures on index and manifest, the SBOM on the manifest."""
    distro = bench.tree.distro
    naming = Naming(
        repository=f"{tools.settings.registry_public.split('://')[-1]}/{entry.repository}",
        namespace=distro.name,
        distro=f"{distro.name}-{distro.version}",
        identity=distro.identity,
    )
    sbom = spdx_document(image, packages, pantry.builds, about=about, epoch=epoch, naming=naming)
    signed = [_claim(entry, each, SIGNATURE, signature_statement(each.digest)) for each in (index, image.manifest)]
    described = _claim(entry, image.manifest, SPDX, sbom_statement(image.manifest.digest, json.loads(sbom)))
    *_, proof = await sign(tools, [*signed, described], policy=signers(tools, distro))
    return _release_image(entry, index, bench.arch, image.manifest.digest), (
        Referrer(kind="sbom", repository=entry.repository, subject=image.manifest.digest, digest=proof),
    )


async def _known(
    tools: Tools,
    bench: Bench,
    entry: ImageEntry,
    index: oci.Document,
    key: str,
    packages: Sequence[ImagePackage],
) -> Assembled | None:
    """The image under a key tag, when it is that key's and everything on it still verifies; None otherwise."""
    policy = signers(tools, bench.tree.distro)
    sboms = []
    if not await proofs_of(tools, entry.repository, index.digest, SIGNATURE, policy=policy):
        return None
    for child in index.manifests:
        manifest = await tools.registry.pull_document(entry.repository, child.digest)
        if manifest is None or manifest.annotations.get(IMAGE_KEY) != key:
            return None
        if not await proofs_of(tools, entry.repository, child.digest, SIGNATURE, policy=policy):
            return None
        proofs = await proofs_of(tools, entry.repository, child.digest, SPDX, policy=policy)
        if not proofs:
            return None
        sboms.append(Referrer(kind="sbom", repository=entry.repository, subject=child.digest, digest=proofs[0][0]))
    image = _release_image(entry, index, bench.arch, index.manifests[0].digest)
    return Assembled(image=image, sboms=tuple(sboms), packages=_names(packages), reused=True)


async def _known_root(tools: Tools, bench: Bench, entry: ImageEntry, root: str) -> Layer | None:
    """The packages' layer of an earlier image with the same root key, when that image is proven; None otherwise."""
    policy = signers(tools, bench.tree.distro)
    index = await tools.registry.pull_document(entry.repository, image_tag(root))
    for child in index.manifests if index else ():
        manifest = await tools.registry.pull_document(entry.repository, child.digest)
        if manifest is None or manifest.annotations.get(ROOT_KEY) != root:
            continue
        if await proofs_of(tools, entry.repository, child.digest, SIGNATURE, policy=policy):
            config = oci.Descriptor.from_json(manifest.json()["config"])
            raw = await tools.registry.pull_blob(entry.repository, config.digest, limit_bytes=CONFIG_BYTES)
            return layers_of(manifest, raw)[0]
    return None


def _has_dnf(packages: Sequence[ImagePackage]) -> bool:
    return any(package.name == "dnf" for package in packages)


def _release_image(entry: ImageEntry, index: oci.Document, arch: str, manifest: str) -> ReleaseImage:
    return ReleaseImage(
        name=entry.name,
        repository=entry.repository,
        digest=index.digest,
        manifests=(ImageManifest(arch=arch, digest=manifest),),
    )


def _claim(entry: ImageEntry, document: oci.Document, kind: str, statement: bytes) -> Claim:
    return Claim(
        repository=entry.repository,
        subject=document.descriptor,
        role=Role.SIGN,
        predicate_type=kind,
        statement=statement,
    )


def _about(tools: Tools, bench: Bench, entry: ImageEntry) -> About:
    distro = bench.tree.distro
    return About(
        title=f"{distro.title} {entry.name}",
        description=f"{distro.title} {distro.version}, {entry.name} image",
        version=distro.version,
        vendor=distro.vendor,
        url=distro.url,
        licenses=None,
        source=distro.url,
        revision=bench.tree.commit.sha,
    )


def _pinned_repository(tools: Tools, bench: Bench, pantry: Pantry) -> dict[str, bytes]:
    """The .repo that pins an image to the repository of its own release: stock dnf, no server of ours, no surprise.

    A trailing `#` turns what librepo appends into a URL fragment, which curl does not send, so the base URL *is* the
    blob of repomd.xml, and its digest is the check.
    """
    distro = bench.tree.distro
    base = blob_url(tools, distro.rpms_repository, pantry.snapshot.direct[bench.arch])
    text = (
        f"# The packages of the release that this image belongs to, pinned by digest: they never change.\n"
        f"[{distro.name}-release]\n"
        f"name={distro.title} {distro.version} (the release of this image)\n"
        f"baseurl={base}#\n"
        f"enabled=1\ngpgcheck=1\n"
        f"gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-{distro.name}\n"
    )
    return {f"/etc/yum.repos.d/{distro.name}-release.repo": text.encode()}


def _names(packages: Sequence[ImagePackage]) -> tuple[str, ...]:
    return tuple(package.nevra for package in packages)
