"""Run DuckDB so that it computes, and does nothing else.

Not here: the queries (`join`).

DuckDB is given Arrow batches and gives Arrow batches back. It opens no file but those that it
spills to, in a folder of ours; it loads no extension, reads no setting of the user, and has no
connection to anywhere.
"""

from __future__ import annotations

import os
import queue
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from hypernova.errors import MissingExtraError
from hypernova.table.scan.scratch import cannot_write_scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from hypernova.table.source import Source

# What DuckDB may hold before it spills, tried in turn: 192 MiB sufficed for 24 million outcomes of
# 3 million tasks, and 64 MiB did not.
MEMORY_LIMITS = ("256MiB", "1GiB", "4GiB")
_MAX_THREADS = 4
_RESULT_ROWS = 65536
_PAUSE_S = 0.05


def import_duckdb(source: Source) -> Any:
    """Return duckdb.

    Raises:
        MissingExtraError: DuckDB is not installed.
    """
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtraError(
            f"{source.label}: the outcomes are not in the order of the tasks, and joining them "
            'needs duckdb: pip install "hypernova-router[scale]", or sort them'
        ) from error
    return duckdb


class OutOfMemoryError(Exception):
    """DuckDB can neither hold nor spill what it needs."""


class _End(NamedTuple):
    """The end of a query, or its error."""

    error: BaseException | None


class DuckdbSession:
    """A database in memory that spills to a folder. Use `open_duckdb`.

    Queries run in a thread, so that the calling one can be interrupted: DuckDB would look for
    signals seconds later, and put an error of its own in place of the handler's.
    """

    def __init__(self, connection: Any, pyarrow: Any) -> None:
        self._connection, self._pa = connection, pyarrow
        self._stopped = False
        self._threads: list[threading.Thread] = []
        self.failure: BaseException | None = None  # of a stream that DuckDB was reading

    def give(self, name: str, schema: Any, batches: Callable[[], Iterable[Any]]) -> None:
        """Let queries read batches by a name, once."""

        def watched() -> Iterator[Any]:
            try:
                for batch in batches():
                    if self._stopped:
                        return
                    yield batch
            except GeneratorExit:  # DuckDB has failed, and reads no further
                raise
            except BaseException as error:
                # DuckDB would turn it into an error of its own.
                self.failure = error
                raise

        reader = self._pa.RecordBatchReader.from_batches(schema, watched())
        self._connection.register(name, reader)

    def run(self, statement: str) -> None:
        """Run a statement without a result."""

        def execute() -> Iterable[Any]:
            self._connection.execute(statement)
            return ()

        for _ in self._results(execute):
            pass

    def rows(self, query: str) -> Iterator[Any]:
        """Yield the result of a query, as pyarrow.RecordBatches."""
        return self._results(lambda: self._connection.sql(query).to_arrow_reader(_RESULT_ROWS))

    def _results(self, execute: Callable[[], Iterable[Any]]) -> Iterator[Any]:
        waiting: queue.Queue[Any] = queue.Queue(maxsize=2)

        def put(item: object) -> None:
            while not self._stopped:
                with suppress(queue.Full):
                    waiting.put(item, timeout=_PAUSE_S)
                    return

        def work() -> None:
            try:
                for batch in execute():
                    put(batch)
            except BaseException as error:
                put(_End(error))
            else:
                put(_End(None))

        thread = threading.Thread(target=work, name="hypernova-join", daemon=True)
        self._threads.append(thread)
        thread.start()
        try:
            while not isinstance(item := waiting.get(), _End):
                yield item
            thread.join()
            if item.error is not None:
                raise item.error
        finally:
            self._end(thread)

    def stop(self) -> None:
        """End all queries: whoever stopped reading one in the middle may still hold it."""
        for thread in self._threads:
            self._end(thread)

    def _end(self, thread: threading.Thread) -> None:
        while thread.is_alive():
            self._stopped = True
            with suppress(Exception):  # closed already, where nobody read to the end
                self._connection.interrupt()
            thread.join(_PAUSE_S)


@contextmanager
def open_duckdb(source: Source, pyarrow: Any, folder: Path, memory: str) -> Iterator[DuckdbSession]:
    """Open a session.

    Args:
        source: The table, for messages.
        pyarrow: The module.
        folder: An empty folder to spill to.
        memory: One of `MEMORY_LIMITS`.

    Raises:
        MissingExtraError: DuckDB is not installed.
        OutOfMemoryError: the memory is too little.
        TableWriteError: DuckDB cannot spill, as on a full disk.
    """
    duckdb = import_duckdb(source)
    settings = {
        "memory_limit": memory,
        "threads": min(_MAX_THREADS, os.cpu_count() or 1),
        "temp_directory": str(folder / "spilled"),
        "extension_directory": str(folder / "extensions"),
        "secret_directory": str(folder / "secrets"),
        "allow_persistent_secrets": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "python_enable_replacements": False,
        # Every query states its order.
        "preserve_insertion_order": False,
    }
    session: DuckdbSession | None = None
    try:
        connection = duckdb.connect(":memory:", config=settings)
        try:
            connection.execute(f"SET home_directory = '{os.devnull}'")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            session = DuckdbSession(connection, pyarrow)
            yield session
        finally:
            if session is not None:
                session.stop()  # a connection at work refuses to be closed
            connection.close()
    except BaseException as error:
        if session is not None and session.failure is not None:
            raise session.failure from None
        if isinstance(error, (duckdb.Error, pyarrow.ArrowException)):
            reason = " ".join(str(error).split())
            if "Out of Memory" in reason and memory != MEMORY_LIMITS[-1]:
                raise OutOfMemoryError from error
            raise cannot_write_scratch(folder, reason) from error
        raise
