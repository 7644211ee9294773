"""The web door: the receiver of events, the repository gateway and the status page in one loopback process."""

from __future__ import annotations

from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from flows.web_answers import install
from flows.web_gateway import gateway
from flows.web_page import page
from flows.web_receiver import receiver
from flows.web_services import WebServices

__all__ = ["LOOPBACK", "WebServices", "create_app", "server"]
LOOPBACK = "127.0.0.1"
STATIC = Path(__file__).parent / "static"
# More visitors than this at once are answered 503, so that a crowd cannot take the memory of a release in progress.
CONCURRENT = 256


def create_app(services: WebServices) -> FastAPI:
    """The application. It holds no state but answers that are a few seconds old."""
    # The interactive documentation would load its assets from elsewhere; a redirect would trust the Host header.
    app = FastAPI(title="Slipway", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    install(app)
    for room in (receiver, gateway, page):
        app.include_router(room(services))
    app.mount("/static", StaticFiles(directory=STATIC))
    return app


def server(app: FastAPI, *, port: int, host: str = LOOPBACK) -> uvicorn.Server:
    """A server for the app, not yet running; reachable from elsewhere only when a proxy or `host` says so."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            log_level="warning",
            access_log=False,  # one line for each event is logged by the receiver; dnf would fill the disk
            server_header=False,
            proxy_headers=False,
            ws="none",
            limit_concurrency=CONCURRENT,
            timeout_graceful_shutdown=10,
        )
    )
