"""How long a person waits for a command: `slipway --help` and the read-only ones, as whole processes."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.tables import table

SLIPWAY = Path(sys.executable).parent / "slipway"
COMMANDS = {"--help": 0.5, "settings": 1.5, "doctor --json": 1.5, "status": 1.5, "verify stable": 1.5}


def main(runs: int = 5) -> None:
    """Medians of whole processes; `status` and `verify` need a stack that is up (`make demo`)."""
    rows = []
    for words, bar in COMMANDS.items():
        times, codes = [], set()
        for _ in range(runs):
            start = time.perf_counter()
            done = subprocess.run([SLIPWAY, *words.split()], capture_output=True, check=False)
            times.append(time.perf_counter() - start)
            codes.add(done.returncode)
        note = "" if codes == {0} else f"exit code {sorted(codes)}: is the stack up?"
        rows.append([f"slipway {words}", f"{statistics.median(times):.2f}", f"<= {bar}", note])
    table("commands, seconds (median)", ["command", "median", "bar", ""], rows)


if __name__ == "__main__":
    main()
