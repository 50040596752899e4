"""Make many independent calls, and get their results in order: here, in processes, or on Ray.

Not here: the calls themselves. The result never depends on the engine or on the number of jobs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from hypernova.parallel.processes import calls_in_processes
from hypernova.parallel.threads import compute_threads
from hypernova.progress import progress_bar
from hypernova.system import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from functools import partial

    from hypernova.errors import HypernovaError

Engine = Literal["local", "ray"]


def map_calls(
    calls: Iterable[partial[Any]],
    *,
    engine: Engine = "local",
    jobs: int | None = None,
    total: int | None,
    description: str,
    progress: bool = False,
    shared: Sequence[Any] = (),
    threads: int = 1,
) -> Iterator[Any]:
    """Make all calls, and yield their results in the order of the calls.

    Calls are taken and made as results are read, so that a few are held at a time; the local
    engine holds some 64 MiB of results that wait for an earlier one. Closing the iterator ends
    what was started: use `contextlib.closing` where it may be left early.

    Args:
        calls: Module-level functions with their arguments, which must pickle. Engine ``"ray"``
            reads all of them first: let a call name its part of the data, not carry it.
        engine: ``"local"``: processes of this machine; ``"ray"``: a Ray cluster.
        jobs: Number of calls at a time, from 1. By default the cores that this process may use,
            or all of the Ray cluster. With one job the local engine makes the calls in this
            process.
        total: Number of calls; None where it is not known.
        description: Text before the progress bar.
        progress: Show a progress bar after a second, with rate and time left.
        shared: Arguments that many calls have, the very same objects: sent once to each process.
        threads: Number of threads in which NumPy and faiss compute in each call.

    Yields:
        The result of each call.

    Raises:
        MissingExtraError: ``engine`` is ``"ray"``, which is not installed.
        WorkerError: Something else ended a process, or the Ray cluster was lost.
        Exception: The exception of the first call that fails, after the results of the calls
            before it; the others are given up.

    Example:
        >>> from functools import partial
        >>> calls = (partial(divmod, n, 7) for n in (15, 16))
        >>> list(map_calls(calls, jobs=1, total=2, description="dividing"))
        [(2, 1), (2, 2)]
    """
    with progress_bar(total, description, progress) as tick:
        if engine == "ray":
            from hypernova.parallel.on_ray import calls_on_ray

            yield from calls_on_ray(calls, jobs, shared, threads, tick)
            return
        processes = default_jobs() if jobs is None else jobs
        if total is not None:
            processes = min(processes, total)
        if processes > 1:
            yield from calls_in_processes(calls, processes, shared, threads, tick)
        else:
            yield from _calls_here(calls, threads, tick)


def _calls_here(
    calls: Iterable[partial[Any]], threads: int, tick: Callable[[int], None]
) -> Iterator[Any]:
    for call in calls:
        # Whoever reads the results computes with the threads of the process.
        with compute_threads(threads):
            result = call()
        tick(1)
        yield result


def default_jobs() -> int:
    """Return the number of cores that this process may use."""
    return usable_cores()


def check_engine(engine: object, error: type[HypernovaError]) -> Engine:
    """Refuse an engine that is unknown or not installed, before any work is done.

    Args:
        engine: ``"local"`` or ``"ray"``.
        error: The exception for an unknown engine.

    Returns:
        The engine.

    Raises:
        HypernovaError: ``error``, if the engine is unknown.
        MissingExtraError: The engine is not installed.

    Example:
        >>> from hypernova.errors import FitError
        >>> check_engine("local", FitError)
        'local'
    """
    if not isinstance(engine, str) or engine not in get_args(Engine):
        named = repr(engine) if isinstance(engine, str) else f"a {type(engine).__name__}"
        raise error(f"engine is {named}; expected 'local' or 'ray'")
    if engine == "ray":
        from hypernova.parallel.on_ray import import_ray

        import_ray()
    return cast("Engine", engine)
