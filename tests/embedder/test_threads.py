"""Threads that share a router get what one thread gets, for texts of every kind.

Not here: tokens themselves (`tests/core/test_word_piece_tokenizer.py`).
"""

from __future__ import annotations

import sys
import threading

import pytest

import hypernova

TEXTS = [
    *("Fix the race in the scheduler", "Ünïcödé \u2014 naïve café", "def f(x):\n    return x[0]"),
    *("数学の問題を解く", "\U0001f642 emoji and مرحبا", "a [SEP] b"),
    *("x" * 5_000, "\ud800 half a pair"),
    *(f"Task {i}: the {i * 7919} th of list {i % 13}, in {'SQL' * (i % 3)}" for i in range(40)),
]


def routed(router: hypernova.Router, text: str) -> tuple[object, ...]:
    decision = router.route(text)
    return decision.model, decision.cluster, decision.distance, decision.reason


@pytest.mark.slow
def test_sixteen_threads_get_what_one_gets() -> None:
    expected = [routed(hypernova.Router.open(), text) for text in TEXTS]
    router = hypernova.Router.open()
    wrong: list[object] = []
    start = threading.Barrier(16)

    def work(first: int) -> None:
        start.wait()
        for turn in range(3 * len(TEXTS)):
            i = (first * 7 + turn) % len(TEXTS)
            if (found := routed(router, TEXTS[i])) != expected[i]:
                wrong.append((TEXTS[i], found))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong
