"""Commands about building: what a commit would rebuild and why, and one package built here as the pipeline does."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli_distribution import AsJson
from flows.cli_tools import installation
from flows.console import guarded, print_json, print_table, say

if TYPE_CHECKING:
    from release.source.plan import Plan
    from release.tools.builder import BuildOutput
    from tasks.bench import Bench
    from tasks.wiring import Tools

Commit = Annotated[
    str | None, typer.Option("--commit", help="A full commit id; without it the head of the stable branch.")
]


def plan(commit: Commit = None, as_json: AsJson = False) -> None:
    """What a commit would build, in which order, and why, compared with what the first channel has. Builds nothing."""

    def deed() -> None:
        found = asyncio.run(_plan(commit))
        if as_json:
            print_json(found.to_json())
            return
        rows = [(str(n), step.package, step.reason) for n, step in enumerate(found.steps, 1)]
        rows += [("", f"image {image.image}", image.reason) for image in found.images]
        print_table(
            "plan", ["", "package", "why"], rows or [("", "nothing", "nothing that a release is made of changed")]
        )

    sys.exit(guarded(deed, as_json=as_json))


def build(
    package: Annotated[str, typer.Argument(help="The name of a source package.")],
    commit: Commit = None,
    out: Annotated[Path, typer.Option("--out", help="Folder that receives RPMs and build.log.")] = Path("out"),
) -> None:
    """Build one package here, sealed as the pipeline does it: same root, same limits. Publishes and signs nothing."""

    def deed() -> None:
        out.mkdir(parents=True, exist_ok=True)
        output = asyncio.run(_build(package, commit, out))
        (out / "build.log").write_bytes(output.log)
        for path in (*output.rpms, output.srpm):
            sys.stdout.write(f"{path}\n")
        say("log", str(out / "build.log"))
        say("rpmbuild", f"{output.rpmbuild_seconds:.1f} s")

    sys.exit(guarded(deed))


async def _plan(commit: str | None) -> Plan:
    from release.source.plan import Plan
    from tasks.detect import changes_since, previous_release

    async with _bench(commit) as (tools, bench):
        previous = await previous_release(tools, bench.tree.distro)
        changes = await changes_since(tools, bench.tree, previous)
        names: dict[str, Any] = (
            {} if changes.is_empty else dict.fromkeys(each.name for each in bench.tree.distro.images)
        )
        return Plan.of(graph=bench.graph, changes=changes, previous=previous.plan if previous else None, images=names)


async def _build(package: str, commit: str | None, out: Path) -> BuildOutput:
    import shutil
    import tempfile

    from release.errors import Misconfigured
    from release.tools.builder import BuildFailed
    from release.tools.sealed import Exceeded
    from tasks.build import collect_inputs, run_build

    async with _bench(commit) as (tools, bench):
        if package not in bench.graph.packages:
            raise Misconfigured(
                f"no package {package!r} in the tree",
                expected=", ".join(sorted(bench.graph.packages)),
                hint="slipway plan",
            )
        inputs = await collect_inputs(tools, bench, package)
        with tempfile.TemporaryDirectory(dir=tools.scratch("builds")) as work:
            try:
                output = await run_build(tools, bench, bench.graph.packages[package], inputs, Path(work))
            except (BuildFailed, Exceeded) as error:
                (out / "build.log").write_bytes(error.log)
                raise
            kept = [Path(shutil.copy(path, out)) for path in (*output.rpms, output.srpm)]
        return type(output)(
            rpms=tuple(kept[:-1]), srpm=kept[-1], log=output.log, build_root=output.build_root,
            rpmbuild_seconds=output.rpmbuild_seconds, seconds=output.seconds,
        )  # fmt: skip


@asynccontextmanager
async def _bench(commit: str | None) -> AsyncIterator[tuple[Tools, Bench]]:
    """The collaborators, and a commit ready for building."""
    from tasks.bench import make_bench
    from tasks.fetch import fetch_head
    from tasks.prepare import prepare

    async with installation() as (tools, _):
        tree = await prepare(tools, commit or await fetch_head(tools, tools.settings.branch))
        yield tools, await make_bench(tools, tree, invocation="command line")
