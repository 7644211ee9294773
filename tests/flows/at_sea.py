"""Sea Linux as an installation: one change a commit, what was really built for it, and an oracle."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from prefect.client.orchestration import get_client

from release.interfaces.interface_differences import product_differences
from release.product.standing import same_product
from release.tools.rpm_reader import read_interfaces
from tasks.bench import Bench, make_bench
from tasks.build import run_build, work_folder
from tasks.builds import pull_rpms
from tasks.detect import previous_release
from tasks.prepare import prepare
from tasks.recall import Previous
from tasks.want import want
from tasks.wiring import Tools, open_tools
from tests.observed_tree import SEEDS, Sea
from tests.world import Distribution, World, made_world

SEA = Distribution(files=MappingProxyType(Sea().files()), seeds=SEEDS, lock="toolchain.lock.json")


@dataclass(frozen=True, kw_only=True)
class Voyage:
    """What came of a commit: its note, the packages that were really built, and of each package the outcome (but for
    those to which nothing happened), and in words why."""

    commit: str
    note: Mapping[str, Any]
    built: tuple[str, ...]
    outcomes: Mapping[str, str]
    why: Mapping[str, str]


def edge(world: World) -> dict[str, Any]:
    """The record of the release that edge points at."""
    return world.record(world.pointer("edge")["current"]["digest"])


def certificates(world: World) -> dict[str, dict[str, Any]]:
    """The certificates of that release by package."""
    raw = world.checker.blob("tiny/releases", edge(world)["certificates"]["digest"])
    return dict(json.loads(raw)["packages"])


@dataclass(kw_only=True)
class AtSea:
    """The installation, and the tree that its stable branch has now. Tests share it: each leaves it able to go on."""

    world: World
    first: Mapping[str, dict[str, Any]]
    sea: Sea = field(default_factory=Sea)
    _waiting: frozenset[str] = frozenset()  # what commits that gave no release left for the next certificates

    async def change(self, subject: str, **words: object) -> Voyage:
        """Change these parts of the tree in one commit, and release it."""
        self.sea, files = self.sea.changed(**words)
        return await self.commit(files, subject)

    async def commit(self, files: Mapping[str, str | None], subject: str) -> Voyage:
        """Release a commit of any files. Raises what the flow raises."""
        count = len(self.world.builds)
        commit = self.world.merge(files, subject)
        note = await self.world.release(commit)
        built = tuple(sorted(self.world.builds[count:]))
        if released := note["state"] == "released":
            found = {
                name: (each["outcome"], "; ".join(each["reasons"])) for name, each in certificates(self.world).items()
            }
        else:
            rows = await _shown(f"certificates-{commit[:12]}")
            found = {row["package"]: (row["outcome"], row["why"]) for row in rows}
        before = self._waiting - set(built)
        happened = {name: each for name, each in found.items() if each[0] != "unchanged" and name not in before}
        self._waiting = frozenset() if released else self._waiting | happened.keys()
        return Voyage(
            commit=commit, note=note, built=built,
            outcomes={name: outcome for name, (outcome, _) in happened.items()},
            why={name: why for name, (_, why) in happened.items()},
        )  # fmt: skip

    async def oracle(self, packages: Iterable[str] | None = None) -> dict[str, tuple[str, ...]]:
        """Build these packages (or all) again, whatever digests say, against what is published now: package -> how
        its product differs from the published one, for those that should not have been left as they are."""
        jobs = asyncio.Semaphore(self.world.settings.jobs)
        async with opened(self.world) as (tools, previous, bench):

            async def one(name: str) -> tuple[str, ...]:
                async with jobs:
                    return await _rebuilt(tools, bench, previous, name)

            names = sorted(packages if packages is not None else bench.graph.packages)
            found = await asyncio.gather(*map(one, names))
        return {name: differing for name, differing in zip(names, found, strict=True) if differing}


@asynccontextmanager
async def opened(world: World) -> AsyncIterator[tuple[Tools, Previous, Bench]]:
    """The tools of an installation, edge's release, and the bench of the newest commit over it."""
    with world.settled():
        async with open_tools(world.settings) as tools:
            tree = await prepare(tools, world.head())
            previous = await previous_release(tools, tree.distro)
            assert previous is not None
            yield tools, previous, await make_bench(tools, tree, previous, invocation="oracle")


async def _rebuilt(tools: Tools, bench: Bench, previous: Previous, name: str) -> tuple[str, ...]:
    """Asks neither certificate nor digest what to do: everything that the build root may hold is there."""
    wanted = want(bench, name, previous.standing, previous)
    before = previous.standing[name]
    with work_folder(tools, name, "sha256:" + "0" * 64) as work:
        await pull_rpms(tools, bench.tree.distro.rpms_repository, wanted.builds)
        inputs = {each.rpm.file: tools.store.path_of(each.rpm.digest) for each in wanted.inside}
        suffix = before.build.evr.removeprefix(wanted.package.evr)
        output = await run_build(tools, bench, wanted.package, inputs, work, suffix=suffix)
        after = await read_interfaces(output.rpms)
    if same_product(before.interfaces, after):
        return ()
    return product_differences(before.interfaces, after)


async def _shown(key: str) -> list[dict[str, str]]:
    """A table that Prefect shows; empty where there is none."""
    async with get_client() as client:
        found = [each for each in await client.read_artifacts() if each.key == key]
    return list(json.loads(str(found[-1].data))) if found else []


@contextmanager
def at_sea(folder: Path, *, docker_url: str, prefect_api: str) -> Iterator[AtSea]:
    """The installation for as long as the block lasts."""
    with made_world(folder, docker_url=docker_url, prefect_api=prefect_api, distribution=SEA) as world:
        yield AtSea(world=world, first=certificates(world))
