"""The pipeline's own overhead: a leaf package's release, nothing to do, and from a push to the first line of a flow.

Runs on a stack of its own (`.slipway/bench`), which stays for the next time. `python -m bench.bench_release [runs]`.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.tables import table

ROOT = Path(__file__).parent.parent
STATE = ROOT / ".slipway" / "bench" / "state"
LEAF = "tree"
PORTS = {
    "SLIPWAY_REGISTRY_PORT": "5811",
    "SLIPWAY_WEB_PORT": "5812",
    "SLIPWAY_PREFECT_PORT": "5813",
    "SLIPWAY_SIGSTORE_PORT": "5814",
}
BARS = {"leaf release beyond rpmbuild": 20.0, "the same commit again": 3.0, "push received to flow run started": 3.0}


def main(runs: int) -> None:
    """Bring the stack up, measure, print, stop the stack."""
    environment = {**os.environ, "SLIPWAY_STATE": str(STATE), **PORTS}
    os.environ.update(environment)
    _slipway("init", str(ROOT / "manifests"))
    _slipway("up")
    try:
        asyncio.run(_measure(runs))
    finally:
        _slipway("down")


async def _measure(runs: int) -> None:
    from tasks.settings import read_settings, use_prefect

    settings = read_settings()
    use_prefect(settings)
    from flows.runs import ON_CHANNEL_CHANGE, ON_COMMIT, POLL, orchestrator
    from tasks.fetch import fetch_head
    from tasks.wiring import open_tools

    async with open_tools(settings) as tools, orchestrator() as prefect:
        head = await fetch_head(tools, settings.branch)
        await prefect.start(POLL, key=f"bench:{time.time()}", parameters={})
        await _until(lambda: _ended(tools.repository, head), seconds=1800)
        leaf, started = [], []
        for _ in range(runs):
            while await prefect.unfinished(ON_CHANNEL_CHANGE):  # what the last release still sets off is not measured
                await asyncio.sleep(0.5)
            before = time.time()
            commit = _push_leaf(tools.repository.url, settings.branch)
            await _until(lambda commit=commit: _ended(tools.repository, commit), seconds=300)
            whole = time.time() - before
            told = json.loads((STATE / "progress" / f"{commit}.json").read_text())["run"]
            rpmbuild = sum(each.get("rpmbuild_seconds") or 0 for each in told["builds"])
            leaf.append(whole - rpmbuild)
            begun = await _start_of(prefect, f"{settings.repository_name}@{commit}")
            started.append(begun - before)
        again = []
        for n in range(runs):
            before = time.time()
            key = f"bench-again:{before}:{n}"
            await prefect.start(ON_COMMIT, key=key, parameters={"repository": "bench", "commit": commit})
            await _until_run(prefect, key)
            again.append(time.time() - before)
    measured = dict(zip(BARS, (leaf, again, started), strict=True))
    rows = [
        [name, f"{min(times):.2f}", f"{statistics.median(times):.2f}", f"{max(times):.2f}", f"<= {BARS[name]:.0f}"]
        for name, times in measured.items()
    ]
    table("the pipeline, seconds", ["what", "min", "median", "max", "bar"], rows)


def _push_leaf(url: str, branch: str) -> str:
    """A commit that changes one byte of a leaf's spec, pushed as a maintainer does."""
    work = STATE / "work" / "bench-clone"
    subprocess.run(["rm", "-rf", str(work)], check=True)
    git = ["git", "-C", str(work), "-c", "user.name=Bench", "-c", "user.email=bench@skiff.example"]
    subprocess.run(["git", "clone", "-q", "--branch", branch, url, str(work)], check=True)
    spec = work / "SPECS" / LEAF / f"{LEAF}.spec"
    spec.write_text(f"# {time.time_ns()}\n" + spec.read_text())
    subprocess.run([*git, "commit", "-qam", f"{LEAF}: A comment"], check=True)
    subprocess.run([*git, "push", "-q", "origin", f"HEAD:{branch}"], check=True, capture_output=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def _ended(repository: object, commit: str) -> bool:
    return repository.read_note(commit) is not None  # type: ignore[attr-defined]


async def _until(good: Callable[[], bool], *, seconds: float) -> None:
    limit = time.monotonic() + seconds
    while not await asyncio.to_thread(good):
        if time.monotonic() > limit:
            raise SystemExit("the pipeline did not finish; see the status page of the bench stack")
        await asyncio.sleep(0.1)


async def _start_of(prefect: object, key: str) -> float:
    runs = await prefect.runs_of(key)  # type: ignore[attr-defined]
    return min(run.started.timestamp() for run in runs if run.started)


async def _until_run(prefect: object, key: str) -> None:
    while not all(run.final for run in await prefect.runs_of(key)):  # type: ignore[attr-defined]
        await asyncio.sleep(0.05)


def _slipway(*words: str) -> None:
    subprocess.run([str(Path(sys.executable).parent / "slipway"), *words], check=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
