"""Figures of decisions without an outcome: estimated, bounded, and never a reason to route alone.

Not here: the estimates themselves (see test_outcome_model).
"""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hypernova
from hypernova.evaluation import Report, baselines
from hypernova.evaluation import verdict as rule
from hypernova.evaluation.estimated_table import EstimatedTable, averaged
from hypernova.evaluation.figure_fields import Estimated, Gain, GainOverShuffled
from hypernova.evaluation.figures import PairedFigures
from hypernova.evaluation.missing_cells import MissingCells
from hypernova.evaluation.report_fields import SingleModel
from hypernova.report_values import Interval
from support.factories import blobs, make_table, unit

NAN = float("nan")
QUICK = {"folds": 4, "repeats": 1, "jobs": 1, "learning_curve": False}


@st.composite
def decided(draw):
    """A small table with holes, and the decisions of two strategies in some repeats."""
    n, m, repeats = draw(st.integers(2, 7)), draw(st.integers(2, 4)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    score = np.where(rng.random((n, m)) < 0.4, NAN, rng.choice([0.0, 0.5, 1.0], (n, m)))
    score[:, 0] = np.where(np.isnan(score).all(axis=1), 0.5, score[:, 0])
    score[0] = np.where(np.isnan(score[0]), 0.0, score[0])
    table = make_table(unit(rng.normal(size=(n, 4))), score)
    return table, rng.integers(0, m, (repeats, n)), rng.integers(0, m, (repeats, n)), rng


def paired(table, ours, theirs) -> tuple[EstimatedTable, PairedFigures]:
    estimated = EstimatedTable.of(table, np.zeros(table.n_tasks, dtype=int))
    none = np.full(table.n_tasks, -1)
    figures = PairedFigures(table.prompt_groups(), none, [], 0, estimated)
    figures.add("ours", estimated.chosen(ours))
    figures.add("theirs", estimated.chosen(theirs))
    figures.pair("ours", "theirs", test_to_train=0.25)
    figures.draw()
    return estimated, figures


class TestBounds:
    @settings(max_examples=25)
    @given(decided())
    def test_are_reached_by_a_completion_and_passed_by_none(self, given_) -> None:
        """Each missing outcome is 0 or 1 as it helps or harms; one model stands for one outcome."""
        table, ours, theirs, rng = given_
        estimated, figures = paired(table, ours, theirs)
        gain, tasks = figures.gain("ours", "theirs"), np.arange(table.n_tasks)
        missing = np.isnan(table.score)

        def gain_of(score) -> float:
            return float((score[tasks, ours] - score[tasks, theirs]).mean())

        assert gain.mean == pytest.approx(gain_of(estimated.filled.score))
        weights = np.zeros(table.score.shape)
        for chosen, sign in ((ours, 1), (theirs, -1)):
            np.add.at(weights, (np.broadcast_to(tasks, chosen.shape), chosen), sign)
        best, worst = (
            gain_of(np.where(missing, sign * weights > 0, table.score)) for sign in (1, -1)
        )
        if gain.estimated is None:
            assert best == pytest.approx(worst)
            return
        assert gain.estimated.high == pytest.approx(best)
        assert gain.estimated.low == pytest.approx(worst)
        either = np.isnan(table.score[tasks, ours]) | np.isnan(table.score[tasks, theirs])
        assert 0 < gain.estimated.share <= (either & (ours != theirs)).mean() + 1e-9
        some = gain_of(np.where(missing, rng.random(missing.shape), table.score))
        assert worst - 1e-9 <= some <= best + 1e-9

    @settings(max_examples=25)
    @given(decided())
    def test_measured_is_what_known_outcomes_say(self, given_) -> None:
        table, ours, theirs, _ = given_
        _, figures = paired(table, ours, theirs)
        known = PairedFigures(table.prompt_groups(), np.full(table.n_tasks, -1), [], 0)
        known.add("ours", baselines.chosen_outcomes(table, ours))
        known.add("theirs", baselines.chosen_outcomes(table, theirs))
        known.pair("ours", "theirs", test_to_train=0.25)
        known.draw()
        for found, plain in (
            (figures.figure("ours"), known.figure("ours")),
            (figures.gain("ours", "theirs"), known.gain("ours", "theirs")),
        ):
            mean = plain.accuracy if hasattr(plain, "accuracy") else plain.mean
            if found.estimated is not None:
                assert found.estimated.measured == pytest.approx(mean, nan_ok=True)
        assert figures.gain("ours", "theirs").tasks == known.gain("ours", "theirs").tasks
        assert figures.figure("ours").n == known.figure("ours").n
        assert figures.unscored("ours") == known.unscored("ours")

    @settings(max_examples=25)
    @given(decided(), st.data())
    def test_a_mix_and_an_average_weigh_what_they_take(self, given_, data) -> None:
        table, ours, theirs, _ = given_
        estimated = EstimatedTable.of(table, np.zeros(table.n_tasks, dtype=int))
        share = np.full(ours.shape, data.draw(st.sampled_from([0.0, 0.25, 1.0])))
        mixed = estimated.mixed(ours, theirs, share)
        average = averaged([estimated.chosen(each) for each in (ours, theirs)])
        for found, of_theirs in ((mixed, share[0, 0]), (average, 0.5)):
            parts = (ours, 1 - of_theirs), (theirs, of_theirs)
            weights = np.zeros(table.score.shape)
            for chosen, part in parts:
                at = np.broadcast_to(np.arange(table.n_tasks), chosen.shape), chosen
                np.add.at(weights, at, part / len(chosen))
            weights[~np.isnan(table.score)] = 0
            got = np.zeros(table.score.shape)
            if found.missing is not None:
                got[found.missing.tasks, found.missing.models] = found.missing.weights
            np.testing.assert_allclose(got, weights, atol=1e-12)


def test_one_outcome_on_both_sides_cancels_out() -> None:
    cells = MissingCells(np.array([0, 2]), np.array([1, 0]), np.array([1.0, 0.5]))
    assert len(MissingCells.summed([(cells, 1.0), (cells, -1.0)])) == 0
    both = MissingCells.summed(
        [(cells, 1.0), (MissingCells(np.array([0]), np.array([0]), np.array([1.0])), -1.0)]
    )
    assert both.decisions() == 1.5  # two models of one task are one paired decision
    assert both.within(np.array([False, False, True])).decisions() == 0.5


class TestCompleteTables:
    def test_nothing_is_estimated(self) -> None:
        rng = np.random.default_rng(0)
        vectors, kind = blobs(rng, 2, 40)
        score = (kind[:, None] == np.arange(2)).astype(float)
        table = make_table(vectors, score, cost_usd=rng.random((80, 2)))
        estimated = EstimatedTable.of(table, kind)
        assert estimated.filled is table
        chosen = rng.integers(-1, 2, (3, 80))
        found, plain = estimated.chosen(chosen), baselines.chosen_outcomes(table, chosen)
        np.testing.assert_array_equal(found.score, plain.score)
        assert found.measured is found.missing is found.estimated_usd is None
        values = hypernova.evaluate(table, **QUICK).to_dict()
        shares: list[object] = []

        def look(value) -> None:
            if isinstance(value, dict):
                shares.extend(value[key] for key in value if key == "estimated")
                for each in value.values():
                    look(each)
            elif isinstance(value, list):
                for each in value:
                    look(each)

        look(values)
        assert len(shares) > 50
        assert not any(shares)


def by_kind(seed: int = 0, n: int = 450) -> tuple[hypernova.OutcomeTable, np.ndarray]:
    """Kinds that differ in difficulty, and models by as much in each: routing gains nothing.

    Two of five models were run on the easy kind alone, one never on the hardest.
    """
    rng = np.random.default_rng(seed)
    vectors, kind = blobs(rng, 3, n // 3)
    skill = np.array([0.05, 0.0, -0.02, -0.15, -0.2])
    rate = np.array([0.92, 0.5, 0.35])[kind][:, None] + skill
    complete = (rng.random((n, 5)) < rate).astype(float)
    score = complete.copy()
    score[kind > 0, 3:] = NAN
    score[kind == 2, 1] = NAN
    cost = np.exp(rng.normal(0, 0.2, (n, 1))) * np.array([4.0, 3.0, 2.0, 1.0, 1.0])
    table = make_table(
        vectors,
        score,
        cost_usd=np.where(np.isnan(score), NAN, cost),
        groups=[("easy", "middle", "hard")[k] for k in kind],
    )
    return table, complete


@pytest.fixture(scope="module")
def evaluated() -> tuple[hypernova.OutcomeTable, np.ndarray, Report]:
    table, complete = by_kind()
    return table, complete, hypernova.evaluate(table, **QUICK)


@pytest.mark.slow
class TestHolesByKind:
    def test_models_are_compared_on_all_tasks(self, evaluated) -> None:
        _, complete, report = evaluated
        plain = [row.estimated.measured if row.estimated else row.accuracy for row in report.models]
        assert np.argmax(plain) in (3, 4)  # run on the easy kind alone
        for row, truth in zip(report.models, complete.mean(axis=0), strict=True):
            assert row.ci95.low <= truth <= row.ci95.high
            assert row.accuracy == pytest.approx(truth, abs=0.12)
        assert [row.n for row in report.models] == [450, 300, 450, 150, 150]

    def test_routing_is_not_advised(self, evaluated) -> None:
        _, _, report = evaluated
        assert not report.verdict.startswith("Route")
        assert report.random.estimated.share == pytest.approx(1 - report.dataset.density)
        assert report.oracle.estimated is None
        part = report.gain.estimated
        if part is not None:  # the router or the best single model met a missing outcome
            assert part.low < report.gain.mean < part.high
            assert report.gain.tasks < report.dataset.tasks
            assert any("whatever the missing outcomes are" in note for note in report.notes)

    def test_costs_are_those_of_the_same_tasks(self, evaluated) -> None:
        table, _, report = evaluated
        usual = np.nanmean(table.cost_usd[:, 0])
        for row, ratio in zip(report.models, (4.0, 3.0, 2.0, 1.0, 1.0), strict=True):
            assert row.cost_usd == pytest.approx(usual * ratio / 4, rel=0.05)

    def test_text_page_and_json_show_the_share(self, evaluated, tmp_path) -> None:
        _, _, report = evaluated
        gain = TestVerdict.gain(0.015, TestVerdict.ABOVE, TestVerdict.ACROSS)
        report = dataclasses.replace(report, gain=gain)
        text = str(report)
        assert " est.\n" in text
        assert "bounds of the gain" in " ".join(text.split())
        assert max(map(len, text.splitlines()[1:])) <= 88
        report.to_html(tmp_path / "report.html")
        page = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert "of the outcomes estimated" in page
        assert "plain mean" in page
        assert "up to" in page
        read = Report.from_dict(json.loads(json.dumps(report.to_dict())))
        assert read == report
        assert isinstance(read.gain.estimated.ci95, Interval)

    def test_a_report_of_before_is_read(self, evaluated) -> None:
        def without(value):
            if isinstance(value, dict):
                return {key: without(each) for key, each in value.items() if key != "estimated"}
            return [without(each) for each in value] if isinstance(value, list) else value

        read = Report.from_dict(without(evaluated[2].to_dict()))
        assert read.gain.estimated is None
        assert str(read)


@pytest.mark.slow
def test_a_gain_survives_holes_at_random() -> None:
    rng = np.random.default_rng(0)
    vectors, kind = blobs(rng, 2, 120)
    complete = (kind[:, None] == np.arange(2)).astype(float)
    score = np.where(rng.random(complete.shape) < 0.2, NAN, complete)
    report = hypernova.evaluate(make_table(vectors, score), **QUICK)
    assert report.verdict.startswith("Route: ")
    assert "of the decisions are estimated" in report.verdict
    assert report.gain.ci95.low <= 0.5 <= report.gain.ci95.high + 0.05


@pytest.mark.slow
def test_the_interval_holds_the_truth_of_the_complete_table() -> None:
    """Kinds gone from three of five models: a best-of-group router in 30 worlds, in plain NumPy."""
    held, plain = [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        kind = np.arange(300) % 4
        rate = np.array([0.85, 0.6, 0.5, 0.35])[:, None] + rng.normal(0, 0.08, 5)
        rate = np.clip(rate + rng.normal(0, 0.06, (4, 5)), 0.02, 0.98)
        complete = (rng.random((300, 5)) < rate[kind]).astype(float)
        score = complete.copy()
        for model in range(3):
            score[np.isin(kind, rng.permutation(4)[: rng.integers(1, 4)]), model] = NAN
        mean = np.nanmean(score, axis=0)
        n = np.array([(~np.isnan(score[kind == k])).sum(axis=0) for k in range(4)])
        total = np.array([np.nansum(score[kind == k], axis=0) for k in range(4)])
        best = np.argmax((total + 20 * mean) / (n + 20), axis=1)
        ours, theirs = best[kind][None], np.full((1, 300), mean.argmax())
        table = make_table(unit(rng.normal(size=(300, 4))), score)
        estimated = EstimatedTable.of(table, kind)
        figures = PairedFigures(table.prompt_groups(), kind, list("abcd"), 0, estimated)
        figures.add("ours", estimated.chosen(ours))
        figures.add("theirs", estimated.chosen(theirs))
        figures.pair("ours", "theirs", test_to_train=0.25)
        figures.draw()
        gain, tasks = figures.gain("ours", "theirs"), np.arange(300)
        truth = (complete[tasks, ours] - complete[tasks, theirs]).mean()
        held.append(gain.ci95.low <= truth <= gain.ci95.high)
        ends = gain.estimated.ci95 if gain.estimated else gain.ci95
        plain.append(ends is not None and ends.low <= truth <= ends.high)
    assert np.mean(held) >= 0.9
    assert np.mean(plain) < 0.9  # what known outcomes alone say


class TestVerdict:
    """Both intervals must lie above 0: that of what was measured, and that with estimates."""

    ABOVE, ACROSS = Interval(0.005, 0.03), Interval(-0.01, 0.03)

    @staticmethod
    def gain(mean, ci95, measured) -> Gain:
        part = Estimated(share=0.2, low=-0.1, high=0.1, measured=0.02, ci95=measured)
        return Gain(mean=mean, ci95=ci95, macro=None, tasks=400, cost_change=None, estimated=part)

    @pytest.mark.parametrize(
        ("ci95", "measured", "sentence"),
        [
            (ABOVE, ABOVE, "Route: +1.5 points over big (95% interval +0.5 to +3.0); what it costs "
             "is not known; the outcomes of 20% of the decisions are estimated"),
            (ABOVE, ACROSS, "Do not route yet: +1.5 points over big (95% interval +0.5 to +3.0) "
             "rests on estimates for the 20% of the decisions without outcomes, and what was "
             "measured does not prove it; use big for everything until the models have been run "
             "there"),
            (ACROSS, ABOVE, "Do not route yet: +2.0 points over big (95% interval +0.5 to +3.0) "
             "leave out the 20% of the decisions without outcomes, and with estimates for those "
             "+1.5 points (95% interval -1.0 to +3.0) are not proven; use big for everything until "
             "the models have been run there"),
            (ABOVE, None, "Do not route yet: +1.5 points over big (95% interval +0.5 to +3.0) "
             "rests on estimates for the 20% of the decisions without outcomes, and what was "
             "measured does not prove it; use big for everything until the models have been run "
             "there"),
        ],
    )  # fmt: skip
    def test_sentences(self, ci95, measured, sentence) -> None:
        over = GainOverShuffled(mean=0.01, ci95=self.ABOVE, tasks=400)
        gain = self.gain(0.015, ci95, measured)
        assert rule.verdict(gain, over, "big", [], []) == sentence
        assert gain.is_proven == sentence.startswith("Route:")
        assert rule.tasks_to_decide(gain) is None

    def test_an_estimated_loss_is_a_loss(self) -> None:
        over = GainOverShuffled(mean=0.01, ci95=self.ABOVE, tasks=400)
        gain = self.gain(-0.02, Interval(-0.05, 0.01), self.ABOVE)
        assert rule.verdict(gain, over, "big", [], []).startswith("Do not route: use big")
        none = dataclasses.replace(gain, tasks=0)
        assert "nothing can be compared" in rule.verdict(none, over, "big", [], [])

    def test_a_single_model_as_good_as_the_router_is_no_reason_to_route(self) -> None:
        """The best single model of the folds was run on easy tasks; another one is better."""
        over = GainOverShuffled(mean=0.01, ci95=self.ABOVE, tasks=400)
        gain = self.gain(0.015, self.ABOVE, self.ABOVE)
        rows = [
            SingleModel(
                model=model,
                accuracy=accuracy,
                ci95=None,
                cost_usd=None,
                n=100,
                taken=0.0,
                estimated=gain.estimated,
            )
            for model, accuracy in (("big", 0.6), ("other", 0.63))
        ]
        sentence = rule.verdict(gain, over, "big", [], rows, 0.62)
        assert sentence.startswith("Do not route yet: +1.5 points over big")
        assert "use other for everything" in sentence
        assert rule.verdict(gain, over, "big", [], rows, 0.64).startswith("Route:")
        known = [dataclasses.replace(row, estimated=None) for row in rows]
        assert rule.verdict(gain, over, "big", [], known, 0.62).startswith("Route:")
