"""Serves the web door of this installation: `python -m flows.serve`. What the app needs is wired here."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from flows.runs import ON_CHANNEL_CHANGE, ON_COMMIT, Orchestrator, orchestrator
from flows.web import create_app, server
from flows.web_services import WebServices
from release.errors import Error, Misconfigured
from release.product.gateway import SNAPSHOTS, Routes, routes
from release.product.repository import Files, files
from release.source.distro import Distro
from release.source.pushes import Push, Watched
from release.status import Health, Service, Status
from release.tools.registry_daemon import answers
from signing.webhooks import WebhookSecrets
from tasks.fetch import fetch_channel, fetch_distro, fetch_document, fetch_head, fetch_release, fetch_snapshot
from tasks.observe import observe, registry_health
from tasks.settings import read_settings
from tasks.wiring import Tools, open_tools


class Services:
    """The app's questions, answered with this installation's tools."""

    def __init__(self, tools: Tools, prefect: Orchestrator) -> None:
        self._tools = tools
        self._prefect = prefect
        self._files: dict[str, Files] = {}

    async def start_run(self, push: Push, *, idempotency_key: str) -> str:
        """A commit starts its release; a moved pointer starts what follows from it. Prefect hears of both as events."""
        distro = await self._distro()
        parameters = {"repository": push.repository, "commit": push.after}
        if push.branch == distro.channels_branch:
            run = await self._prefect.start(ON_CHANNEL_CHANGE, key=idempotency_key, parameters=parameters)
        else:
            run = await self._prefect.start(
                ON_COMMIT,
                key=idempotency_key,
                parameters={**parameters, "subject": push.subject},
                tags=("trigger:event",),
            )
        self._prefect.tell(f"git.push.{push.branch}", resource=f"git.repository.{push.repository}", payload=parameters)
        return run

    async def status(self) -> Status:
        """The status page's data."""
        registry = await registry_health(self._tools)
        others = await asyncio.gather(
            self._service("Prefect", self._tools.settings.prefect_api + "/health"), self._sigstore()
        )
        return await observe(self._tools, [registry, *others])

    async def routes(self, channel: str) -> Routes:
        """Where the paths of a channel's repository lead, over its last snapshots."""
        distro = await self._distro()
        if channel not in distro.channels:
            return routes([])
        pointer, _ = await fetch_channel(self._tools, distro, channel)
        digests = dict.fromkeys(entry.release.digest for entry in pointer.history[:SNAPSHOTS])
        releases = [await fetch_release(self._tools, distro, digest) for digest in digests]
        return routes([await self._files_of(release.rpms_repository, release.snapshot.digest) for release in releases])

    async def public_key(self) -> str:
        """The key that RPMs and repomd.xml are signed with."""
        return await (await self._tools.rpm_signer()).public_key()

    async def trust_files(self) -> Mapping[str, bytes]:
        """What `cosign verify --trusted-root` needs."""
        if not self._tools.settings.embedded_trust:
            return {}
        path = self._tools.settings.folder / "sigstore" / "trusted_root.json"
        return {path.name: path.read_bytes()}

    def blob_url(self, digest: str) -> str:
        """Where consumers fetch a blob of the package repository."""
        return f"{self._tools.settings.registry_public}/v2/{self._rpms}/blobs/{digest}"

    async def prepare(self) -> Distro:
        """Read what does not change while the door is open."""
        distro = await self._distro()
        self._rpms = distro.rpms_repository
        return distro

    async def _distro(self) -> Distro:
        return await fetch_distro(self._tools, await fetch_head(self._tools, self._tools.settings.branch))

    async def _files_of(self, repository: str, digest: str) -> Files:
        """A snapshot never changes, so it is read once."""
        if digest not in self._files:
            snapshot = await fetch_snapshot(self._tools, repository, digest)
            children = (*snapshot.repodata, *snapshot.builds)
            documents = await asyncio.gather(
                *(fetch_document(self._tools, repository, each.digest) for each in children)
            )
            split = len(snapshot.repodata)
            self._files[digest] = files(documents[:split], documents[split:])
        return self._files[digest]

    async def _sigstore(self) -> Service:
        settings = self._tools.settings
        if not settings.embedded_trust:
            return Service(name="Sigstore", health=Health.UNKNOWN, detail="external")
        return await self._service("Sigstore", f"{settings.sigstore_url}/healthz")

    async def _service(self, name: str, url: str) -> Service:
        up = await asyncio.to_thread(answers, url)
        return Service(name=name, health=Health.UP if up else Health.DOWN, url=url.removesuffix("/api/health"))


async def serve() -> None:
    """Open the door on loopback until the process is told to end."""
    settings = read_settings()
    async with open_tools(settings) as tools, orchestrator() as prefect:
        services = Services(tools, prefect)
        distro = await services.prepare()
        secret = _secret(Path(settings.webhook_secret_file))
        app = create_app(
            WebServices(
                secrets=WebhookSecrets(github=secret, gitlab=secret, gitea=secret, plain=secret),
                watched=Watched(repository=settings.repository_name, branches=(distro.branch, distro.channels_branch)),
                channels=distro.channels,
                start_run=services.start_run,
                status=services.status,
                routes=services.routes,
                blob_url=services.blob_url,
                public_key=services.public_key,
                trust_files=services.trust_files,
                now=tools.now,
            )
        )
        await server(app, port=settings.web_port).serve()


def _secret(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise Misconfigured("no webhook secret", where=str(path), got=error, hint="slipway init makes one") from error


if __name__ == "__main__":
    try:
        asyncio.run(serve())
    except Error as error:
        raise SystemExit(error.diagnostics()) from error
