"""How the web door says no, and the headers of everything it says."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from release.errors import Broken, Error, Misconfigured, Refused

logger = logging.getLogger("slipway.web")
RETRY_SECONDS = 30
SECURITY_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self';"
            " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
)
_STATUS: Mapping[type[Error], int] = MappingProxyType({Refused: 400, Misconfigured: 500, Broken: 503})


class Problem(Exception):
    """An error with the HTTP status that tells a machine what the words tell a person."""

    def __init__(self, status: int, error: Error) -> None:
        super().__init__(error.message)
        self.status = status
        self.error = error


class SecurityHeaders:
    """ASGI middleware: every response carries `SECURITY_HEADERS`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; add the headers where the response starts."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def status_of(error: Error) -> int:
    """400 for a rule that said no, 503 for a broken world (try again), 500 for what a person must edit."""
    return next(status for family, status in _STATUS.items() if isinstance(error, family))


def answer(status: int, error: Error) -> JSONResponse:
    """One line of JSON: error, message, where, got, expected, mend (each null when unknown)."""
    facts = error.to_json()
    facts["mend"] = facts.pop("hint")
    headers = {"Cache-Control": "no-store"}
    if status == 503:
        headers["Retry-After"] = str(RETRY_SECONDS)
    if status in (408, 413):
        headers["Connection"] = "close"  # the rest of the body is not read, so nothing may follow it
    return JSONResponse(facts, status_code=status, headers=headers)


def install(app: FastAPI) -> None:
    """Turn every error that reaches the app into an answer, and put the headers on all of them."""

    async def problem(request: Request, problem: Problem) -> JSONResponse:
        return answer(problem.status, problem.error)

    async def ours(request: Request, error: Error) -> JSONResponse:
        status = status_of(error)
        if status >= 500:
            logger.error("%s %s: %s", request.method, request.url.path, error.message)
        return answer(status, error)

    async def http(request: Request, error: HTTPException) -> JSONResponse:
        refused = Refused(error.detail, where=f"{request.method} {request.url.path}")
        response = answer(error.status_code, refused)
        response.headers.update(error.headers or {})
        return response

    async def gone(request: Request, error: ClientDisconnect) -> JSONResponse:
        return answer(400, Refused("the sender hung up"))  # nobody reads this

    async def unforeseen(request: Request, error: Exception) -> JSONResponse:
        # Outside of our middleware, so it brings its own headers; the traceback goes to the log, not to strangers.
        response = answer(500, Broken("an unforeseen error; the log has the traceback"))
        response.headers.update(SECURITY_HEADERS)
        return response

    handlers = {Problem: problem, Error: ours, HTTPException: http, ClientDisconnect: gone, Exception: unforeseen}
    for family, handler in handlers.items():
        app.add_exception_handler(family, handler)  # type: ignore[arg-type]  # each handler takes its own family only
    app.add_middleware(SecurityHeaders)
