"""A whole installation for tests: Tiny Linux, real git, registry, Sigstore, OpenPGP, Docker and Prefect."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

import yaml

import tasks.make
from flows.deployments import _declare
from flows.on_channel_change import on_channel_change
from flows.on_commit import on_commit
from release.digests import hex_of
from release.source.toolchain import parse_lock
from release.tools.registry_daemon import registry_daemon
from release.tools.stage0 import import_toolchain, resolve
from tasks.bootstrap import EPOCH
from tasks.init import initialize
from tasks.settings import Settings, prefect_environment, read_settings
from tasks.stack import _sigstore
from tasks.wiring import Tools, open_tools
from tests import tiny_tree
from tests.checker import Checker
from tests.conftest import ROOT, STATE, free_port

IDENTITY = "https://slipway.example/tiny"
MAINTAINER = {
    "GIT_AUTHOR_NAME": "Robin", "GIT_AUTHOR_EMAIL": "robin@tiny.example",
    "GIT_COMMITTER_NAME": "Robin", "GIT_COMMITTER_EMAIL": "robin@tiny.example",
}  # fmt: skip
PORTS = ("SLIPWAY_REGISTRY_PORT", "SLIPWAY_WEB_PORT", "SLIPWAY_PREFECT_PORT", "SLIPWAY_SIGSTORE_PORT")


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """What an installation starts with: the files of its tree, the seeds of its toolchain, and the name of the lock
    that this machine keeps."""

    files: Mapping[str, str]
    seeds: tuple[str, ...]
    lock: str


TINY = Distribution(files=MappingProxyType(tiny_tree.tree()), seeds=tiny_tree.SEEDS, lock="tiny.lock.json")


@dataclass(frozen=True, kw_only=True)
class World:
    """An installation below `folder`. Commits are pushed as a maintainer does it; the flows run in this process."""

    folder: Path
    settings: Settings
    first: str = field(default="", compare=False)

    # --- what a maintainer does

    def git(self, *words: str, check: bool = True) -> str:
        """Plain git in a maintainer's clone."""
        if not self._clone.exists():
            _run(["git", "clone", "-q", "--branch", "stable", self.settings.repository, str(self._clone)])
        return _run(["git", "-C", str(self._clone), *words], environment=MAINTAINER, check=check)

    def commit(self, files: Mapping[str, str | None], subject: str) -> str:
        """Commit changed files (None removes one) in the clone, on top of the branch's head; the new commit's id."""
        self.git("fetch", "-q", "origin", "stable")
        self.git("checkout", "-q", "--detach", "origin/stable")
        for path, content in files.items():
            file = self._clone / path
            if content is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", subject)
        return self.git("rev-parse", "HEAD")

    def merge(self, files: Mapping[str, str | None], subject: str = "change") -> str:
        """Commit and push to stable; the repository's own hook runs."""
        commit = self.commit(files, subject)
        self.push("HEAD:stable")
        return commit

    def push(self, what: str) -> str:
        """Push from the clone; what git and the repository's hook say."""
        argv = ["git", "-C", str(self._clone), "push", "origin", what]
        return subprocess.run(argv, stderr=subprocess.PIPE, text=True, check=True).stderr

    def revert(self) -> str:
        """Push the tree that stable had before its newest commit."""
        self.git("fetch", "-q", "origin", "stable")
        self.git("checkout", "-q", "--detach", "origin/stable")
        self.git("revert", "--no-edit", "HEAD")
        self.push("HEAD:stable")
        return self.head()

    def back_to(self, commit: str) -> str:
        """Push the tree of an older commit on top of the branch."""
        self.git("fetch", "-q", "origin", "stable")
        self.git("checkout", "-q", "--detach", "origin/stable")
        self.git("read-tree", "-u", "--reset", commit)
        self.git("commit", "-q", "--allow-empty", "-m", f"Back to {commit[:12]}")
        self.push("HEAD:stable")
        return self.head()

    def write_channel(self, channel: str, pointer: str) -> str:
        """Push a channel's file that a person wrote."""
        self.git("fetch", "-q", "origin", "channels")
        self.git("checkout", "-q", "--detach", "FETCH_HEAD")
        (self._clone / "channels" / f"{channel}.yaml").write_text(pointer)
        self.git("commit", "-qam", f"{channel}: By hand")
        self.push("HEAD:channels")
        return self.head("channels")

    # --- what the pipeline does

    async def release(self, commit: str) -> dict[str, Any]:
        """Run the flow of a commit here; its note. Raises what the flow raises."""
        with self.settled():
            await on_commit(repository="distribution", commit=commit)
        note = self.note(commit)
        assert note is not None
        return note

    async def channels(self, at: datetime | None = None) -> str:
        """Run the flow of a moved pointer here, with the clock at `at`; what it says."""
        with self.settled(), patch.object(Tools, "now", (lambda _: at) if at else Tools.now):
            return str(await on_channel_change(repository="distribution", commit=self.head("channels")))

    async def declare(self) -> None:
        """Tell Prefect of the deployments; nobody runs what is started."""
        for flow, name in ((on_channel_change, "channels"), (on_commit, "stable")):
            await (await _declare(flow, name, limit=None)).aapply()

    @contextmanager
    def settled(self) -> Iterator[None]:
        """The environment of this installation, for what reads its settings."""
        with patch.dict(os.environ, self.settings.to_environment()):
            yield

    def slipway(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """The `slipway` command in a process of its own; `more` are environment variables."""
        return subprocess.run(
            self.command(*words), env=self.environment | more, cwd=self.folder, capture_output=True, text=True,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    @staticmethod
    def command(*words: str) -> list[str]:
        """The argv of a `slipway` command."""
        return [sys.executable, "-m", "flows.cli", *words]

    @property
    def environment(self) -> dict[str, str]:
        """What a process of this installation needs."""
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "USER") if name in os.environ}
        settings = {**prefect_environment(self.settings), **self.settings.to_environment()}
        return {**inherited, **settings, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}

    # --- what can be seen

    def head(self, branch: str = "stable") -> str:
        """The newest commit of a branch."""
        return _run(["git", "-C", self.settings.repository, "rev-parse", branch])

    def note(self, commit: str) -> dict[str, Any] | None:
        """Slipway's note on a commit, as git shows it."""
        argv = ["git", "-C", self.settings.repository, "notes", "--ref=slipway", "show", commit]
        raw = _run(argv, check=False)
        return dict(json.loads(raw)) if raw.startswith("{") else None

    def show(self, what: str) -> str:
        """A file at a revision: `channels:channels/edge.yaml`."""
        return _run(["git", "-C", self.settings.repository, "show", what])

    def pointer(self, channel: str) -> dict[str, Any]:
        """A channel's pointer, as git shows it; empty before the first move."""
        raw = _run(["git", "-C", self.settings.repository, "show", f"channels:channels/{channel}.yaml"], check=False)
        found = yaml.safe_load(raw)
        return dict(found) if isinstance(found, dict) and "serial" in found else {}

    def record(self, digest: str) -> dict[str, Any]:
        """The record of a release."""
        layers = self.checker.document("tiny/releases", digest)["layers"]
        return dict(json.loads(self.checker.blob("tiny/releases", layers[0]["digest"])))

    def built(self, package: str) -> dict[str, Any]:
        """A package's build manifest in the edge channel's snapshot."""
        index = self.checker.document("tiny/rpms", "edge")
        child = next(each for each in index["manifests"] if named(each) == package)
        return self.checker.document("tiny/rpms", child["digest"])

    @property
    def builds(self) -> list[str]:
        """Every package that was built, in order, by whichever process."""
        return self.builds_file.read_text().split() if self.builds_file.exists() else []

    @cached_property
    def checker(self) -> Checker:
        """A consumer that trusts nobody."""
        return self.new_checker()

    def new_checker(self) -> Checker:
        """Another one, for another thread."""
        sigstore = self.settings.folder / "sigstore"
        root, issuer = sigstore / "trusted_root.json", (sigstore / "issuer").read_text()
        return Checker(self.settings.registry, root, identity=IDENTITY, issuer=issuer)

    def fork(self, folder: Path, **changes: Any) -> World:
        """The same installation over a copy of the repository: what is committed there never comes here."""
        copy = folder / "distribution.git"
        shutil.copytree(self.settings.repository, copy)
        return replace(self, folder=folder, settings=replace(self.settings, repository=str(copy), **changes))

    @property
    def _clone(self) -> Path:
        return self.folder / "clone"

    @property
    def builds_file(self) -> Path:
        """Where every process notes what it builds."""
        return self.settings.folder / "builds.log"


