"""Stage 0: the packages of the host's distribution become RPMs, so that a distribution can start from nothing."""

from __future__ import annotations

import asyncio
import shutil
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path
from typing import TypeVar

from release.errors import Error
from release.source.debian import Control
from release.source.import_spec import FILESYSTEM, file_list, spec_text
from release.source.toolchain import Origin, ToolchainLock
from release.tools.apt import Apt
from release.tools.debs import read_control, unpack
from release.tools.folders import appearing
from release.tools.process import run

T = TypeVar("T")
Progress = Callable[[int, int, str], None]
_BUILD_SECONDS = 600.0
_DATA = files("release.tools") / "data"
# Equal packages give byte-identical RPMs: a fixed host and time, no build ids, one file's level of compression.
_DEFINES: Mapping[str, str] = {
    "_buildhost": "slipway",
    "_build_id_links": "none",
    "_binary_payload": "w1.zstdio",
    "_rpmfilename": "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
    "use_source_date_epoch_as_buildtime": "1",
    "clamp_mtime_to_source_date_epoch": "1",
    "distribution": "stage0",
    "packager": "%{nil}",
    "debug_package": "%{nil}",
    "__os_install_post": "%{nil}",
    "__check_files": "%{nil}",
}


async def resolve(seeds: Sequence[str], *, home: Path) -> ToolchainLock:
    """The lock of the seeds and all they need, as the machine's mirrors have it now; apt's own files live in `home`."""
    return ToolchainLock.of(Origin.STAGE0, seeds, await Apt(home).resolve(seeds))


async def import_toolchain(
    lock: ToolchainLock, folder: Path, *, home: Path, epoch: int, progress: Progress = lambda *_: None
) -> tuple[Path, ...]:
    """Every package of the lock as an RPM in `folder`, and the one that stands for Debian's scripts; sorted paths.

    `folder` appears only when it is complete, and then is taken as it is. Downloads are kept in `home` and verified
    against the lock. `progress(done, total, name)` follows each package. `epoch` becomes every RPM's build time.
    """
    if not await asyncio.to_thread(folder.exists):
        debs = await Apt(home).download(lock.packages, home / "debs")
        with appearing(folder) as scratch:
            importer = Importer(scratch=scratch, rpms=scratch / folder.name, epoch=epoch)
            await _convert_all(debs, importer, progress)
    return await asyncio.to_thread(lambda: tuple(sorted(folder.glob("*.rpm"))))


async def _convert_all(debs: Sequence[Path], importer: Importer, progress: Progress) -> None:
    importer.rpms.mkdir(parents=True, exist_ok=True)  # two rpmbuilds that make it at once fail over each other
    controls = await _two_at_once([partial(read_control, deb) for deb in debs])
    groups: dict[tuple[str, str], dict[Path, Control]] = defaultdict(dict)
    for deb, control in zip(debs, controls, strict=True):
        groups[control.source, control.arch][deb] = control
    done = 0

    async def convert(source: str, arch: str, members: Mapping[Path, Control]) -> None:
        nonlocal done
        await importer.convert(source, arch, members)
        done += len(members)
        progress(done, len(debs), source)

    # A compiler at the end would leave the other worker idle.
    longest_first = sorted(groups.items(), key=lambda group: -sum(deb.stat().st_size for deb in group[1]))
    jobs: list[Callable[[], Awaitable[None]]] = [importer.filesystem]
    jobs += [partial(convert, source, arch, members) for (source, arch), members in longest_first]
    await _two_at_once(jobs)


async def _two_at_once(jobs: Iterable[Callable[[], Awaitable[T]]]) -> list[T]:
    """The results in order. The first failure ends what still runs, and is raised alone."""
    workers = asyncio.Semaphore(2)

    async def one(job: Callable[[], Awaitable[T]]) -> T:
        async with workers:
            return await job()

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(job)) for job in jobs]
    except* Error as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


@dataclass(frozen=True, slots=True, kw_only=True)
class Importer:
    """Turns the packages of one source at a time into RPMs in the folder `rpms`; `scratch` is to work in."""

    scratch: Path
    rpms: Path
    epoch: int

    async def convert(self, source: str, arch: str, members: Mapping[Path, Control]) -> None:
        """One source's binary packages: unpacked into one root, described in one spec, packed by one rpmbuild."""
        work = self.scratch / f"{source}.{arch}"
        (work / "root").mkdir(parents=True)
        imported = [await unpack(deb, control, work / "root") for deb, control in members.items()]
        for each in imported:
            (work / f"{each.control.name}.files").write_text(file_list(each))
        (work / "import.spec").write_text(spec_text(source, imported, lists=str(work)))
        await self._rpmbuild(work / "import.spec", work)
        await asyncio.to_thread(shutil.rmtree, work)

    async def filesystem(self) -> None:
        """The package of ours that stands for Debian's maintainer scripts."""
        work = self.scratch / FILESYSTEM
        work.mkdir()
        with as_file(_DATA / f"{FILESYSTEM}.spec") as spec:
            await self._rpmbuild(spec, work)

    async def _rpmbuild(self, spec: Path, work: Path) -> None:
        defines = {**_DEFINES, "_topdir": str(work), "_rpmdir": str(self.rpms)}
        words = [word for name, value in defines.items() for word in ("--define", f"{name} {value}")]
        argv = ["rpmbuild", "-bb", *words, "--buildroot", str(work / "root"), str(spec)]
        environment = {"SOURCE_DATE_EPOCH": str(self.epoch), "HOME": str(work)}
        await run(argv, seconds=_BUILD_SECONDS, environment=environment)
