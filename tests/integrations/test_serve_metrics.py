"""The metrics that several processes count in shared memory, beside those of the client library.

Not here: metrics over HTTP (`test_serve.py`, `test_serve_workers.py`).
"""

from __future__ import annotations

import os
import random
import signal
from typing import TYPE_CHECKING

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypernova.integrations.server.metrics import board as board_module
from hypernova.integrations.server.metrics.board import Board
from hypernova.integrations.server.metrics.prometheus import (
    Metrics,
    SharedCounter,
    SharedGauge,
    SharedHistogram,
    SharedInfo,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypernova.integrations.server.metrics.prometheus import SharedMetric

BOUNDS = (0.1, 0.25, 1.0)
NAMES = st.text(max_size=5)
VALUES = st.sampled_from([0.0, 0.1, 0.2, 0.25, 0.3, 1.0, 1.5, 1e300])


def totals(board: Board, metric: SharedMetric) -> dict[tuple[str, tuple[str, ...]], float]:
    """Read the samples of a metric, added up over all slots."""
    found: dict[tuple[str, ...], list[float]] = {}
    for (_, *values), numbers in board.records():
        before = found.get(tuple(values), [0.0] * len(numbers))
        found[tuple(values)] = [a + b for a, b in zip(before, numbers, strict=True)]
    return samples(metric.family(found))


def samples(family: prometheus_client.Metric) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value  # type: ignore[misc]
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


@given(st.lists(st.tuples(st.integers(0, 2), NAMES, VALUES), max_size=30))
def test_processes_count_together_as_the_library_counts_alone(
    counted: list[tuple[int, str, float]],
) -> None:
    """Slots of one board stand for processes: each goes on where it was."""
    board = Board(3)
    counter = SharedCounter("c", "text", ["name"])
    histogram = SharedHistogram("h", "text", BOUNDS, ["name"])
    alone = prometheus_client.Counter("c", "text", ["name"], registry=None)
    also = prometheus_client.Histogram("h", "text", ["name"], buckets=BOUNDS, registry=None)
    for slot, name, value in counted:
        board.attach(slot)
        counter.attach(board)
        counter.inc(name, by=value)
        alone.labels(name).inc(value)
    assert totals(board, counter) == pytest.approx(samples(next(iter(alone.collect()))))
    board = Board(3)
    for slot, name, value in counted:
        board.attach(slot)
        histogram.attach(board)
        histogram.observe(value, name)
        also.labels(name).observe(value)
    assert totals(board, histogram) == pytest.approx(samples(next(iter(also.collect()))))


def forked(work: Callable[[], None]) -> int:
    """Run a function in a forked process that is killed after it, and return its id."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    return pid


def test_nothing_is_lost_with_a_killed_process() -> None:
    metrics = Metrics()
    metrics.count_request("/before", 200, 0.1)
    metrics.share(Board(4))
    metrics.count_request("/before", 200, 0.1)

    def count(slot: int) -> None:
        metrics.attach(slot)
        metrics.in_flight.set(7)
        for _ in range(2_000):
            metrics.count_request(f"/{slot}", 200, 0.1)
            metrics.count_request("/all", 200, 0.1)

    for turn in range(2):  # the second process in a slot goes on where the first one ended
        pids = [forked(lambda slot=slot: count(slot)) for slot in (1, 2, 3)]  # type: ignore[misc]
        for pid in pids:
            assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
        found = metrics.exposition().decode()
        assert f'requests_total{{path="/all",status="200"}} {6_000.0 * (turn + 1)}\n' in found
        assert 'requests_total{path="/before",status="200"} 2.0\n' in found
        assert "hypernova_in_flight 21.0\n" in found
        for slot in (1, 2, 3):
            metrics.clear_gauges(slot)
            assert f'path="/{slot}",status="200"}} {2_000.0 * (turn + 1)}\n' in found
        assert "hypernova_in_flight 0.0\n" in metrics.exposition().decode()


def test_a_reader_sees_whole_records_while_others_write() -> None:
    board = Board(2)
    counter = SharedCounter("c", "text", ["name"])
    names = [f"{'x' * random.Random(i).randint(1, 40)}{i}" for i in range(3_000)]

    def count() -> None:
        board.attach(1)
        counter.attach(board)
        for name in names:
            counter.inc(name)

    pid = forked(count)
    seen = 0
    while not os.waitpid(pid, os.WNOHANG)[0]:
        records = [record for record in board.records() if record.key[0] == "c"]
        assert [record.key[1] for record in records] == names[: len(records)]
        assert all(record.numbers in ((0.0,), (1.0,)) for record in records)
        assert len(records) >= seen
        seen = len(records)
    assert sum(record.numbers[0] for record in board.records()) == len(names)


def test_a_full_slot_counts_what_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_module, "SLOT_BYTES", 4096)
    monkeypatch.setattr(board_module, "_WORDS", 512)
    board = Board(2)
    board.attach(1)
    counter = SharedCounter("c", "text", ["name"])
    counter.attach(board)
    for _ in range(2):
        for i in range(1_000):
            counter.inc(str(i))
    records = list(board.records())
    assert 10 < len(records) < 512
    assert {record.numbers for record in records} == {(2.0,)}
    assert all(record.key[0] == "c" for record in records)


def test_gauges_add_up_and_labels_end() -> None:
    board = Board(2)
    gauge, info = SharedGauge("g", "text"), SharedInfo("i", "text", ["sha256"])
    for slot, value in ((0, 2.0), (1, 3.0)):
        board.attach(slot)
        for metric in (gauge, info):
            metric.attach(board)
        gauge.set(value)
        info.hold("old")
    board.attach(1)
    info.attach(board)
    info.hold("new")
    found = {}
    for (name, *values), (number,) in board.records():
        found.setdefault(name, {}).setdefault(tuple(values), [0.0])[0] += number
    assert samples(gauge.family(found["g"])) == {("g", ()): 5.0}
    assert samples(info.family(found["i"])) == {
        ("i", (("sha256", "old"),)): 1.0,
        ("i", (("sha256", "new"),)): 1.0,
    }
    board.zero(0, ["i"])
    found["i"]["old",][0] = 0.0
    assert samples(info.family(found["i"])) == {("i", (("sha256", "new"),)): 1.0}