def count_builds(file: Path) -> None:
    """From now on note the name of each package that this process builds."""
    real = tasks.make.run_build

    async def noted(tools: Any, bench: Any, package: Any, inputs: Any, work: Path, **more: Any) -> Any:
        with file.open("a") as log:
            log.write(f"{package.name}\n")
        return await real(tools, bench, package, inputs, work, **more)

    tasks.make.run_build = noted


def named(child: Mapping[str, Any]) -> str | None:
    """The source package of a child of a snapshot; None for repodata."""
    name = child.get("annotations", {}).get("dev.slipway.package")
    return str(name) if name else None


@contextmanager
def made_world(
    folder: Path, *, docker_url: str, prefect_api: str, distribution: Distribution = TINY
) -> Iterator[World]:
    """The installation with its first release, and its daemons for as long as the block lasts."""
    ports = {variable: str(free_port()) for variable in PORTS}
    settings = read_settings({
        **ports, "SLIPWAY_STATE": str(folder / "state"), "SLIPWAY_IDENTITY": IDENTITY, "DOCKER_HOST": docker_url,
        "SLIPWAY_PREFECT_API": prefect_api, "SLIPWAY_JOBS": "2",
    })  # fmt: skip
    world = World(folder=folder, settings=settings)
    with ExitStack() as stack:
        for daemon in (
            registry_daemon(folder=settings.folder / "registry", port=settings.registry_port),
            _sigstore(settings),
        ):
            daemon.start()
            stack.callback(daemon.stop)
        stack.enter_context(patch.object(tasks.make, "run_build", tasks.make.run_build))
        count_builds(world.builds_file)
        asyncio.run(_first_release(world, distribution))
        world = replace(world, first=world.head())
        stack.callback(world.checker.close)
        yield world


