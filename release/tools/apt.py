"""The machine's apt as a source of packages: resolved as if nothing were installed, pinned by hash."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

from release.errors import Broken, Misconfigured, Refused
from release.source.toolchain import LockedPackage
from release.tools.process import Completed, failed, run
from release.tools.store import digest_of_file

_SECONDS = 600.0
# One line of --print-uris: the URI, the file name with `:` as %3a, the size, the hash that ForceHash asks for.
_URI = re.compile(
    r"'[^']+' (?P<name>[^_ ]+)_(?P<version>[^_ ]+)_(?P<arch>[^_ ]+)\.deb \d+ SHA256:(?P<sha256>[0-9a-f]{64})"
)
_NO_SUCH = re.compile(r"Unable to locate package|has no installation candidate|unmet dependencies")
_CONFIGURATION = """
Dir::State::status "{home}/status";
Dir::State::Lists "{home}/lists";
Dir::Cache "{home}/cache";
APT::Install-Recommends "false";
APT::Sandbox::User "{user}";
Acquire::ForceHash "SHA256";
Acquire::Languages "none";
Acquire::Retries "2";
# Hooks of the machine (cleaning its cache, refreshing its desktop) are none of our business.
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


class Apt:
    """apt with its own lists, status and cache below `home`; mirrors, keys and proxies are the machine's."""

    def __init__(self, home: Path) -> None:
        self._home = home.absolute()
        self._fresh = False

    async def resolve(self, seeds: Sequence[str]) -> tuple[LockedPackage, ...]:
        """The seeds and all they depend on, from the newest lists. `Misconfigured` for a seed that apt lacks."""
        await self._refresh()
        done = await self._apt("--print-uris", "--yes", "install", "--", *seeds)
        if done.code:
            raise _unresolved(done, seeds)
        found = [_URI.match(line) for line in done.text.splitlines() if line.startswith("'")]
        if not all(found) or not found:
            raise Broken("apt answers in an unknown form", got=done.text[-400:], expected="lines of --print-uris")
        return tuple(
            LockedPackage(name=each["name"], version=unquote(each["version"]), arch=each["arch"], sha256=each["sha256"])
            for each in found
            if each
        )

    async def download(self, packages: Iterable[LockedPackage], folder: Path) -> tuple[Path, ...]:
        """The .deb files, in the order given; files already there are kept when their hash is right.

        `Refused` when a file is not what the lock says, `Misconfigured` when the mirror no longer has a version.
        """
        wanted = {package: folder / _file_name(package) for package in packages}
        missing = await asyncio.to_thread(_unequal, wanted)
        if missing:
            await self._refresh()
            exact = [f"{each.name}:{each.arch}={each.version}" for each in missing]
            done = await self._apt("download", "--", *exact, cwd=_made(folder))
            if done.code:
                raise _unavailable(done)
        wrong = await asyncio.to_thread(_unequal, {package: wanted[package] for package in missing})
        for package, got in wrong.items():
            wanted[package].unlink(missing_ok=True)
            raise Refused(
                "not the package of the lock", where=package.name, got=got, expected=f"sha256:{package.sha256}"
            )
        return tuple(wanted.values())

    async def _refresh(self) -> None:
        if self._fresh:
            return
        _furnish(self._home)
        done = await self._apt("update")
        if done.code:
            raise failed(done)
        self._fresh = True

    async def _apt(self, *words: str, cwd: Path | None = None) -> Completed:
        argv = ["apt-get", "--config-file", str(self._home / "apt.conf"), "--quiet", *words]
        return await run(argv, seconds=_SECONDS, cwd=cwd, check=False)


def _furnish(home: Path) -> None:
    for folder in ("lists/partial", "cache/archives/partial"):  # apt does not make these itself
        (home / folder).mkdir(parents=True, exist_ok=True)
    (home / "status").touch()
    (home / "apt.conf").write_text(_CONFIGURATION.format(home=home, user=home.owner()))


def _file_name(package: LockedPackage) -> str:
    return f"{package.name}_{package.version.replace(':', '%3a')}_{package.arch}.deb"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _unequal(wanted: Mapping[LockedPackage, Path]) -> dict[LockedPackage, str]:
    """Those whose file has another digest than the lock says, and which."""
    found = {package: digest_of_file(path) if path.exists() else "no file" for package, path in wanted.items()}
    return {package: digest for package, digest in found.items() if digest != f"sha256:{package.sha256}"}


def _unresolved(done: Completed, seeds: Sequence[str]) -> Broken | Misconfigured:
    said = done.stderr.decode("utf-8", "replace").strip()
    if not _NO_SUCH.search(said):
        return failed(done)
    return Misconfigured(
        "apt cannot resolve the seeds of the toolchain",
        got=said[-800:],
        expected="packages of the mirrors that apt is configured with",
        hint=f"edit the seeds: {' '.join(seeds)}",
    )


def _unavailable(done: Completed) -> Broken | Misconfigured:
    said = done.stderr.decode("utf-8", "replace").strip()
    gone = re.findall(r"Version '(\S+)' for '(\S+)' was not found", said)
    if not gone:
        return failed(done)
    return Misconfigured(
        "the mirror no longer has a version of the toolchain lock",
        got=", ".join(f"{name} {version}" for version, name in gone[:5]),
        hint="resolve the toolchain again and commit the new lock",
    )
