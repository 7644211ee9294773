"""What the web door needs from the house, as one value of typed callables: the app is whole without Prefect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from release.product.gateway import Routes
from release.source.pushes import Push, Watched
from release.status import Status
from signing.webhooks import WebhookSecrets


class StartRun(Protocol):
    """Starts the run of a push, or finds the one that its key started before. `Broken` asks the forge to redeliver."""

    async def __call__(self, push: Push, *, idempotency_key: str) -> str:
        """The id of the flow run."""


class ReadStatus(Protocol):
    """Reads the state of everything, in a second or two."""

    async def __call__(self) -> Status:
        """The status at this moment."""


class ReadRoutes(Protocol):
    """Reads where the paths of a channel lead (release/product/gateway.py); `Broken` when the registry is silent."""

    async def __call__(self, channel: str) -> Routes:
        """The newest snapshots merged; empty when nothing was published there yet."""


class BlobUrl(Protocol):
    """Where consumers fetch a blob from the public registry."""

    def __call__(self, digest: str, /) -> str:
        """The absolute URL."""


class ReadText(Protocol):
    """Reads a small public text, such as the OpenPGP key."""

    async def __call__(self) -> str:
        """The text."""


class ReadFiles(Protocol):
    """Reads the public files of the trust root."""

    async def __call__(self) -> Mapping[str, bytes]:
        """file name -> content, for example `trusted_root.json`."""


class Clock(Protocol):
    """The time."""

    def __call__(self) -> datetime:
        """An aware datetime."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebServices:
    """Everything that the app is given. Nothing here prints a secret."""

    secrets: WebhookSecrets
    watched: Watched
    channels: tuple[str, ...]
    start_run: StartRun
    status: ReadStatus
    routes: ReadRoutes
    blob_url: BlobUrl
    public_key: ReadText
    trust_files: ReadFiles
    now: Clock
