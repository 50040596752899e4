"""Tokens made beside the run of a model: the same vectors and errors, and no thread left behind.

A GPU is not needed: the processor's session is run as one of a GPU is, with the next window of
texts tokenised meanwhile. Not here: what a GPU computes (`test_device.py`).
"""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hypernova.embedder import Embedder
from hypernova.embedder.onnx import backend
from hypernova.embedder.onnx.ahead import prepare_ahead
from hypernova.errors import EmbedderError, TextError

if TYPE_CHECKING:
    from collections.abc import Iterator

WINDOW = 24
TEXTS = [f"Sort list {i} by {'name ' * (i % 7)}" for i in range(5 * WINDOW + 3)]


@pytest.fixture(scope="module")
def static() -> Embedder:
    return Embedder.load("static", runtime="onnxruntime")


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


class TestVectors:
    @pytest.fixture
    def embedder(self, static: Embedder, monkeypatch: pytest.MonkeyPatch) -> Embedder:
        """A processor's, in small windows; as on a GPU from when a test says so."""
        monkeypatch.setattr(backend, "_WINDOW", WINDOW)
        return static

    def test_they_are_the_same_to_the_bit(self, embedder, monkeypatch) -> None:
        expected, counts = embedder.embed(TEXTS), []
        monkeypatch.setattr(embedder._backend, "device", "cuda")
        found = embedder.embed(TEXTS, progress=counts.append)
        np.testing.assert_array_equal(found, expected)
        assert sum(counts) == len(TEXTS)

    def test_no_text_and_one_window(self, embedder, monkeypatch) -> None:
        monkeypatch.setattr(embedder._backend, "device", "cuda")
        assert embedder.embed([]).shape == (0, embedder.dim)
        assert embedder.embed(TEXTS[:3]).shape == (3, embedder.dim)

    @pytest.mark.parametrize("bad", [0, WINDOW - 1, WINDOW, 3 * WINDOW + 1, len(TEXTS) - 1])
    def test_a_text_without_words_is_named(self, embedder, monkeypatch, bad) -> None:
        monkeypatch.setattr(embedder._backend, "device", "cuda")
        counts: list[int] = []
        texts = [" " if i == bad else text for i, text in enumerate(TEXTS)]
        with pytest.raises(TextError, match=rf"text {bad}\b"):
            embedder.embed(texts, progress=counts.append)
        assert sum(counts) == bad // WINDOW * WINDOW  # the windows before are done, as without

    def test_the_models_error_comes_before_that_of_a_later_text(
        self, embedder, monkeypatch
    ) -> None:
        monkeypatch.setattr(embedder._backend, "device", "cuda")

        class Failing:
            def run(self, *_: object) -> None:
                raise RuntimeError("out of memory")

        monkeypatch.setattr(embedder._backend._model, "_session", Failing())
        with pytest.raises(EmbedderError, match="out of memory"):
            embedder.embed([*TEXTS[:WINDOW], " ", *TEXTS])

    def test_an_interrupt_passes_through(self, embedder, monkeypatch) -> None:
        monkeypatch.setattr(embedder._backend, "device", "cuda")

        def interrupt(_: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            embedder.embed(TEXTS, progress=interrupt)
        assert embedder.embed(TEXTS[:2]).shape == (2, embedder.dim)


class TestPreparing:
    def test_one_part_is_prepared_while_another_is_used(self) -> None:
        """Each waits for the other, which would never end in one thread."""
        used = [threading.Event() for _ in range(3)]
        made = [threading.Event() for _ in range(3)]

        def prepare(part: int, unwanted: threading.Event) -> int:
            assert part == 0 or used[part - 1].wait(10)
            made[part].set()
            return part

        with closing(prepare_ahead(prepare, range(3))) as parts:
            for part in parts:
                used[part].set()
                assert made[min(part + 1, 2)].wait(10)

    def test_without_threads_a_part_is_prepared_when_it_is_asked_for(self) -> None:
        made: list[int] = []
        with closing(prepare_ahead(lambda i, _: made.append(i), range(3), threaded=False)) as parts:
            for n, _ in enumerate(parts):
                assert made == list(range(n + 1))

    @pytest.mark.parametrize("n", [0, 1, 2, 5])
    @pytest.mark.parametrize("threaded", [True, False])
    def test_the_order_is_that_of_the_parts(self, n, threaded) -> None:
        parts = prepare_ahead(lambda i, _: i * i, range(n), threaded=threaded)
        assert list(parts) == [i * i for i in range(n)]

    def test_who_stops_early_does_not_wait_for_what_nobody_wants(self) -> None:
        seen: list[threading.Event] = []

        def prepare(part: int, unwanted: threading.Event) -> None:
            seen.append(unwanted)
            if part:
                assert unwanted.wait(60)  # ends as soon as it is told, and not after a minute

        parts = prepare_ahead(prepare, range(9))
        next(parts)
        parts.close()
        assert len(seen) == 2

    def test_an_error_is_raised_in_its_place(self) -> None:
        def prepare(part: int, unwanted: threading.Event) -> int:
            if part == 2:
                raise ValueError("the third")
            return part

        with closing(prepare_ahead(prepare, range(5))) as parts:
            assert [next(parts), next(parts)] == [0, 1]
            with pytest.raises(ValueError, match="the third"):
                next(parts)
