"""Commands about building: what a commit would rebuild and why, and one package built here as the pipeline does."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli_distribution import AsJson
from flows.cli_tools import installation
from flows.console import guarded, print_json, say

if TYPE_CHECKING:
    from release.errors import Error
    from release.forecast.forecasts import Forecast
    from release.tools.builder import BuildOutput
    from tasks.bench import Bench
    from tasks.recall import Previous
    from tasks.wiring import Tools

Commit = Annotated[
    str | None, typer.Option("--commit", help="A full commit id; without it the head of the stable branch.")
]


def plan(commit: Commit = None, as_json: AsJson = False) -> None:
    """What a commit would build, in which order, and why, compared with what the first channel has. Builds nothing."""

    def deed() -> None:
        from release.forecast.words import text

        found, failures = asyncio.run(_plan(commit))
        if as_json:
            print_json(found.to_json())
        else:
            sys.stdout.write(text(found))
        if errors := [*(each.error() for each in found.refusals), *failures]:
            raise errors[0]

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


async def _plan(commit: str | None) -> tuple[Forecast, tuple[Error, ...]]:
    from tasks.expect import expect

    async with _bench(commit) as (_, bench, previous):
        return expect(bench, previous), bench.source.failures


async def _build(package: str, commit: str | None, out: Path) -> BuildOutput:
    import shutil
    import tempfile

    from release.errors import Misconfigured
    from release.tools.builder import BuildFailed
    from release.tools.sealed import Exceeded
    from tasks.build import run_build
    from tasks.builds import pull_rpms
    from tasks.want import want

    async with _bench(commit) as (tools, bench, previous):
        if package not in bench.graph.packages:
            raise Misconfigured(
                f"no package {package!r} in the tree",
                expected=", ".join(sorted(bench.graph.packages)),
                hint="slipway plan",
            )
        wanted = want(bench, package, previous.standing if previous else {}, previous)
        await pull_rpms(tools, bench.tree.distro.rpms_repository, wanted.builds)
        inputs = {each.rpm.file: tools.store.path_of(each.rpm.digest) for each in wanted.inside}
        with tempfile.TemporaryDirectory(dir=tools.scratch("builds")) as work:
            try:
                output = await run_build(tools, bench, wanted.package, inputs, Path(work))
            except (BuildFailed, Exceeded) as error:
                (out / "build.log").write_bytes(error.log)
                raise
            kept = [Path(shutil.copy(path, out)) for path in (*output.rpms, output.srpm)]
        return type(output)(
            rpms=tuple(kept[:-1]), srpm=kept[-1], log=output.log, build_root=output.build_root,
            rpmbuild_seconds=output.rpmbuild_seconds, seconds=output.seconds,
        )  # fmt: skip


@asynccontextmanager
async def _bench(commit: str | None) -> AsyncIterator[tuple[Tools, Bench, Previous | None]]:
    """The collaborators, a commit ready for building, and the release before it."""
    from tasks.bench import make_bench
    from tasks.detect import previous_release
    from tasks.fetch import fetch_head
    from tasks.prepare import prepare

    async with installation() as (tools, _):
        tree = await prepare(tools, commit or await fetch_head(tools, tools.settings.branch))
        previous = await previous_release(tools, tree.distro)
        yield tools, await make_bench(tools, tree, previous, invocation="command line"), previous
