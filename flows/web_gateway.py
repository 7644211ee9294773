"""The repository gateway: a channel's path becomes a redirect to the blob, so stock dnf reads an OCI registry."""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response

from flows.web_answers import Problem
from flows.web_services import WebServices
from flows.web_shared import Shared
from release.errors import Refused

KEEP = timedelta(seconds=3)


def gateway(services: WebServices) -> APIRouter:
    """`GET /repo/<channel>/<path>`, `GET /key`, `GET /trust/<file>`: all that a consumer fetches from us."""
    router = APIRouter()
    routes = Shared(services.routes, keep=KEEP, now=services.now)

    @router.api_route("/repo/{channel}/{path:path}", methods=["GET", "HEAD"], response_model=None)
    async def repository(channel: str, path: str) -> Response:
        """302 to the blob of a path in the newest snapshots of a channel."""
        if channel not in services.channels:
            raise _unknown(f"no channel {channel[:80]!r}", expected=" or ".join(services.channels))
        route = (await routes.get(channel)).get(path)
        if route is None:
            raise _unknown(f"channel {channel} has no file {path[:200]!r}", hint="refresh: dnf clean expire-cache")
        headers = {"Cache-Control": route.cache_control}
        return RedirectResponse(services.blob_url(route.digest), status_code=302, headers=headers)

    @router.api_route("/key", methods=["GET", "HEAD"], response_model=None)
    async def key() -> Response:
        """The OpenPGP key that signs RPMs and repository metadata."""
        return Response(await services.public_key(), media_type="application/pgp-keys")

    @router.api_route("/trust/{name}", methods=["GET", "HEAD"], response_model=None)
    async def trust(name: str) -> Response:
        """A file of the trust root, for the verifiers that consumers already have."""
        files = await services.trust_files()
        if name not in files:
            raise _unknown(f"no trust file {name[:80]!r}", expected=" or ".join(sorted(files)))
        return Response(files[name], media_type="application/json")

    return router


def _unknown(message: str, *, expected: str | None = None, hint: str | None = None) -> Problem:
    return Problem(404, Refused(message, expected=expected, hint=hint))
