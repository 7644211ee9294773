"""The command that builds one package here, as the pipeline does."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli_tools import Commit, workbench
from flows.console import guarded, say

if TYPE_CHECKING:
    from release.tools.builder import BuildOutput


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


async def _build(package: str, commit: str | None, out: Path) -> BuildOutput:
    import shutil
    import tempfile

    from release.errors import Misconfigured
    from release.tools.builder import BuildFailed
    from release.tools.sealed import Exceeded
    from tasks.build import run_build
    from tasks.builds import pull_rpms
    from tasks.want import want

    async with workbench(commit) as (tools, bench, previous):
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
                suffix = wanted.evr.removeprefix(wanted.package.evr)
                output = await run_build(tools, bench, wanted.package, inputs, Path(work), suffix=suffix)
            except (BuildFailed, Exceeded) as error:
                (out / "build.log").write_bytes(error.log)
                raise
            kept = [Path(shutil.copy(path, out)) for path in (*output.rpms, output.srpm)]
        return type(output)(
            rpms=tuple(kept[:-1]), srpm=kept[-1], log=output.log, build_root=output.build_root,
            rpmbuild_seconds=output.rpmbuild_seconds, seconds=output.seconds,
        )  # fmt: skip
