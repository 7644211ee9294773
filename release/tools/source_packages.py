"""The system's source packages as an origin: many an upstream tarball lies on the mirror that apt already uses.

apt's own index of source packages has the sha256 of every file, so a pinned hash finds its package without a name.
Lists and cache are private: the machine's own apt configuration is read and never changed.
"""

from __future__ import annotations

import asyncio
import mmap
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from release.errors import Broken, Refused
from release.source.specs import Source
from release.tools.process import Completed, failed, run
from release.tools.store import disk_errors

_SECONDS = 600.0
_DOWNLOADS = 3
_CONFIGURATION = """
Dir::State::Lists "{home}/lists";
Dir::Cache "{home}/cache";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{home}/entries";
APT::Sandbox::User "{user}";
Acquire::GzipIndexes "false";
Acquire::Languages "none";
Acquire::Retries "2";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file of a source package: the package, its version, and the file's name there."""

    package: str
    version: str
    file: str


class SystemSources:
    """Source packages through apt, with private files below `home`.

    `entries` are apt's own files (`*.list`, `*.sources`) that say where packages come from; the machine's by default.
    """

    name = "the system's source packages"

    def __init__(self, home: Path, *, entries: Sequence[Path] | None = None) -> None:
        self._home = home.absolute()
        self._entries = entries
        self._refreshing = asyncio.Lock()
        self._refreshed = False
        self._complaints = ""
        self._downloads = asyncio.Semaphore(_DOWNLOADS)

    async def fetch(self, source: Source, target: Path) -> None:
        """Write the file with the pinned hash to `target`; `Broken` when no source package has it."""
        if source.sha256 is None:
            raise Refused("it has no pinned hash to look for")
        found = await self._lookup(source.sha256)
        for each in found:
            async with self._downloads:
                if await self._download(each, target):
                    return
        if found:
            listed = ", ".join(f"{each.package} {each.version}" for each in found)
            raise Broken("the mirror lists the file and does not have it", got=listed)
        raise Broken("no file of this hash", got=self._complaints or None)

    async def _lookup(self, sha256: str) -> tuple[SourceFile, ...]:
        """Who has the hash: by the lists at hand, otherwise by fresh ones, which are fetched once."""
        found = await asyncio.to_thread(self._search, sha256)
        async with self._refreshing:
            if not found and not self._refreshed:
                await self._refresh()
                self._refreshed = True
        return found or await asyncio.to_thread(self._search, sha256)

    async def _download(self, wanted: SourceFile, target: Path) -> bool:
        """apt fetches all files of a package; a mirror that lacks another one of them does not matter."""
        with disk_errors(target), tempfile.TemporaryDirectory(dir=target.parent) as folder:
            exact = f"{wanted.package}={wanted.version}"
            await self._apt("source", "--download-only", "--", exact, cwd=Path(folder))
            file = Path(folder) / wanted.file
            if not file.is_file():
                return False
            file.replace(target)
            return True

    def _search(self, sha256: str) -> tuple[SourceFile, ...]:
        with disk_errors(self._home):
            indexes = sorted(self._home.glob("lists/*_Sources"))
            return tuple(found for index in indexes for found in _search(index, sha256))

    async def _refresh(self) -> None:
        entries = await _machine_entries() if self._entries is None else self._entries
        await asyncio.to_thread(self._configure, entries)
        done = await self._apt("update")
        if done.code:
            raise failed(done)
        # apt goes on without a mirror that does not answer: what is missing then may only be missing now
        said = done.stderr.decode("utf-8", "replace").splitlines()
        self._complaints = "; ".join(line for line in said if line.startswith("W:"))

    def _configure(self, entries: Sequence[Path]) -> None:
        with disk_errors(self._home):
            shutil.rmtree(self._home / "entries", ignore_errors=True)
            # apt does not make these itself
            for folder in ("entries", "lists/partial", "cache/archives/partial"):
                (self._home / folder).mkdir(parents=True, exist_ok=True)
            for path in entries:
                (self._home / "entries" / path.name).write_text(for_sources(path.read_text()))
            configuration = _CONFIGURATION.format(home=self._home, user=self._home.owner())
            (self._home / "apt.conf").write_text(configuration)

    async def _apt(self, *words: str, cwd: Path | None = None) -> Completed:
        argv: tuple[str | Path, ...] = ("apt-get", "--config-file", self._home / "apt.conf", "--quiet", *words)
        return await run(argv, seconds=_SECONDS, cwd=cwd, check=False)


def for_sources(entries: str) -> str:
    """Entries of sources.list(5), in either style, that ask for source packages only: same mirrors, same keys."""
    style_of_fields = re.sub(r"(?mi)^Types:.*$", "Types: deb-src", entries)
    return re.sub(r"(?m)^\s*deb(?=\s)", "deb-src", style_of_fields)


async def _machine_entries() -> tuple[Path, ...]:
    asked = ("apt-config", "shell", "list", "Dir::Etc::sourcelist/f", "parts", "Dir::Etc::sourceparts/d")
    answer = dict(word.split("=", 1) for word in shlex.split((await run(asked, seconds=_SECONDS)).text))
    return await asyncio.to_thread(_existing, Path(answer["list"]), Path(answer["parts"]))


def _existing(one: Path, folder: Path) -> tuple[Path, ...]:
    with disk_errors(folder):
        parts = [path for path in sorted(folder.iterdir()) if path.suffix in (".list", ".sources")]
        return tuple(path for path in (one, *parts) if path.is_file())


def _search(path: Path, sha256: str) -> Iterator[SourceFile]:
    """The paragraphs of an index (deb-src-control(5), Checksums-Sha256) that list the hash."""
    if not path.stat().st_size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as index:
        at = -1
        while (at := index.find(f"\n {sha256} ".encode(), at + 1)) >= 0:
            start, end = index.rfind(b"\n\n", 0, at), index.find(b"\n\n", at)
            paragraph = index[max(start, 0) : end if end >= 0 else len(index)].decode("utf-8", "replace")
            names = dict(re.findall(r"(?m)^(Package|Version): (\S+)$", paragraph))
            listed = re.search(rf"(?m)^ {sha256} \d+ (\S+)$", paragraph)
            if listed and len(names) == 2 and "/" not in listed[1]:
                yield SourceFile(package=names["Package"], version=names["Version"], file=listed[1])
