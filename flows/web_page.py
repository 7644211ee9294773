"""The status page: one screen that a maintainer reads at three in the morning, and the same facts as JSON."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from flows.web_answers import RETRY_SECONDS, status_of
from flows.web_services import WebServices
from flows.web_shared import Shared
from release.errors import Error
from release.findings import findings
from release.instants import instant_text, span_text
from release.status import BuildState, BuildStatus, Level, Status, render_json

KEEP = timedelta(seconds=1)
REFRESH_BUSY, REFRESH_IDLE = 4, 20  # seconds: while a run is in progress, and while nothing moves
SMALL_RUN = 12  # packages
TEMPLATES = Path(__file__).parent / "templates"
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def page(services: WebServices) -> APIRouter:
    """`GET /`, `GET /status.json`, `GET /healthz`."""
    router = APIRouter()
    templates = _environment()
    shared: Shared[None, Status] = Shared(lambda _: services.status(), keep=KEEP, now=services.now)
    no_store = {"Cache-Control": "no-store"}

    @router.api_route("/", methods=["GET", "HEAD"], response_model=None)
    async def status_page() -> HTMLResponse:
        """The page; when the status cannot be read, a page that says so and tries again."""
        try:
            status = await shared.get(None)
        except Error as error:
            html = templates.get_template("unavailable.html").render(error=error, refresh=RETRY_SECONDS)
            return HTMLResponse(html, status_code=status_of(error), headers=no_store)
        found = findings(status)
        urgent, rest = _by_urgency(status.run.builds) if status.run else ((), ())
        html = templates.get_template("status.html").render(
            status=status,
            findings=found,
            level=found[0].level.value if found else "quiet",
            alarms=sum(finding.level is Level.ALARM for finding in found),
            urgent=urgent,
            rest=rest,
            refresh=REFRESH_BUSY if status.run else REFRESH_IDLE,
        )
        return HTMLResponse(html, headers=no_store)

    @router.api_route("/status.json", methods=["GET", "HEAD"], response_model=None)
    async def status_json() -> Response:
        """Everything that the page shows."""
        status = await shared.get(None)
        return Response(render_json(status, findings(status)), media_type="application/json", headers=no_store)

    @router.api_route("/healthz", methods=["GET", "HEAD"], response_model=None)
    async def healthz() -> JSONResponse:
        """This process answers; whether its services do is `/status.json`'s to say."""
        return JSONResponse({"status": "ok"}, headers=no_store)

    return router


def _by_urgency(builds: tuple[BuildStatus, ...]) -> tuple[tuple[BuildStatus, ...], tuple[BuildStatus, ...]]:
    """What to show at once and what to fold away: a small run whole, of a large one what fails or is under way."""
    urgent = tuple(build for build in builds if build.state in (BuildState.FAILED, BuildState.BUILDING))
    if len(builds) <= SMALL_RUN:
        return builds, ()
    return urgent, tuple(build for build in builds if build not in urgent)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        instant=instant_text, clock=clock, ago=ago, until=until, took=took, short=short, link=link
    )
    return environment


def clock(at: datetime, now: datetime) -> str:
    """`03:12 UTC` on the same day, `2026-11-23 03:12 UTC` on another."""
    return f"{at:%H:%M} UTC" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M} UTC"


def ago(at: datetime, now: datetime) -> str:
    """`3 h ago`: the largest unit only, because nobody counts the seconds of a week."""
    seconds = (now - at).total_seconds()
    count, unit = next(((int(seconds // size), unit) for size, unit in _UNITS if seconds >= size), (0, "s"))
    return f"{count} {unit} ago" if count else "just now"


def until(at: datetime, now: datetime) -> str:
    """`in 8 h 50 min`, or `now` once it has come."""
    seconds = (at - now).total_seconds()
    return f"in {span_text(seconds)}" if seconds > 0 else "now"


def took(seconds: float | None) -> str:
    """A duration: `0.8 s`, `12 s`, `3 min 5 s`; empty when there is none."""
    if seconds is None:
        return ""
    return f"{seconds:.1f} s" if seconds < 10 else span_text(seconds)


def short(digest: str) -> str:
    """The beginning of a digest or a commit, enough to compare by eye."""
    return digest.removeprefix("sha256:")[:12]


def link(url: str | None) -> str:
    """The URL when a browser may follow it; empty for any other scheme (`javascript:`) and for none."""
    return url if url and url.startswith(("https://", "http://", "/")) else ""
