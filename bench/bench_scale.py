"""Does time and memory grow with the number of specs, or faster? From 500 to 5,000 of them.

    python -m bench.bench_scale [--quick] [--plot docs/bench-scale.svg]

Each size is a synthetic tree with as many needs a spec as the real one (bench/facts.py). The exponent is the slope of a
straight line through the logarithms: 1.0 is linear, 2.0 is quadratic.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import processes, synthetic_tree
from bench.bench_plan import Bench, patched
from bench.facts import Spec
from bench.synthetic_tree import SyntheticTree
from bench.tables import table

SIZES = (500, 1000, 1540, 2500, 5000)
QUICK = (500, 1540)
LINEAR = 1.15  # what noise and a larger index may add to an exponent of one


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One size: seconds to read it cold; seconds on a processor to make the graph, and to plan after a commit of one
    spec, because what is short is lost in the noise of a machine that does other things too; memory in MB."""

    specs: int
    cold: float
    graph: float
    warm: float
    cold_memory: float
    warm_memory: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What is drawn and fitted: a title with its unit, and the value of a point."""

    title: str
    unit: str
    of: Callable[[Point], float]


CURVES = (
    Curve(title="read every spec, empty cache", unit="seconds", of=lambda point: point.cold),
    Curve(title="graph with its levels", unit="seconds on a processor", of=lambda point: point.graph),
    Curve(title="plan after a commit of one spec", unit="seconds on a processor", of=lambda point: point.warm),
    Curve(title="memory: cold, with children", unit="MB", of=lambda point: point.cold_memory),
    Curve(title="memory: plan, with children", unit="MB", of=lambda point: point.warm_memory),
)


def main(quick: bool = False, plot: Path | None = None) -> None:
    """Print the table, and draw it where told to."""
    points = [measure(size, rounds=1 if quick else 3) for size in (QUICK if quick else SIZES)]
    rows = [
        [
            f"{curve.title}, {curve.unit}",
            *(_figure(curve.of(point)) for point in points),
            f"{exponent(curve, points):.2f}",
        ]
        for curve in CURVES
    ]
    load = f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
    title = f"growth (an exponent of 1 is linear; bar: at most {LINEAR}); load at the end: {load}"
    table(title, ["", *(f"{point.specs:,}" for point in points), "exponent"], rows)
    if plot:
        draw(points, plot)


def measure(size: int, rounds: int) -> Point:
    """One size; medians of `rounds` runs, but for reading it cold, which is long enough to be read once."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tree = SyntheticTree(size)
        synthetic_tree.make(folder / "tree", count=size, commits=0, checkout=False)
        bench = Bench(repository=folder / "tree", cache=folder / "cache", tree=tree, rounds=rounds)
        cold = bench.read_and_graph(bench.cache)
        graphs = [json.loads(bench.read_and_graph(bench.cache).out)["graph_busy"] for _ in range(rounds)]
        commits = [patched(bench, spec.stem) for spec in _some(tree, rounds + 1)]
        bench.plan(commits.pop())  # whatever is done once
        warm = processes.median([bench.plan(commit) for commit in commits])
    return Point(
        specs=size,
        cold=json.loads(cold.out)["read"],
        graph=statistics.median(graphs),
        warm=warm.processor,
        cold_memory=max(cold.peak, cold.together),
        warm_memory=max(warm.peak, warm.together),
    )


def exponent(curve: Curve, points: Sequence[Point]) -> float:
    """The slope of the curve between logarithms."""
    sizes = [math.log(point.specs) for point in points]
    return statistics.linear_regression(sizes, [math.log(curve.of(point)) for point in points]).slope


def draw(points: Sequence[Point], path: Path) -> None:
    """A small picture for each curve, beside a straight line through the size of the real tree."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "slipway", "svg.fonttype": "none"})  # equal points, equal file; text as text
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(CURVES), figsize=(3.1 * len(CURVES), 3.1), layout="constrained")
    sizes = [point.specs for point in points]
    for axis, curve in zip(axes, CURVES, strict=True):
        values = [curve.of(point) for point in points]
        fit = statistics.linear_regression(sizes, values)
        axis.plot(
            [0, sizes[-1]], [fit.intercept, fit.intercept + fit.slope * sizes[-1]], color="0.75", label="straight line"
        )
        axis.plot(sizes, values, marker="o", color="tab:blue", label="measured")
        axis.set(title=f"{curve.title}\nexponent {exponent(curve, points):.2f}", xlabel="specs", ylabel=curve.unit)
        axis.set(xlim=(0, None), ylim=(0, max(values) * 1.15))
        axis.title.set_fontsize(9)
        axis.grid(alpha=0.3)
    axes[0].legend(frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None}, facecolor="white")
    pyplot.close(figure)


def _some(tree: SyntheticTree, count: int) -> list[Spec]:
    """Specs of folders of their own, spread over the tree."""
    single = [spec for spec in tree.specs.values() if spec.stem == spec.folder]
    return single[:: max(1, len(single) // count)][:count]


def _figure(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.bench_scale")
    parser.add_argument("--quick", action="store_true", help=f"two sizes: {QUICK}")
    parser.add_argument("--plot", type=Path, help="where to draw the curves (.svg)")
    given = parser.parse_args()
    main(given.quick, given.plot)
