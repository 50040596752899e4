"""Functions that run in child processes, which import them from here and no test.

Not here: programs that a test writes as text.
"""

from __future__ import annotations

import os
import pickle
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue

    from hypernova import OutcomeLog, Router


def ones(texts: list[str]) -> np.ndarray:
    return np.ones((len(texts), 4))


def powers(power: float, texts: list[str]) -> np.ndarray:
    return np.array([[len(text) ** power, 1.0, 0.0, 0.0] for text in texts])


def hashed(dim: int, texts: list[str]) -> np.ndarray:
    """Make vectors of numbers, none of which depends on the other texts."""
    texts_bytes = [text.encode("utf-8", "surrogatepass") for text in texts]
    return np.array([[float(zlib.crc32(t, i) + 1) for i in range(dim)] for t in texts_bytes])


def hashed_4(texts: list[str]) -> np.ndarray:
    return hashed(4, texts)


def answer(data: bytes, prompt: str, answers: SimpleQueue[str]) -> None:
    """Unpickle a router and route."""
    answers.put(pickle.loads(data).route(prompt).model)


def where(router: Router, prompt: str) -> tuple[int, int, str]:
    """Route, and return the process, the identity of its embedder and the model."""
    return os.getpid(), id(router.embedder), router.route(prompt).model


def log_one(router: Router, log: OutcomeLog, prompt: str) -> tuple[int, str]:
    return os.getpid(), log.record_decision(router.route(prompt))
