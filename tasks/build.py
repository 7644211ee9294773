"""Builds one source package: sources, build root, sealed container, header signatures, provenance, registry."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from release import oci
from release.digests import hex_of
from release.errors import Refused
from release.product.builds import SOURCE, Build
from release.source.plan import build_key, interface_digest
from release.source.specs import Package
from release.tools.builder import BuildFailed, BuildOrder, BuildOutput
from release.tools.repodata import compose_folder
from release.tools.sealed import Exceeded, Limits
from release.tools.sources import check_local
from signing.attestations import Recipe, Run, provenance_statement
from signing.policy import Role
from signing.statements import PROVENANCE, Resource
from tasks.bench import Bench
from tasks.builds import find_build, keep_rpms, pull_rpms
from tasks.publish import blob_url, log_resource, publish_build, publish_log
from tasks.sign import Claim
from tasks.verify import signers

if TYPE_CHECKING:
    from tasks.wiring import Tools

BUILD_LIMITS = Limits(memory=8 << 30, scratch=8 << 30, seconds=3600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A package of the release: its build, and how it came to be. Reused ones took no seconds."""

    build: Build
    reused: bool
    seconds: float = 0.0
    rpmbuild_seconds: float = 0.0
    log_url: str | None = None


def key_of(bench: Bench, name: str, inputs: Mapping[str, Built]) -> str:
    """The build key of a package over what its inputs turned out to be."""
    return build_key(
        package=bench.graph.packages[name],
        macros_digest=bench.macros_digest,
        toolchain_digest=bench.toolchain.digest,
        arch=bench.arch,
        inputs={each: interface_digest(built.build) for each, built in inputs.items()},
    )


async def reuse(tools: Tools, bench: Bench, key: str) -> Built | None:
    """The proven build of a key, if any machine has made it before."""
    distro = bench.tree.distro
    build = await find_build(tools, distro.rpms_repository, key, policy=signers(tools, distro))
    return Built(build=build, reused=True) if build else None


async def build(tools: Tools, bench: Bench, name: str, key: str, inputs: Mapping[str, Built]) -> Built:
    """Build a package, sign its RPMs and publish it under its key. A failed build's log is kept and linked."""
    package, distro = bench.graph.packages[name], bench.tree.distro
    with _work(tools, name, key) as work:
        started = tools.now()
        needed = await _files(tools, bench, inputs)
        output = await run_build(tools, bench, package, needed, work)
        paths = [*output.rpms, output.srpm]
        await (await tools.rpm_signer()).sign_rpms(paths)
        rpms = await keep_rpms(tools, paths)
        log = await publish_log(tools, distro.rpms_repository, output.log)
        made = Build(
            package=name, evr=package.evr, arch=bench.arch, key=key, rpms=rpms, sources=_source_layers(tools, package)
        )
        run = Run(
            builder=f"{distro.identity}/builder",
            invocation=bench.invocation,
            started=started,
            finished=tools.now(),
            trust=tools.verifier.trust,
            log=log_resource(tools, distro.rpms_repository, log),
        )
        recipe = _recipe(tools, bench, package, output)

        def claim(subject: oci.Descriptor) -> Claim:
            return Claim(
                repository=distro.rpms_repository,
                subject=subject,
                role=Role.BUILD,
                predicate_type=PROVENANCE,
                statement=provenance_statement(build=made, manifest=subject.digest, recipe=recipe, run=run),
            )

        await publish_build(tools, distro, made, claim=claim, log=log)
        return Built(
            build=made,
            reused=False,
            seconds=round((tools.now() - started).total_seconds(), 2),
            rpmbuild_seconds=round(output.rpmbuild_seconds, 2),
            log_url=blob_url(tools, distro.rpms_repository, log.digest),
        )


