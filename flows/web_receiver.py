"""The door for events: a push that proves who sent it starts one run, at once and only once."""

from __future__ import annotations

import asyncio
import logging

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from starlette.requests import Request

from flows.web_answers import Problem
from flows.web_services import WebServices
from release.errors import Broken, Refused
from release.source.forges import EVENT_HEADER, Kind
from release.source.pushes import Ignored, Push, idempotency_key, parse
from signing.webhooks import authenticate

logger = logging.getLogger("slipway.web")
# GitHub lists at most 2,048 commits in a push, about 1.5 KB each. What is larger is refused; the poller finds it.
MAX_BODY = 5 << 20
BODY_SECONDS = 10.0
# GitHub and GitLab wait ten seconds for an answer.
START_SECONDS = 8.0


def receiver(services: WebServices) -> APIRouter:
    """`POST /events`."""
    router = APIRouter()

    @router.post("/events", response_model=None)
    async def events(request: Request) -> JSONResponse:
        """202 with the run, 200 when ignored; 401, 413, 415, 400 when refused; 503 asks for another delivery."""
        _expect_json(request)
        body = await _body(request)
        kind = _sender(request, body, services)
        event = parse(kind, request.headers.get(EVENT_HEADER[kind]), body, services.watched)
        if isinstance(event, Ignored):
            logger.info("%s event ignored: %s", kind, event.reason)
            return JSONResponse({"ignored": event.reason})
        return JSONResponse(await _start(event, kind, services), status_code=202)

    return router


def _expect_json(request: Request) -> None:
    given = request.headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() != "application/json":
        hint = "choose application/json in the forge's webhook settings"
        raise Problem(
            415, Refused("wrong content type", got=given[:80] or "none", expected="application/json", hint=hint)
        )


async def _body(request: Request) -> bytes:
    """The body, never more of it in memory than the cap: a declared length and the real one are both checked."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > MAX_BODY:
        raise _too_large(f"{declared} bytes")
    chunks, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size > MAX_BODY:
                    raise _too_large(f"more than {MAX_BODY} bytes")
                chunks.append(chunk)
    except TimeoutError as error:
        expected = f"the whole event in {BODY_SECONDS:g} s"
        raise Problem(408, Refused("the event came too slowly", got=f"{size} bytes", expected=expected)) from error
    return b"".join(chunks)


def _too_large(got: str) -> Problem:
    hint = "the poller finds the commit by itself"
    return Problem(413, Refused("the event is too large", got=got, expected=f"at most {MAX_BODY} bytes", hint=hint))


def _sender(request: Request, body: bytes, services: WebServices) -> Kind:
    try:
        return authenticate(request.headers.items(), body, services.secrets, now=services.now())
    except Refused as error:
        logger.warning("event from %s refused: %s", request.client.host if request.client else "?", error.message)
        raise Problem(401, error) from error


async def _start(push: Push, kind: Kind, services: WebServices) -> dict[str, str]:
    key = idempotency_key(push)
    try:
        async with asyncio.timeout(START_SECONDS):
            run = await services.start_run(push, idempotency_key=key)
    except TimeoutError as error:
        raise Broken("the run could not be started in time", where=key, expected=f"{START_SECONDS:g} s") from error
    logger.info("%s push of %s to %s: run %s", kind, key, push.branch, run)
    return {"flow_run": run, "idempotency_key": key}
