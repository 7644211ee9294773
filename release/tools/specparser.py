"""Reads specs with rpm in a sealed place, and remembers by content what it read."""

from __future__ import annotations

import asyncio
import json
import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from release.digests import digest_of, digest_of_json
from release.errors import Broken, Error, Refused
from release.source.facts import FORMAT, package_from_facts, package_from_record, package_to_record
from release.source.specs import Package, parse_signatures, signatures_path
from release.tools.fact_cache import FactCache
from release.tools.git_files import CommitFiles
from release.tools.places import Place
from release.tools.process import BASE_ENVIRONMENT
from release.tools.sealed import Ended
from release.tools.stage import MACROS, READER, TREE, Stage, Work, make_stage

_SECONDS = 10  # for one spec; real ones need a small part of one
_AT_ONCE = 128  # specs of one run: what is read is kept run by run
_WORTH = 32  # specs worth a place of their own: one starts in about as long as it reads them
# No clock, no home, no count of processors: facts are the same on every machine and every day.
_ENVIRONMENT = {**BASE_ENVIRONMENT, "HOME": "/nonexistent", "SOURCE_DATE_EPOCH": "0", "RPM_BUILD_NCPUS": "1"}
_KILLED = 128 + 9
_LINE = re.compile(r"(?:line |\.spec:)(\d+)")
_STAGED = re.compile(rf"{TREE}/(?:[0-9a-f]{{32}}|{MACROS})/")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseOrder:
    """Specs to read: paths in a commit's `files`. `macro_files` (paths, too) are loaded after rpm's own, then `macros`
    are defined; `arch` is rpm's name of the architecture to read for."""

    files: CommitFiles
    specs: Sequence[str]
    macro_files: tuple[str, ...]
    macros: Mapping[str, str]
    arch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """Source packages by the path of their spec, in the order's order; and for each other spec why there is none."""

    packages: Mapping[str, Package]
    failed: Mapping[str, Error]

    @property
    def failures(self) -> tuple[Error, ...]:
        """The errors alone; `where` is the spec, or its signatures file, with the line where one is known."""
        return tuple(self.failed.values())


