"""The DuckDB file: opened, locked, thrown away when it is damaged. Knows no events.

Every process that opens a workspace takes an index file of its own (`0.duckdb`, else `1.duckdb`, …),
since DuckDB lets one process write a file; each catches up from the journal by itself. Where no file
can be written the index lives in memory.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from raykqi.errors import Conflict, Damaged, RaykqiError, StorageFull

__all__ = ["START_HASH", "Connection", "Index", "IndexDamaged", "Position", "utc"]

log = logging.getLogger(__name__)

# Postings hold DuckDB's own hash, which may differ between its versions.
INDEX_FORMAT = f"4/{duckdb.__version__}"
Connection = duckdb.DuckDBPyConnection
START_HASH = "0" * 64
SLOTS = 16
_DISPOSABLE = (
    "posting",
    "arrangement",
    "meta",
    "run",
    "run_input",
    "data",
    "tag",
    "tag_past",
    "tombstone",
    "condemned",
    "plan",
    "plan_port",
    "plan_tag",
    "matched",
    "project",
    "member",
    "user_account",
    "token",
    "deed",
    "answered",
    "endpoint",
    "revision",
    "revision_move",
    "job",
)
_OUR_MISTAKES = (
    duckdb.ResourceInUseException,
    duckdb.ParserException,
    duckdb.BinderException,
    duckdb.ConversionException,
    duckdb.NotSupportedError,
)


class IndexDamaged(Damaged):
    """DuckDB could not read or write its file; rebuilding it helps."""


class Position(msgspec.Struct, frozen=True):
    """Up to which journal entry the index has come, and the highest numbers and id given so far."""

    seq: int = 0
    hash: str = START_HASH
    epoch: int = 0
    time: datetime = datetime.fromtimestamp(0, UTC)
    generation: int = 0
    runs: int = 0
    data: int = 0
    plans: int = 0
    ports: int = 0
    deeds: int = 0
    endpoints: int = 0
    moves: int = 0
    last_id: str = ""


def utc(moment: datetime) -> datetime:
    """DuckDB's zoneless instants are UTC here."""
    return moment.replace(tzinfo=UTC)


@contextmanager
def guarded() -> Iterator[None]:
    """DuckDB's errors in our words."""
    try:
        yield
    except _OUR_MISTAKES:
        raise
    except duckdb.InterruptException as error:
        raise KeyboardInterrupt from error
    except RuntimeError as error:
        # Ctrl-C while a query runs comes out of DuckDB as this, too.
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from error
        raise
    except duckdb.OutOfMemoryException as error:
        raise RaykqiError(f"the index is out of memory: {error}", hint="Ask for less at once.") from error
    except duckdb.Error as error:
        if "No space left" in str(error):
            raise StorageFull(f"the disk of the index is full: {error}", hint="Free space, then try again.") from error
        raise IndexDamaged(f"the index is damaged: {error}", hint="`raykqi rebuild` makes it anew.") from error


