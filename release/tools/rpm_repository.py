"""A toolchain set from an RPM repository that exists: resolved by the system's dnf, pinned, fetched and verified."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from release.errors import Broken, Misconfigured, Refused
from release.source.toolchain import LockedPackage, Origin, ToolchainLock
from release.tools.folders import appearing
from release.tools.process import run
from release.tools.store import digest_of_file, link_or_copy

_READER = Path(__file__).with_name("repository_reader.py")
_SYSTEM_PYTHON = "/usr/bin/python3"  # the one that dnf belongs to, whatever Python runs this
_SECONDS = 1800.0


async def resolve(packages: Sequence[str], *, baseurl: str, home: Path) -> ToolchainLock:
    """The lock of the packages and all they need, as the repository at `baseurl` has it now.

    dnf keeps its metadata in `home`. `Misconfigured` for what the repository lacks, `Broken` when it fails.
    """
    found = await _asked(packages, baseurl=baseurl, home=home, download=False)
    return ToolchainLock.of(Origin.REPOSITORY, packages, found)


async def fetch_toolchain(lock: ToolchainLock, folder: Path, *, baseurl: str, home: Path) -> tuple[Path, ...]:
    """The RPMs of the lock in `folder`, which appears only when it is complete; sorted paths.

    `Refused` when the repository offers another file than was locked, `Misconfigured` when it has none any more.
    """
    if not await asyncio.to_thread(folder.exists):
        exact = [f"{each.name}-{each.version}.{each.arch}" for each in lock.packages]
        found = await _asked(exact, baseurl=baseurl, home=home, download=True)
        with appearing(folder) as scratch:
            await asyncio.to_thread(_lay_out, lock, found, scratch / folder.name)
    return await asyncio.to_thread(lambda: tuple(sorted(folder.glob("*.rpm"))))


def _lay_out(lock: ToolchainLock, found: Mapping[LockedPackage, Path], folder: Path) -> None:
    folder.mkdir()
    if set(found) != set(lock.packages):
        other = sorted(f"{each.name}-{each.version}" for each in set(found) ^ set(lock.packages))
        raise Refused(
            "the repository offers something else than the toolchain lock says",
            got=", ".join(other[:10]),
            hint="resolve the toolchain again and commit the new lock",
        )
    for package, path in found.items():
        digest = digest_of_file(path)
        if digest != f"sha256:{package.sha256}":
            raise Refused(
                "not the package of the lock", where=path.name, got=digest, expected=f"sha256:{package.sha256}"
            )
        link_or_copy(path, folder / path.name)


async def _asked(packages: Sequence[str], *, baseurl: str, home: Path, download: bool) -> dict[LockedPackage, Path]:
    """What the reader answers: each package of the closure, and where its file is or will be."""
    question = {"baseurl": baseurl, "packages": list(packages), "home": str(home), "download": download}
    argv = [_SYSTEM_PYTHON, "-I", "-B", str(_READER)]
    done = await run(argv, seconds=_SECONDS, stdin=json.dumps(question).encode())
    answer = json.loads(done.text)
    if "packages" in answer:
        return {
            LockedPackage(**{key: each[key] for key in ("name", "version", "arch", "sha256")}): Path(each["file"])
            for each in answer["packages"]
        }
    if answer["retry"]:
        raise Broken("the toolchain's repository failed", where=baseurl, got=answer["error"])
    raise Misconfigured(
        "the toolchain's repository cannot give what distro.yaml asks for",
        where=baseurl,
        got=answer["error"],
        hint="edit the packages of the toolchain, or resolve it again where a version is gone",
    )
