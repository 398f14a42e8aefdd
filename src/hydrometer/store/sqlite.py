"""The store: one SQLite file that several processes of one machine may share."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from pydantic import ValidationError

from hydrometer import digest
from hydrometer.types import HydrometerError, Run, Stored, Verdict

SCHEMA_VERSION = 1
APPLICATION_ID = int.from_bytes(b"HYDR")
"""Written into the file's header: an SQLite file without it belongs to another program."""

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS runs (
        key TEXT PRIMARY KEY, set_digest TEXT NOT NULL, source_digest TEXT NOT NULL,
        recipe_digest TEXT NOT NULL, seed INTEGER NOT NULL, status TEXT NOT NULL,
        test_accuracy REAL NOT NULL, created REAL NOT NULL, json TEXT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS runs_by_set ON runs (set_digest, recipe_digest, seed)",
    "CREATE INDEX IF NOT EXISTS runs_by_recipe ON runs (recipe_digest)",
    "CREATE INDEX IF NOT EXISTS runs_by_source ON runs (source_digest)",
    """CREATE TABLE IF NOT EXISTS verdicts (
        digest TEXT PRIMARY KEY, protocol TEXT NOT NULL, set_digest TEXT NOT NULL,
        source_digest TEXT NOT NULL, created REAL NOT NULL, json TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS claims (
        key TEXT PRIMARY KEY, owner TEXT NOT NULL, since REAL NOT NULL, seconds REAL NOT NULL)""",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)

# A claim is stale when its time is up. One that begins more than its own length in the future was
# made before the clock was set back; a smaller lead may be a clock that is a little off.
_CLAIM = """
    INSERT INTO claims (key, owner, since, seconds)
    SELECT :key, :owner, :now, :seconds WHERE NOT EXISTS (SELECT 1 FROM runs WHERE key = :key)
    ON CONFLICT (key) DO UPDATE
    SET owner = excluded.owner, since = excluded.since, seconds = excluded.seconds
    WHERE claims.owner = excluded.owner
       OR :now >= claims.since + claims.seconds OR :now < claims.since - claims.seconds"""

_FILTERS = ("key", "set_digest", "source_digest", "recipe_digest", "seed", "status")

_DAMAGED = "it is damaged; put back a copy, or move it away and start a new one"
_ADVICE = {
    # A full disk has no room for the index of the log, which even a reader needs.
    sqlite3.SQLITE_IOERR_SHMSIZE: "the disk is full; free some space and start again, nothing is lost",
    sqlite3.SQLITE_IOERR_SHMMAP: "the disk is full; free some space and start again, nothing is lost",
    sqlite3.SQLITE_FULL: "the disk is full; free some space and start again, nothing is lost",
    sqlite3.SQLITE_READONLY: "it is read-only; copy it to a folder you may write to",
    sqlite3.SQLITE_NOTADB: "it is not a store; give another path",
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_BUSY: "another process has kept it locked; see which, then start again",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; its folder must exist and be writable",
    sqlite3.SQLITE_IOERR: "the disk fails to read or write it; use a local disk",
}

_RETRY_SECONDS = 0.01

Row = TypeVar("Row", bound=Stored)


