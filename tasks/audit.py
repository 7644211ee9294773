"""Rebuilds the packages of a release from scratch, one by one, and says how each agrees with what is published."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from release.channel.audits import Agreement, FaultKind, PackageAudit, compared, fault_of
from release.digests import digest_of
from release.interfaces.interfaces import BinaryInterface
from release.product.builds import Build, Rpm
from release.product.standing import Standing, same_product
from release.source.certificates import Outcome
from release.tools.builder import BuildFailed, BuildOutput
from release.tools.rpm_difference import installed_diffoscope, rpm_difference
from release.tools.rpm_headers import header_digests
from release.tools.rpm_reader import read_interfaces
from tasks.bench import Bench
from tasks.build import run_build
from tasks.builds import pull_rpms
from tasks.recall import Previous
from tasks.want import Wanted, want

if TYPE_CHECKING:
    from tasks.wiring import Tools


class Fresh:
    """What stands for a package in the night: as a rule its fresh build, whose RPM files lie at `paths` by name. `root`
    are the interface digests of what its build root might hold.

    A plain class: Prefect walks through dataclasses.
    """

    def __init__(
        self, standing: Standing, paths: Mapping[str, Path], root: Mapping[str, str], audit: PackageAudit
    ) -> None:
        self.standing = standing
        self.paths = paths
        self.root = root
        self.audit = audit


class Night:
    """The audit of one release in the making: its bench, what is published, a folder for fresh RPMs, which is emptied,
    and the texts of the differences by digest."""

    def __init__(self, tools: Tools, bench: Bench, published: Previous, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self.tools = tools
        self.bench = bench
        self.published = published
        self.folder = folder
        self.differences: dict[str, bytes] = {}

    def unknown(self, name: str, error: str = "") -> PackageAudit:
        """A package of which nothing is known (yet)."""
        certificate = self.published.certificates.packages[name]
        return PackageAudit(
            package=name, build=certificate.build, outcome=certificate.outcome, agreement=Agreement.UNKNOWN, error=error
        )

    def wanted(self, name: str, view: Mapping[str, Fresh]) -> Wanted:
        """What the package's build may see."""
        needed = self.bench.graph.build_inputs(name)
        return want(self.bench, name, {each: view[each].standing for each in needed if each in view}, self.published)

    def saw_another(self, name: str, fresh: Fresh, view: Mapping[str, Fresh]) -> bool:
        """Whether what a build observed is not what stands now."""
        now = self.wanted(name, view).root
        return bool(now.keys() - fresh.root.keys()) or any(
            now.get(each) != fresh.root.get(each) for each in fresh.standing.consumed
        )

    async def as_published(self, name: str, audit: PackageAudit | None = None) -> Fresh:
        """The published build in the place of a fresh one: for packages that need each other, before the first of them
        is built, and for those that need one that does not build."""
        standing = self.published.standing[name]
        await pull_rpms(self.tools, self._repository, [standing.build])
        paths = {rpm.file: self.tools.store.path_of(rpm.digest) for rpm in standing.build.rpms}
        return Fresh(standing, paths, {}, audit or self.unknown(name))

    async def rebuild(self, name: str, view: Mapping[str, Fresh]) -> Fresh:
        """Build a package against the fresh builds in `view`, and compare it. One that fails is tried a second time;
        then it is a fault, and what is published stands for it."""
        wanted = self.wanted(name, view)
        try:
            output = await self._build_twice(wanted, view)
        except BuildFailed as error:
            return await self.as_published(name, self._unbuildable(name, error))
        interfaces = await read_interfaces(output.rpms)
        standing = await self._standing(wanted, output, interfaces)
        audit = self._compare(name, standing)
        if audit.agreement is Agreement.DIFFERENT:
            audit = await self._explain(wanted, view, audit, output, interfaces)
        return Fresh(standing, {path.name: path for path in output.rpms}, wanted.root, audit)

    @property
    def _repository(self) -> str:
        return self.published.release.rpms_repository

    async def _build_twice(self, wanted: Wanted, view: Mapping[str, Fresh]) -> BuildOutput:
        """A test that fails now and then is no reason to wake somebody."""
        try:
            return await self._build(wanted, view)
        except BuildFailed:
            return await self._build(wanted, view)

    async def _build(self, wanted: Wanted, view: Mapping[str, Fresh], kind: str = "rpms") -> BuildOutput:
        """Its RPMs are in `folder/<package>/<kind>`, and nothing else is left. The suffix is that of the published
        build, so that file names agree."""
        package = wanted.package
        work, kept = (self.folder / package.name / each for each in ("work", kind))
        for folder in (work, kept):
            await asyncio.to_thread(_emptied, folder)
        needed = self.bench.graph.build_inputs(package.name)
        paths = {file: path for each in needed if each in view for file, path in view[each].paths.items()}
        inputs = {each.rpm.file: paths[each.rpm.file] for each in wanted.inside}
        suffix = self.published.standing[package.name].build.evr.removeprefix(package.evr)
        try:
            output = await run_build(self.tools, self.bench, package, inputs, work, suffix=suffix)
            return replace(output, rpms=tuple(path.rename(kept / path.name) for path in output.rpms))
        finally:
            await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)

    async def _standing(self, wanted: Wanted, output: BuildOutput, interfaces: Sequence[BinaryInterface]) -> Standing:
        headers = zip(output.rpms, await header_digests(output.rpms), strict=True)
        rpms = tuple(Rpm(file=path.name, digest="", size=0, header_digest=header) for path, header in headers)
        present = {each.header_digest for each in output.build_root}
        return Standing(
            build=replace(self.published.standing[wanted.package.name].build, rpms=rpms, sources=(), records=()),
            manifest="",
            interfaces=tuple(interfaces),
            consumed=tuple(sorted({each.name for each in wanted.inside if each.rpm.header_digest in present})),
        )

    def _compare(self, name: str, fresh: Standing) -> PackageAudit:
        published = self.published.standing[name]
        now, before = _headers(fresh.build), _headers(published.build)
        return compared(
            self.unknown(name),
            published.interfaces,
            fresh.interfaces,
            headers={file for file in now.keys() | before.keys() if now.get(file) != before.get(file)},
            recorded=self.published.certificates.packages[name].consumed,
            consumed=fresh.consumed,
        )

    async def _explain(
        self,
        wanted: Wanted,
        view: Mapping[str, Fresh],
        audit: PackageAudit,
        output: BuildOutput,
        interfaces: Sequence[BinaryInterface],
    ) -> PackageAudit:
        """How it differs, as text, and whose fault that is: built once more, a wrong skip comes out the same again."""
        published = await self._published_files(audit.package)
        text = await rpm_difference(published, output.rpms, diffoscope=installed_diffoscope())
        content = text.encode("utf-8", "backslashreplace")
        diff = digest_of(content)
        self.differences[diff] = content
        repeats = True
        if audit.outcome is not Outcome.BUILT:
            again = await self._build(wanted, view, "again")
            repeats = same_product(interfaces, await read_interfaces(again.rpms))
        return replace(audit, diff=diff, kind=fault_of(audit.outcome, repeats=repeats))

    async def _published_files(self, name: str) -> list[Path]:
        """The published RPMs under their own names."""
        build, folder = self.published.standing[name].build, self.folder / name / "published"
        await pull_rpms(self.tools, self._repository, [build])
        await asyncio.to_thread(_emptied, folder)
        for rpm in (binary := _binary(build)):
            self.tools.store.link(rpm.digest, folder / rpm.file)
        return [folder / rpm.file for rpm in binary]

    def _unbuildable(self, name: str, error: BuildFailed) -> PackageAudit:
        last = [each.strip() for each in (error.got or "").splitlines() if each.strip()][-1:]
        return replace(
            self.unknown(name, error.message),
            agreement=Agreement.FAILED,
            kind=FaultKind.UNBUILDABLE,
            files=(": ".join([error.message, *last]),),
        )


def _binary(build: Build) -> list[Rpm]:
    return [rpm for rpm in build.rpms if not rpm.file.endswith(".src.rpm")]


def _headers(build: Build) -> Mapping[str, str]:
    return {rpm.file: rpm.header_digest for rpm in _binary(build)}


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
