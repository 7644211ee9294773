"""Remembers the facts of specs under the digest of all that reading them could see: one SQLite file, bounded."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from release.errors import Broken

LIMIT = 256 << 20
_DAY = 24 * 3600
_WAIT_SECONDS = 60.0
_AT_ONCE = 500  # SQLite: at most 999 parameters in old builds
_SCHEMA = """
create table if not exists facts (key text primary key, used integer, size integer, value text);
create index if not exists by_use on facts (used, size);
"""


class FactCache:
    """A map from digest to text in the file `path`, for any number of processes at once.

    A write is there whole or not at all, whoever is killed when (SQLite, WAL). Entries that nobody asked for the
    longest go when all are above `limit` characters. A damaged file is begun anew: it holds nothing that cannot be
    read again. Methods block.
    """

    def __init__(self, path: Path, *, limit: int = LIMIT) -> None:
        self._path = path
        self._limit = limit

    def get(self, keys: Iterable[str]) -> Mapping[str, str]:
        """The entries of those keys that are known."""
        wanted, found, today = list(dict.fromkeys(keys)), {}, int(time.time()) // _DAY
        with self._open() as database:
            stale = []
            for start in range(0, len(wanted), _AT_ONCE):
                some = wanted[start : start + _AT_ONCE]
                marks = ",".join("?" * len(some))
                for key, used, value in database.execute(
                    f"select key, used, value from facts where key in ({marks})",  # noqa: S608 - marks only
                    some,
                ):
                    found[key] = value
                    if used != today:
                        stale.append((today, key))
            if stale:
                database.executemany("update facts set used = ? where key = ?", stale)
        return found

    def put(self, entries: Mapping[str, str]) -> None:
        """Add entries, and forget old ones where that is too much."""
        if not entries:
            return
        today = int(time.time()) // _DAY
        with self._open() as database:
            rows = [(key, today, len(value), value) for key, value in entries.items()]
            database.executemany("insert or replace into facts values (?, ?, ?, ?)", rows)
            self._forget(database)

    def _forget(self, database: sqlite3.Connection) -> None:
        """Half of the entries, oldest first, when they are too much together; SQLite uses their place again."""
        (size,) = database.execute("select sum(size) from facts").fetchone()
        if size > self._limit:
            database.execute(
                "delete from facts where key in "
                "(select key from facts order by used limit (select count(*) / 2 from facts))"
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection in one transaction."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._connect()) as database, database:
                yield database
        except (sqlite3.Error, OSError) as error:
            self._drop_damaged(error)
            raise Broken("the cache of specs does not work", where=str(self._path), got=error) from error

    def _connect(self) -> sqlite3.Connection:
        try:
            return self._ready()
        except sqlite3.DatabaseError as error:
            self._drop_damaged(error)
            return self._ready()

    def _drop_damaged(self, error: Exception) -> None:
        """Remove the file where SQLite cannot read it; it is not damaged where it is only locked, or the disk full."""
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(f"{self._path.name}{suffix}").unlink(missing_ok=True)

    def _ready(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=_WAIT_SECONDS)
        try:
            database.execute("pragma journal_mode = wal")
            database.execute("pragma synchronous = normal")
            database.executescript(_SCHEMA)
        except BaseException:
            database.close()
            raise
        return database