class SpecParser:
    """Runs specreader.py in `place` over the specs that are not known yet. `folder` keeps what was read, and holds
    what is being read."""

    def __init__(self, *, place: Place, folder: Path, seconds: int = _SECONDS) -> None:
        self._place = place
        self._folder = folder
        self._seconds = seconds
        self._cache = FactCache(folder / "facts.sqlite")
        self._known: dict[str, Package] = {}  # what this process has had in hand before

    async def parse(self, order: ParseOrder) -> Parsed:
        """A package for every spec that rpm can read; the others are refused one by one and stop nobody.

        A spec is read without network, as nobody, in a process of its own with a limit of time and memory. It may
        read its folder, the macro files and the place, which together are the key of the cache. `Refused` when a
        macro file does not load, `Broken` or `Misconfigured` when the place cannot do its work.
        """
        keys = _keys(order, await self._place.identity())
        known = await asyncio.to_thread(self._remembered, keys)
        unknown = [spec for spec in order.specs if keys[spec] not in known]
        failed = await self._read(order, unknown, keys, known)
        self._known = known
        return Parsed(
            packages={spec: known[keys[spec]] for spec in order.specs if keys[spec] in known},
            failed={spec: failed[spec] for spec in unknown if spec in failed},
        )

    def _remembered(self, keys: Mapping[str, str]) -> dict[str, Package]:
        before = self._known
        known = {key: before[key] for key in keys.values() if key in before}
        missing = [key for key in keys.values() if key not in known]
        for key, record in self._cache.get(missing).items() if missing else ():
            known[key] = package_from_record(record)
        return known

    async def _read(
        self, order: ParseOrder, specs: list[str], keys: Mapping[str, str], known: dict[str, Package]
    ) -> Mapping[str, Error]:
        """Add what can be read to `known`, in as many places at once as there are processors; why not, by spec."""
        processors = os.cpu_count() or 1
        size = max(_WORTH, min(_AT_ONCE, -(-len(specs) // processors)))
        free = asyncio.Semaphore(processors)
        failed: dict[str, Error] = {}

        async def some(slice_: list[str]) -> None:
            while slice_:
                async with free:
                    staged = await asyncio.to_thread(make_stage, self._work(order, slice_), self._folder)
                    try:
                        answers = await self._answers(staged)
                    finally:
                        await asyncio.to_thread(staged.remove)
                packages, refused = await asyncio.to_thread(self._keep, order.files, answers, keys)
                known.update(packages)
                failed.update({**staged.refused, **refused})
                slice_ = [spec for spec in staged.specs if spec not in answers]

        try:
            async with asyncio.TaskGroup() as group:
                for start in range(0, len(specs), size):
                    group.create_task(some(specs[start : start + size]))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return failed

    def _work(self, order: ParseOrder, specs: Sequence[str]) -> Work:
        return Work(
            files=order.files,
            specs=specs,
            macro_files=order.macro_files,
            macros=order.macros,
            arch=order.arch,
            seconds=self._seconds,
            user_is_ours=self._place.own_user,
        )

    async def _answers(self, staged: Stage) -> Mapping[str, str | Refused]:
        """Facts (JSON), or rpm's refusal, of each spec of the stage."""
        if not staged.specs:
            return {}
        ended = await self._place.run(
            ("python3", "-I", "-B", f"{TREE}/{READER.name}"),
            reads={TREE: staged.folder},
            environment={**_ENVIRONMENT, "REQUEST": staged.request},
            seconds=60 + self._seconds * len(staged.specs),
        )
        return _answers(ended, staged.specs)

    def _keep(
        self, files: CommitFiles, answers: Mapping[str, str | Refused], keys: Mapping[str, str]
    ) -> tuple[Mapping[str, Package], Mapping[str, Error]]:
        """Check the facts and keep the packages, by key; the specs of which there is none, and why."""
        signatures = _signatures(files, answers)
        packages: dict[str, Package] = {}
        failed: dict[str, Error] = {}
        for spec, answer in answers.items():
            try:
                if isinstance(answer, Refused):
                    raise answer
                packages[keys[spec]] = _package(files, spec, answer, signatures)
            except Error as error:
                failed[spec] = error
        self._cache.put({key: package_to_record(package) for key, package in packages.items()})
        return packages, failed


def _keys(order: ParseOrder, place: str) -> dict[str, str]:
    """The cache key of each spec: by content of all that reading it can see, the reader itself included."""
    shared = digest_of_json(
        {
            "reader": digest_of(READER.read_bytes()),
            "format": FORMAT,
            "macro_files": [order.files.content(path) for path in order.macro_files],
            "macros": dict(order.macros),
            "place": place,
            "arch": order.arch,
        }
    )
    folders = order.files.folders
    return {spec: digest_of(f"{shared}\n{spec}\n{folders[posixpath.dirname(spec)]}".encode()) for spec in order.specs}


def _signatures(files: CommitFiles, specs: Mapping[str, object]) -> Mapping[str, bytes]:
    """The signatures files of specs, all in one git call; what is no plain file is refused when its turn comes."""
    paths = [signatures_path(spec) for spec in specs]
    return files.read_many(path for path in paths if path in files.blobs and files.blobs[path] == files.content(path))


def _package(files: CommitFiles, spec: str, facts: str, signatures: Mapping[str, bytes]) -> Package:
    path = signatures_path(spec)
    pinned = signatures[path] if path in signatures else files.read(path) if path in files.blobs else None
    beside = posixpath.dirname(spec)
    return package_from_facts(
        facts,
        spec=spec,
        files={
            name: {posixpath.relpath(each, beside): files.content(each) for each in files.linked(whole)}
            for name, whole in files.names(beside).items()
        },
        signatures=parse_signatures(pinned.decode("utf-8", "replace"), path) if pinned is not None else {},
    )


def _answers(ended: Ended, specs: Sequence[str]) -> Mapping[str, str | Refused]:
    """What the reader said; whatever else is in the log belongs to the error that it explains."""
    lines = ended.log.splitlines()
    tail = b"\n       ".join(line for line in lines[-10:] if not line.startswith(b"{")).decode("utf-8", "replace")
    answers: dict[str, str | Refused] = {}
    for line in lines:
        if not line.startswith(b"{"):
            continue
        answer = json.loads(line)
        if "spec" not in answer:
            told = _STAGED.sub("", f"{answer['error']}\n       {tail}".strip())
            raise Refused("the macros of the tree do not load", got=told, where="distro.yaml: macro_files")
        answers[answer["spec"]] = answer.get("facts") or _refusal(answer["spec"], answer["error"])
    missing = [spec for spec in specs if spec not in answers]
    if ended.code == _KILLED and missing:  # the others are read by the next reader
        return {**answers, missing[0]: _refusal(missing[0], "reading it ended its reader, too: it was killed")}
    if ended.code or missing:
        raise Broken(
            "the spec parser did not end its work",
            where=missing[0] if missing else None,
            got=f"exit code {ended.code}; {tail or 'no message'}",
            hint="the place where specs are read needs python3 and rpm's Python bindings",
        )
    return answers


def _refusal(spec: str, text: str) -> Refused:
    """rpm's message, with the line where it names one."""
    message = _STAGED.sub("", text).removesuffix("can't parse specfile").strip()
    line = _LINE.search(message)
    return Refused(
        "rpm cannot read this spec",
        where=f"{spec}:{line[1]}" if line else spec,
        got=message.replace("\n", "\n       "),
        expected="a spec that is read in seconds, without network, writing or waiting",
        hint=f"see what rpm sees: rpmspec -P {spec}",
    )
