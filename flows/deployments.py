"""Declares every deployment, schedule and automation in code, and serves them: `python -m flows.deployments`."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from prefect.automations import Automation
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy, StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.runner import Runner
from prefect.schedules import Cron, Interval
from prefect.types.entrypoint import EntrypointType

from flows.nightly import nightly
from flows.on_channel_change import on_channel_change
from flows.on_commit import on_commit
from flows.poll import poll
from flows.runs import POLL, orchestrator
from tasks.settings import Settings, read_settings

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.deployments.runner import RunnerDeployment
    from prefect.schedules import Schedule

NIGHTLY_CRON = "30 1 * * *"  # UTC: no hour of it is ever skipped or doubled
POLL_SECONDS = 1  # Prefect's default of 10 s is most of the time from a push to the first line of a flow
ZOMBIE = "slipway: a run without a heartbeat is crashed"


async def serve(settings: Settings) -> None:
    """Register the deployments, say so in `runner/ready`, and run what Prefect schedules until stopped."""
    one_at_a_time = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
    every = Interval(timedelta(seconds=settings.poll_seconds))
    deployments = [
        await _declare(on_commit, "stable", limit=one_at_a_time),
        await _declare(on_channel_change, "channels", limit=None),
        await _declare(nightly, "nightly", limit=one_at_a_time, schedule=Cron(NIGHTLY_CRON, timezone="UTC")),
        await _declare(poll, "lost-events", limit=one_at_a_time, schedule=every),
    ]
    await _declare_zombie_automation()
    # pause_on_shutdown: a restart of the runner must not leave the schedules paused
    runner = Runner(pause_on_shutdown=False, query_seconds=POLL_SECONDS)
    for deployment in deployments:
        await runner.aadd_deployment(deployment)
    folder = settings.folder / "runner"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ready").write_text(str(os.getpid()))
    async with orchestrator() as prefect:  # what happened while nobody served is found now, not in a minute
        await prefect.start(POLL, key=f"serve:{os.getpid()}:{datetime.now(UTC).isoformat()}", parameters={})
    await runner.start()


async def _declare(
    flow: Flow[Any, Any],
    name: str,
    *,
    limit: ConcurrencyLimitConfig | None,
    schedule: Schedule | None = None,
) -> RunnerDeployment:
    # MODULE_PATH: the run imports the installed module, wherever the runner was started
    return await flow.ato_deployment(
        name,
        description=flow.description,
        concurrency_limit=limit,
        schedules=[schedule] if schedule else None,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


async def _declare_zombie_automation() -> None:
    """A run whose machine died stays Running for ever and holds its concurrency slot: nobody else notices.

    Heartbeats come every 30 s (PREFECT_FLOWS_HEARTBEAT_FREQUENCY); three missed ones mean dead.
    """
    automation = Automation(
        name=ZOMBIE,
        description="Three missed heartbeats: the process or its machine is gone, so the run is marked Crashed.",
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.heartbeat", "prefect.flow-run.Completed", "prefect.flow-run.Failed",
                    "prefect.flow-run.Cancelled", "prefect.flow-run.Crashed"},
            match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=90),
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message="no heartbeat for 90 s: its process is gone")],
    )  # fmt: skip
    try:
        await Automation.aread(name=ZOMBIE)
    except ValueError:
        await automation.acreate()


if __name__ == "__main__":
    asyncio.run(serve(read_settings()))