class Store:
    """Runs, verdicts and claims on trials; every row is on disk when the call that adds it returns.

    A store is made where there is none. It belongs to the thread that opened it; other processes
    open their own on the same path, on a local disk (write-ahead logging needs shared memory).

    Raises:
        HydrometerError: From every method, when the file is not a store, is newer than this program
            (it is then left untouched), damaged, read-only, locked for `wait_seconds`, or the
            disk is full.
    """

    def __init__(self, path: Path | str, *, wait_seconds: float = 60.0) -> None:
        self.path = Path(path)
        self._wait_seconds = wait_seconds
        if self.path.is_dir():
            example = self.path / "runs.sqlite"
            raise HydrometerError(f"store {self.path} is a folder; name a file, such as {example}")
        with self._explained():
            self._db = sqlite3.connect(self.path, timeout=wait_seconds, isolation_level=None)
        try:
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; the store cannot be used afterwards."""
        self._db.close()

    def check(self) -> None:
        """Read the whole file once, and refuse it if a page is damaged; about a second for 200 MB."""
        with self._explained():
            (said,) = self._execute("PRAGMA quick_check(1)").fetchone()
        if said != "ok":
            raise HydrometerError(f"store {self.path}: {said}: {_DAMAGED}")

    def add(self, run: Run) -> bool:
        """Keep a run; False if its key is there already, whose row then stays as it is."""
        row = (
            run.key,
            run.set_digest,
            run.source_digest,
            run.recipe_digest,
            run.seed,
            run.status,
            run.test_accuracy,
            time.time(),
            _dump(run),
        )
        marks = ", ".join("?" * len(row))
        return self._change(f"INSERT INTO runs VALUES ({marks}) ON CONFLICT (key) DO NOTHING", row)

    def get(self, key: str) -> Run | None:
        """The run of this key, if there is one."""
        return self.get_many([key]).get(key)

    def get_many(self, keys: Iterable[str]) -> Mapping[str, Run]:
        """Those runs of these keys that there are, by key."""
        wanted = json.dumps(list(keys))
        query = "SELECT json FROM runs WHERE key IN (SELECT value FROM json_each(?))"
        return {run.key: run for run in self._read(Run, query, (wanted,))}

    def runs(self, **filters: str | int) -> list[Run]:
        """All runs, or those with these values, such as `seed=0`, in the order they were added."""
        unknown = [name for name in filters if name not in _FILTERS]
        if unknown:
            known = ", ".join(_FILTERS)
            raise HydrometerError(f"runs have no filter {unknown[0]!r}; known: {known}")
        where = " AND ".join([f"{name} = ?" for name in filters]) or "1"
        query = f"SELECT json FROM runs WHERE {where} ORDER BY rowid"
        return self._read(Run, query, tuple(filters.values()))

    def count(self) -> int:
        """How many runs there are."""
        with self._explained():
            return int(self._execute("SELECT count(*) FROM runs").fetchone()[0])

    def add_verdict(self, verdict: Verdict) -> bool:
        """Keep a verdict; False if the very same one is there already."""
        text = _dump(verdict)
        row = (
            digest.of(text),
            verdict.protocol,
            verdict.set_digest,
            verdict.source_digest,
            time.time(),
            text,
        )
        marks = ", ".join("?" * len(row))
        return self._change(
            f"INSERT INTO verdicts VALUES ({marks}) ON CONFLICT (digest) DO NOTHING", row
        )

    def verdicts(self) -> list[Verdict]:
        """All verdicts, in the order they were added."""
        return self._read(Verdict, "SELECT json FROM verdicts ORDER BY rowid", ())

    def judged(self, set_digest: str | None = None) -> set[tuple[str, str]]:
        """Set digest and protocol of every verdict, or of those on one set."""
        query = "SELECT DISTINCT set_digest, protocol FROM verdicts"
        with self._explained():
            if set_digest is None:
                return set(self._execute(query))
            return set(self._execute(f"{query} WHERE set_digest = ?", (set_digest,)))

    def claim(self, key: str, owner: str, seconds: float) -> bool:
        """Reserve a trial for an owner, unless it is done or reserved by another.

        `owner` names one process, such as host and process id; its repeated claim is renewed. A
        claim ends after `seconds`, so that the trials of a process that died become free.
        """
        values = {"key": key, "owner": owner, "now": time.time(), "seconds": seconds}
        return self._change(_CLAIM, values)

    def claimant(self, key: str) -> str | None:
        """Who has reserved a trial, whether or not the claim still holds."""
        with self._explained():
            row = self._execute("SELECT owner FROM claims WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def claimants(self) -> set[str]:
        """Owners of a claim that still holds."""
        holds = ":now BETWEEN since - seconds AND since + seconds"
        query = f"SELECT DISTINCT owner FROM claims WHERE {holds}"
        with self._explained():
            return {str(owner) for (owner,) in self._execute(query, {"now": time.time()})}

    def release(self, key: str, owner: str) -> None:
        """Give back a trial; one that another owner has taken over stays theirs."""
        self._change("DELETE FROM claims WHERE key = ? AND owner = ?", (key, owner))

    def _prepare(self) -> None:
        is_new = self._recognise() == 0
        with self._explained():
            self._execute("PRAGMA journal_mode = WAL")
            self._execute("PRAGMA synchronous = FULL")
            if is_new:
                self._execute("BEGIN IMMEDIATE")
                for statement in _SCHEMA:
                    self._execute(statement)
                self._execute("COMMIT")

    def _recognise(self) -> int:
        """The schema version; files of other programs and of newer versions stay untouched."""
        with self._explained():
            version, application, tables = self._execute(
                "SELECT user_version, application_id, (SELECT count(*) FROM sqlite_master)"
                " FROM pragma_user_version, pragma_application_id"
            ).fetchone()
        if tables and application != APPLICATION_ID:
            raise HydrometerError(
                f"store {self.path} is a database of another program; give another path"
            )
        if version > SCHEMA_VERSION:
            raise HydrometerError(
                f"store {self.path} has schema version {version}, and this program knows versions"
                f" up to {SCHEMA_VERSION}; upgrade hydrometer, or give another path"
            )
        return int(version)

    def _execute(
        self, statement: str, values: tuple[object, ...] | dict[str, object] = ()
    ) -> sqlite3.Cursor:
        # SQLite itself waits for most locks, but not while the log is set up or cleaned away.
        deadline = time.monotonic() + self._wait_seconds
        while True:
            try:
                return self._db.execute(statement, values)
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() >= deadline:
                    raise
            time.sleep(_RETRY_SECONDS)

    def _change(self, statement: str, values: tuple[object, ...] | dict[str, object]) -> bool:
        with self._explained():
            return self._execute(statement, values).rowcount == 1

    def _read(self, kind: type[Row], query: str, values: tuple[object, ...]) -> list[Row]:
        with self._explained():
            texts = self._execute(query, values).fetchall()
        try:
            return [kind.model_validate_json(text) for (text,) in texts]
        except ValidationError as error:
            raise HydrometerError(
                f"store {self.path} has a {kind.__name__.lower()} that cannot be read: {error}"
            ) from error

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what SQLite reports about the file into an error that says what to do."""
        try:
            yield
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0)
            advice = _ADVICE.get(code) or _ADVICE.get(code & 0xFF, "see the message")
            raise HydrometerError(f"store {self.path}: {error}: {advice}") from error


def _dump(thing: Stored) -> str:
    # Not model_dump_json: it writes the losses of a diverged run, NaN, as null, which is no float.
    return json.dumps(thing.model_dump(mode="json"), separators=(",", ":"))
