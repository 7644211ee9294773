"""The cache of facts: whole entries, whoever writes and whoever is killed, and never too many."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from release.errors import Broken
from release.tools.fact_cache import FactCache

WRITER = """
import sys
from pathlib import Path
from release.tools.fact_cache import FactCache
cache = FactCache(Path(sys.argv[1]))
for n in range(int(sys.argv[3])):
    cache.put({f"{sys.argv[2]}-{n}-{m}": "x" * 1000 for m in range(10)})
    if n == 0:
        print("writing", flush=True)
"""


def writer(path: Path, name: str, rounds: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(rounds)], stdout=subprocess.PIPE, text=True
    )


def test_gives_back_what_was_put(tmp_path: Path) -> None:
    cache = FactCache(tmp_path / "below" / "facts.sqlite")
    assert cache.get(["a"]) == {}
    cache.put({"a": "1", "b": "2"})
    cache.put({"a": "3"})
    assert FactCache(tmp_path / "below" / "facts.sqlite").get(["a", "b", "c"]) == {"a": "3", "b": "2"}


def test_gives_back_thousands_at_once(tmp_path: Path) -> None:
    cache = FactCache(tmp_path / "facts.sqlite")
    many = {f"key {n}": str(n) for n in range(3000)}
    cache.put(many)
    assert cache.get(many) == many


def test_several_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "facts.sqlite"
    writers = [writer(path, name, 20) for name in "abc"]
    assert [each.communicate() for each in writers] == [("writing\n", None)] * 3
    keys = [f"{name}-{n}-{m}" for name in "abc" for n in range(20) for m in range(10)]
    assert len(FactCache(path).get(keys)) == len(keys)


def test_a_killed_writer_leaves_whole_entries_and_stops_nobody(tmp_path: Path) -> None:
    path = tmp_path / "facts.sqlite"
    process = writer(path, "killed", 100000)
    assert process.stdout
    process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    cache = FactCache(path)
    cache.put({"after": "1"})
    keys = [f"killed-0-{m}" for m in range(10)]
    assert cache.get([*keys, "after"]) == dict.fromkeys(keys, "x" * 1000) | {"after": "1"}


def test_forgets_what_nobody_asked_for_the_longest(tmp_path: Path) -> None:
    path = tmp_path / "facts.sqlite"
    cache = FactCache(path, limit=1 << 20)
    cache.put({f"old {n}": "x" * 1000 for n in range(600)})
    with sqlite3.connect(path) as database:
        database.execute("update facts set used = 1")
    kept = [f"old {n}" for n in range(10)]
    cache.get(kept)
    for n in range(20):
        cache.put({f"new {n} {m}": "x" * 1000 for m in range(30)})
    assert set(cache.get(kept)) == set(kept)
    assert path.stat().st_size < 4 << 20
    assert len(cache.get(f"old {n}" for n in range(10, 600))) < 100


@pytest.mark.parametrize("damage", [b"no database at all, and longer than a header of one hundred bytes " * 4, b"S"])
def test_a_damaged_file_is_begun_anew(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "facts.sqlite"
    path.write_bytes(damage)
    cache = FactCache(path)
    cache.put({"a": "1"})
    assert cache.get(["a"]) == {"a": "1"}


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Broken, match="the cache of specs does not work"):
        FactCache(tmp_path / "file" / "facts.sqlite").put({"a": "1"})