async def run_build(
    tools: Tools, bench: Bench, package: Package, inputs: Mapping[str, Path], work: Path
) -> BuildOutput:
    """The sealed build alone: unsigned RPMs below `work`, nothing published. The audit uses it too.

    `inputs` are the RPM files, by name, that its build root may install beside the toolchain.
    """
    tree, repository = bench.tree, bench.tree.distro.rpms_repository
    spec, macros = work / "tree" / package.spec, work / "macros"
    await asyncio.to_thread(tree.stage, package.files, work / "tree")  # what its content names, and nothing else
    await asyncio.to_thread(tree.stage, tree.macro_files, macros)
    check_local(spec.parent, (*package.sources, *package.patches), spec=package.spec)
    await tools.sources(repository).resolve(package.pinned, spec=package.spec)
    sources = work / "sources"
    sources.mkdir(parents=True)
    for source in package.pinned:
        tools.store.link(str(source.digest), sources / source.file)
    await asyncio.to_thread(compose_folder, work / "inputs", inputs)
    out = work / "out"
    out.mkdir()
    order = BuildOrder(
        image=bench.toolchain.image,
        spec=spec,
        sources=sources,
        toolchain=bench.toolchain.folder,
        repositories=(work / "inputs",),
        build_requires=package.build_requires,
        epoch=package.epoch,
        arch=bench.arch,
        macro_files=tuple(macros / path for path in tree.macro_files),
        macros=tree.distro.macros,
        jobs=os.cpu_count() or 1,
        limits=BUILD_LIMITS,
    )
    try:
        return await tools.builder.build(order, out)
    except (BuildFailed, Exceeded) as error:
        log = await publish_log(tools, repository, error.log)
        error.where = package.spec
        error.hint = (
            f"whole log: {blob_url(tools, repository, log.digest)}\n"
            f"        reproduce it here: slipway build {package.name} --commit {tree.commit.sha}"
        )
        raise


async def collect_inputs(tools: Tools, bench: Bench, name: str) -> dict[str, Path]:
    """The RPM files that a package's build root may install, from builds that the registry has."""
    wanted = bench.graph.build_inputs(name)
    built: dict[str, Built] = {}
    for each in (package for level in bench.graph.order() for package in level if package in wanted):
        inputs = {need: built[need] for need in bench.graph.build_inputs(each)}
        found = await reuse(tools, bench, key_of(bench, each, inputs))
        if found is None:
            raise Refused(
                f"{name} needs {each}, which is not built yet", where=bench.graph.packages[name].spec,
                hint="let the pipeline release the commit: what it built is reused here",
            )  # fmt: skip
        built[each] = found
    return await _files(tools, bench, {each: built[each] for each in wanted})


async def _files(tools: Tools, bench: Bench, inputs: Mapping[str, Built]) -> dict[str, Path]:
    builds = [each.build for each in inputs.values()]
    await pull_rpms(tools, bench.tree.distro.rpms_repository, builds)
    return {rpm.file: tools.store.path_of(rpm.digest) for each in builds for rpm in each.rpms}


def _source_layers(tools: Tools, package: Package) -> tuple[oci.Descriptor, ...]:
    return tuple(
        oci.Descriptor(
            media_type=SOURCE,
            digest=str(source.digest),
            size=tools.store.path_of(str(source.digest)).stat().st_size,
            annotations={oci.TITLE: source.file},
        )
        for source in package.pinned
    )


def _recipe(tools: Tools, bench: Bench, package: Package, output: BuildOutput) -> Recipe:
    tree = bench.tree
    return Recipe(
        repository=tools.repository_uri,
        ref=tree.distro.branch,
        commit=tree.commit.sha,
        spec=package.spec,
        sources=tuple(
            Resource(uri=source.url or source.file, digests={"sha256": str(source.sha256)}, name=source.file)
            for source in package.pinned
        ),
        build_root=tuple(
            Resource(
                uri=_purl(each.nevra, namespace=tree.distro.name),
                digests={"sha256": each.header_digest},
                name=each.nevra,
            )
            for each in output.build_root
        ),
        image=Resource(uri=bench.toolchain.image, digests={"sha256": hex_of(bench.toolchain.digest)}),
    )


def _purl(nevra: str, *, namespace: str) -> str:
    """`name-[epoch:]version-release.arch` as a package URL (purl-spec, types/rpm)."""
    package, _, arch = nevra.rpartition(".")
    name, version, release = package.rsplit("-", 2)
    epoch, _, version = version.rpartition(":")
    qualifiers = urlencode({"arch": arch} | ({"epoch": epoch} if epoch else {}))
    return f"pkg:rpm/{namespace}/{quote(name, safe='')}@{quote(f'{version}-{release}', safe='~')}?{qualifiers}"


@contextmanager
def _work(tools: Tools, name: str, key: str) -> Iterator[Path]:
    """A folder for one build, empty at the start and gone at the end."""
    folder = tools.scratch("builds") / f"{name}-{hex_of(key)[:12]}-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
