"""Commits that arrive while a run is on are planned together, each with an end of its own; no work is thrown away."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests import tiny_tree
from tests.world import World

pytestmark = pytest.mark.integration
SECONDS = 60.0


async def until_built(world: World, package: str, count: int) -> None:
    """Until the run that is on has begun to build a package."""
    end = time.monotonic() + SECONDS
    while package not in world.builds[count:]:
        assert time.monotonic() < end, "the build never began"
        await asyncio.sleep(0.05)


async def test_what_arrives_during_a_run_becomes_one_release_and_the_run_goes_on(world: World, tmp_path: Path) -> None:
    count = len(world.builds)
    first = world.merge({"SPECS/dd/dd.spec": tiny_tree.dd("sleep 2", "")}, "dd: Takes two seconds")
    running = asyncio.create_task(world.release(first))
    await until_built(world, "dd", count)
    second = await asyncio.to_thread(world.merge, tiny_tree.aa(f"thyme {count}"), "aa: Thyme")
    third = await asyncio.to_thread(world.merge, tiny_tree.aa(f"sage {count}"), "aa: Sage")
    ended = [await running, await world.release(second), await world.release(third)]
    assert [each["state"] for each in ended] == ["no-op", "superseded", "released"], ended
    assert ended[0]["reason"] == "built again and the same as published: dd", "a pause is no other product"
    assert ended[1]["superseded_by"] == third
    assert world.builds[count:] == ["dd", "aa", "bb", "cc"], "nothing twice, and nothing of the commit in between"
    assert world.record(ended[2]["release"]["digest"])["source"]["commit"] == third


async def test_a_run_that_dies_leaves_what_it_built_to_the_commit_that_contains_it(world: World) -> None:
    count = len(world.builds)
    broken = tiny_tree.tree()["SPECS/bb/bb.spec"].replace("%install\n", "%install\nexit 9\n")
    first = world.merge({"SPECS/bb/bb.spec": broken, **tiny_tree.aa(f"mint {count}")}, "aa: Mint; bb: Broken")
    with pytest.raises(Exception, match="the build failed"):
        await world.release(first)
    second = world.merge({"SPECS/bb/bb.spec": tiny_tree.tree()["SPECS/bb/bb.spec"]}, "bb: Mended")
    note = await world.release(second)
    assert note["state"] == "released"
    assert world.builds[count:] == ["aa", "bb", "bb", "cc"], "aa was built once"
