"""The parts of an assembly that need no container: a database at rest, and the lists that scanners read."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from release.errors import Broken
from release.tools.rpmroot import manifests, output, rest, run

PACKAGE = {
    "name": "bash",
    "version": "5.2",
    "release": "1.sk1",
    "epoch": 2,
    "arch": "x86_64",
    "vendor": "",
    "size": 100,
    "build_time": 10,
    "install_time": 20,
    "source_rpm": "",
}


def database_in(folder: Path, *, detours: int) -> Path:
    """A database in the mode that rpm uses, with the same rows after more or less of a history."""
    folder.mkdir()
    with closing(sqlite3.connect(folder / "rpmdb.sqlite")) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)")
        for _ in range(detours):
            database.execute("INSERT INTO Packages (blob) VALUES (?)", (os.urandom(5000),))
            database.commit()
        database.execute("DELETE FROM Packages")
        database.executemany("INSERT INTO Packages VALUES (?, ?)", [(n, bytes([n]) * 3000) for n in range(1, 20)])
        database.commit()
    for name in (".rpm.lock", "rpmdb.sqlite-wal", "rpmdb.sqlite-shm"):
        (folder / name).touch()
    return folder


def test_equal_content_is_equal_bytes_whatever_happened_before(tmp_path: Path) -> None:
    folders = [database_in(tmp_path / str(detours), detours=detours) for detours in (0, 9)]
    before = [(folder / "rpmdb.sqlite").read_bytes() for folder in folders]
    for folder in folders:
        rest(folder)
    after = [(folder / "rpmdb.sqlite").read_bytes() for folder in folders]
    assert before[0] != before[1] and after[0] == after[1]


def test_a_database_at_rest_can_be_read_where_nothing_can_be_written(tmp_path: Path) -> None:
    folder = database_in(tmp_path / "db", detours=1)
    rest(folder)
    content = (folder / "rpmdb.sqlite").read_bytes()
    assert content[18:20] == b"\x01\x01"  # sqlite.org/fileformat.html, 1.3.3: 2 would be a write-ahead log
    assert [each.name for each in folder.iterdir()] == ["rpmdb.sqlite"]
    assert (folder / "rpmdb.sqlite").stat().st_mode & 0o777 == 0o644


def test_another_kind_of_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "Packages.db").touch()
    with pytest.raises(Broken, match="no sqlite database") as caught:
        rest(tmp_path)
    assert "%_db_backend sqlite" in (caught.value.hint or "")


def test_the_lists_have_the_columns_that_scanners_count_on() -> None:
    other = {**PACKAGE, "name": "tar", "vendor": "Skiff Project", "source_rpm": "tar-1.src.rpm", "epoch": 0}
    names, table = manifests([PACKAGE, other])
    assert names == "bash-5.2-1.sk1.x86_64\ntar-5.2-1.sk1.x86_64\n"
    assert table == (
        "bash\t5.2-1.sk1\t20\t10\t(none)\t(none)\t100\tx86_64\t2\t(none)\n"
        "tar\t5.2-1.sk1\t20\t10\tSkiff Project\t(none)\t100\tx86_64\t0\ttar-1.src.rpm\n"
    )


def test_a_tool_that_fails_is_told_with_the_end_of_what_it_said() -> None:
    assert run(["sh", "-c", "echo out; echo err >&2; exit 7"]) == (7, "out\nerr\n")
    with pytest.raises(Broken, match="sh failed with exit code 7") as caught:
        output(["sh", "-c", "seq 100; exit 7"])
    assert (caught.value.got or "").splitlines() == [str(number) for number in range(81, 101)]
