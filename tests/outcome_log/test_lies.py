"""Outcomes that lie are counted apart, whatever the order of the lines; old logs read as before."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hypernova
from hypernova.errors import OutcomeError
from hypernova.outcome_log import LoggedShadow, join, records, scored
from support.factories import ARTIFACT, Decision, Entry
from support.paths import TESTS

if TYPE_CHECKING:
    from pathlib import Path

    from hypernova.outcome_log import LogReader

GOLDEN = TESTS / "golden" / "outcome_log_0_1.jsonl"
SHADOW = "b" * 64


def line(kind: str, number: int, second: int = 0, **fields: object) -> bytes:
    time = f"2026-11-26T13:{second // 60:02d}:{second % 60:02d}.000Z"
    head = {"type": kind, "v": 1, "id": f"{number:032x}", "time": time}
    return json.dumps({**head, **fields}).encode() + b"\n"


def decided(number: int, **changes: object) -> bytes:
    fields = {
        "artifact": ARTIFACT, "model": "m0", "cluster": 0, "propensity": 1.0,
        "reason": "routed", "novelty": 0.1, "success": 0.5, "second": 600,
    }  # fmt: skip
    return line("decision", number, **{**fields, **changes})


def came(number: int, **fields: object) -> bytes:
    return line("outcome", number, **{"second": 601, **fields})


def read(folder: Path, *lines: bytes) -> tuple[list[hypernova.outcome_log.Joined], LogReader]:
    (folder / "log.jsonl").write_bytes(b"".join(lines))
    reader = hypernova.read_log(folder)
    return list(reader), reader


class TestFields:
    def test_a_decision_holds_what_its_ranking_said(self, tmp_path) -> None:
        decision = Decision(
            model="m1", success=0.75, cost_usd=0.02, latency_s=1.5, reason="explored",
            others=(Entry("m0", 0.5, 0.01), Entry("m2", 0.25)),
        )  # fmt: skip
        with hypernova.OutcomeLog(tmp_path) as log:
            log.record_decision(decision, sketch=bytes(range(256)))
            log.record_outcome(decision, 1.0, key="an attempt")
        ((logged, outcome),) = hypernova.read_log(tmp_path)
        assert (logged.default_model, logged.default_success) == ("m0", 0.5)
        assert (logged.cost_usd, logged.latency_s, logged.candidates) == (0.02, 1.5, 3)
        assert logged.shadow is None
        assert logged.sketch is not None
        assert len(logged.sketch) == 344
        assert (outcome.score, outcome.failed, outcome.key) == (1.0, False, "an attempt")

    def test_a_default_model_beyond_the_limits_has_no_estimate(self, tmp_path) -> None:
        decision = Decision(model="m1", default_model="m0", reason="fallback")
        with hypernova.OutcomeLog(tmp_path) as log:
            log.record_outcome(log.record_decision(decision), 1.0)
        ((logged, _),) = hypernova.read_log(tmp_path)
        assert (logged.default_model, logged.default_success) == ("m0", None)
        assert logged.candidates is None  # nothing is drawn after a failure

    def test_a_shadow_is_in_the_same_line(self, tmp_path) -> None:
        shadow = Decision(model="m2", artifact=SHADOW, cluster=7, novelty=0.5, cost_usd=0.25)
        with hypernova.OutcomeLog(tmp_path) as log:
            for decision in (Decision(shadow=shadow), Decision(shadow_error="no_candidate")):
                log.record_outcome(log.record_decision(decision), 1.0)
        (segment,) = tmp_path.glob("*.jsonl")
        assert segment.read_bytes().count(b"\n") == 4
        (first, _), (second, _) = hypernova.read_log(tmp_path)
        assert first.shadow == LoggedShadow(SHADOW, "m2", 7, 0.5, 0.5, 0.25)
        assert second.shadow == LoggedShadow(SHADOW, error="no_candidate")

    def test_a_failed_request_has_no_score(self, tmp_path) -> None:
        with hypernova.OutcomeLog(tmp_path) as log:
            for decision in (Decision(), Decision(model="m1")):
                log.record_decision(decision)
                log.record_outcome(decision, failed=True, latency_s=30.0)
            other = Decision()
            log.record_decision(other)
            log.record_outcome(other, failed=True, model="m1")
        reader = hypernova.read_log(tmp_path)
        assert list(reader) == []
        tally = reader.tally
        assert (tally.failed, tally.failed_by_model) == (3, {"m0": 1, "m1": 2})
        assert (tally.joined, tally.open, tally.skipped) == (0, 0, {})
        (segment,) = tmp_path.glob("*.jsonl")
        outcome = json.loads(segment.read_bytes().splitlines()[1])
        assert outcome["failed"] is True
        assert "score" not in outcome

    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            ({"score": 0.0, "failed": True}, "score is 0.0; expected none"),
            ({"failed": False}, "score is None"),
            ({}, "score is None"),
            ({"failed": 1}, "failed is 1"),
            ({"failed": "yes"}, "failed is 'yes'"),
            ({"score": 1.0, "key": ""}, "key is ''"),
            ({"score": 1.0, "key": "k" * 129}, "key is"),
            ({"score": 1.0, "key": "größe"}, "key is"),
            ({"score": 1.0, "key": "two\nlines"}, "key is"),
            ({"score": 1.0, "key": "end\n"}, "key is"),
            ({"score": 1.0, "key": 5}, "key is 5"),
        ],
    )
    def test_an_outcome_that_contradicts_itself_is_not_written(
        self, tmp_path, arguments, named
    ) -> None:
        with hypernova.OutcomeLog(tmp_path) as log:
            with pytest.raises(OutcomeError, match=named) as caught:
                log.record_outcome("0" * 32, **arguments)
            assert str(caught.value).isprintable()
        assert list(tmp_path.iterdir()) == []

    def test_a_sketch_has_at_most_256_bytes(self, tmp_path) -> None:
        with hypernova.OutcomeLog(tmp_path) as log:
            for sketch in (b"", bytes(257), "abc", "QUJD", 5, [65], memoryview(bytes(600))[::2]):
                with pytest.raises(OutcomeError, match=r"sketch is .*; expected 1 to 256 bytes"):
                    log.record_decision(Decision(), sketch=sketch)
        assert list(tmp_path.iterdir()) == []

    def test_a_sketch_may_be_any_object_of_bytes(self, tmp_path) -> None:
        with hypernova.OutcomeLog(tmp_path) as log:
            for sketch in (b"ace", bytearray(b"ace"), memoryview(b"abcdef")[::2]):
                log.record_outcome(log.record_decision(Decision(), sketch=sketch), 1.0)
        assert {d.sketch for d, _ in hypernova.read_log(tmp_path)} == {"YWNl"}

    @pytest.mark.parametrize(
        ("time", "is_read"),
        [
            ("9999-12-31T23:59:59-23:59", False),
            ("0001-01-01T00:00:00+23:59", False),
            ("9999-12-31T23:59:59.999999Z", False),
            ("9999-12-31T23:59:59.999Z", True),
            ("0001-01-01T00:00:00Z", True),
            ("0001-01-01T00:00:00-23:59", True),
        ],
    )
    def test_a_time_that_is_read_can_be_written(self, time, is_read) -> None:
        for text in (decided(1, time=time), came(1, score=1.0, time=time)):
            if is_read:
                record = records.parse(text)
                again = records.parse(record.line())
                assert again.time == pytest.approx(record.time, rel=0, abs=0.01)
            else:
                with pytest.raises(records.RecordError, match="time is"):
                    records.parse(text)

    @pytest.mark.parametrize(
        "changes",
        [
            {"default_model": ""},
            {"default_success": 1.5},
            {"cost_usd": -1},
            {"latency_s": "1"},
            {"candidates": 0},
            {"candidates": 2.0},
            {"candidates": True},
            {"sketch": "a"},
            {"sketch": "=" * 4},
            {"sketch": "A" * 348},
            {"sketch": ""},
            {"shadow": "m1"},
            {"shadow": {}},
            {"shadow": {"artifact": SHADOW}},
            {"shadow": {"artifact": SHADOW, "error": 5}},
            {"shadow": {"artifact": SHADOW, "model": "m", "cluster": 0, "novelty": 0.5}},
            {"shadow": {"artifact": "b", "error": "no_candidate"}},
        ],
    )
    def test_a_new_field_out_of_range_is_malformed(self, changes) -> None:
        with pytest.raises(records.RecordError) as caught:
            records.parse(decided(1, **changes))
        assert caught.value.reason == "malformed"

    def test_a_log_of_0_1_reads_as_before(self) -> None:
        """The lines were written by version 0.1.0, and are never rewritten."""
        reader = hypernova.read_log(GOLDEN)
        pairs = list(reader)
        assert [(o.score, o.model, o.cost_usd) for _, o in pairs] == [
            (1.0, None, 0.012), (0.25, None, None), (0.5, None, None),
            (0.0, "Claude 4 Opus (20250514)", None),
        ]  # fmt: skip
        assert [d.reason for d, _ in pairs] == [
            "default_novel", "explored", "fallback", "default_novel",
        ]  # fmt: skip
        new = ("default_model", "default_success", "cost_usd", "latency_s", "candidates", "shadow",
               "sketch")  # fmt: skip
        assert {getattr(d, name) for d, _ in pairs for name in new} == {None}
        assert {(o.failed, o.key) for _, o in pairs} == {(False, None)}
        tally = reader.tally
        assert (tally.joined, tally.open, tally.answered_by_other, tally.failed) == (4, 1, 1, 0)
        assert tally.skipped == {}
        for written in GOLDEN.read_bytes().splitlines(keepends=True):
            assert records.parse(written).line() == written


class TestReasons:
    def test_each_lie_is_counted_apart(self, tmp_path) -> None:
        pairs, reader = read(
            tmp_path,
            decided(1), came(1, score=1.0, key="a"), came(1, score=1.0, key="a"),
            came(1, score=0.0, key="b"), came(1, score=0.0),
            decided(2), came(2, score=0.5, failed=True), came(2, score=0.75),
            decided(3), came(3, score=1.0, second=539),
            decided(4), came(4, score=1.0, second=540),
            decided(5), came(5, score=1.0, model="m1"), decided(5),
            decided(6), came(6, score=1.0, model="m0"),
            decided(7), came(7, failed=True), came(7, score=1.0),
            decided(8), came(8, failed=True, second=0),
            came(9, score=1.0, key="k"), came(9, score=1.0, key="k"), came(9, score=1.0),
        )  # fmt: skip
        assert [(int(d.id, 16), o.score) for d, o in pairs] == [
            (1, 1.0), (2, 0.75), (4, 1.0), (5, 1.0), (6, 1.0), (7, 1.0),
        ]  # fmt: skip
        tally = reader.tally
        assert tally.skipped == {
            "sent_again": 2, "scored_twice": 3, "failed_with_score": 1, "clock_back": 2,
            "decided_twice": 1, "no_decision": 1,
        }  # fmt: skip
        assert (tally.joined, tally.answered_by_other) == (6, 1)
        assert (tally.failed, tally.failed_by_model) == (1, {"m0": 1})

    def test_the_score_of_a_retry_counts_after_a_failure(self, tmp_path) -> None:
        pairs, reader = read(
            tmp_path,
            decided(1), came(1, failed=True, key="a"), came(1, failed=True, key="a"),
            came(1, failed=True), came(1, score=1.0, key="b"), came(1, failed=True, key="a"),
            came(1, score=0.0, key="b"), came(1, score=0.0),
            # Before their decisions.
            came(2, failed=True), came(2, failed=True), came(2, score=0.5), decided(2), decided(2),
            came(3, score=0.25), came(3, failed=True), decided(3),
            # A clock that was wrong for the failure only.
            decided(4), came(4, failed=True, second=0), came(4, score=0.75),
            decided(5), came(5, failed=True),
        )  # fmt: skip
        assert [o.score for _, o in pairs] == [1.0, 0.5, 0.25, 0.75]
        tally = reader.tally
        assert (tally.failed, tally.failed_by_model, tally.open) == (3, {"m0": 3}, 0)
        assert tally.skipped == {
            "sent_again": 3, "scored_twice": 4, "decided_twice": 1, "clock_back": 1,
        }  # fmt: skip

    def test_a_retry_that_is_scored_later_counts_once(self, tmp_path) -> None:
        """The failure was read before, and is not counted again."""
        first = decided(1) + came(1, failed=True)
        path = tmp_path / "log.jsonl"
        path.write_bytes(first)
        assert list(hypernova.read_log(tmp_path)) == []
        path.write_bytes(first + came(1, score=1.0) + came(1, score=0.0))
        segments = join.find_segments([path])
        later = join.LogReader(segments, {segments[0].head: len(first)})
        assert [o.score for _, o in later] == [1.0]
        assert (later.tally.failed, later.tally.skipped) == (0, {"scored_twice": 1})

    def test_an_outage_takes_bounded_memory(self, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr(join, "MAX_FAILED", 2)
        failed = [line for n in range(4) for line in (decided(n), came(n, failed=True, key="k"))]
        retried = [came(n, score=1.0, key="r") for n in range(4)]
        pairs, reader = read(tmp_path, *failed, *retried, came(0, failed=True, key="k"))
        assert [int(d.id, 16) for d, _ in pairs] == [2, 3]
        assert reader.tally.failed == 4
        assert reader.tally.skipped == {"scored_twice": 2, "sent_again": 1}

    def test_a_false_failed_is_an_outcome_with_a_score(self) -> None:
        outcome = records.parse(came(1, score=1.0, failed=False))
        assert isinstance(outcome, hypernova.outcome_log.LoggedOutcome)
        assert (outcome.score, outcome.failed) == (1.0, False)
        assert b"failed" not in outcome.line()

    def test_ten_thousand_outcomes_of_one_decision_are_one(self, tmp_path) -> None:
        (tmp_path / "log.jsonl").write_bytes(
            decided(1) + b"".join(came(1, score=n % 2, key=f"{n % 10}") for n in range(10_000))
        )
        reader = hypernova.read_log(tmp_path)
        assert [o.score for _, o in reader] == [0.0]
        assert reader.tally.skipped == {"sent_again": 999, "scored_twice": 9000}

    def test_made_up_ids_take_bounded_memory(self, tmp_path, monkeypatch) -> None:
        """The last ones are held, and the oldest count as outcomes without a decision."""
        monkeypatch.setattr(join, "MAX_EARLY", 100)
        lines = [came(n, score=1.0) for n in range(1500)]
        (tmp_path / "log.jsonl").write_bytes(b"".join([*lines, decided(0), decided(1450)]))
        tracemalloc.start()
        reader = hypernova.read_log(tmp_path)
        pairs = list(reader)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert [int(d.id, 16) for d, _ in pairs] == [1450]
        assert reader.tally.skipped == {"no_decision": 1499}
        assert reader.tally.open == 1
        assert peak < 400_000

    def test_a_log_that_comes_twice_counts_once_however_long_it_is(self, tmp_path) -> None:
        """Decisions and outcomes come again long after: nothing is joined twice."""
        first = "ffec702a5cf23157"  # the ids of a process count up
        lines = [
            line.replace(b'"0000000000000000', b'"' + first.encode())
            for n in range(2200)
            for line in (decided(n), came(n, score=1.0))
        ]
        (tmp_path / "a.jsonl").write_bytes(b"".join(lines))
        (tmp_path / "b.jsonl").write_bytes(b"".join(lines[2:]))
        reader = hypernova.read_log(tmp_path)
        assert len(list(reader)) == 2200
        assert reader.tally.skipped == {"decided_twice": 2199, "scored_twice": 2199}
        assert len(reader._scored._pages) == 3

    def test_made_up_ids_that_were_scored_take_bounded_memory(self, tmp_path, monkeypatch) -> None:
        """The oldest are forgotten: their second score is one without a decision."""
        monkeypatch.setattr(scored, "MAX_PAGES", 2)
        monkeypatch.setattr(scored, "MAX_KEYS", 2)
        ids = [n << 20 for n in range(4)]
        lines = [line for n in ids for line in (decided(n), came(n, score=1.0, key="k"))]
        again = [came(n, score=1.0, key="k") for n in ids]
        pairs, reader = read(tmp_path, *lines, *again)
        assert len(pairs) == 4
        assert reader.tally.skipped == {"no_decision": 2, "sent_again": 2}

    @given(st.lists(st.integers(0, 2**128 - 1) | st.integers(0, 5000), max_size=50))
    def test_scored_ids_are_a_set(self, numbers) -> None:
        seen, oracle = scored.ScoredIds(), set()
        for number in numbers:
            for near in (number, number ^ 1, number ^ 1024):
                assert (f"{near:032x}" in seen) == (near in oracle)
            seen.add(f"{number:032x}", None)
            oracle.add(number)

    def test_repeated_decisions_take_no_memory(self, tmp_path) -> None:
        peaks = []
        for repeats in (1500, 6000):
            folder = tmp_path / str(repeats)
            folder.mkdir()
            (folder / "log.jsonl").write_bytes(decided(1) * repeats)
            tracemalloc.start()
            reader = hypernova.read_log(folder)
            assert list(reader) == []
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            skipped = {"decided_twice": repeats - 1}
            assert (reader.tally.open, reader.tally.skipped) == (1, skipped)
        # Ten bytes for each that is repeated, where its record takes hundreds.
        assert peaks[1] < peaks[0] + 45_000


# Stories of one decision; the lines of a kind are repeated, shuffled and spread.
STORIES = {
    "open": (decided,),
    "scored": (decided, lambda n: came(n, score=n % 3 / 2)),
    "keyed": (decided, lambda n: came(n, score=0.5, key="k")),
    "other": (decided, lambda n: came(n, score=1.0, model="m1")),
    "failed": (decided, lambda n: came(n, failed=True)),
    "retried": (decided, lambda n: came(n, failed=True), lambda n: came(n, score=0.5)),
    "clock": (decided, lambda n: came(n, score=1.0, second=5)),
    "unknown": (lambda n: came(n, score=1.0),),
    "contradiction": (decided, lambda n: came(n, failed=True, score=0.0)),
}


@st.composite
def shuffled(draw: st.DrawFn) -> tuple[list[str], list[list[bytes]]]:
    """Draw a story for each decision, and their lines, repeated at will, over three segments."""
    stories = draw(st.lists(st.sampled_from(sorted(STORIES)), min_size=1, max_size=12))
    lines = [
        make(number)
        for number, story in enumerate(stories)
        for make in STORIES[story]
        for _ in range(draw(st.integers(1, 3)))
    ]
    segments: list[list[bytes]] = [[], [], []]
    for one in draw(st.permutations(lines)):
        segments[draw(st.integers(0, 2))].append(one)
    return stories, segments


class TestAnyOrder:
    @given(shuffled())
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
    def test_the_order_of_lines_changes_neither_pairs_nor_counts(self, tmp_path, drawn) -> None:
        """Where all outcomes of a decision say the same, which one is first does not matter."""
        stories, segments = drawn
        for number, lines in enumerate(segments):
            # A first line of its own, so that no segment looks like a copy of another.
            first = came(1000 + number, score="not a score")
            (tmp_path / f"{number}.jsonl").write_bytes(first + b"".join(lines))
        reader = hypernova.read_log(tmp_path)
        pairs = list(reader)
        copies = Counter(one for lines in segments for one in lines)
        learned = ("scored", "keyed", "other", "retried")
        assert sorted(int(d.id, 16) for d, _ in pairs) == [
            n for n, story in enumerate(stories) if story in learned
        ]
        expected: Counter[str] = Counter(malformed=3)
        for number, story in enumerate(stories):
            decisions = copies[decided(number)]
            outcomes = sum(copies[make(number)] for make in STORIES[story] if make is not decided)
            if story == "contradiction":
                expected["failed_with_score"] += outcomes
            elif story != "open":
                expected["sent_again" if story == "keyed" else "scored_twice"] += outcomes - 1
            if story == "unknown":
                expected["no_decision"] += 1
            else:
                expected["decided_twice"] += decisions - 1
            expected["clock_back"] += story == "clock"
        tally = reader.tally
        # A failure that is read after the score of its retry is a further outcome.
        before_retry = tally.failed - stories.count("failed")
        assert 0 <= before_retry <= stories.count("retried")
        expected["scored_twice"] -= before_retry
        assert tally.skipped == +expected
        assert tally.answered_by_other == stories.count("other")
        assert tally.failed == tally.failed_by_model["m0"]
        assert tally.open == stories.count("open") + stories.count("contradiction")
        assert tally.joined == len(pairs)
        # Every line has exactly one fate.
        used = 2 * (tally.joined + tally.failed + tally.skipped["clock_back"]) + tally.open
        used -= before_retry  # of one decision both count
        assert used + sum(tally.skipped.values()) - tally.skipped["clock_back"] == tally.lines

    @given(shuffled(), st.integers(0, 3))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
    def test_what_was_read_before_is_not_counted_again(self, tmp_path, drawn, cut) -> None:
        """A log read in two parts gives the pairs and counts of one read at once."""
        _, segments = drawn
        for path in tmp_path.iterdir():
            path.unlink()
        before = {}
        for number, lines in enumerate(segments):
            first = came(1000 + number, score="not a score")
            path = tmp_path / f"{number}.jsonl"
            path.write_bytes(first + b"".join(lines))
            segment = join.find_segments([path])[0]
            before[segment.head] = len(first + b"".join(lines[:cut]))
        whole = hypernova.read_log(tmp_path)
        at_once = Counter(int(d.id, 16) for d, _ in whole)
        earlier = tmp_path / "earlier"
        earlier.mkdir(exist_ok=True)
        for number, lines in enumerate(segments):
            first = came(1000 + number, score="not a score")
            (earlier / f"{number}.jsonl").write_bytes(first + b"".join(lines[:cut]))
        first_part = hypernova.read_log(earlier)
        parts = Counter(int(d.id, 16) for d, _ in first_part)
        later = join.LogReader(join.find_segments([tmp_path]), before)
        parts += Counter(int(d.id, 16) for d, _ in later)
        assert parts == at_once
        retried = drawn[0].count("retried")
        failed = first_part.tally.failed + later.tally.failed
        assert abs(failed - whole.tally.failed) <= retried
        for path in earlier.iterdir():
            path.unlink()
        earlier.rmdir()
