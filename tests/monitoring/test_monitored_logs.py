"""Logs that are odd, broken or of other artifacts: stated answers, and nothing silently used."""

from __future__ import annotations

import json
import random
import time
from functools import cache
from typing import TYPE_CHECKING

import pytest

import hypernova
from hypernova.errors import NotFoundError, OutcomeLogError
from hypernova.monitoring.html import render
from hypernova.outcome_log import LoggedDecision, LoggedOutcome, LoggedShadow
from support.services import fitted_service, serve

if TYPE_CHECKING:
    from pathlib import Path

START = 1_764_000_000.0
STRANGER = "c" * 64


@cache
def service() -> hypernova.Artifact:
    return fitted_service()


class Lines:
    """Lines of a log that no service would write."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.decided = 0

    def decide(self, **changes) -> LoggedDecision:
        fields = {
            "id": f"{self.decided:032x}", "time": START + self.decided,
            "artifact": service().sha256, "model": "m0", "cluster": 0, "propensity": 0.9,
            "reason": "routed", "novelty": 0.25, "success": 0.5, "default_model": "m1",
            "default_success": 0.5, "candidates": 3,
        }  # fmt: skip
        decision = LoggedDecision(**{**fields, **changes})
        self.decided += 1
        self.lines.append(decision.line())
        return decision

    def outcome(self, decision: LoggedDecision, score: float | None = 1.0, **more) -> None:
        fields = {"id": decision.id, "time": decision.time + 1, "score": score, **more}
        self.lines.append(LoggedOutcome(**fields).line())

    def monitor(self, path: Path, **options) -> hypernova.MonitorReport:
        path.write_bytes(b"".join(self.lines))
        return hypernova.monitor(service(), path, **options)


class TestNothingToJudge:
    def test_an_empty_folder(self, tmp_path) -> None:
        report = hypernova.monitor(service(), tmp_path)
        assert report.action == "not_enough_outcomes"
        assert report.verdict.endswith("; there is none so far")
        assert report.estimates.overall.observed is None
        assert report.log.first is None
        assert hypernova.MonitorReport.from_dict(report.to_dict()).to_dict() == report.to_dict()
        assert "Not enough outcomes" in str(report)

    def test_an_empty_segment(self, tmp_path) -> None:
        (tmp_path / "a.jsonl").touch()
        assert hypernova.monitor(service(), tmp_path).log.lines == 0

    def test_decisions_alone(self, tmp_path) -> None:
        lines = Lines()
        for _ in range(5):
            lines.decide()
        report = lines.monitor(tmp_path / "a.jsonl")
        assert (report.log.decisions, report.log.outcomes, report.log.open) == (5, 0, 5)
        assert report.mix.n == 5

    def test_no_such_folder(self, tmp_path) -> None:
        with pytest.raises(NotFoundError, match="no such file or folder"):
            hypernova.monitor(service(), tmp_path / "gone")

    def test_a_segment_twice(self, tmp_path) -> None:
        lines = Lines()
        lines.decide()
        lines.monitor(tmp_path / "a.jsonl")
        (tmp_path / "b.jsonl").write_bytes((tmp_path / "a.jsonl").read_bytes())
        with pytest.raises(OutcomeLogError, match="one is a copy"):
            hypernova.monitor(service(), tmp_path)


class TestArtifacts:
    def test_another_artifact(self, tmp_path) -> None:
        lines = Lines()
        for _ in range(7):
            lines.outcome(lines.decide(artifact=STRANGER))
        report = lines.monitor(tmp_path / "a.jsonl")
        assert report.action == "not_enough_outcomes"
        assert "none of the log's 7 decisions is by this artifact" in report.verdict
        assert "cccccccccccc" in report.verdict
        assert report.log.strangers == {STRANGER: 7}
        assert report.log.skipped == {"other_artifact": 7}

    def test_the_same_artifact_renamed(self, tmp_path) -> None:
        serve(service(), tmp_path / "log", 50)
        service().save(tmp_path / "router.hnv")
        (tmp_path / "router.hnv").rename(tmp_path / "other name.hnv")
        report = hypernova.monitor(tmp_path / "other name.hnv", tmp_path / "log")
        assert (report.log.outcomes, report.log.strangers) == (50, {})
        assert report.artifact.path.endswith("other name.hnv")

    def test_strangers_beside_it_are_named(self, tmp_path) -> None:
        lines = Lines()
        for _ in range(3):
            lines.outcome(lines.decide())
        lines.outcome(lines.decide(artifact=STRANGER, model="another"))
        report = lines.monitor(tmp_path / "a.jsonl")
        assert (report.log.outcomes, report.log.strangers) == (3, {STRANGER: 1})
        assert any("cccccccccccc (1)" in note for note in report.notes)
        assert "1  decisions by other artifacts" in str(report)

    def test_models_and_clusters_that_it_does_not_have(self, tmp_path) -> None:
        lines = Lines()
        lines.outcome(lines.decide(model="gone"))
        lines.outcome(lines.decide(cluster=3))
        lines.outcome(lines.decide())
        report = lines.monitor(tmp_path / "a.jsonl")
        assert (report.log.decisions, report.log.outcomes) == (1, 1)
        assert report.log.skipped == {"unknown_cluster": 1, "unknown_model": 1}

    def test_metadata_that_is_no_object(self, tmp_path) -> None:
        artifact = service().replace(metadata="[1]")
        serve(artifact, tmp_path, 30)
        report = hypernova.monitor(artifact, tmp_path)
        assert report.log.outcomes == 30
        assert any("not a JSON object" in note for note in report.notes)


class TestLies:
    def test_each_is_counted_and_none_is_used(self, tmp_path) -> None:
        lines = Lines()
        lines.outcome(lines.decide(), 1.0)
        by_other, failed, back, twice = (lines.decide() for _ in range(4))
        lines.outcome(by_other, 0.0, model="m2")
        lines.outcome(failed, None, failed=True)
        lines.outcome(back, 0.0, time=back.time - 3600)
        for _ in range(3):
            lines.outcome(twice, 1.0, key="attempt")
        lines.outcome(twice, 0.0)
        lines.lines.append(LoggedOutcome("f" * 32, START, 0.0).line())
        ahead = lines.decide(time=time.time() + 10 * 86_400)
        lines.outcome(ahead, 0.0)
        lines.lines += [b"{}\n", b"no JSON\n", lines.lines[0][:40]]
        report = lines.monitor(tmp_path / "a.jsonl")
        assert report.log.outcomes == 2
        assert report.estimates.overall.observed == 1.0
        assert report.log.answered_by_other == 1
        assert report.log.failed == {"m0": 1}
        assert report.log.skipped == {
            "clock_back": 1, "future": 1, "no_decision": 1, "not_json": 1, "scored_twice": 1,
            "sent_again": 2, "torn": 1, "unknown_kind": 1,
        }  # fmt: skip
        text = str(report)
        for words in ("failed requests of m0", "a clock went back", "another model than"):
            assert words in text

    def test_ten_thousand_outcomes_of_one_decision_are_one(self, tmp_path) -> None:
        lines = Lines()
        decision = lines.decide()
        line = LoggedOutcome(decision.id, START, 1.0).line()
        lines.lines += [line] * 10_000
        report = lines.monitor(tmp_path / "a.jsonl")
        assert report.log.outcomes == report.estimates.overall.n == 1
        assert report.log.skipped == {"scored_twice": 9_999}

    def test_a_clock_that_went_back_between_segments(self, tmp_path) -> None:
        """Outcomes count in the order of their times, whatever the order of the lines."""
        lines, first = Lines(), []
        for _ in range(50):
            lines.outcome(lines.decide(), 0.0)
        first, lines.lines = lines.lines, []
        for i in range(50):
            lines.outcome(lines.decide(time=START - 1000 + i), 1.0)
        lines.lines = first + lines.lines
        report = lines.monitor(tmp_path / "a.jsonl")
        assert report.log.outcomes == 100
        assert report.log.first < report.log.last

    def test_fallbacks_and_old_records(self, tmp_path) -> None:
        lines = Lines()
        lines.outcome(lines.decide(reason="fallback", propensity=1.0, candidates=None))
        lines.outcome(lines.decide(default_model=None, default_success=None, candidates=None))
        report = lines.monitor(tmp_path / "a.jsonl")
        assert (report.gain.fallbacks, report.gain.n) == (1, 1)
        assert any("as logs of hypernova 0.1 do not" in note for note in report.notes)


class TestWindow:
    def test_since_and_days_leave_decisions_out(self, tmp_path) -> None:
        lines = Lines()
        for day in range(10):
            lines.outcome(lines.decide(time=START + day * 86_400))
        whole = lines.monitor(tmp_path / "a.jsonl")
        recent = lines.monitor(tmp_path / "a.jsonl", days=2.5)
        assert (whole.log.outcomes, recent.log.outcomes) == (10, 3)
        assert recent.log.skipped == {"before_window": 7}
        assert any("chosen before anything was seen" in note for note in recent.notes)
        later = lines.monitor(tmp_path / "a.jsonl", since=recent.log.first)
        assert later.log.outcomes == 3
        day = lines.monitor(tmp_path / "a.jsonl", since=recent.log.first[:10])
        assert day.log.outcomes == 3


def test_a_cut_log_is_read_to_its_last_whole_line(tmp_path) -> None:
    serve(service(), tmp_path, 20)
    (path,) = tmp_path.glob("*.jsonl")
    content = path.read_bytes()
    for cut in range(0, len(content), 1999):
        path.write_bytes(content[:cut])
        log = hypernova.monitor(service(), tmp_path).log
        whole = content[:cut].count(b'"type":"outcome"')
        assert log.outcomes in (whole, whole - 1)
        assert json.loads(json.dumps(log.skipped)) in ({}, {"torn": 1})


EXTREMES: dict[str, list[object]] = {
    "time": [START, START - 9e8, 0.0, -6e10],
    "artifact": [STRANGER],
    "model": ["m1", "m2", "\x1b[31m\u202e"],
    "cluster": [1, 2, 9, 2**32 - 1],
    "propensity": [1.0, 5e-324, 1e-6, 0.0333, 1 - 1e-16],
    "reason": ["explored", "fallback", "constrained", "of another version"],
    "novelty": [0.0, 1.0],
    "success": [0.0, 1.0],
    "group": ["unknown"],
    "default_model": [None, "m0", "gone"],
    "default_success": [None, 0.0, 1.0],
    "cost_usd": [0.0, 1e308, 5e-324],
    "latency_s": [0.0, 1e308],
    "candidates": [None, 1, 2, 2**32 - 1],
    "shadow": [
        LoggedShadow("e" * 64, "m1", 0, 0.5, 0.5, 1e308),
        LoggedShadow("d" * 64, error="no_candidate"),
        LoggedShadow("b" * 64, "new", 4, 0.1, 0.2),
    ],
}


@pytest.mark.parametrize("seed", range(6))
def test_extreme_values_give_figures_or_none(seed, tmp_path) -> None:
    """Whatever a log holds, all forms are written, and no figure is infinite."""
    rng, lines = random.Random(seed), Lines()
    changes = ({"novelty_limit": 1.0}, {"novelty_limit": 0.0}, {"metadata": {"cluster_sizes": [0]}})
    artifact = service().replace(**changes[seed % 3])
    for _ in range(150):
        odd = {name: rng.choice(values) for name, values in EXTREMES.items() if rng.random() < 0.2}
        decision = lines.decide(**{"artifact": artifact.sha256, **odd})
        costs = {
            "cost_usd": rng.choice([None, 0.0, 1e308]),
            "latency_s": rng.choice([None, 5e-324]),
        }
        lines.outcome(decision, rng.choice([0.0, 5e-324, 1.0]), **costs)
    rng.shuffle(lines.lines)
    lines.monitor(tmp_path / "a.jsonl")
    report = hypernova.monitor(artifact, tmp_path)
    assert report.log.outcomes > 10
    assert "\x1b" not in str(report)
    assert "\x1b" not in render(report)
    values = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert hypernova.MonitorReport.from_dict(values).to_dict() == report.to_dict()
