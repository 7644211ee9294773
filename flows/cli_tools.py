"""What the commands share: the collaborators of this installation, opened when a command needs them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from release.source.distro import Distro
    from tasks.bench import Bench
    from tasks.foresee import Place
    from tasks.recall import Previous
    from tasks.wiring import Tools


Commit = Annotated[
    str | None, typer.Option("--commit", help="A full commit id; without it the head of the stable branch.")
]
Repository = Annotated[
    str | None,
    typer.Option("--repository", help="Folder or URL of a git repository; default: the installation's, else here."),
]


def place(repository: str | None) -> Place:
    """Where commits are compared: the repository that was named, the installation's, or the work tree around us."""
    from pathlib import Path

    from release.errors import Misconfigured
    from tasks.foresee import open_place
    from tasks.settings import place_of_forecasts

    cache, found = place_of_forecasts()
    if repository is not None:
        found = repository if "://" in repository else str(Path(repository).absolute())
    if not found:
        raise Misconfigured(
            "there is no git repository here",
            where=str(Path.cwd()),
            expected="a git work tree of a distribution, or an installation",
            hint="name one with --repository",
        )
    return open_place(cache, found)


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


@asynccontextmanager
async def workbench(commit: str | None) -> AsyncIterator[tuple[Tools, Bench, Previous | None]]:
    """The collaborators, a commit ready for building, and the release before it."""
    from tasks.bench import make_bench
    from tasks.detect import previous_release
    from tasks.fetch import fetch_head
    from tasks.prepare import prepare

    async with installation() as (tools, _):
        tree = await prepare(tools, commit or await fetch_head(tools, tools.settings.branch))
        previous = await previous_release(tools, tree.distro)
        yield tools, await make_bench(tools, tree, previous, invocation="command line"), previous
