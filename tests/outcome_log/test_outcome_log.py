"""The outcome log under crashes, threads, forks and bad lines: real files, real processes."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hypernova
from hypernova.errors import NotFoundError, OutcomeError, OutcomeLogError
from hypernova.outcome_log import records
from support.commands import run_python
from support.factories import ARTIFACT, Decision, Entry
from support.paths import TESTS


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


def record(**fields: object) -> bytes:
    return json.dumps({"v": 1, **fields}).encode() + b"\n"


def decision_line(number: int, **changes: object) -> bytes:
    fields = {
        "type": "decision", "id": f"{number:032x}", "time": "2026-11-26T13:00:00.000Z",
        "artifact": ARTIFACT, "model": "m0", "cluster": 0, "propensity": 1.0,
        "reason": "routed", "novelty": 0.1, "success": 0.5,
    }  # fmt: skip
    return record(**{**fields, **changes})


def outcome_line(number: int, score: object = 1.0, **changes: object) -> bytes:
    fields = {"type": "outcome", "id": f"{number:032x}", "time": "2026-11-26T13:00:01.000Z"}
    return record(**{**fields, "score": score, **changes})


def refusal(line: bytes) -> str | None:
    """Why a line is no record; None if it is one."""
    try:
        records.parse(line)
    except records.RecordError as error:
        return error.reason
    return None


def read(*lines: bytes, folder: Path) -> hypernova.outcome_log.LogReader:
    (folder / "log.jsonl").write_bytes(b"".join(lines))
    return hypernova.read_log(folder)


class TestRecords:
    def test_written_records_are_read_back(self, tmp_path) -> None:
        first = Decision(model="größt \n model", cluster=3, propensity=0.05, success=0.625)
        second = Decision(others=(Entry("m1", 0.375),), reason="explored", novelty=1.0)
        with hypernova.OutcomeLog(tmp_path / "log") as log:
            assert log.record_decision(first) == first.id
            log.record_decision(second)
            log.record_outcome(second, False, model="m1", cost_usd=0, latency_s=2)
            log.record_outcome(first.id, 0.75, input_tokens=812, output_tokens=96.5)
        pairs = list(hypernova.read_log(tmp_path / "log"))
        assert [d.id for d, _ in pairs] == [second.id, first.id]
        (_, fallback), (decision, outcome) = pairs
        assert (fallback.score, fallback.model, fallback.success) == (0.0, "m1", 0.375)
        assert (fallback.cost_usd, fallback.latency_s) == (0.0, 2.0)
        for name in ("model", "cluster", "propensity", "reason", "novelty", "artifact", "success"):
            assert getattr(decision, name) == getattr(first, name)
        assert (outcome.score, outcome.model, outcome.cost_usd) == (0.75, None, None)
        assert (outcome.input_tokens, outcome.output_tokens) == (812.0, 96.5)
        assert (fallback.input_tokens, fallback.output_tokens) == (None, None)
        assert abs(outcome.time - decision.time) < 60

    def test_a_line_has_the_stated_fields(self, tmp_path) -> None:
        with hypernova.OutcomeLog(tmp_path) as log:
            log.record_outcome(log.record_decision(Decision()), 1)
        (path,) = segments(tmp_path)
        decision, outcome = map(json.loads, path.read_bytes().splitlines())
        assert list(decision) == [
            "type", "v", "id", "time", "artifact", "model", "cluster", "propensity", "reason",
            "novelty", "success", "default_model", "default_success", "candidates",
        ]  # fmt: skip
        assert list(outcome) == ["type", "v", "id", "time", "score"]
        assert decision["time"].endswith("Z")

    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            ({"score": 1.5}, "score"),
            ({"score": float("nan")}, "score"),
            ({"score": "1"}, "score"),
            ({"score": None}, "score"),
            ({"score": 1.0, "cost_usd": -1}, "cost_usd"),
            ({"score": 1.0, "latency_s": float("inf")}, "latency_s"),
            ({"score": 1.0, "cost_usd": 10**400}, "cost_usd"),
            ({"score": 1.0, "model": ""}, "model"),
            ({"score": 1.0, "decision": "what"}, "id"),
            ({"score": 1.0, "decision": "A" * 32}, "id"),
        ],
    )
    def test_a_record_that_could_not_be_read_is_not_written(
        self, tmp_path, arguments, named
    ) -> None:
        with hypernova.OutcomeLog(tmp_path) as log:
            with pytest.raises(OutcomeError, match=f"{named} is"):
                log.record_outcome(**{"decision": "0" * 32, **arguments})
            with pytest.raises(OutcomeError, match="propensity"):
                log.record_decision(Decision(propensity=0.0))
            with pytest.raises(OutcomeError, match="bytes"):
                log.record_decision(Decision(model="m" * 70_000))
        assert segments(tmp_path) == []

    @pytest.mark.parametrize("odd", [None, 5, 1.5, b"0" * 32, {}, ["0" * 32], object()])
    def test_an_object_that_is_no_decision_is_refused_in_one_line(self, tmp_path, odd) -> None:
        with hypernova.OutcomeLog(tmp_path) as log:
            for call in (log.record_decision, lambda odd: log.record_outcome(odd, 1.0)):
                with pytest.raises(OutcomeError, match=r"decision is .*; expected a Decision") as e:
                    call(odd)
                assert str(e.value).isprintable()
            with pytest.raises(OutcomeError, match="decision is"):
                log.record_decision("0" * 32)
        assert segments(tmp_path) == []

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("score", b"1"),
            ("score", 1j),
            ("score", [1]),
            ("cost_usd", True),
            ("latency_s", "1"),
            ("input_tokens", -1),
            ("output_tokens", float("inf")),
            ("model", 5),
            ("model", b"m"),
            ("model", "m\ud800"),
        ],
    )
    def test_a_value_of_another_type_is_refused_by_name(self, tmp_path, name, value) -> None:
        with hypernova.OutcomeLog(tmp_path) as log:
            with pytest.raises(OutcomeError, match=f"{name} is ") as caught:
                log.record_outcome("0" * 32, **{"score": 1.0, name: value})
            assert str(caught.value).isprintable()
        assert segments(tmp_path) == []

    def test_arrays_are_no_numbers_and_strings_of_numpy_are_names(self, tmp_path) -> None:
        np = pytest.importorskip("numpy")
        with hypernova.OutcomeLog(tmp_path) as log:
            for odd in (np.array([0.5]), np.array([0.5, 1.0]), np.array("1")):
                with pytest.raises(OutcomeError, match="score is"):
                    log.record_outcome("0" * 32, odd)
            with pytest.raises(OutcomeError, match="cost_usd is"):
                log.record_outcome("0" * 32, 1.0, cost_usd=np.bool_(True))
            known = log.record_decision(Decision(model=np.str_("one"), propensity=np.float32(0.5)))
            log.record_outcome(np.str_(known), np.bool_(True), model=np.str_("two"))
        ((decision, outcome),) = hypernova.read_log(tmp_path)
        assert (decision.model, decision.propensity) == ("one", 0.5)
        assert (outcome.model, outcome.score) == ("two", 1.0)

    def test_half_a_surrogate_pair_is_read_as_malformed(self, tmp_path) -> None:
        reader = read(outcome_line(1, model="m\ud800"), folder=tmp_path)
        assert list(reader) == []
        assert reader.tally.skipped == {"malformed": 1}

    def test_numbers_of_numpy_are_recorded(self, tmp_path) -> None:
        np = pytest.importorskip("numpy")
        with hypernova.OutcomeLog(tmp_path) as log:
            log.record_outcome(
                log.record_decision(Decision()), np.float32(0.5), cost_usd=np.int64(2)
            )
        ((_, outcome),) = hypernova.read_log(tmp_path)
        assert (outcome.score, outcome.cost_usd) == (0.5, 2.0)

    @given(st.binary(max_size=200))
    def test_any_bytes_are_a_record_or_a_reason(self, data) -> None:
        assert refusal(data) in {None, *hypernova.outcome_log.join.REASONS}

    @pytest.mark.slow
    @given(st.sampled_from(["id", "time", "artifact", "model", "cluster", "propensity", "score"]),
           st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
                        lambda inner: st.lists(inner, max_size=2)))  # fmt: skip
    def test_any_value_is_read_or_malformed(self, name, value) -> None:
        for line in (decision_line(1, **{name: value}), outcome_line(1, **{name: value})):
            reason = refusal(line)
            assert reason in (None, "malformed", "not_json")
            if reason is None:
                read_back = records.parse(line)
                again = records.parse(read_back.line())
                assert replace(again, time=0.0) == replace(read_back, time=0.0)
                assert again.time == pytest.approx(read_back.time, abs=0.001)


class TestBadLines:
    def test_each_unusable_line_is_counted_and_costs_no_other(self, tmp_path) -> None:
        reader = read(
            decision_line(1), b"\x00\xffgarbage\n", b"[1, 2]\n", b'{"type": "decision", "v": 1\n',
            decision_line(2), b"\n", record(type="prayer"), decision_line(3, v=2),
            decision_line(4, propensity=0), decision_line(4, success=float("nan")),
            decision_line(4, artifact="else"), decision_line(4, time="yesterday"),
            decision_line(4, time="2026-11-26T13:00:00"), decision_line(4, cluster=-1),
            decision_line(4, cluster=True), decision_line(4, id="x"),
            b"[" * 5000 + b"\n", b'"' + b"x" * 200_000 + b'"\n',
            outcome_line(2, 7), outcome_line(2, "1"), outcome_line(2, 0.25), outcome_line(2, 1.0),
            outcome_line(9), decision_line(2), outcome_line(1), decision_line(5),
            outcome_line(5, 0.5)[:-1],
            folder=tmp_path,
        )  # fmt: skip
        assert [(int(d.id, 16), o.score) for d, o in reader] == [(2, 0.25), (1, 1.0)]
        assert reader.tally.skipped == {
            "not_json": 5, "unknown_kind": 2, "malformed": 9, "too_long": 1,
            "scored_twice": 1, "decided_twice": 1, "no_decision": 1, "torn": 1,
        }  # fmt: skip
        assert (reader.tally.joined, reader.tally.open) == (2, 1)
        assert reader.tally.lines == 26

    def test_an_outcome_may_come_before_its_decision(self, tmp_path) -> None:
        reader = read(outcome_line(1, 0.5), outcome_line(1, 1.0), decision_line(1), folder=tmp_path)
        assert [o.score for _, o in reader] == [0.5]
        assert reader.tally.skipped == {"scored_twice": 1}

    def test_an_outcome_may_be_in_another_segment(self, tmp_path) -> None:
        (tmp_path / "b.jsonl").write_bytes(decision_line(1))
        (tmp_path / "a.jsonl").write_bytes(outcome_line(1))
        assert len(list(hypernova.read_log([tmp_path / "b.jsonl", tmp_path]))) == 1

    def test_copies_missing_files_and_unreadable_ones(self, tmp_path) -> None:
        (tmp_path / "a.jsonl").write_bytes(decision_line(1))
        (tmp_path / "b.jsonl").write_bytes(decision_line(1) + outcome_line(1))
        with pytest.raises(OutcomeLogError, match=r"a\.jsonl and .*b\.jsonl begin with the same"):
            hypernova.read_log(tmp_path)
        with pytest.raises(NotFoundError, match="nothing"):
            hypernova.read_log(tmp_path / "nothing")
        (tmp_path / "empty").mkdir()
        assert list(hypernova.read_log(tmp_path / "empty")) == []
        (tmp_path / "empty" / "gone.jsonl").symlink_to("nowhere")
        with pytest.raises(OutcomeLogError, match="cannot be read"):
            hypernova.read_log(tmp_path / "empty")

    def test_a_folder_in_a_log_is_no_segment_whatever_its_name(self, tmp_path) -> None:
        (tmp_path / "a.jsonl").write_bytes(decision_line(1) + outcome_line(1))
        (tmp_path / "old.jsonl").mkdir()
        (tmp_path / "old.jsonl" / "b.jsonl").write_bytes(decision_line(2) + outcome_line(2))
        assert len(list(hypernova.read_log(tmp_path))) == 1

    @pytest.mark.parametrize("read", [hypernova.monitor, hypernova.recalibrate])
    def test_no_path_is_refused_by_the_type_that_is_expected(self, read) -> None:
        artifact = hypernova.Router.open().artifact
        for logs in (None, 5, [None]):
            with pytest.raises(TypeError, match=r"the log is .*, expected the path of a folder or"):
                read(artifact, logs)
        with pytest.raises(NotFoundError, match="the path of a log is empty; name"):
            read(artifact, "")

    @pytest.mark.slow
    def test_cut_at_every_byte_the_whole_lines_are_read(self, tmp_path) -> None:
        folder = tmp_path / "log"
        with hypernova.OutcomeLog(folder) as log:
            for i in range(3):
                log.record_outcome(log.record_decision(Decision(cluster=i)), i / 4, cost_usd=0.5)
        (path,) = segments(folder)
        whole = path.read_bytes()
        for length in range(len(whole) + 1):
            path.write_bytes(whole[:length])
            reader = hypernova.read_log(folder)
            pairs = list(reader)
            lines = whole[:length].count(b"\n")
            assert [(d.cluster, o.score) for d, o in pairs] == [
                (i, i / 4) for i in range(lines // 2)
            ]
            assert reader.tally.lines == lines
            torn = length > 0 and not whole[:length].endswith(b"\n")
            assert reader.tally.skipped == ({"torn": 1} if torn else {})


class TestWriting:
    def test_rotation_loses_nothing(self, tmp_path) -> None:
        with hypernova.OutcomeLog(tmp_path, max_bytes=1000) as log:
            decisions = [Decision(cluster=i) for i in range(50)]
            for decision in decisions:
                log.record_decision(decision)
            for decision in decisions:
                log.record_outcome(decision, 1.0)
        assert len(segments(tmp_path)) > 10
        assert all(path.stat().st_size <= 1000 for path in segments(tmp_path))
        assert [d.cluster for d, _ in hypernova.read_log(tmp_path)] == list(range(50))

    def test_a_record_larger_than_a_segment_has_one_of_its_own(self, tmp_path) -> None:
        with hypernova.OutcomeLog(tmp_path, max_bytes=1) as log:
            log.record_outcome(log.record_decision(Decision()), 1.0)
        assert len(segments(tmp_path)) == 2
        assert len(list(hypernova.read_log(tmp_path))) == 1

    def test_a_log_never_continues_an_old_segment(self, tmp_path) -> None:
        for _ in range(3):
            with hypernova.OutcomeLog(tmp_path) as log:
                log.record_decision(Decision())
        for path in segments(tmp_path)[:2]:  # what a crash may leave
            path.write_bytes(path.read_bytes() + b'{"type":"outc')
        with hypernova.OutcomeLog(tmp_path) as log:
            log.record_outcome(log.record_decision(Decision()), 1.0)
        reader = hypernova.read_log(tmp_path)
        assert len(list(reader)) == 1
        assert (reader.tally.open, reader.tally.skipped) == (3, {"torn": 2})

    def test_threads_write_whole_lines(self, tmp_path) -> None:
        log = hypernova.OutcomeLog(tmp_path, max_bytes=20_000)

        def work(number: int) -> None:
            for _ in range(200):
                decision = Decision(cluster=number, model="m" * (1 + 40 * number))
                log.record_decision(decision)
                log.record_outcome(decision.id, number / 8)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        log.close()
        reader = hypernova.read_log(tmp_path)
        scores = [(d.cluster, o.score) for d, o in reader]
        assert sorted(scores) == [(n, n / 8) for n in range(8) for _ in range(200)]
        assert reader.tally.skipped == {}

    def test_a_fork_while_threads_write(self, tmp_path) -> None:
        """Children write to segments of their own, and no lock of the parent's stops them."""
        program = f"""
import os, sys, threading
sys.path.insert(0, {str(TESTS)!r})
from support.factories import Decision
import hypernova
log = hypernova.OutcomeLog({str(tmp_path)!r})
stop = threading.Event()
def work():
    while not stop.is_set():
        log.record_outcome(log.record_decision(Decision(cluster=0)), 1.0)
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads: thread.start()
children = []
for number in range(1, 11):
    child = os.fork()
    if child == 0:
        for _ in range(20):
            log.record_outcome(log.record_decision(Decision(cluster=number)), 1.0)
        os._exit(0)
    children.append(child)
codes = [os.waitpid(child, 0)[1] for child in children]
stop.set()
for thread in threads: thread.join()
log.record_outcome(log.record_decision(Decision(cluster=99)), 1.0)
sys.exit(any(codes))
"""
        run_python("-W", "ignore::DeprecationWarning", "-c", program, code=0)
        reader = hypernova.read_log(tmp_path)
        seen = [d.cluster for d, _ in reader]
        assert [seen.count(n) for n in range(1, 11)] == [20] * 10
        assert seen.count(99) == 1
        assert reader.tally.skipped == {}
        pids = {path.name.split("-")[1] for path in segments(tmp_path)}
        assert len(pids) == len(segments(tmp_path)) == 11

    @pytest.mark.slow
    @pytest.mark.parametrize("fsync", ["never", "always"])
    def test_killed_at_any_moment(self, tmp_path, fsync) -> None:
        """Every record that the writer confirmed is there, and at most one line is torn."""
        program = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
