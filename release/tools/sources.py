"""Sources by their pinned hash: whoever has the bytes may serve them, our own registry first; only the hash counts."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from release.digests import checked
from release.errors import Broken, Error, Refused
from release.source.specs import Source, signatures_path
from release.tools.registry import Registry, gather
from release.tools.store import Store, digest_of_file, disk_errors

CONCURRENCY = 8
LOCAL = "the local store"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A source that is in the local store now: its pinned digest, its size in bytes, and who served it."""

    file: str
    digest: str
    size: int
    origin: str


class Origin(Protocol):
    """One place that may have a source. `name` is for people: "its URL"."""

    name: str

    async def fetch(self, source: Source, target: Path) -> None:
        """Write the file to `target`, or raise an `Error` that says why not. The hash is checked by the caller."""


class Lookaside:
    """The registry as a cache: a source is a blob under its pinned hash, kept alive by the builds that used it."""

    name = "the registry"

    def __init__(self, registry: Registry, repository: str) -> None:
        self._registry = registry
        self._repository = repository

    async def fetch(self, source: Source, target: Path) -> None:
        """Pull the blob of the pinned hash; `Broken` when the repository does not have it."""
        digest = checked(source.digest or "")
        size = await self._registry.blob_size(self._repository, digest)
        if size is None:
            raise Broken("no build has used it yet")
        await self._registry.pull_blob_to(self._repository, digest, size, target)


class SourceResolver:
    """Brings sources into `store`, asking `origins` in their order. `scratch` holds what is not verified yet."""

    def __init__(self, *, store: Store, origins: Sequence[Origin], scratch: Path) -> None:
        self._store = store
        self._origins = tuple(origins)
        self._scratch = scratch

    async def resolve(self, sources: Iterable[Source], *, spec: str) -> tuple[Found, ...]:
        """Every source in the store, several at once; in the order given. `spec` is its path, for messages.

        `Refused` when the only bytes that anybody has are others than the pinned ones; `Broken` when nobody has any.
        Both say who was asked and what each answered.
        """
        with disk_errors(self._scratch):
            self._scratch.mkdir(parents=True, exist_ok=True)
        return await gather(sources, lambda source: self._resolve(source, spec), concurrency=CONCURRENCY)

    async def _resolve(self, source: Source, spec: str) -> Found:
        digest = checked(source.digest or "")
        if self._store.has(digest):
            return self._found(source, digest, LOCAL)
        answers: dict[str, Error] = {}
        with disk_errors(self._scratch), tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            for origin in self._origins:
                path = Path(folder) / "source"
                try:
                    await origin.fetch(source, path)
                    await asyncio.to_thread(self._keep, path, source)
                except Error as answer:
                    answers[origin.name] = answer
                else:
                    return self._found(source, digest, origin.name)
        raise _nobody(source, spec, answers)

    def _keep(self, path: Path, source: Source) -> None:
        got = digest_of_file(path)
        if got != source.digest:
            raise WrongHash("other bytes", got=got, expected=source.digest)
        self._store.take_file(path, expected=got)

    def _found(self, source: Source, digest: str, origin: str) -> Found:
        with disk_errors(self._store.path_of(digest)):
            size = self._store.path_of(digest).stat().st_size
        return Found(file=source.file, digest=digest, size=size, origin=origin)


class WrongHash(Refused):
    """An origin served a file whose sha256 is not the pinned one."""


def check_local(folder: Path, sources: Iterable[Source], *, spec: str) -> None:
    """`Refused` when a file beside the spec has another hash than the signatures say; without a pin it may be any.

    `folder` is the spec's folder as it was exported from the commit.
    """
    for source in sources:
        if source.local and source.digest:
            got = digest_of_file(folder / source.file)
            if got != source.digest:
                raise _wrong(source, spec, f"{got} in the spec's folder")


def _nobody(source: Source, spec: str, answers: dict[str, Error]) -> Error:
    """One error for all answers; wrong bytes are worse than none, because trying again does not mend them."""
    lines = "\n       ".join(f"{name}: {_told(answer)}" for name, answer in answers.items())
    if any(isinstance(answer, WrongHash) for answer in answers.values()):
        return _wrong(source, spec, lines)
    return Broken(
        f"nobody has the source {source.file}",
        where=spec,
        got=lines or "nobody to ask",
        expected=source.digest,
        hint="check the spec's URL, or put the file into the registry's repository of packages",
    )


def _wrong(source: Source, spec: str, got: str) -> Refused:
    return Refused(
        f"the source {source.file} is not the pinned one",
        where=spec,
        got=got,
        expected=source.digest,
        hint=f"if upstream replaced the file and you checked why, change its hash in {signatures_path(spec)}",
    )


def _told(answer: Error) -> str:
    return f"{answer.message} ({answer.got})" if answer.got else answer.message
