# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The manifest: what is known of each file of a corpus, in one SQLite file that outlives any crash.

A row is `todo` (nobody has done it, or it could not be reached), `done` (smoothed; counts only while the output is
there with the recorded size) or `failed` (what the file holds cannot be smoothed; `error` says why). One process
writes, the driver; others may read meanwhile.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from ..utils.errors import SmoothNetError
from .inputs import Item
from .storage import join, sizes_in

VERSION = 1
CHUNK = 5000  # rows at a time, so that a million of them take no memory
RESULTS = {  # column: SQLite's type, and what it is
    "error": ("TEXT", "why it failed or could not be reached; of a shard, what its first bad sequence lacks"),
    "sha256": ("TEXT", "of the input"),
    "settings": ("TEXT", "sha256 of how it was smoothed, weights included; the table runs spells it out"),
    "sequences": ("INTEGER", "1, or as many as a shard holds"),
    "bad": ("INTEGER", "sequences of a shard that could not be smoothed and are in the output as they were"),
    "frames": ("INTEGER", "frames of all sequences"),
    "people": ("INTEGER", "tracks"),
    "fps": ("REAL", "frames a second; NULL where unknown"),
    "size_of_body": ("REAL", "RMS distance of the joints from their centre, in the file's unit"),
    "jitter_before": ("REAL", "mean norm of the second difference a frame^2, in the file's unit"),
    "jitter_after": ("REAL", "the same of the output"),
    "moved": ("REAL", "how far smoothing moved points: RMS, in the file's unit"),
    "moved_most": ("REAL", "the same: the largest"),
    "warning": ("TEXT", "where the file was hardly understood rightly, or what was removed looks like motion"),
    "out_size": ("INTEGER", "bytes of the output"),
    "out_sha256": ("TEXT", "of the output"),
    "seconds": ("REAL", "reading, smoothing and writing"),
}
_SCHEMA = f"""
CREATE TABLE runs (id INTEGER PRIMARY KEY, started TEXT, ended TEXT, settings TEXT, words TEXT, weights TEXT,
                   weights_sha256 TEXT, version TEXT, engine TEXT, out TEXT);
CREATE TABLE files (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, source TEXT NOT NULL, kind TEXT NOT NULL,
                    size INTEGER NOT NULL, stamp TEXT NOT NULL, run INTEGER NOT NULL, twice TEXT,
                    state TEXT NOT NULL CHECK (state IN ('todo', 'done', 'failed')),
                    {", ".join(f"{name} {kind}" for name, (kind, _) in RESULTS.items())});
CREATE INDEX files_by_state ON files (run, state, id);
PRAGMA user_version = {VERSION};
"""
_LIST = (
    """
INSERT INTO files (name, source, kind, size, stamp, run, state) VALUES (?, ?, ?, ?, ?, :run, 'todo')
ON CONFLICT (name) DO UPDATE SET
    twice = CASE WHEN run = excluded.run AND source <> excluded.source THEN excluded.source END,
    state = CASE WHEN kind = excluded.kind AND size = excluded.size AND stamp = excluded.stamp
                      AND (settings IS :settings OR state = 'todo') AND NOT (:retry AND (state = 'failed' OR bad > 0))
                 THEN state ELSE 'todo' END,
    source = excluded.source, kind = excluded.kind, size = excluded.size, stamp = excluded.stamp, run = excluded.run
""".replace(":run", "?6")
    .replace(":settings", "?7")
    .replace(":retry", "?8")
)


