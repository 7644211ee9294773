"""Bare repositories for tests: one on this machine, reached in place or as a remote, with hooks that tests write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from release.tools.git import Identity, Repository, create_bare

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ALICE = Identity(name="Alice Ö", email="alice@example.org")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """An origin and a folder for mirrors."""

    folder: Path

    @property
    def origin(self) -> Path:
        """The bare repository's folder."""
        return self.folder / "origin.git"

    def here(self) -> Repository:
        """The origin, read and written in place."""
        return Repository(url=str(self.origin), mirrors=self.folder / "mirrors")

    def remote(self, name: str = "mirrors") -> Repository:
        """The origin as a remote repository, through a mirror of its own name."""
        return Repository(url=self.origin.as_uri(), mirrors=self.folder / name)

    def hook(self, name: str, script: str) -> None:
        """Make the origin run a shell script as its hook `name`."""
        path = self.origin / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


def make_world(folder: Path) -> World:
    """A world with an empty origin."""
    world = World(folder=folder)
    create_bare(world.origin, branch="stable")
    return world


def put(
    repository: Repository, files: Mapping[str, bytes | None], *, after: str | None, message: str = "change"
) -> str:
    """One commit on stable."""
    return repository.commit_files("stable", files, message=message, expected_head=after, author=ALICE, time=NOON)
