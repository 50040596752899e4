"""Say once where the calls of a task are made: the engine, and the number of calls at a time.

Not here: making them (see ``calls``).
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypernova.parallel.calls import Engine, check_engine, default_jobs, map_calls

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from functools import partial

    from hypernova.errors import HypernovaError


@dataclass(frozen=True)
class Mapper:
    """An engine, and the number of calls at a time.

    Attributes:
        engine: ``"local"`` or ``"ray"``.
        jobs: Number of calls at a time; None for all of a Ray cluster.
    """

    engine: Engine = "local"
    jobs: int | None = 1

    @classmethod
    def of(cls, engine: object, jobs: int | None, error: type[HypernovaError]) -> Mapper:
        """Check an engine, and take the cores of this process where no number is given.

        Args:
            engine: ``"local"`` or ``"ray"``.
            jobs: Number of calls at a time, from 1; None for all cores, or all of the cluster.
            error: The exception for an unknown engine.

        Raises:
            HypernovaError: ``error``, if the engine is unknown or the number is none.
            MissingExtraError: The engine is not installed.
        """
        checked = check_engine(engine, error)
        if jobs is not None and (type(jobs) is not int or jobs < 1):
            raise error(f"jobs is {jobs!r}; expected a whole number from 1")
        if jobs is None and checked == "local":
            jobs = default_jobs()
        return cls(checked, jobs)

    @property
    def here(self) -> bool:
        """Whether calls are made in this process, one after another."""
        return self.engine == "local" and self.jobs == 1

    def map(
        self,
        calls: Iterable[partial[Any]],
        *,
        total: int | None,
        description: str,
        progress: bool = False,
        shared: Sequence[Any] = (),
    ) -> Generator[Any, None, None]:
        """Make all calls and yield their results in order; arguments as in `map_calls`."""
        yield from map_calls(
            calls,
            engine=self.engine,
            jobs=self.jobs,
            total=total,
            description=description,
            progress=progress,
            shared=shared,
        )


# This process, one call after another.
HERE = Mapper()


def pickles(value: object) -> bool:
    """Return whether a value can be sent to another process; a function of a script cannot."""
    try:
        pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    except Exception:  # whatever a class of the user raises
        return False
    return True
