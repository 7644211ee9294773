"""Reading a tree of 1,540 specs and planning over it: stock rpmspec beside Slipway, as whole processes.

    python -m bench.bench_plan [--quick]

Cold is an empty cache. Warm is `slipway plan --from A --to B` when A is known: each run plans a commit that no run has
seen before, so that its spec has to be read. Memory is that of the process itself, and with its children. The time on a
processor says what a busy machine does not make longer; sealed readers of specs are not in it.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import facts, processes, synthetic_tree
from bench.processes import Ran
from bench.synthetic_tree import MACRO_FILES, SyntheticTree
from bench.tables import table

ROOT = Path(__file__).parent.parent
BASE = "base"
# what the one-spec commits patch: a leaf, a library at the bottom of many build roots, one in the middle, a tool
PATCHED = ("valkey", "zlib", "libxslt", "cmake", "python-attrs", "curl", "glibc", "vim", "systemd")
COLD_BAR, WARM_BAR, MEMORY_BAR, NOTHING_BAR = 60.0, 1.0, 300.0, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A synthetic tree in a git repository, a cache that knows its first commit, and how often to measure."""

    repository: Path
    cache: Path
    tree: SyntheticTree
    rounds: int

    def plan(self, until: str, *words: str) -> Ran:
        """`slipway plan` from the first commit, as a process of its own."""
        argv = [sys.executable, "-m", "flows.cli", "plan", "--from", BASE, "--to", until, *words]
        environment = {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(self.cache), "NO_COLOR": "1"}
        return _well(processes.run(argv, environment=environment, folder=self.repository))

    def read_and_graph(self, cache: Path) -> Ran:
        """Read the first commit into a cache, and make the graph."""
        known = cache / "slipway" / "specs"  # where `slipway plan` keeps them when this is the user's cache
        argv = [sys.executable, "-m", "bench.read_and_graph", str(self.repository), str(known), self.first]
        return _well(processes.run(argv, folder=ROOT))

    @property
    def first(self) -> str:
        """The id of the first commit."""
        return synthetic_tree.git(self.repository, "rev-parse", BASE)


def main(quick: bool = False) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        synthetic_tree.make(folder / "tree", commits=0)
        bench = Bench(
            repository=folder / "tree", cache=folder / "cold-0", tree=SyntheticTree(), rounds=1 if quick else 3
        )
        rows = [*cold_rows(bench, folder, sample=100 if quick else 20), *warm_rows(bench)]
    load = f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
    title = f"{synthetic_tree.REAL_COUNT} specs; medians of whole processes; load at the end: {load}"
    table(title, ["what", "seconds", "bar", "on a processor", "MB", "with children", "bar", ""], rows)


def cold_rows(bench: Bench, folder: Path, *, sample: int) -> list[list[str]]:
    """Stock rpmspec and our reader by turns, so that a busy machine is busy for both."""
    stock: list[float] = []
    ours: list[Ran] = []
    for number in range(bench.rounds):
        stock.append(rpmspec(bench.repository, sample))
        ours.append(bench.read_and_graph(folder / f"cold-{number}"))
    found, middle = json.loads(processes.median(ours).out), processes.median(ours)
    if found["failed"] or found["packages"] != synthetic_tree.REAL_COUNT:
        raise SystemExit(f"not every spec was read: {found['failed'][:3]}")
    peer = statistics.median(stock)
    note = f"one of {sample} specs, scaled up"
    return [
        ["rpmspec, one after another: requires, provides", f"{peer:.1f}", "", "", "", "", "", note],
        ["read and graph, cold", *_cells(middle, COLD_BAR, None), f"{peer / middle.seconds:.1f} times as fast"],
        ["  of which the graph with its levels", f"{found['graph']:.2f}", "", "", "", "", "", ""],
    ]


def rpmspec(root: Path, sample: int) -> float:
    """Seconds for a process for each spec and question, which is what it takes to keep specs apart from each other."""
    loads = [f"--load={root}/SPECS/{folder}/{name}" for folder, names in MACRO_FILES.items() for name in names]
    words = ["rpmspec", "-q", "--target=x86_64", f"--define=dist {facts.DIST}", *loads]
    specs = facts.specs()[::sample]
    start = time.perf_counter()
    for spec in specs:
        for question in (["--srpm", "--qf=[%{REQUIRENEVRS}\\n]"], ["--builtrpms", "--qf=[%{PROVIDENEVRS}\\n]"]):
            processes.run([*words, *question, str(root / spec.path)])
    return (time.perf_counter() - start) * len(facts.specs()) / len(specs)


def warm_rows(bench: Bench) -> list[list[str]]:
    """Commits of one spec, of a README, and of nothing new, over a cache that knows the commit before."""
    commits: Mapping[str, Callable[[int], str]] = {
        "plan after a commit of one spec": lambda n: patched(bench, PATCHED[n % len(PATCHED)]),
        "plan after a commit of the README": lambda n: readme(bench, n),
    }
    prepared = {name: [make(n) for n in range(3 * bench.rounds)] for name, make in commits.items()}
    spec, nothing = prepared
    bench.plan(prepared[spec].pop())  # whatever is done once, such as compiling Python
    ones = [bench.plan(commit) for commit in prepared[spec]]
    again = [bench.plan(commit) for commit in prepared[spec]]
    nothings = [bench.plan(commit) for commit in prepared[nothing]]
    builds = json.loads(bench.plan(prepared[nothing][0], "--json").out)
    return [
        [spec, *_cells(processes.median(ones), WARM_BAR, MEMORY_BAR), f"slowest {max(r.seconds for r in ones):.2f}"],
        ["  the same commit once more", *_cells(processes.median(again), None, None), ""],
        [nothing, *_cells(processes.median(nothings), NOTHING_BAR, None), f"builds: {_builds(builds)}"],
    ]


def patched(bench: Bench, name: str) -> str:
    """A commit that patches one spec, above the first commit."""
    spec = next(each for each in bench.tree.specs.values() if each.stem == name)
    files = bench.tree.apply(facts.Commit(commit=name, time=synthetic_tree.BASE_TIME + 60, folders=(spec.folder,)))
    return synthetic_tree.add_commit(bench.repository, f"patch-{name}", BASE, files)


def readme(bench: Bench, number: int) -> str:
    """A commit that changes the README."""
    return synthetic_tree.add_commit(bench.repository, f"readme-{number}", BASE, {"README.md": f"{number}\n".encode()})


def _builds(forecast: Mapping[str, object]) -> int:
    certain = forecast.get("certain", ())
    return len(certain) if isinstance(certain, Sequence | Mapping) else -1


def _cells(ran: Ran, seconds: float | None, memory: float | None) -> list[str]:
    bars = [f"<= {bar:g}" if bar else "" for bar in (seconds, memory)]
    return [f"{ran.seconds:.2f}", bars[0], f"{ran.processor:.2f}", f"{ran.peak:.0f}", f"{ran.together:.0f}", bars[1]]


def _well(ran: Ran) -> Ran:
    if ran.code:
        raise SystemExit(f"ended with {ran.code}:\n{ran.out[-2000:]}")
    return ran


if __name__ == "__main__":
    main("--quick" in sys.argv[1:])
