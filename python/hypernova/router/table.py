"""Route a table of prompts, chunk by chunk, into one Parquet file of decisions.

Not here: the decision, which the core makes; the rows of decisions (``table_rows``), and the files
of prompts (`hypernova.table.prompts`). pyarrow is imported on first use.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing, contextmanager
from copy import copy
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from hypernova._core import Decisions, __version__
from hypernova.errors import (
    HypernovaError,
    NoCandidateError,
    NovelPromptError,
    PolicyError,
    WriteError,
)
from hypernova.events import Stopwatch, notify
from hypernova.parallel import HERE, Mapper, Stop, calls_in_threads, default_jobs, pickles
from hypernova.paths import cannot_write, check_file, path_label, replacing
from hypernova.progress import progress_bar
from hypernova.router.chunk_vectors import embed_chunk, vector_dim
from hypernova.router.lengths import with_length, with_lengths
from hypernova.router.routed import RoutedTable
from hypernova.router.table_rows import decision_columns, import_pyarrow, rows_of, rows_of_each
from hypernova.table.prompts import PromptTable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from numpy.typing import NDArray

    from hypernova._core import Decision
    from hypernova.events import DecisionEvent
    from hypernova.route_options import BatchRouteOptions, RouteOptions
    from hypernova.router.lifecycle import RouterLifecycle
    from hypernova.table.prompts import PromptChunk

# Chunks that are written at a time, as one row group.
_GROUP_CHUNKS = 8
# The step of SplitMix64, by which the core draws the n-th number of a seed.
_SEED_STEP = 0x9E37_79B9_7F4A_7C15
_SEEDS = 2**64


def route_table(
    router: RouterLifecycle,
    prompts: str | os.PathLike[str],
    decisions: str | os.PathLike[str],
    options: RouteOptions,
    *,
    engine: str,
    jobs: int | None,
    progress: bool,
) -> RoutedTable:
    """Route a table; see `hypernova.Router.route_table`."""
    started = time.perf_counter()
    mapper = Mapper.of(engine, jobs, PolicyError)
    check_file(decisions, inputs=[prompts])
    target = Path(decisions)
    if target.suffix.lower() != ".parquet":
        raise WriteError(
            f"{path_label(decisions)}: decisions are written as Parquet; name a .parquet file"
        )
    observed = bool(router._observers.on_decision)
    by_default = jobs is None and mapper.engine == "local"
    if observed and by_default:
        mapper = HERE
    if observed and not mapper.here:
        raise PolicyError(
            "the router has observers, which are called in this process alone: leave engine and "
            "jobs out, or route with a router without observers"
        )
    fixed = copy(router)  # a reload meanwhile changes nothing
    options = _settled(options)
    # Wrong options are refused here, and not after a chunk was embedded.
    fixed.artifact.decide_many(np.empty((0, fixed.artifact.dim), np.float32), **options)
    dim = vector_dim(fixed)
    table = PromptTable.scan(prompts, vectors=dim is not None)
    check_file(decisions, inputs=table.files)
    if dim is None:
        _ = fixed.embedder  # loaded, or refused
    threads = 1
    if by_default and not observed:
        if dim is not None or fixed._serving.is_quick:
            # The core does nearly all of the work, and holds no interpreter's lock meanwhile.
            mapper, threads = HERE, default_jobs()
        elif not pickles(fixed):
            mapper = HERE
    if threads > 1:
        parts = _routed_in_threads(fixed, table, dim, options, threads, progress)
    elif mapper.here:
        parts = _routed_here(router, fixed, table, dim, options, progress)
    else:
        parts = _routed_elsewhere(fixed, table, dim, options, mapper, progress)
    counts: Counter[str | None] = Counter()
    with decision_writer(target, fixed, table, options) as write, closing(parts):
        for rows in parts:
            for found in rows.column("model").value_counts().to_pylist():
                counts[found["values"]] += found["counts"]
            write(rows)
    n_errors = counts.pop(None, 0)
    n_decided = counts.total()
    return RoutedTable(
        path=target,
        n_prompts=n_decided + n_errors,
        n_decided=n_decided,
        n_errors=n_errors,
        model_counts={str(model): count for model, count in counts.most_common()},
        duration_s=time.perf_counter() - started,
    )


def _doing(table: PromptTable) -> str:
    return f"routing {path_label(table.path.name)}"


def _routed_here(
    router: RouterLifecycle,
    fixed: RouterLifecycle,
    table: PromptTable,
    dim: int | None,
    options: RouteOptions,
    progress: bool,
) -> Generator[Any, None, None]:
    """Yield the decisions of each chunk, made one after the other; observers are called."""
    observed = bool(router._observers.on_decision)
    with progress_bar(table.n_prompts, _doing(table), progress) as tick:
        for chunk in table.chunks(dim=dim):
            rows, event = _route_chunk(fixed, chunk, options, tick, observed=observed)
            if event is not None:
                notify(router._observers.on_decision, event)
            yield rows


def _routed_in_threads(
    router: RouterLifecycle,
    table: PromptTable,
    dim: int | None,
    options: RouteOptions,
    threads: int,
    progress: bool,
) -> Generator[Any, None, None]:
    """Yield the decisions of each chunk, made in threads, in the order of the chunks."""
    stop = Stop()

    def go_on(_: int) -> None:
        stop.check()

    calls = (
        partial(_route_chunk, router, chunk, options, go_on) for chunk in table.chunks(dim=dim)
    )
    with (
        progress_bar(table.n_prompts, _doing(table), progress) as tick,
        closing(calls_in_threads(calls, threads, stop)) as done,
    ):
        for rows, _ in done:
            tick(rows.num_rows)
            yield rows


def _routed_elsewhere(
    router: RouterLifecycle,
    table: PromptTable,
    dim: int | None,
    options: RouteOptions,
    mapper: Mapper,
    progress: bool,
) -> Generator[Any, None, None]:
    """Yield the decisions of each chunk, made in other processes, in the order of the chunks."""

    def calls() -> Iterator[partial[Any]]:
        if mapper.engine == "ray" and table.n_chunks is not None:
            # Where all calls are made up first, they name their chunk and do not carry it.
            for index in range(table.n_chunks):
                yield partial(route_nth_chunk, router, table, index, options)
        else:
            for chunk in table.chunks(dim=dim):
                yield partial(route_chunk, router, chunk, options)

    yield from mapper.map(
        calls(),
        total=table.n_chunks,
        description=_doing(table),
        progress=progress,
        shared=(router, table),
    )


def route_chunk(router: RouterLifecycle, chunk: PromptChunk, options: RouteOptions) -> Any:
    """Decide for the prompts of one chunk. All arguments pickle; observers are not called.

    Args:
        router: The router.
        chunk: Successive prompts of a table, or their vectors.
        options: As `hypernova.Router.route` takes them. The draws of ``explore_seed`` are those
            that the whole table has there.

    Returns:
        A pyarrow.Table with a row for each prompt, as `hypernova.Router.route_table` writes it.

    Raises:
        EmbedderError: The embedder failed; other errors of one prompt are in the column ``error``.
        UnknownModelError: As in `hypernova.Router.route`, like the next.
        PolicyError: An option is out of range.
    """
    return _route_chunk(router, chunk, options, None)[0]


def route_nth_chunk(
    router: RouterLifecycle, table: PromptTable, index: int, options: RouteOptions
) -> Any:
    """Read one chunk of a table and decide for its prompts, as `route_chunk` does.

    Args:
        router: The router.
        table: A table whose ``n_chunks`` is known; its files are read here.
        index: Index of the chunk, from 0.
        options: As in `route_chunk`.

    Returns:
        A pyarrow.Table, as from `route_chunk`.

    Raises:
        TableError: A row is malformed, or the files have changed.
        EmbedderError: As in `route_chunk`, like all that follows.
    """
    return route_chunk(router, table.chunk(index, dim=vector_dim(router)), options)


def _route_chunk(
    router: RouterLifecycle,
    chunk: PromptChunk,
    options: RouteOptions,
    tick: Callable[[int], None] | None,
    *,
    observed: bool = False,
) -> tuple[Any, DecisionEvent | None]:
    """Decide for a chunk, as `route_chunk` does; with its event if there are observers."""
    errors: list[str | None] = [None] * len(chunk)
    stopwatch = Stopwatch()
    vectors = chunk.vectors
    if vectors is None:
        vectors = embed_chunk(router, chunk, errors, tick)
    elif tick is not None:
        tick(len(chunk))
    stopwatch.embedded()
    decisions = _decide(router, vectors, options, chunk, errors)
    event = None
    if observed:
        # A decision is an object only where somebody looks at it.
        decided = tuple(
            decision
            for decision, problem in zip(decisions, errors, strict=True)
            if decision is not None and problem is None
        )
        event = stopwatch.decided(decided) if decided else None
    if isinstance(decisions, Decisions):
        return rows_of(chunk, decisions, errors), event
    return rows_of_each(router.artifact.models, chunk, decisions, errors), event


def _decide(
    router: RouterLifecycle,
    vectors: NDArray[np.float32],
    options: RouteOptions,
    chunk: PromptChunk,
    errors: list[str | None],
) -> Decisions | list[Decision | None]:
    """Decide for all rows; note the error of each row that has no decision.

    Returns:
        The decisions as columns, where those of rows with an error mean nothing; or one by one,
        None for such a row.
    """
    artifact, start = router.artifact, chunk.start
    prompts = [prompt or "" for prompt in chunk.prompts]
    batch = cast("BatchRouteOptions", _options_at(options, start))
    batch = with_lengths(batch, prompts) if chunk.vectors is None else batch
    with contextlib.suppress(NoCandidateError, NovelPromptError):  # of some row
        return artifact.decide_many(vectors, **batch)
    decisions: list[Decision | None] = []
    for at, vector in enumerate(vectors):  # it takes little more one by one
        decision = None
        if errors[at] is None:
            try:
                own = with_length(options, prompts[at]) if prompts else options
                decision = artifact.decide(vector, **_options_at(own, start + at))
            except (NoCandidateError, NovelPromptError) as error:
                errors[at] = str(error)
        decisions.append(decision)
    return decisions


def _settled(options: RouteOptions) -> RouteOptions:
    """Return options that hold for all chunks, wherever they are routed.

    Collections are copied, since an iterator is read once, and a seed is drawn where models are:
    any chunk can then be decided again.
    """
    settled = {name: value for name, value in options.items() if value is not None}
    for name in ("allow", "deny", "prices"):
        value = settled.get(name)
        if isinstance(value, Mapping):
            settled[name] = dict(value)
        elif isinstance(value, Iterable) and not isinstance(value, str):
            settled[name] = tuple(value)
    if settled.get("explore") and "explore_seed" not in settled:
        settled["explore_seed"] = int.from_bytes(os.urandom(8), "little")
    return cast("RouteOptions", settled)


def _options_at(options: RouteOptions, start: int) -> RouteOptions:
    """Return the options for a matrix that begins at a row of the table.

    Its n-th row then draws what row ``start + n`` of the table's one matrix would.
    """
    seed = options.get("explore_seed")
    if seed is None or not start:
        return options
    return {**options, "explore_seed": (int(seed) + _SEED_STEP * start) % _SEEDS}


def _schema(router: RouterLifecycle, table: PromptTable, options: RouteOptions) -> Any:
    """Return the columns of the decisions, and the file's metadata."""
    artifact = router.artifact
    metadata = {
        "hypernova_version": __version__,
        "artifact_sha256": artifact.sha256,
        "route_options": json.dumps(_plain(options), sort_keys=True),
    }
    return decision_columns(with_task_ids=table.has_task_ids).with_metadata(metadata)


