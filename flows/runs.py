"""Asks Prefect for flow runs: one run per idempotency key, however often it is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowRunFilter,
    FlowRunFilterIdempotencyKey,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.events import emit_event
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.states import Scheduled

from release.errors import Broken

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun, StateType

ON_COMMIT = "on-commit/stable"
ON_CHANNEL_CHANGE = "on-channel-change/channels"
NIGHTLY = "nightly/nightly"
POLL = "poll/lost-events"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A flow run as Prefect knows it; `state` is Prefect's own word (Scheduled, Running, Completed, Failed...)."""

    id: str
    name: str
    state: str
    final: bool
    key: str
    created: datetime | None
    started: datetime | None


class Orchestrator:
    """A connection to Prefect's API. Every failure of it is `Broken`, so that whoever asked can ask again."""

    def __init__(self, client: PrefectClient) -> None:
        self._client = client
        self._deployments: dict[str, Any] = {}

    async def start(
        self,
        deployment: str,
        *,
        key: str,
        parameters: Mapping[str, str],
        at: datetime | None = None,
        tags: tuple[str, ...] = (),
    ) -> str:
        """Create the run of `deployment` for `key`, or return the one that exists. Returns the run's id."""
        with _translated(f"start {deployment}"):
            if deployment not in self._deployments:
                self._deployments[deployment] = (await self._client.read_deployment_by_name(deployment)).id
            run = await self._client.create_flow_run_from_deployment(
                self._deployments[deployment],
                parameters=dict(parameters),
                idempotency_key=key,
                tags=list(tags),
                state=Scheduled(scheduled_time=at) if at else None,
            )
            return str(run.id)

    def tell(self, event: str, *, resource: str, payload: Mapping[str, str]) -> None:
        """Emit an event for the story on Prefect's pages. Events get lost, so nothing depends on one."""
        emit_event(event, resource={"prefect.resource.id": resource}, payload=dict(payload))

    async def runs_of(self, key: str) -> tuple[Run, ...]:
        """Every run that was started under one idempotency key or an attempt of it (`key`, `key#2`, ...)."""
        keys = [key, *(f"{key}#{attempt}" for attempt in range(2, 10))]
        with _translated("read flow runs"):
            found = await self._client.read_flow_runs(
                flow_run_filter=FlowRunFilter(idempotency_key=FlowRunFilterIdempotencyKey(any_=keys))
            )
        return tuple(_run(each) for each in found)

    async def unfinished(self, deployment: str) -> tuple[Run, ...]:
        """Runs of a deployment that wait or run now."""
        return await self._by_state(deployment, ["SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"], limit=50)

    async def recent(self, deployment: str, *, limit: int = 10) -> tuple[Run, ...]:
        """The latest finished runs of a deployment."""
        return await self._by_state(deployment, ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"], limit=limit)

    async def _by_state(self, deployment: str, states: list[str], *, limit: int) -> tuple[Run, ...]:
        wanted: list[StateType] = states  # type: ignore[assignment]  # pydantic turns the names into the enum
        with _translated("read flow runs"):
            found = await self._client.read_flow_runs(
                deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[deployment.split("/")[1]])),
                flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=wanted))),
                limit=limit,
            )
        return tuple(_run(each) for each in found)


@asynccontextmanager
async def orchestrator() -> AsyncIterator[Orchestrator]:
    """A connection for as long as the block lasts."""
    async with get_client() as client:
        yield Orchestrator(client)


def _run(found: FlowRun) -> Run:
    state = found.state
    return Run(
        id=str(found.id),
        name=found.name,
        state=state.name if state and state.name else "Unknown",
        final=bool(state and state.is_final()),
        key=found.idempotency_key or "",
        created=found.created,
        started=found.start_time,
    )


@contextmanager
def _translated(deed: str) -> Iterator[None]:
    """Turn Prefect's and the network's exceptions into `Broken` with a mend."""
    try:
        yield
    except ObjectNotFound as error:
        raise Broken(
            f"cannot {deed}: Prefect does not know it",
            hint="slipway up starts the runner, which declares the deployments",
        ) from error
    except (httpx.HTTPError, PrefectHTTPStatusError, RuntimeError) as error:
        raise Broken(
            f"cannot {deed}: Prefect does not answer as it should", got=error, hint="slipway doctor looks at it"
        ) from error