from support.factories import Decision
import hypernova
log = hypernova.OutcomeLog({str(tmp_path / "log")!r}, max_bytes=5000, fsync={fsync!r})
while True:
    id = log.record_decision(Decision(model="m" * 500))
    sys.stdout.write(id + "\\n")
    sys.stdout.flush()
"""
        said: list[str] = []
        chance = random.Random(7)
        for _ in range(8):
            with subprocess.Popen(
                [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
            ) as child:
                assert child.stdout is not None
                lines = [child.stdout.readline() for _ in range(chance.randint(1, 60))]
                child.send_signal(signal.SIGKILL)
                lines += child.stdout.readlines()
            said += [line[:-1] for line in lines if len(line) == 33]
        with hypernova.OutcomeLog(tmp_path / "log") as log:
            for id_ in said:
                log.record_outcome(id_, 1.0)
        reader = hypernova.read_log(tmp_path / "log")
        assert [d.id for d, _ in reader] == said
        assert set(reader.tally.skipped) <= {"torn"}
        assert reader.tally.skipped["torn"] <= 8
        assert reader.tally.open <= 8  # recorded, and killed before it was said

    def test_a_full_disk_costs_one_record_and_says_so(self, tmp_path) -> None:
        """A file may not grow beyond 3000 bytes: the write that would is cut short, then fails."""
        program = f"""