def _plain(value: object) -> Any:
    """Return an option as JSON has it: names sorted, and a number that is not finite as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        number = float(value)
        return number if math.isfinite(number) else str(number)
    if isinstance(value, tuple | list):  # names, or a price for tokens
        plain = [_plain(item) for item in value]
        return sorted(plain) if all(isinstance(item, str) for item in plain) else plain
    return str(value)


@contextmanager
def decision_writer(
    path: Path, router: RouterLifecycle, table: PromptTable, options: RouteOptions
) -> Iterator[Callable[[Any], None]]:
    """Write tables of decisions, in order, as one Parquet file that is whole or not there.

    Args:
        path: The file.
        router: The router that decides.
        table: The prompts.
        options: The options, which the file's metadata holds.

    Yields:
        A function to call with each chunk's table of `route_chunk`.

    Raises:
        WriteError: The file cannot be written; nothing is left of it.
        MissingExtraError: pyarrow is not installed.
    """
    pa = import_pyarrow()
    import pyarrow.parquet

    held: list[Any] = []
    of_caller: OSError | None = None

    def flush() -> None:
        try:
            if held:
                group = pa.concat_tables(held)
                writer.write_table(group, row_group_size=group.num_rows)
                held.clear()
        except OSError as error:
            raise cannot_write(path, error) from error

    def write(rows: Any) -> None:
        held.append(rows.replace_schema_metadata(None))
        if len(held) == _GROUP_CHUNKS:
            flush()

    try:
        with replacing(path) as temporary, temporary.open("xb") as file:
            schema = _schema(router, table, options)
            writer = pyarrow.parquet.ParquetWriter(file, schema, compression="zstd")
            try:
                try:
                    yield write
                except OSError as error:
                    if not isinstance(error, HypernovaError):
                        of_caller = error
                    raise
                flush()
                writer.close()
            finally:
                writer.is_open = False  # else it would be closed, and written to, when it is freed
            file.flush()
            os.fsync(file.fileno())
    except WriteError:
        if of_caller is not None:  # as of an embedder that calls a service: not of this file
            raise of_caller from None
        raise
