"""What is known of specs, by the content of all that reading them can see; and packages out of fresh answers."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from release.digests import digest_of, digest_of_json
from release.errors import Error, Refused
from release.source.facts import FORMAT, package_from_facts, package_from_record, package_to_record
from release.source.macro_files import mentioned
from release.source.specs import Package, parse_signatures, signatures_path
from release.tools.fact_cache import FactCache
from release.tools.git_files import CommitFiles
from release.tools.stage import READERS


@dataclass(frozen=True, kw_only=True)
class Job:
    """What all specs of a run are read with; files by path, with their contents. `place` names the rpm."""

    files: CommitFiles
    macro_files: Mapping[str, bytes]
    lua_modules: Mapping[str, bytes]
    macros: Mapping[str, str]
    arch: str
    place: str
    strict: bool = True
    unpinned: tuple[str, ...] = ()

    @cached_property
    def key(self) -> str:
        """Digest of all that reading any spec can see, the reader itself included."""
        return digest_of_json(
            {
                "reader": [digest_of(each.read_bytes()) for each in READERS],
                "format": FORMAT,
                "macro_files": [[path, digest_of(text)] for path, text in self.macro_files.items()],
                "lua_modules": [[path, digest_of(text)] for path, text in self.lua_modules.items()],
                "macros": dict(self.macros),
                "place": self.place,
                "arch": self.arch,
            }
        )

    @cached_property
    def macros_key(self) -> str:
        """Digest of the tree's own macros, all of them."""
        files = {**self.macro_files, **self.lua_modules}
        return digest_of_json(
            {"files": [[path, digest_of(text)] for path, text in files.items()], "defines": dict(self.macros)}
        )

    def keys(self, specs: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
        """The key of each spec: with its folder, and the macros of its own."""
        folders = self.files.folders
        return {
            spec: digest_of(
                f"{self.key}\n{spec}\n{folders[posixpath.dirname(spec)]}\n{json.dumps(own) if own else ''}"
                f"{'' if self.pins(spec) else ' unpinned'}".encode()
            )
            for spec, own in specs.items()
        }

    def pins(self, spec: str) -> bool:
        """Whether a source of a spec must be pinned."""
        return not spec.startswith(self.unpinned) if self.unpinned else True


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """The digest of the macros that count for every package, and rpm's words on the macro files with mistakes."""

    digest: str
    wrong: Mapping[str, str]


class Memory:
    """The cache, and in front of it the packages that this process had in its hands last. Methods block."""

    def __init__(self, cache: FactCache) -> None:
        self._cache = cache
        self._near: dict[str, Package] = {}

    def recall(self, keys: Mapping[str, str]) -> dict[str, Package]:
        """The known packages by spec; `keys` are by spec."""
        near = self._near
        missing = [key for key in keys.values() if key not in near]
        far = {key: package_from_record(each) for key, each in self._cache.get(missing).items()} if missing else {}
        self._near = near | far if far else near
        return {spec: near[key] if key in near else far[key] for spec, key in keys.items() if key in near or key in far}

    def learn(self, packages: Mapping[str, Package]) -> None:
        """Remember packages by key."""
        self._cache.put({key: package_to_record(package) for key, package in packages.items()})
        self._near = {**self._near, **packages}

    def keep_only(self, packages: Iterable[Package]) -> None:
        """Let go of the packages of other trees."""
        wanted = {id(package) for package in packages}
        self._near = {key: package for key, package in self._near.items() if id(package) in wanted}

    def common(self, job: Job) -> Common | None:
        """What is true of the macros of all specs, if it is known."""
        key = _common_key(job)
        known = self._cache.get([key]).get(key)
        return Common(**json.loads(known)) if known else None

    def learn_common(self, job: Job, common: Common) -> None:
        """Remember that."""
        self._cache.put({_common_key(job): json.dumps({"digest": common.digest, "wrong": dict(common.wrong)})})

    def mentions(
        self, files: CommitFiles, specs: Iterable[str], prefix: str, about: Mapping[str, str]
    ) -> dict[str, tuple[str, ...]]:
        """Which version macros each spec speaks of, out of those that are `about` another spec."""
        keys = {spec: digest_of(f"mentions\n{prefix}\n{files.blobs[spec]}".encode()) for spec in specs}
        known = self._cache.get(keys.values())
        texts = files.read_many(spec for spec, key in keys.items() if key not in known and files.is_plain(spec))
        fresh = {keys[spec]: json.dumps(mentioned(text, prefix)) for spec, text in texts.items()}
        self._cache.put(fresh)
        every = {**known, **fresh}
        return {
            spec: tuple(name for name in json.loads(every.get(key, "[]")) if about.get(name, spec) != spec)
            for spec, key in keys.items()
        }


def packages_of(
    job: Job, own_macros: Mapping[str, Mapping[str, str]], answers: Mapping[str, str | Refused]
) -> tuple[dict[str, Package], dict[str, Error]]:
    """The packages of fresh answers, checked; and the specs of which there is none, and why."""
    signatures = _signatures(job.files, answers)
    packages: dict[str, Package] = {}
    failed: dict[str, Error] = {}
    for spec, answer in answers.items():
        try:
            if isinstance(answer, Refused):
                raise answer
            packages[spec] = _package(job, spec, answer, signatures, own_macros[spec])
        except Error as error:
            failed[spec] = error
    return packages, failed


def _common_key(job: Job) -> str:
    return digest_of(f"common macros 2\n{job.key}".encode())


def _signatures(files: CommitFiles, specs: Iterable[str]) -> Mapping[str, bytes]:
    """The signatures files of specs, all in one git call; what is no plain file is refused when its turn comes."""
    paths = [signatures_path(spec) for spec in specs]
    return files.read_many(path for path in paths if path in files.blobs and files.is_file(path))


def _package(
    job: Job, spec: str, facts: str, signatures: Mapping[str, bytes], own_macros: Mapping[str, str]
) -> Package:
    path, files = signatures_path(spec), job.files
    pinned = signatures[path] if path in signatures else files.read(path) if path in files.blobs else None
    folder = posixpath.dirname(spec)
    return package_from_facts(
        facts,
        spec=spec,
        files={
            name: {posixpath.relpath(each, folder): files.content(each) for each in files.linked(whole)}
            for name, whole in files.names(folder).items()
        },
        signatures=parse_signatures(pinned.decode("utf-8", "replace"), path) if pinned is not None else {},
        macros=own_macros,
        pins=job.pins(spec),
    )
