"""Every measurement, one after another: `python -m bench [--quick]` (what `make bench` runs)."""

from __future__ import annotations

import sys

from bench import (
    bench_commands,
    bench_layers,
    bench_plan,
    bench_registry,
    bench_release,
    bench_replay,
    bench_scale,
)

if __name__ == "__main__":
    quick = sys.argv[1:]
    bench_layers.main(quick)
    bench_registry.main(quick)
    bench_release.main(2 if quick else 5)
    bench_commands.main(2 if quick else 5)
    bench_plan.main(bool(quick))
    bench_replay.main(bool(quick))
    bench_scale.main(bool(quick))
