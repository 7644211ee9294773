"""The night: everything is built once more from nothing, and what is not the same to the bit is named."""

from __future__ import annotations

import json

import pytest
from prefect.client.orchestration import get_client

from flows.nightly import nightly
from tests import tiny_tree
from tests.world import World

pytestmark = pytest.mark.integration


async def test_a_package_that_is_not_reproducible_is_found_and_named_with_its_file(world: World) -> None:
    chance = "cat /proc/sys/kernel/random/uuid > %{buildroot}/usr/share/dd/chance"
    commit = world.merge({"SPECS/dd/dd.spec": tiny_tree.dd(chance, "/usr/share/dd/chance")}, "dd: Takes a chance")
    assert (await world.release(commit))["state"] == "released"
    builds, tags = world.builds, world.checker.tags()
    with world.settled():
        state = await nightly(return_state=True)
    assert state.is_failed()
    assert state.message == "not bit-identical: dd"
    async with get_client() as client:
        (artifact,) = [each for each in await client.read_artifacts() if each.key == "nightly"]
    table = {row["package"]: row for row in json.loads(str(artifact.data))}
    assert set(table) == set(tiny_tree.PACKAGES)
    assert {name for name, row in table.items() if row["bit-identical"] != "yes"} == {"dd"}
    evr = world.built("dd")["annotations"]["dev.slipway.evr"]
    assert table["dd"]["differs"] == f"dd-{evr}.noarch.rpm"
    digest = world.pointer("edge")["current"]["digest"]
    added = {tag for tag in world.checker.tags() if tag not in tags}
    assert all("sha256-" in tag for tag in added), "an audit publishes nothing but its report"
    assert [builds, world.pointer("edge")["current"]["digest"]] == [world.builds, digest]

    found = json.loads(world.slipway("status", "--json").stdout)
    assert found["audit"]["different"] == ["dd"]
    assert found["audit"]["identical"] == len(tiny_tree.PACKAGES) - 1
    await world.release(world.merge({"SPECS/dd/dd.spec": tiny_tree.dd()}, "dd: Leaves nothing to chance"))