class Index:
    """One open index. Reads may come from many threads; `transaction` is for the one writer."""

    def __init__(self, directory: Path | None, workspace: str) -> None:
        self.workspace = workspace
        self._lock_file: int | None = None
        self._path = self._take_slot(directory) if directory else None
        self._local = threading.local()
        self._generation = 0
        self._is_closed = False
        self._connection: duckdb.DuckDBPyConnection
        self.writing = threading.RLock()
        try:
            self._connect()
        except IndexDamaged as error:
            log.warning("%s; it is made anew", error.message)
            self._begin_anew()

    @property
    def path(self) -> Path | None:
        return self._path

    @property
    def generation(self) -> int:
        """Another number each time the index was begun anew."""
        return self._generation

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """This thread's own cursor: it sees what is committed."""
        self._check_open()
        if getattr(self._local, "generation", None) != self._generation:
            with guarded():
                self._local.cursor = self._connection.cursor()
            self._local.generation = self._generation
        cursor: duckdb.DuckDBPyConnection = self._local.cursor
        return cursor

    def rows(self, sql: str, parameters: object = None) -> list[tuple[Any, ...]]:
        with guarded():
            return self.cursor().execute(sql, parameters).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Commit at the end, roll back on any exception."""
        with self.writing:
            self._check_open()
            connection = self._connection
            with guarded():
                connection.begin()
            try:
                with guarded():
                    yield connection
            except BaseException:
                self._roll_back(connection)
                raise
            with guarded():
                connection.commit()

    def position(self) -> Position:
        values = {str(key): str(value) for key, value in self.rows("SELECT key, value FROM meta")}
        return msgspec.json.decode(values["position"], type=Position)

    def _begin_anew(self) -> None:
        try:
            self.start_over()
        except IndexDamaged:
            # DuckDB still has a deleted file of this name open, for a workspace that was at this place before.
            self._path = None
            self.start_over()

    def start_over(self) -> None:
        """Throw the file away and begin an empty one."""
        with self.writing:
            self._check_open()
            self._disconnect()
            if self._path:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                for leftover in self._path.parent.glob(f"{self._path.name}*"):
                    leftover.unlink(missing_ok=True)
            self._connect()

    def close(self) -> None:
        with self.writing:
            self._is_closed = True
            self._disconnect()
            if self._lock_file is not None:
                os.close(self._lock_file)
                self._lock_file = None

    def _check_open(self) -> None:
        """The file may be another process's by now."""
        if self._is_closed:
            raise Conflict("the workspace is closed", hint="Open it again.")

    def _take_slot(self, directory: Path) -> Path | None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            for slot in range(SLOTS):
                lock = os.open(directory / f"{slot}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    os.close(lock)
                    continue
                self._lock_file = lock
                return directory / f"{slot}.duckdb"
        except OSError as error:
            log.warning("the index lives in memory, since %s cannot be written: %s", directory, error.strerror)
            return None
        log.warning("the index lives in memory, since %d processes already use %s", SLOTS, directory)
        return None

    def _connect(self) -> None:
        try:
            with guarded():
                self._open_file()
        except StorageFull:
            log.warning("the index lives in memory, since the disk of %s is full", self._path)
            self._path = None
            self._open_file()
        self._generation += 1

    def _open_file(self) -> None:
        self._connection = duckdb.connect(str(self._path) if self._path else ":memory:")
        try:
            self._connection.execute("SET preserve_insertion_order = true; SET enable_progress_bar = false")
            if not self._is_ours():
                self._create_tables()
        except BaseException:
            self._connection.close()
            raise

    def _is_ours(self) -> bool:
        connection = self._connection
        present = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        if not present:
            return False
        if not present.issuperset(_DISPOSABLE):
            raise IndexDamaged(f"the index {self._path} lacks tables")
        facts = dict(connection.execute("SELECT key, value FROM meta").fetchall())
        if facts.get("format") != INDEX_FORMAT or facts.get("workspace") != self.workspace:
            raise IndexDamaged(f"the index {self._path} is of another format or workspace")
        if "position" not in facts:
            raise IndexDamaged(f"the index {self._path} does not know its place in the journal")
        return True

    def _create_tables(self) -> None:
        from raykqi.catalog.tables import TABLES, columns_sql

        connection = self._connection
        connection.begin()
        for table in TABLES:
            connection.execute(f"CREATE TABLE {table.__tablename__} ({columns_sql(table)})")
        # Where `find` looks: tags by hash. Sorted at each rebuild, so that a tag is a few row groups.
        connection.execute("CREATE TABLE posting (hash UBIGINT NOT NULL, data BIGINT NOT NULL)")
        # Which data each input of a plan may take at this moment.
        connection.execute("CREATE TABLE matched (port BIGINT NOT NULL, data BIGINT NOT NULL)")
        connection.execute("CREATE TABLE arrangement AS SELECT 0::BIGINT AS sorted")
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?)",
            [
                ("format", INDEX_FORMAT),
                ("workspace", self.workspace),
                ("position", msgspec.json.encode(Position()).decode()),
            ],
        )
        connection.commit()

    def _disconnect(self) -> None:
        try:
            self._connection.close()
        except (duckdb.Error, AttributeError) as error:
            log.debug("closing the index: %s", error)

    def _roll_back(self, connection: duckdb.DuckDBPyConnection) -> None:
        try:
            connection.rollback()
        except duckdb.Error as error:
            log.debug("rolling back: %s", error)
