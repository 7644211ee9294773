"""What the commands share: the collaborators of this installation, opened when a command needs them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from release.source.distro import Distro
    from tasks.wiring import Tools


@asynccontextmanager
async def installation() -> AsyncIterator[tuple[Tools, Distro]]:
    """The collaborators, and the distribution as its stable branch describes it; `Misconfigured` before `init`."""
    from tasks.fetch import fetch_distro, fetch_head
    from tasks.settings import read_settings
    from tasks.wiring import open_tools, require_state

    settings = read_settings()
    require_state(settings)
    async with open_tools(settings) as tools:
        yield tools, await fetch_distro(tools, await fetch_head(tools, settings.branch))
