"""The toolchain set: the packages a distribution starts from, pinned by hash, under one digest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field

from release.digests import digest_of_json
from release.documents import load_json
from release.errors import Refused

# Raised whenever importing the same packages gives other RPMs than before: every build key changes with it.
IMPORT_REVISION = 2


class Origin(StrEnum):
    """Who made the packages: `stage0` are a Debian's, imported as RPMs; `repository` are RPMs as they were found."""

    STAGE0 = "stage0"
    REPOSITORY = "repository"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPackage:
    """One package file, pinned: `version` and `arch` as its origin writes them, `sha256` as 64 hex digits."""

    name: str
    version: str
    arch: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolchainLock:
    """What was asked for (`seeds`) and all it needs (`packages`), sorted by name, each name once."""

    origin: Origin
    seeds: tuple[str, ...]
    packages: tuple[LockedPackage, ...]

    def __post_init__(self) -> None:
        names = [package.name for package in self.packages]
        if not names or names != sorted(set(names)):
            raise Refused("a toolchain lists its packages sorted, each one once", got=f"{len(names)} packages")

    @classmethod
    def of(cls, origin: Origin, seeds: Iterable[str], packages: Iterable[LockedPackage]) -> ToolchainLock:
        """A lock over packages in any order."""
        ordered = tuple(sorted(packages, key=lambda package: package.name))
        return cls(origin=origin, seeds=tuple(seeds), packages=ordered)

    @property
    def digest(self) -> str:
        """Identity of the set: who made it, each file's hash, and the revision of the import. Not the seeds."""
        return digest_of_json(
            {
                "origin": self.origin,
                "import": IMPORT_REVISION,
                "packages": [[package.name, package.sha256] for package in self.packages],
            }
        )

    def to_json(self) -> dict[str, Any]:
        """The lock file: `{"origin", "seeds", "packages": [{"name", "version", "arch", "sha256"}]}`."""
        return {
            "origin": str(self.origin),
            "seeds": list(self.seeds),
            "packages": [
                {"name": each.name, "version": each.version, "arch": each.arch, "sha256": each.sha256}
                for each in self.packages
            ],
        }


def parse_lock(text: str, where: str) -> ToolchainLock:
    """Read a lock file; `Misconfigured` with file and line for what is malformed, `Refused` for a wrong order."""
    read = load_json(text, _Lock, where=where)
    packages = tuple(LockedPackage(**dict(package)) for package in read.packages)
    return ToolchainLock(origin=read.origin, seeds=read.seeds, packages=packages)


class _Package(BaseModel):
    # These become file names and words of a command line: nothing that could be a path or an option.
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9+._-]*$")
    version: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+:~^_-]*$")
    arch: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class _Lock(BaseModel):
    origin: Origin
    seeds: tuple[str, ...]
    packages: tuple[_Package, ...]
