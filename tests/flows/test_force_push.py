"""A branch that lost commits which consumers have: found, told, built, and let in by a person only."""

from __future__ import annotations

import json
import re

import pytest

from release.errors import Refused
from tests import tiny_tree
from tests.world import World

pytestmark = pytest.mark.integration


async def test_a_force_pushed_branch_is_built_and_waits_for_a_person(world: World) -> None:
    base = world.head()
    await world.release(base)
    kept = world.pointer("edge")["current"]
    dropped = world.merge(tiny_tree.aa(f"dropped {len(world.builds)}"), "aa: Will be dropped")
    assert (await world.release(dropped))["state"] == "released"
    world.git("reset", "-q", "--hard", base)
    world.git("push", "-q", "--force", "origin", "HEAD:stable")
    again = world.merge(tiny_tree.aa(f"another {len(world.builds)}"), "aa: Another history")

    foreseen = json.loads(world.slipway("plan", "--json").stdout)["rewritten"]
    assert foreseen == {"asked": dropped, "merge_base": base, "dropped": [dropped]}

    with pytest.raises(Refused, match="does not contain what the channel has") as caught:
        await world.release(again)
    told = caught.value.diagnostics()
    assert f"slipway rollback edge --to <a release of {base[:12]} or older>" in told
    note = world.note(again)
    assert note is not None and note["state"] == "refused"
    assert world.pointer("edge")["current"]["digest"] != kept["digest"], "nothing went back by itself"

    (alias,) = set(re.findall(r"ancestry of (R-[0-9.]+) is wrong", told))
    for words in (("rollback", "edge", "--to", kept["alias"], "--reason", "a force-push"), ("promote", "edge", alias)):
        done = world.slipway(*words)
        assert done.returncode == 0, done.stderr
    assert world.pointer("edge")["current"]["alias"] == alias
    builds = world.builds
    assert (await world.release(again))["state"] == "released"
    assert world.builds == builds
