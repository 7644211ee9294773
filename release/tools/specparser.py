"""Reads specs with rpm in a sealed place, and remembers by content what it read."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from release.errors import Error, Refused
from release.source.macro_files import beside, filled, has_placeholders, speaks_of, version_macros
from release.source.specs import Package
from release.tools.fact_cache import FactCache
from release.tools.git_files import CommitFiles
from release.tools.places import Place
from release.tools.process import BASE_ENVIRONMENT
from release.tools.spec_answers import Answers, macros_refusal, read_answers
from release.tools.spec_memory import Common, Job, Memory, packages_of
from release.tools.stage import READER, TREE, Stage, Work, make_stage

_SECONDS = 10  # of work for one spec; real ones need a small part of one
_AT_ONCE = 128  # specs of one run: what is read is kept run by run
_WORTH = 32  # specs worth a place of their own: one starts in about as long as it reads them
_NOTHING: Mapping[str, str] = MappingProxyType({})
# No clock, no home, no count of processors: facts are the same on every machine and every day.
_ENVIRONMENT = {**BASE_ENVIRONMENT, "HOME": "/nonexistent", "SOURCE_DATE_EPOCH": "0", "RPM_BUILD_NCPUS": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseOrder:
    """Specs to read: paths in a commit's `files`. `macro_files` (paths, too) are loaded after rpm's own, then `macros`
    are defined; `arch` is rpm's name of the architecture to read for.

    `lua_modules` (paths) can be required by macros under every name that ends in theirs. With a `version_prefix`
    there are macros of the versions of other specs (see `release.source.macro_files.version_macros`). If not
    `strict`, a mistake in a macro file costs that macro only, as in rpm itself. Sources of specs below the folders of
    `unpinned` need no hash.
    """

    files: CommitFiles
    specs: Sequence[str]
    macro_files: tuple[str, ...]
    macros: Mapping[str, str]
    arch: str
    lua_modules: tuple[str, ...] = ()
    version_prefix: str | None = None
    strict: bool = True
    unpinned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """Source packages by the path of their spec, in the order's order; and for each other spec why there is none.
    Where the order is not strict, `failed` begins with the macro files that have mistakes.

    `common_macros` is the digest of the macros that count for every package, whatever its spec says: those that rpm's
    own machinery may use, with all that they mention. The others show in `Package.expanded`. `all_macros` is
    the digest of all of the tree's macros.
    """

    packages: Mapping[str, Package]
    failed: Mapping[str, Error]
    common_macros: str
    all_macros: str = ""

    @property
    def failures(self) -> tuple[Error, ...]:
        """The errors alone; `where` is the spec, or its signatures file, with the line where one is known."""
        return tuple(self.failed.values())


@dataclass(slots=True)
class _Progress:
    """What is known so far."""

    packages: dict[str, Package] = field(default_factory=dict)
    failed: dict[str, Error] = field(default_factory=dict)


class SpecParser:
    """Runs specreader.py in `place` over the specs that are not known yet. `folder` keeps what was read, and holds
    what is being read."""

    def __init__(self, *, place: Place, folder: Path, seconds: int = _SECONDS) -> None:
        self._place = place
        self._folder = folder
        self._seconds = seconds
        self._memory = Memory(FactCache(folder / "facts.sqlite"))

    async def parse(self, order: ParseOrder) -> Parsed:
        """A package for every spec that rpm can read; the others are refused one by one and stop nobody.

        A spec is read without network, as nobody, in a process of its own with a limit of time and memory. It may
        read its folder, the macro files and the place, which together are the key of the cache. `Refused` when a
        macro file does not load, `Broken` or `Misconfigured` when the place cannot do its work.
        """
        texts = await asyncio.to_thread(order.files.read_many, (*order.macro_files, *order.lua_modules))
        empty = {path: filled(texts[path], None) for path in order.macro_files}
        job = Job(
            files=order.files,
            macro_files=empty,
            lua_modules={path: texts[path] for path in order.lua_modules},
            macros=order.macros,
            arch=order.arch,
            place=await self._place.identity(),
            strict=order.strict,
            unpinned=tuple(f"{folder}/" for folder in order.unpinned),
        )
        done = _Progress()
        first = {path: beside(path, order.specs)[:1] for path in order.macro_files if has_placeholders(texts[path])}
        await self._wave(job, {spec: _NOTHING for specs in first.values() for spec in specs}, done)
        fills = {
            path: done.packages[spec].evr for path, specs in first.items() for spec in specs if spec in done.packages
        }
        job = replace(job, macro_files={path: filled(texts[path], fills.get(path)) for path in order.macro_files})
        await self._others(job, order, done)
        self._memory.keep_only(done.packages.values())
        common = await self._common(job) if order.specs else Common(digest="", wrong={})
        failed = {spec: done.failed[spec] for spec in order.specs if spec in done.failed}
        return Parsed(
            packages={spec: done.packages[spec] for spec in order.specs if spec in done.packages},
            failed={path: macros_refusal(path, text) for path, text in common.wrong.items()} | failed,
            common_macros=common.digest,
            all_macros=job.macros_key if order.specs else "",
        )

    async def _others(self, job: Job, order: ParseOrder, done: _Progress) -> None:
        """All specs that are not done: those that speak of no other one first, then those that speak of these."""
        waiting: dict[str, tuple[str, ...]] = {
            spec: () for spec in order.specs if spec not in done.packages and spec not in done.failed
        }
        prefix = order.version_prefix
        about = speaks_of(order.specs, prefix) if prefix else {}
        if prefix:
            waiting = await asyncio.to_thread(self._memory.mentions, order.files, waiting, prefix, about)
        versions: dict[str, str] = {}
        while waiting:
            for spec, names in tuple(waiting.items()):
                if lost := next((name for name in names if about[name] in done.failed), None):
                    done.failed[spec] = _unreadable(spec, lost, about[lost])
                    del waiting[spec]
            ready = {
                spec: names for spec, names in waiting.items() if not any(about[name] in waiting for name in names)
            }
            if not ready:
                done.failed |= {spec: _circle(spec, names) for spec, names in waiting.items()}
                return
            for spec in {about[name] for names in ready.values() for name in names}:
                versions |= version_macros(
                    spec, done.packages[spec].evr, prefix=prefix or "", dist=order.macros.get("dist", "")
                )
            waiting = {spec: names for spec, names in waiting.items() if spec not in ready}
            wave = {spec: {name: versions[name] for name in names} for spec, names in ready.items()}
            await self._wave(job, wave, done)

    async def _wave(self, job: Job, specs: Mapping[str, Mapping[str, str]], done: _Progress) -> None:
        """Read specs, each with macros of its own, in as many places at once as there are processors."""
        keys = job.keys(specs)
        known = await asyncio.to_thread(self._memory.recall, keys)
        done.packages |= known
        unknown = [spec for spec in specs if spec not in known]
        processors = os.cpu_count() or 1
        size = max(_WORTH, min(_AT_ONCE, -(-len(unknown) // processors)))
        free = asyncio.Semaphore(processors)

        async def some(slice_: list[str]) -> None:
            while slice_:
                async with free:
                    staged, answers = await self._run(job, {spec: specs[spec] for spec in slice_})
                done.failed |= staged.refused
                packages, refused = await asyncio.to_thread(packages_of, job, specs, answers.specs)
                await asyncio.to_thread(self._memory.learn, {keys[spec]: each for spec, each in packages.items()})
                await asyncio.to_thread(self._memory.learn_common, job, _common_of(answers))
                done.packages |= packages
                done.failed |= refused
                slice_ = [spec for spec in staged.specs if spec not in answers.specs]

        try:
            async with asyncio.TaskGroup() as group:
                for start in range(0, len(unknown), size):
                    group.create_task(some(unknown[start : start + size]))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _common(self, job: Job) -> Common:
        """What is true of the macros of all specs; read alone where no spec had to be read."""
        known = await asyncio.to_thread(self._memory.common, job)
        if known is None:
            _, answers = await self._run(job, {})
            known = _common_of(answers)
            await asyncio.to_thread(self._memory.learn_common, job, known)
        return known

    async def _run(self, job: Job, specs: Mapping[str, Mapping[str, str]]) -> tuple[Stage, Answers]:
        work = Work(
            files=job.files,
            specs=specs,
            macro_files=job.macro_files,
            lua_modules=job.lua_modules,
            macros=job.macros,
            arch=job.arch,
            strict=job.strict,
            seconds=self._seconds,
            user_is_ours=self._place.own_user,
        )
        staged = await asyncio.to_thread(make_stage, work, self._folder)
        try:
            ended = await self._place.run(
                ("python3", "-I", "-B", f"{TREE}/{READER.name}"),
                reads={TREE: staged.folder},
                environment={**_ENVIRONMENT, "REQUEST": staged.request},
                seconds=60 + 4 * self._seconds * len(staged.specs),
            )
        finally:
            await asyncio.to_thread(staged.remove)
        return staged, read_answers(ended, staged.specs)


def _common_of(answers: Answers) -> Common:
    return Common(digest=answers.common_macros, wrong=answers.wrong_macros)


def _unreadable(spec: str, name: str, other: str) -> Refused:
    return Refused(
        "this spec needs the version of one that cannot be read",
        where=spec,
        got=f"%{{{name}}}",
        expected=f"what {other} says",
    )


def _circle(spec: str, names: Sequence[str]) -> Refused:
    told = ", ".join(f"%{{{name}}}" for name in names)
    return Refused(
        "specs that need the versions of each other",
        where=spec,
        got=told,
        expected="an order in which they can be read",
        hint="write one of the versions as a plain word",
    )
