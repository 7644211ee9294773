"""The web door with everything behind it replaced by simulators that misbehave in one line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx

from flows.web import create_app, server
from flows.web_services import WebServices
from release.product.gateway import Routes, routes
from release.product.repository import Files
from release.source.pushes import Push, Watched
from release.status import Status
from signing.webhooks import WebhookSecrets
from tests import status_samples, webhook_samples
from tests.conftest import free_port
from tests.webhook_samples import SECRET


class House:
    """What stands behind the door. Set `fails` to an error, `slow` to seconds; look at what was asked."""

    def __init__(self) -> None:
        self.now = webhook_samples.NOW
        self.status = status_samples.quiet()
        self.snapshots: dict[str, list[Files]] = {"edge": [], "beta": [], "stable": []}
        self.files = {"trusted_root.json": b'{"mediaType": "root"}'}
        self.runs: dict[str, str] = {}
        self.pushes: list[Push] = []
        self.asked: list[str] = []
        self.fails: Exception | None = None
        self.slow = 0.0

    async def start_run(self, push: Push, *, idempotency_key: str) -> str:
        """As Prefect does: the same key gives the run that was there before."""
        await self._answer("run")
        self.pushes.append(push)
        return self.runs.setdefault(idempotency_key, f"run-{len(self.runs) + 1}")

    async def read_status(self) -> Status:
        """The sample that was chosen."""
        await self._answer("status")
        return self.status

    async def routes(self, channel: str) -> Routes:
        """The channel's snapshots, merged as the product merges them."""
        await self._answer(channel)
        return routes(self.snapshots[channel])

    async def public_key(self) -> str:
        """A key as far as the door can tell."""
        await self._answer("key")
        return "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"

    async def trust_files(self) -> Mapping[str, bytes]:
        """The files of the trust root."""
        return self.files

    def clock(self) -> datetime:
        """The time that the test chose."""
        return self.now

    async def _answer(self, question: str) -> None:
        self.asked.append(question)
        if self.slow:
            await asyncio.sleep(self.slow)
        if self.fails:
            raise self.fails

    def services(self, **changes: Any) -> WebServices:
        """All of it, as the app takes it."""
        given: dict[str, Any] = {
            "secrets": WebhookSecrets(github=SECRET, gitlab=SECRET, gitea=SECRET, plain=SECRET),
            "watched": Watched(repository=webhook_samples.REPOSITORY, branches=("stable",)),
            "channels": tuple(self.snapshots),
            "start_run": self.start_run,
            "status": self.read_status,
            "routes": self.routes,
            "blob_url": lambda digest: f"https://registry.example/v2/skiff/rpms/blobs/{digest}",
            "public_key": self.public_key,
            "trust_files": self.trust_files,
            "now": self.clock,
        }
        return WebServices(**{**given, **changes})

    @asynccontextmanager
    async def door(self, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
        """A client of the app, without a socket."""
        transport = httpx.ASGITransport(create_app(self.services(**changes)), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://slipway") as client:
            yield client

    @asynccontextmanager
    async def served(self, **changes: Any) -> AsyncIterator[int]:
        """The app in a real server on loopback: its port."""
        serving = server(create_app(self.services(**changes)), port=free_port())
        task = asyncio.create_task(serving.serve())
        while not serving.started:
            await asyncio.sleep(0.01)
        yield serving.config.port
        serving.should_exit = True
        await task