class Manifest:
    """The open manifest of one run. See open_manifest."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: int) -> None:
        self.path = path
        self.run = 0
        self.settings = ""
        self._db = connection
        self._lock = lock

    def begin(self, settings: str, **facts: str) -> None:
        """Note that a run begins, and how it smooths; further facts are columns of the table runs."""
        self.settings = settings
        columns = {"started": _now(), "settings": settings, **facts}
        with self._db:
            marks = ", ".join("?" * len(columns))
            done = self._db.execute(f"INSERT INTO runs ({', '.join(columns)}) VALUES ({marks})", [*columns.values()])
        self.run = int(done.lastrowid or 0)

    def take(self, items: Iterable[Item], retry: bool) -> int:
        """Take the inputs of this run; gives their number. What has changed since, or is new, is to do.

        Args:
            retry: what has failed is to do again.

        Raises:
            SmoothNetError: two inputs would become one output.
        """
        items, count = iter(items), 0
        while chunk := list(islice(items, CHUNK)):
            count += len(chunk)
            with self._db:
                self._db.executemany(
                    _LIST,
                    (
                        (_text(i.name), _text(i.source), i.kind, i.size, i.stamp, self.run, self.settings, retry)
                        for i in chunk
                    ),
                )
        clash = self._db.execute("SELECT source, twice FROM files WHERE run = ? AND twice > ''", [self.run]).fetchone()
        if clash:
            one, other = map(_name, clash)
            raise SmoothNetError(f"{other} and {one} would become one output; name a folder above both, or run twice")
        return count

    def lost(self, out: str) -> list[int]:
        """Ids of done rows whose output is not there with the recorded size."""
        rows = self._db.execute(
            "SELECT id, name, out_size FROM files WHERE run = ? AND state = 'done' ORDER BY id", [self.run]
        )
        lost: list[int] = []
        placed = ((number, *_split(_name(name)), size) for number, name, size in rows)
        for folder, group in groupby(placed, key=lambda row: row[1]):  # a listing a folder, not a look a file
            there = sizes_in(join(out, folder) if folder else out)
            lost += [number for number, _, name, size in group if there.get(name) != size]
        return lost

    def reopen(self, numbers: Sequence[int]) -> None:
        """These rows are to do again."""
        self._set("UPDATE files SET state = 'todo' WHERE id = ?", [[number] for number in numbers])

    def todo(self) -> Iterator[tuple[int, Item, bool]]:
        """Rows to do: id, input, and whether an output of it was made before. Rows may be written meanwhile."""
        last = 0
        while True:
            rows = self._db.execute(
                "SELECT id, name, source, kind, size, stamp, out_size IS NOT NULL FROM files "
                "WHERE run = ? AND state = 'todo' AND id > ? ORDER BY id LIMIT ?",
                [self.run, last, CHUNK // 5],
            ).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            for i, name, source, *rest, ours in rows:
                yield i, Item(_name(name), _name(source), *rest), bool(ours)

    def save(self, results: Sequence[tuple[int, str, dict[str, Any]]]) -> None:
        """Write what became of files, (id, state, columns of RESULTS), all or none; on the disk when it returns.

        Columns that are not given are emptied, except for those of an output that is still there.
        """
        sets = ", ".join(
            f"{name} = coalesce(:{name}, {name})" if name.startswith("out_") else f"{name} = :{name}"
            for name in RESULTS
        )
        self._set(
            f"UPDATE files SET state = :state, {sets} WHERE id = :id",
            [dict.fromkeys(RESULTS) | values | {"id": i, "state": state} for i, state, values in results],
        )

    def counts(self) -> dict[str, tuple[int, int]]:
        """State -> (files, bytes) of this run."""
        rows = self._db.execute("SELECT state, count(*), sum(max(size, 0)) FROM files WHERE run = ? GROUP BY state",
                                [self.run])  # fmt: skip
        return {state: (files, size) for state, files, size in rows}

    def select(self, what: str, rest: str = "", values: Sequence[Any] = ()) -> Iterator[tuple]:
        """Rows of this run, read as they are needed: SELECT what FROM files WHERE <this run> rest."""
        cursor = self._db.execute(f"SELECT {what} FROM files WHERE run = ? {rest}", [self.run, *values])
        for row in cursor:
            yield tuple(os.fsdecode(value) if isinstance(value, bytes) else value for value in row)

    def facts(self) -> dict[str, str]:
        """The row of the table runs."""
        cursor = self._db.execute("SELECT * FROM runs WHERE id = ?", [self.run])
        return dict(zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True))

    def close(self) -> None:
        """Note that the run has ended, and let others have the manifest."""
        with suppress(sqlite3.Error):
            if self.run:
                self._set("UPDATE runs SET ended = ? WHERE id = ?", [[_now(), self.run]])
        self._db.close()
        os.close(self._lock)

    def _set(self, statement: str, rows: Sequence[Any]) -> None:
        try:
            with self._db:
                self._db.executemany(statement, rows)
        except sqlite3.Error as error:
            raise SmoothNetError(f"cannot write the manifest {self.path}: {error}; free space, or mount it again, and "
                                 "start again: what is done stays done") from error  # fmt: skip


def open_manifest(path: Path) -> Manifest:
    """Open a manifest, or make it.

    Raises:
        SmoothNetError: it cannot be written, is none, is damaged, or another run has it.
    """
    if path.is_dir():
        raise SmoothNetError(f"the manifest {path} is a folder; name a file in it with --manifest")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise SmoothNetError(f"cannot write the manifest {path}: {error.strerror}; name another --manifest") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise SmoothNetError(f"another run has the manifest {path}; wait for it, or name another --manifest") from None
    connection = None
    try:
        connection = sqlite3.connect(path, timeout=60)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # a commit is on the disk
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and not connection.execute("SELECT * FROM sqlite_master").fetchone():
            connection.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
        elif version != VERSION:
            raise sqlite3.DatabaseError("it was written by another program, or another version of this one")
        elif (found := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(f"it is damaged ({' '.join(found.split())})")
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        os.close(lock)
        raise SmoothNetError(f"{path} cannot be used as the manifest: {error}; name another --manifest") from error
    return Manifest(path, connection, lock)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _split(name: str) -> tuple[str, str]:
    folder, _, last = name.rpartition("/")
    return folder, last


def _text(name: str) -> str | bytes:
    """A file name for SQLite, whose texts are UTF-8; others are kept as bytes."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return os.fsencode(name)
    return name


def _name(value: str | bytes) -> str:
    return os.fsdecode(value) if isinstance(value, bytes) else value
