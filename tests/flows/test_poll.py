"""What events missed is found: lost commits, broken attempts, overtaken commits, tags that moved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.states import Crashed

from flows.poll import poll
from flows.runs import ON_CHANNEL_CHANGE, Run, orchestrator
from release.errors import Broken, Refused
from tests.conftest import free_port
from tests.flows.test_on_channel_change import mixed, put
from tests.world import World

pytestmark = pytest.mark.integration


@pytest.fixture
async def fork(world: World, tmp_path: Path) -> AsyncIterator[World]:
    """A copy of the repository; what Prefect has to do for it is forgotten afterwards."""
    await world.declare()
    yield world.fork(tmp_path)
    async with get_client() as client:
        for run in await client.read_flow_runs():
            if run.state and not run.state.is_final():
                await client.delete_flow_run(run.id)


async def look(world: World) -> str:
    """One round of the poller."""
    with world.settled():
        return str(await poll())


async def runs_of(world: World, commit: str) -> tuple[Run, ...]:
    """Runs that were started for a commit, whoever started them."""
    async with orchestrator() as prefect:
        return await prefect.runs_of(f"{world.settings.repository_name}@{commit}")


async def break_off(run: Run) -> None:
    """What Prefect says of a run whose process is gone."""
    async with get_client() as client:
        await client.set_flow_run_state(UUID(run.id), Crashed(), force=True)


async def test_a_commit_whose_event_was_lost_gets_its_run_once(fork: World) -> None:
    commit = fork.merge({"README.md": "# lost\n"}, "readme: Nobody heard of it")
    assert f"{commit[:12]}: attempt 1 started" in await look(fork)
    (run,) = await runs_of(fork, commit)
    assert not run.final
    assert commit[:12] not in await look(fork), "it is under way"
    assert len(await runs_of(fork, commit)) == 1
    await fork.release(commit)
    assert commit[:12] not in await look(fork), "it has ended"


async def test_a_registry_that_is_down_is_tried_three_times_and_then_the_commit_has_failed(fork: World) -> None:
    down = fork.fork(fork.folder / "down", registry=f"http://127.0.0.1:{free_port()}")
    commit = down.merge({"README.md": "# down\n"}, "readme: While the registry is down")
    with pytest.raises(Broken) as caught:
        await down.release(commit)
    assert caught.value.message == "the registry does not answer"
    assert "slipway up" in (caught.value.hint or "")
    assert down.note(commit) is None, "the world may get better"
    for attempt in (1, 2, 3):
        await _look_in_vain(down)
        runs = await runs_of(down, commit)
        assert len(runs) == attempt
        for run in runs:
            await break_off(run)
    await _look_in_vain(down)
    assert len(await runs_of(down, commit)) == 3
    assert down.note(commit) == {"state": "failed", "reason": "3 attempts broke; the last one: Crashed"}


async def _look_in_vain(down: World) -> None:
    """Commits are looked after first; that the tags cannot be read is told after that."""
    with pytest.raises(Broken, match="the registry does not answer"):
        await look(down)


async def test_a_commit_that_a_newer_one_overtook_ends_too(fork: World) -> None:
    older = fork.merge({"README.md": "# one\n"}, "readme: One")
    newer = fork.merge({"README.md": "# two\n"}, "readme: Two")
    assert f"{newer[:12]}: attempt 1 started" in await look(fork)
    note = fork.note(older)
    assert note is not None
    assert (note["state"], note["superseded_by"]) == ("superseded", newer)
    assert fork.note(newer) is None
    assert await runs_of(fork, older) == ()


async def test_a_queued_run_of_an_overtaken_commit_records_it_and_does_nothing(fork: World) -> None:
    older = fork.merge({"README.md": "# one\n"}, "readme: One")
    newer = fork.merge({"README.md": "# two\n"}, "readme: Two")
    note = await fork.release(older)
    assert (note["state"], note["superseded_by"]) == ("superseded", newer)


async def test_a_commit_that_was_pushed_away_is_refused(fork: World) -> None:
    gone = fork.merge({"README.md": "# gone\n"}, "readme: Gone")
    fork.git("push", "-q", "--force", "origin", "HEAD~1:stable")
    with pytest.raises(Refused, match="is not on stable any more"):
        await fork.release(gone)


async def test_a_tag_that_moved_is_told_and_put_back(fork: World, world: World) -> None:
    digest = world.pointer("edge")["current"]["digest"]
    stranger = world.checker.document("tiny/rpms", world.record(digest)["snapshot"]["digest"])["manifests"][0]["digest"]
    put(world, "tiny/rpms", world.checker.raw("tiny/rpms", stranger), tag="edge")
    assert f"tiny/rpms:edge is {stranger}, git says" in await look(world)
    async with orchestrator() as prefect:
        (run,) = [each for each in await prefect.unfinished(ON_CHANNEL_CHANGE) if ":drift:" in each.key]
    assert mixed(world, "edge")
    assert (await world.channels()).startswith("edge: 1 tags")
    assert mixed(world, "edge") == set()
    await break_off(run)
