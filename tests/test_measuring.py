"""What the benchmarks measure with: whole processes, and how a curve grows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import processes
from bench.bench_scale import CURVES, Point, draw, exponent
from tests.conftest import ROOT

HOLD = "import time; held = bytearray(80 << 20); time.sleep(0.5)"


def point(specs: int, value: float) -> Point:
    return Point(specs=specs, cold=value, graph=value, warm=value, cold_memory=value, warm_memory=value)


def measured(*words: str) -> dict[str, float]:
    """Of a process that a small one starts: Linux counts what the starter held at the fork as the started one's peak,
    and this test may run where a thousand others ran before."""
    code = "import json, sys; from bench import processes; ran = processes.run(sys.argv[1:]); "
    code += "print(json.dumps({each: getattr(ran, each) for each in ('code', 'seconds', 'peak', 'together')}))"
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def test_the_memory_of_a_process_and_of_its_children_is_seen() -> None:
    alone = measured(sys.executable, "-c", HOLD)
    two = f"import subprocess, sys; a = subprocess.Popen([sys.executable, '-c', '{HOLD}']); {HOLD}; a.wait()"
    both = measured(sys.executable, "-c", two)
    assert alone["code"] == both["code"] == 0
    assert alone["seconds"] > 0.5
    assert 80 < alone["peak"] < 160
    assert 80 < both["peak"] < 160 < both["together"]


def test_what_a_process_says_and_how_it_ends_is_kept() -> None:
    ran = processes.run([sys.executable, "-c", "import sys; print('x' * 200_000); sys.exit(3)"])
    assert (ran.code, len(ran.out)) == (3, 200_001)


@pytest.mark.parametrize("power", [1, 2])
def test_the_exponent_tells_linear_from_quadratic(power: int) -> None:
    points = [point(specs, 0.001 * specs**power) for specs in (500, 1000, 5000)]
    assert abs(exponent(CURVES[0], points) - power) < 0.001


def test_equal_points_give_an_equal_picture(tmp_path: Path) -> None:
    points = [point(specs, 0.01 * specs) for specs in (500, 1000, 5000)]
    for name in ("one.svg", "two.svg"):
        draw(points, tmp_path / name)
    one, two = (tmp_path / name for name in ("one.svg", "two.svg"))
    assert one.read_bytes() == two.read_bytes()
    assert all(curve.title in one.read_text() for curve in CURVES)
