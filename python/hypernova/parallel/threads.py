"""The number of threads in which libraries compute: a sum's last bits depend on it.

Not here: the threads of onnxruntime, whose number belongs to the embedder.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIBRARIES = ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM")


def thread_variables(threads: int) -> dict[str, str]:
    """Return the environment of a process whose libraries compute in ``threads`` threads.

    Libraries read it when they are loaded.
    """
    return {f"{library}_NUM_THREADS": str(threads) for library in _LIBRARIES}


@contextmanager
def compute_threads(threads: int) -> Iterator[None]:
    """Let NumPy, faiss and SciPy compute in ``threads`` threads while the block runs.

    OpenBLAS, which NumPy and SciPy bring along, and OpenMP, which faiss uses, take the number for
    the whole process.
    """
    try:
        import faiss  # noqa: F401 - only libraries that are loaded can be limited
        from threadpoolctl import threadpool_limits
    except ImportError:
        yield  # nothing can be learned without the extra; whoever needs it names it
        return
    with threadpool_limits(threads):
        yield