import resource, sys
sys.path.insert(0, {str(TESTS)!r})
from support.factories import Decision
import hypernova
log = hypernova.OutcomeLog({str(tmp_path)!r})
decisions = [Decision(cluster=i, model="m" * 300) for i in range(10)]
log.record_decision(decisions[0])
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
refused = []
for decision in decisions[1:]:
    try:
        log.record_decision(decision)
    except hypernova.HypernovaError as error:
        assert isinstance(error, OSError) and "not written" in str(error), error
        refused.append(decision.cluster)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for decision in decisions:
    log.record_outcome(decision, 1.0)
print(refused)
"""
        done = run_python("-c", program, code=0)
        refused = json.loads(done.stdout)
        assert 0 < len(refused) < 9
        reader = hypernova.read_log(tmp_path)
        written = [d.cluster for d, _ in reader]
        assert sorted(written + refused) == list(range(10))
        assert reader.tally.skipped == {"no_decision": len(refused)}
        assert b"\x00" not in segments(tmp_path)[0].read_bytes()

    def test_a_folder_that_goes_away_comes_back(self, tmp_path) -> None:
        folder = tmp_path / "log"
        log = hypernova.OutcomeLog(folder)
        folder.rmdir()
        with pytest.raises(OutcomeLogError, match="No such file"):
            log.record_decision(Decision())
        folder.mkdir()
        log.record_outcome(log.record_decision(Decision()), 1.0)
        assert len(list(hypernova.read_log(folder))) == 1

    def test_closed_logs_and_bad_arguments_are_refused(self, tmp_path) -> None:
        log = hypernova.OutcomeLog(tmp_path)
        log.close()
        log.close()
        with pytest.raises(OutcomeLogError, match="closed"):
            log.record_decision(Decision())
        (tmp_path / "file").write_text("")
        with pytest.raises(OutcomeLogError, match="file"):
            hypernova.OutcomeLog(tmp_path / "file")
        with pytest.raises(ValueError, match="fsync"):
            hypernova.OutcomeLog(tmp_path, fsync="often")
        for size in (0, 1.5, True):
            with pytest.raises(ValueError, match="max_bytes"):
                hypernova.OutcomeLog(tmp_path, max_bytes=size)

    def test_a_descriptor_is_not_left_open(self, tmp_path) -> None:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(20):
            with hypernova.OutcomeLog(tmp_path, max_bytes=10) as log:
                log.record_outcome(log.record_decision(Decision()), 1.0)
        assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_log_loads_nothing_of_training_or_inference(tmp_path) -> None:
    """The log loads neither training nor an inference engine, nor NumPy's neighbours."""
    program = f"""
import sys, hypernova
hypernova.OutcomeLog({str(tmp_path)!r}).close()
bad = [m for m in sys.modules if m.startswith("hypernova.training") or m == "onnxruntime"]
sys.exit(" ".join(bad) or None)
"""
    run_python("-c", program, code=0)


@pytest.mark.skipif(not hasattr(hypernova.Decision, "id"), reason="decisions have no id yet")
def test_a_real_decision(tmp_path) -> None:
    router = hypernova.Router.open()
    decision = router.route("Fix the race in the scheduler", explore=0.5)
    with hypernova.OutcomeLog(tmp_path) as log:
        log.record_decision(decision)
        log.record_outcome(decision.id, 0.5)
    ((logged, outcome),) = hypernova.read_log(tmp_path)
    assert outcome.score == 0.5
    for name in ("id", "artifact", "model", "cluster", "propensity", "reason"):
        assert getattr(logged, name) == getattr(decision, name)
    assert logged.artifact == router.artifact.sha256
    assert logged.success == decision.ranking[0].success
    assert decision.ranking[0].model == decision.model
