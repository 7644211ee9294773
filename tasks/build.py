"""Builds one source package in a sealed container: sources, build root, unsigned RPMs; nothing is published."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from release.digests import hex_of
from release.source.specs import Package
from release.tools.builder import BuildFailed, BuildOrder, BuildOutput
from release.tools.repodata import compose_folder
from release.tools.sealed import Exceeded, Limits
from release.tools.sources import check_local
from tasks.bench import Bench
from tasks.publish import blob_url, publish_log

if TYPE_CHECKING:
    from tasks.wiring import Tools

BUILD_LIMITS = Limits(memory=8 << 30, scratch=8 << 30, seconds=3600.0)


async def run_build(
    tools: Tools, bench: Bench, package: Package, inputs: Mapping[str, Path], work: Path, *, suffix: str = ""
) -> BuildOutput:
    """The sealed build alone: unsigned RPMs below `work`, nothing published. The audit uses it too.

    `inputs` are the RPM files, by name, that its build root may install beside the toolchain; `suffix` is written
    behind its release.
    """
    tree, repository = bench.tree, bench.tree.distro.rpms_repository
    spec = work / "tree" / package.spec
    await asyncio.to_thread(tree.stage, package.files, work / "tree")  # what its content names, and nothing else
    macros = await asyncio.to_thread(tree.stage_macros, bench.graph.packages.values(), work / "macros")
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
        macro_files=macros,
        macros={**tree.distro.macros, **package.macros},
        suffix=suffix,
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


@contextmanager
def work_folder(tools: Tools, name: str, key: str) -> Iterator[Path]:
    """A folder for one build, empty at the start and gone at the end."""
    folder = tools.scratch("builds") / f"{name}-{hex_of(key)[:12]}-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
