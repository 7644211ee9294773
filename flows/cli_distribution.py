"""Commands about the distribution: make an installation, see where everything stands."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.console import guarded, print_lines, print_table, say

if TYPE_CHECKING:
    from release.status import Audit, Status

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


def init(
    tree: Annotated[Path, typer.Argument(help="Folder with distro.yaml and the specs.")] = Path("manifests"),
) -> None:
    """Make an installation: keys, and a bare git repository from a tree.

    Files named *.repo.in get the address of this installation's gateway, the public key is put beside them, and the
    toolchain set is resolved and pinned. What is there already is left alone, so running it twice is safe.
    """

    def deed() -> None:
        from tasks.init import initialize
        from tasks.settings import read_settings
        from tasks.wiring import open_tools

        async def run() -> None:
            async with open_tools(read_settings()) as tools:
                await initialize(tools, tree, say)

        asyncio.run(run())

    sys.exit(guarded(deed))


def run_demo(
    tree: Annotated[Path, typer.Argument(help="The tree of Skiff Linux.")] = Path("manifests"),
) -> None:
    """The whole story on the embedded stack: set up, release, merge, promote, consume. Leaves the stack running."""

    def deed() -> None:
        from tasks.settings import read_settings, use_prefect

        settings = read_settings()
        use_prefect(settings)
        from flows.demo import demo

        demo(settings, tree)

    sys.exit(guarded(deed))


def status(as_json: AsJson = False) -> None:
    """Where everything stands: channels, the run in progress, the last commits, the newest releases."""

    def deed() -> None:
        from release.findings import findings
        from release.status import render_json
        from tasks.observe import observe, registry_health
        from tasks.settings import read_settings
        from tasks.wiring import open_tools, require_state

        async def run() -> Status:
            settings = read_settings()
            require_state(settings)
            async with open_tools(settings) as tools:
                return await observe(tools, [await registry_health(tools)])

        found = asyncio.run(run())
        if as_json:
            sys.stdout.write(render_json(found, findings(found)).decode() + "\n")
        else:
            _print(found)

    sys.exit(guarded(deed, as_json=as_json))


def _print(found: Status) -> None:
    from release.instants import short_instant

    print_table(
        f"{found.title} {found.version}   trust: {found.trust}",
        ["channel", "release", "serial", "moved", "next"],
        [
            (
                each.name,
                each.alias or "-",
                str(each.serial),
                short_instant(each.moved_at) if each.moved_at else "-",
                f"held: {each.hold.reason}" if each.hold
                else f"{each.candidate.alias} {each.candidate.held_back_by}" if each.candidate else "",
            )
            for each in found.channels
        ],
    )  # fmt: skip
    print_table(
        "commits",
        ["commit", "subject", "state"],
        [(each.sha[:12], each.subject, f"{each.state} {each.detail}".strip()) for each in found.commits],
    )
    if found.run:
        waiting = [f"{build.package} ({build.state})" for build in found.run.builds]
        print_table("in progress", ["run", "packages"], [(found.run.name, ", ".join(waiting))])
    if found.audit:
        _print_audit(found.audit)
    for each in found.services:
        say(each.name, each.health)


def _print_audit(found: Audit) -> None:
    from release.instants import short_instant

    lines = [f"{found.equal} packages come out as published, {found.identical} of them bit for bit"]
    for each in found.faults:
        lines += [f"{each.package} {each.sentence} (found in {each.release})", *(f"  {file}" for file in each.files)]
        lines += [f"  how: {each.diff_url}"] if each.diff_url else []
    lines += [f"not rebuilt: {', '.join(found.failed)}"] if found.failed else []
    lines += [f"blocked: {line}" for line in found.blocks]
    print_lines(f"nightly audit of {found.release} at {short_instant(found.finished_at)}", lines)
