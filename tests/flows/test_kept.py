"""A package that is built again and comes out the same keeps its published RPMs, and with them everything above it."""

from __future__ import annotations

import pytest

from tests.flows.test_killed import KILLED, run, strays
from tests.flows.test_on_commit import edge
from tests.world import World

pytestmark = pytest.mark.integration
ANSWER = "built again and the same as published: aa"
SPEC = "SPECS/aa/aa.spec"
# The build is done and nobody was told; it is found by its key; all that a release is made of is there.
INSTANTS = ("signed provenance 1", "tagged k 1", "ended publish 1")


def commented(world: World) -> str:
    """Commit a comment that was never there before, in the spec that others need most."""
    return world.merge({SPEC: f"{world.show(f'stable:{SPEC}')}# note {len(world.builds)}\n"}, "aa: A comment")


def names(world: World) -> dict[str, str]:
    """Every tag by which people and channels find something."""
    return {tag: digest for tag, digest in world.checker.tags().items() if not any(
        part in tag for part in ("sha256-", ":k-", ":d-"))}  # fmt: skip


async def test_an_equal_payload_keeps_snapshot_images_and_dependents(world: World) -> None:
    count, before, pointer, tags = len(world.builds), edge(world), world.pointer("edge"), names(world)
    note = await world.release(commented(world))
    assert (note["state"], note["reason"]) == ("no-op", ANSWER)
    assert world.builds[count:] == ["aa"], "its dependents have the same keys"
    assert (edge(world), world.pointer("edge"), names(world)) == (before, pointer, tags)
    assert world.checker.unproven() == []
    world.revert()


def test_a_killed_run_that_keeps_a_package_is_completed_by_running_again(world: World) -> None:
    count, pointer, tags = len(world.builds), world.pointer("edge"), names(world)
    commit = commented(world)
    for instant in INSTANTS:
        attempt = run(world, commit, until=instant)
        assert attempt.returncode == KILLED, f"{instant}: {attempt.stdout}{attempt.stderr}"
        assert world.checker.unproven() == [], instant
        assert world.note(commit) is None
    last = run(world, commit)
    assert last.returncode == 0, last.stdout + last.stderr
    note = world.note(commit)
    assert note is not None and (note["state"], note["reason"]) == ("no-op", ANSWER)
    assert world.builds[count:] == ["aa", "aa"], "once before anybody could know, and once"
    assert (world.pointer("edge"), names(world)) == (pointer, tags)
    assert strays(world) == []
    world.revert()
