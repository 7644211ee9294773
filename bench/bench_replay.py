"""How many builds the 370 real commits take: Slipway beside the rules that do not look into packages.

    python -m bench.bench_replay

A build is simulated (bench/replay.py). The bar: at most 1.6 times the builds of the changed specs alone, when security
patches preserve the interfaces of what they patch. The tables below the first show what it is without that.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence

from bench.facts import Kind
from bench.replay import Assumption, Counts, History, Step, history, peers, slipway
from bench.tables import table

BAR = 1.6
SHARES = (0.0, 0.1, 0.25, 0.5)
SEEDS = (1, 2, 3, 4, 5)
PRESERVING = Assumption(name="Slipway: every change preserves interfaces, but for static libraries", updates=False)


def main(quick: bool = False) -> None:
    """Print the tables."""
    start = time.perf_counter()
    over = history(40 if quick else None)
    replayed = over.steps
    rules = peers(replayed)
    changed = sum(rules["changed only"])
    _against_rules(over, rules, changed)
    _where_from(over)
    _sensitivity(over, changed, SEEDS[:1] if quick else SEEDS)
    print(f"\n  {_about(replayed)}; replayed in {time.perf_counter() - start:.0f} s")


def _against_rules(over: History, rules: Mapping[str, Sequence[int]], changed: int) -> None:
    rows = [[name, *_numbers(builds, changed), ""] for name, builds in rules.items()]
    counts = slipway(PRESERVING, over)
    rows.insert(1, [PRESERVING.name, *_numbers(counts.per_commit, changed), f"<= {BAR}"])
    title = f"builds for {len(over.steps)} commits over {len(over.recipes)} source packages"
    table(title, ["rule", "builds", "times changed only", "median a commit", "largest", "bar"], rows)


def _numbers(builds: Sequence[int], changed: int) -> list[str]:
    total = sum(builds)
    return [f"{total:,}", f"{total / changed:.2f}", f"{statistics.median(builds):.0f}", f"{max(builds):,}"]


def _where_from(over: History) -> None:
    assumptions = (
        PRESERVING,
        Assumption(name="... but what is taken for an update breaks all of its interfaces"),
        Assumption(name="... but every commit of several folders breaks them", several=True),
    )
    rows = [[each.name, *_reasons(slipway(each, over))] for each in assumptions]
    columns = ["assumption", "builds", "touched", "version macro", "observed", "twice in a knot"]
    table("why they were built", columns, rows)


def _reasons(counts: Counts) -> list[str]:
    return [f"{each:,}" for each in (counts.builds, counts.touched, counts.spoken, counts.observed, counts.again)]


def _sensitivity(over: History, changed: int, seeds: Sequence[int]) -> None:
    rows = []
    for share in SHARES:
        cells = [f"{share:.0%}"]
        for updates in (False, True):
            ratios = [
                slipway(Assumption(name="", updates=updates, patches=share, seed=seed), over).builds / changed
                for seed in (seeds if share else seeds[:1])
            ]
            cells.append(_range(ratios))
        rows.append(cells)
    columns = ["security patches that break an interface", "updates preserve", "updates break"]
    table(f"builds, times changed only: median (range) of {len(seeds)} seeds", columns, rows)


def _range(ratios: Sequence[float]) -> str:
    middle = f"{statistics.median(ratios):.2f}"
    return middle if len(ratios) == 1 else f"{middle} ({min(ratios):.2f}-{max(ratios):.2f})"


def _about(replayed: Sequence[Step]) -> str:
    kinds = [kind for step in replayed for kind in step.kinds.values()]
    counted = ", ".join(f"{kinds.count(kind)} times {kind.value}" for kind in Kind)
    return f"what the {len(replayed)} commits do to a spec: {counted}"


if __name__ == "__main__":
    main()
