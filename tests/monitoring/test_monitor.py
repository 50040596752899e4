"""Monitoring of made-up services whose truth is known: each verdict is reached in its own world."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

import hypernova
from hypernova.errors import MonitorError
from hypernova.monitoring.report_fields import VERSION
from support.services import RATES, fitted_service, serve

if TYPE_CHECKING:
    from pathlib import Path


@cache
def service() -> hypernova.Artifact:
    return fitted_service()


def monitored(folder: Path, n: int, **world) -> hypernova.MonitorReport:
    artifact = service()
    serve(artifact, folder, n, **world)
    return hypernova.monitor(artifact, folder)


def kinds(report: hypernova.MonitorReport) -> list[tuple[str, str | None]]:
    return [(finding.kind, finding.remedy) for finding in report.findings]


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> hypernova.MonitorReport:
    """A service in which nothing is wrong."""
    return monitored(tmp_path_factory.mktemp("kept"), 1800)


class TestVerdicts:
    def test_nothing_is_wrong(self, kept) -> None:
        assert kept.action == "keep"
        assert kept.verdict.startswith("Keep: success is ")
        assert kept.findings == ()
        assert kept.more_outcomes is None
        assert kept.log.decisions == kept.log.outcomes == 1800

    def test_too_few_outcomes(self, tmp_path) -> None:
        report = monitored(tmp_path, 200)
        assert report.action == "not_enough_outcomes"
        assert report.more_outcomes is not None
        assert f"Not enough outcomes: {report.more_outcomes:,} more" in report.verdict
        # With so many more, it is enough.
        serve(service(), tmp_path, report.more_outcomes + 100, seed=1)
        assert hypernova.monitor(service(), tmp_path).action == "keep"

    def test_routing_loses(self, tmp_path) -> None:
        """m0, which the router takes in the first cluster, hardly solves anything there now."""
        truth = RATES.copy()
        truth[0, 0] = 0.05
        report = monitored(tmp_path, 1500, truth=truth, explore=0.3)
        assert report.action == "stop_routing"
        assert report.verdict.startswith("Stop routing: use m1; routing loses ")
        assert report.gain.ci.high < 0
        assert report.gain.ci.low < (0.05 - 0.5) / 3 * 0.8 < report.gain.ci.high
        assert ("calibration", "recalibrate") in kinds(report)  # shown beside it

    def test_estimates_are_off(self, tmp_path) -> None:
        report = monitored(tmp_path, 1200, truth=0.75 * RATES)
        assert report.action == "recalibrate"
        assert kinds(report) == [("calibration", "recalibrate")]
        rows = {row.name: row for row in report.estimates.models}
        assert rows["m0"].off
        assert rows["m0"].ci.high < -0.02

    def test_the_prompts_are_of_other_clusters(self, tmp_path) -> None:
        report = monitored(tmp_path, 800, mix=(0.8, 0.1, 0.1))
        assert report.action == "fit_again"
        assert "cluster 0 grew from 33.3% to" in report.verdict
        assert report.mix.tolerance < report.mix.at_least < report.mix.distance
        assert report.mix.clusters[0].cluster == 0

    def test_the_prompts_are_novel(self, tmp_path) -> None:
        report = monitored(tmp_path, 800, spread=0.09, explore=0.0)
        assert ("novelty", "fit_again") in kinds(report)
        assert report.action == "fit_again"
        assert report.novelty.observed > report.novelty.ci.low > 0.05

    def test_a_model_changed(self, tmp_path) -> None:
        worse = RATES - [0.35, 0, 0]
        report = monitored(tmp_path, 2600, truth=lambda i: worse if i >= 1500 else RATES)
        assert report.action == "recalibrate"
        (change,) = report.changes
        assert (change.model, change.is_default) == ("m0", False)
        assert change.ci_after.low < -0.35 < change.ci_after.high
        # The model answered 480 prompts until then.
        assert change.n_before == pytest.approx(480, abs=90)
        assert "m0 succeeds" in report.verdict
        assert "outcomes from before the change fade" in report.advice

    def test_the_default_model_changed(self, tmp_path) -> None:
        worse = RATES - [0, 0.3, 0]
        report = monitored(tmp_path, 1300, truth=lambda i: worse if i >= 600 else RATES)
        assert report.action == "fit_again"
        assert "m1, the default model, succeeds" in report.verdict

    def test_costs_left_the_profile(self, tmp_path) -> None:
        report = monitored(tmp_path, 600, cost=2.5, latency=4.0)
        assert report.action == "recalibrate"
        assert ("cost", "recalibrate") in kinds(report)
        # Latencies bear on no decision of this artifact, so that they are for notice.
        assert ("latency", None) in kinds(report)
        weighed = service().replace(latency_weight=0.01)
        serve(weighed, tmp_path / "weighed", 600, latency=4.0)
        heeded = hypernova.monitor(weighed, tmp_path / "weighed")
        assert ("latency", "recalibrate") in kinds(heeded)


class TestGain:
    def test_the_interval_holds_the_truth(self, kept) -> None:
        """Of 3 prompts one is routed to m0, which gains 0.3 there; exploring costs some."""
        gain = kept.gain
        assert gain.known
        assert gain.routed == pytest.approx(1 / 3, abs=0.03)
        assert gain.expected == pytest.approx(0.1, abs=0.02)
        means = RATES.mean(axis=1)
        explored = 0.1 * (means - RATES[:, 1]).mean()
        assert gain.ci.low < 0.9 * 0.1 + explored < gain.ci.high
        assert gain.explored == pytest.approx(0.1, abs=1e-6)

    def test_without_exploration_it_is_unknowable(self, tmp_path) -> None:
        report = monitored(tmp_path, 1400, explore=0.0)
        gain = report.gain
        assert (gain.known, gain.gain, gain.ci) == (False, None, None)
        assert gain.without_overlap == 1400
        assert "unknown, since nothing was explored" in report.verdict
        shares = [need.explore for need in gain.needs]
        numbers = [need.decisions for need in gain.needs]
        assert shares == [0.02, 0.05, 0.1]
        assert sorted(numbers, reverse=True) == numbers
        assert "explore=0.05: about" in str(report)

    def test_a_router_that_always_takes_the_default_model(self, tmp_path) -> None:
        artifact = service().replace(guard_z=1e6)
        serve(artifact, tmp_path, 300, explore=0.2)
        report = hypernova.monitor(artifact, tmp_path)
        assert report.gain.always_default
        assert not report.gain.known
        assert report.gain.needs == ()
        assert "none: the router always takes it" in str(report)

    def test_decisions_without_the_default_model_are_left_out(self, tmp_path) -> None:
        report = monitored(tmp_path, 300, deny=["m1"])
        assert report.gain.without_default == 300
        assert report.gain.n == 0


class TestAncestors:
    def test_recalibrating_mends(self, tmp_path) -> None:
        """The new artifact is judged by its own decisions, and its ancestor's are accepted."""
        artifact, truth = service(), 0.75 * RATES
        serve(artifact, tmp_path, 1200, truth=truth)
        assert hypernova.monitor(artifact, tmp_path).action == "recalibrate"
        new = hypernova.recalibrate(artifact, tmp_path).artifact
        fresh = hypernova.monitor(new, tmp_path)
        assert fresh.action == "not_enough_outcomes"
        assert (fresh.log.decisions, fresh.log.ancestor_decisions) == (0, 1200)
        assert fresh.gain.n_with_ancestors == 1200
        serve(new, tmp_path, 900, truth=truth, seed=1)
        later = hypernova.monitor(new, tmp_path)
        assert later.findings == ()
        assert (later.log.outcomes, later.log.ancestor_outcomes) == (900, 1200)
        assert later.mix.n == 2100
        # To the old artifact, those of the new one are a stranger's.
        old = hypernova.monitor(artifact, tmp_path)
        assert old.log.strangers == {new.sha256: 900}
        assert old.action == "recalibrate"