async def _first_release(world: World, distribution: Distribution) -> None:
    tree = world.folder / "tree"
    lock = await _toolchain(world, distribution)
    for path, content in {**distribution.files, "toolchain.lock.json": lock}.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(content)
    async with open_tools(world.settings) as tools:
        head = await initialize(tools, tree, lambda *_: None)
    note = await world.release(head)
    assert note["state"] == "released", note


async def _toolchain(world: World, distribution: Distribution) -> str:
    """The lock of the toolchain, whose packages were imported once on this machine and lie where the world looks."""
    home = STATE / "toolchain"
    home.mkdir(parents=True, exist_ok=True)
    file, seeds = home / distribution.lock, distribution.seeds
    if not file.exists() or parse_lock(file.read_text(), str(file)).seeds != seeds:
        file.write_text(json.dumps((await resolve(seeds, home=home)).to_json()))
    lock = parse_lock(file.read_text(), str(file))
    await import_toolchain(lock, home / hex_of(lock.digest), home=home, epoch=EPOCH)
    imported = world.settings.folder / "work" / "imported" / hex_of(lock.digest)
    imported.parent.mkdir(parents=True)
    imported.symlink_to(home / hex_of(lock.digest))
    return file.read_text()


def _run(argv: list[str], *, environment: Mapping[str, str] | None = None, check: bool = True) -> str:
    """Output and errors of a command that must succeed, unless `check` is False."""
    done = subprocess.run(
        argv, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0 or not check, f"{' '.join(argv)}: {done.stdout}{done.stderr}"
    return done.stdout.strip()