class TestShadow:
    def test_a_shadow_is_compared(self, tmp_path) -> None:
        """The shadow always takes the default model: its gain is that of the router, reversed."""
        artifact = service()
        shadow = artifact.replace(guard_z=1e6)
        router = hypernova.Router(artifact, shadow=shadow)
        serve(router, tmp_path, 1000, explore=0.3)
        report = hypernova.monitor(artifact, tmp_path)
        (found,) = report.shadows
        assert (found.sha256, found.decisions, found.failed) == (shadow.sha256, 1000, 0)
        assert found.same == pytest.approx(2 / 3, abs=0.05)
        assert found.expected_gain == pytest.approx(-report.gain.expected)
        assert found.gain == pytest.approx(-report.gain.gain, abs=1e-6)
        assert found.ci.low < found.gain < found.ci.high
        assert found.same_score == pytest.approx(0.75, abs=0.05)
        assert "shadow" in str(report)


class TestOptions:
    @pytest.mark.parametrize(
        "options",
        [{"level": 0}, {"level": True}, {"level": "x"}, {"days": -1}, {"days": float("inf")},
         {"since": "yesterday"}, {"since": "2026-11-26T10:00:00"}, {"since": 5}],
    )  # fmt: skip
    def test_out_of_range(self, options, tmp_path) -> None:
        with pytest.raises(MonitorError, match=next(iter(options))):
            hypernova.monitor(service(), tmp_path, **options)

    def test_a_stricter_level_is_shared_evenly(self, tmp_path) -> None:
        report = hypernova.monitor(service(), tmp_path, level=0.01)
        levels = report.levels
        parts = (levels.gain, levels.calibration, levels.changes, levels.drift, levels.costs)
        assert sum(parts) == pytest.approx(levels.total) == 0.01


class TestForms:
    def test_json_round_trip(self, kept) -> None:
        values = json.loads(json.dumps(kept.to_dict(), allow_nan=False))
        again = hypernova.MonitorReport.from_dict(values)
        assert again.to_dict() == kept.to_dict()
        assert again.gain.ci.low == round(kept.gain.ci.low, 6)
        assert str(again).splitlines()[0] == kept.verdict

    @pytest.mark.parametrize("broken", [{}, {"version": VERSION + 1}, {"version": VERSION}])
    def test_no_report(self, broken) -> None:
        with pytest.raises(ValueError, match="report"):
            hypernova.MonitorReport.from_dict(broken)

    def test_text_is_narrow_and_begins_with_the_verdict(self, kept) -> None:
        first, *others = str(kept).splitlines()
        assert first == kept.verdict
        assert max(map(len, others)) <= 100
        assert re.search(r"all outcomes +1,800 ", str(kept))
        assert repr(kept) == f"<MonitorReport {kept.verdict}>"


class TestOracle:
    def test_rows_of_estimates(self, tmp_path) -> None:
        """Counts and means by model and cluster, from the pairs that `read_log` gives."""
        serve(service(), tmp_path, 400)
        pairs = list(hypernova.read_log(tmp_path))
        report = hypernova.monitor(service(), tmp_path)
        for rows, name_of in (
            (report.estimates.models, lambda pair: pair.decision.model),
            (report.estimates.clusters, lambda pair: (
                "novel prompts" if pair.decision.novelty > 0.99 else
                f"cluster {pair.decision.cluster}")),
        ):  # fmt: skip
            assert sum(row.n for row in rows) == 400
            assert [row.n for row in rows] == sorted((row.n for row in rows), reverse=True)
            for row in rows:
                mine = [pair for pair in pairs if name_of(pair) == row.name]
                assert row.n == len(mine)
                predicted = np.mean([pair.decision.success for pair in mine])
                observed = np.mean([pair.outcome.score for pair in mine])
                assert (row.predicted, row.observed) == pytest.approx(
                    (predicted, observed), rel=1e-5
                )
                assert row.ci.low <= observed - predicted <= row.ci.high

    def test_rows_of_amounts(self, tmp_path) -> None:
        serve(service(), tmp_path, 300)
        pairs = list(hypernova.read_log(tmp_path))
        for row in hypernova.monitor(service(), tmp_path).costs:
            ratios = [
                min(outcome.cost_usd / decision.cost_usd, 10)
                for decision, outcome in pairs
                if decision.model == row.model
            ]
            assert row.n == len(ratios)
            assert row.ratio == pytest.approx(np.mean(ratios))
            assert row.expected == pytest.approx(0.01)
