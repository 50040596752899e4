"""The learning curve: nested parts, worlds of known truth, laws in plain NumPy, text."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hypernova
from hypernova.evaluation import protocol
from hypernova.evaluation.curve_parts import SHARES, curve_splits, smaller_parts
from hypernova.evaluation.figure_fields import CostChange, Gain
from hypernova.evaluation.learning_curve import best_weight, forecast, sentence
from hypernova.evaluation.learning_curve_fields import CurvePoint, LearningCurve
from hypernova.evaluation.protocol import Split
from hypernova.evaluation.terminal import lines
from hypernova.evaluation.verdict import few_tasks_notes
from hypernova.report_values import Interval
from hypernova.training.trainer import learn


def world(
    kinds: int, tasks: int, models: int, lead: float, seed: int = 0, cost: bool = False
) -> hypernova.OutcomeTable:
    """Kinds of prompt told apart by their vectors; each has its own best model, by ``lead``."""
    rng = np.random.default_rng(seed)
    kind = np.arange(tasks) % kinds
    vectors = np.eye(24)[kind] + 0.05 * rng.normal(size=(tasks, 24))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    solves = 0.45 + lead * (kind[:, None] % models == np.arange(models))
    columns = {"cost_usd": np.tile(1.0 + np.arange(models), (tasks, 1))} if cost else {}
    return hypernova.OutcomeTable.from_arrays(
        task_ids=[f"t{i}" for i in range(tasks)],
        prompts=[f"prompt {i}" for i in range(tasks)],
        models=[f"m{j}" for j in range(models)],
        score=(rng.random((tasks, models)) < solves).astype(float),
        embedding=vectors.astype(np.float32),
        **columns,
    )


def gain(mean: float | None, low: float = 0.0, high: float = 0.0, change=None) -> Gain:
    return Gain(
        mean=mean,
        ci95=None if mean is None else Interval(low, high),
        macro=None,
        tasks=100,
        cost_change=None if change is None else CostChange(mean=change, ci95=None),
    )


class TestParts:
    @given(
        st.lists(st.tuples(st.integers(0, 30), st.integers(-1, 3)), min_size=8, max_size=60),
        st.integers(0, 2**31),
    )
    def test_are_nested_whole_and_of_every_group(self, rows, seed) -> None:
        # A prompt is in the group of its first task here, as a table's prompts mostly are.
        of_prompt = dict(reversed(rows))
        _, prompts = np.unique([prompt for prompt, _ in rows], return_inverse=True)
        groups = np.array([of_prompt[prompt] for prompt, _ in rows])
        train = np.flatnonzero(prompts % 4 > 0)
        if not len(train):
            return
        split = Split(0, train, np.flatnonzero(prompts % 4 == 0), 7, (1, 2))
        parts = smaller_parts(split, prompts, groups, seed)
        again = smaller_parts(split, prompts, groups, seed)
        assert list(parts) == list(SHARES) == sorted(SHARES)
        larger = set(train.tolist())
        for share in reversed(SHARES):
            part = parts[share]
            drawn = set(part.train.tolist())
            assert drawn <= larger
            larger = drawn
            assert np.array_equal(part.train, np.sort(part.train))
            assert np.array_equal(part.train, again[share].train)
            assert np.array_equal(part.test, split.test)
            assert (part.seed, part.shuffle_seeds) == (7, ())
            # Whole prompts, the share of all, and of each group within one prompt.
            inside = set(prompts[part.train].tolist())
            assert drawn == {t for t in train.tolist() if prompts[t] in inside}
            assert len(inside) == round(share * len(set(prompts[train].tolist())))
            every = set(prompts[train].tolist())
            kinds = set(groups[train].tolist())
            for group in kinds:
                members = set(prompts[train][groups[train] == group].tolist())
                # Each group is cut at the same place of its order, which misses the share of all
                # prompts by as many as there are groups, and a half that is rounded.
                reach = 1 + len(members) * (len(kinds) + 0.5) / len(every)
                assert abs(len(inside & members) - share * len(members)) <= reach

    def test_too_small_ones_are_left_out_with_a_note(self) -> None:
        prompts = np.arange(60)
        splits = list(protocol.fold_splits(prompts, 4, 20, 0))
        notes: list[str] = []
        arguments = {"repeats": 20, "clusters": "auto", "seed": 0, "notes": notes}
        found = curve_splits(splits, prompts, np.zeros(60, dtype=int), **arguments)
        # 45 prompts are learned from; one of ten repeats is taken.
        assert {share: len(parts) for share, parts in found.items()} == {0.25: 8, 0.5: 8}
        assert {part.repeat for part in found[0.5]} == {0, 1}
        assert notes == []
        arguments["clusters"] = 12
        found = curve_splits(splits, prompts, np.zeros(60, dtype=int), **arguments)
        assert list(found) == [0.5]
        assert notes == [
            "The learning curve has no point for a quarter of the training part: that is 11 "
            "different prompts, too few to learn from."
        ]


class TestForecast:
    @given(
        st.floats(-1, 1), st.floats(-0.5, 0.5), st.integers(20, 10_000), st.floats(0, 1),
        st.floats(0, 0.2), st.floats(-0.1, 0.6),
    )  # fmt: skip
    def test_holds_what_every_law_between_says(self, a, b, n, power, reach, above) -> None:
        def accuracy(tasks: float) -> float:
            return a - b * tasks**-power if power else a + b * np.log(tasks)

        step, following = accuracy(n) - accuracy(n / 2), accuracy(2 * n) - accuracy(n)
        whole = gain(above, above - 0.01, above + 0.01)
        found = forecast(gain(step, step - reach, step + reach), whole, 2 * n)
        assert found is not None
        assert found.tasks == 2 * n
        if step == reach == 0 and above - 0.01 <= 0:
            assert (found.mean, found.ci95) == (None, None)
            return
        assert found.ci95 is not None
        assert found.ci95.low - 1e-9 <= following <= found.ci95.high + 1e-9
        # a - b / n, of all laws the least; a step below the best single model counts for nothing.
        assert found.mean == min(step, max(above, 0)) / 2
        if power == 1 and step <= above:
            assert following == pytest.approx(found.mean, abs=1e-9)
        # No claim that the last step and the gain did not prove.
        assert found.is_proven == (step - reach > 0 and above - 0.01 > 0)

    def test_without_a_step_nothing_is_said(self) -> None:
        whole = gain(0.1, 0.05, 0.15)
        assert forecast(None, whole, 10) is None
        assert sentence(None, whole) == "Whether more tasks would help is not known."
        for step, gained in ((gain(None), whole), (gain(0.0), gain(0.01, -0.01, 0.03))):
            found = forecast(step, gained, 10)
            assert found is not None
            assert (found.mean, found.ci95, found.is_proven) == (None, None, False)
        assert sentence(found, gain(None)) == "Whether more tasks would help is not known."
        # One that gains, and decides as with half of the tasks, has learned what it can.
        learned = forecast(gain(0.0), whole, 10)
        assert learned is not None
        assert (learned.mean, learned.ci95) == (0.0, Interval(0.0, 0.0))
        assert sentence(learned, whole).startswith("More tasks would hardly help")
        assert sentence(found, whole) == (
            "Whether more tasks would help is not known: half of them led to the same decisions as "
            "all."
        )

    def test_to_lose_no_more_is_no_gain(self) -> None:
        """312 tasks of routellm_mmlu: -1.6 points with half of them, nothing routed with all."""
        step = gain(0.016, 0.0003, 0.0355)
        found = forecast(step, gain(0.0), 500)
        assert found is not None
        assert (found.mean, found.ci95) == (0.0, Interval(0.0, 0.0355))
        assert sentence(found, gain(0.0)).startswith("More tasks are not known to help")
        # Nor is that a router that routes nothing has no more to learn.
        small = forecast(gain(0.001, -0.001, 0.003), gain(0.0), 500)
        assert sentence(small, gain(0.0)).startswith("More tasks are not known to help")

    @pytest.mark.parametrize(
        ("step", "said"),
        [
            ((0.02, 0.012, 0.029),
             "More tasks would help: twice as many would add about 1.0 points to the router's "
             "accuracy (95% interval +0.6 to +2.9)."),
            ((0.02, -0.004, 0.044),
             "More tasks are not known to help: what twice as many would add to the router's "
             "accuracy has the 95% interval -0.4 to +4.4 points."),
            ((0.001, -0.001, 0.003),
             "More tasks would hardly help: what twice as many would add to the router's accuracy "
             "has the 95% interval -0.1 to +0.3 points."),
            ((-0.02, -0.03, -0.01),
             "More tasks would hardly help: what twice as many would add to the router's accuracy "
             "has the 95% interval -3.0 to -0.5 points."),
        ],
    )  # fmt: skip
    def test_sentences(self, step, said) -> None:
        whole = gain(0.1, 0.05, 0.15)
        assert sentence(forecast(gain(*step), whole, 100), whole) == said


@given(
    st.lists(
        st.tuples(*[st.one_of(st.floats(-1, 1), st.just(float("nan")))] * 2),
        min_size=1, max_size=8,
    )
)  # fmt: skip
def test_the_weight_that_saves_most_without_a_loss(pairs) -> None:
    best, most = None, 0.0
    for i, (gained, saved) in enumerate(pairs):
        if not gained >= 0:
            break
        if saved > most:
            best, most = i, saved
    assert best_weight(*np.array(pairs).T) == best


QUICK = {"folds": 4, "repeats": 1, "jobs": 1}


@pytest.fixture(scope="module")
def growing() -> tuple[hypernova.OutcomeTable, hypernova.Report]:
    """Twenty kinds of prompt, and 3 to 12 tasks of each to learn from."""
    table = world(20, 320, 4, 0.4, cost=True)
    return table, hypernova.evaluate(table, clusters=20, **QUICK)


class TestEvaluated:
    def test_sees_that_more_tasks_help(self, growing) -> None:
        _, report = growing
        curve = report.learning_curve
        assert [point.tasks for point in curve.points] == [60, 120, 240]
        accuracies = [point.accuracy for point in curve.points]
        assert accuracies == sorted(accuracies)
        assert curve.points[-1].accuracy > curve.points[0].accuracy + 0.05
        assert curve.points[-1].gain.ci95.low > 0.2
        assert curve.doubling.tasks == 480
        assert curve.doubling.is_proven
        assert curve.text.startswith("More tasks would help")
        # The best model of each kind has 0.85, and is not known yet.
        assert curve.points[-1].accuracy + curve.doubling.ci95.low < 0.85
        assert curve.points[-1].accuracy + curve.doubling.ci95.high > 0.85

    def test_points_are_those_of_what_was_learned(self, growing) -> None:
        table, report = growing
        prompts = table.prompt_groups()
        splits = list(protocol.fold_splits(prompts, 4, 1, 0))
        groups = np.full(table.n_tasks, -1)
        parts = curve_splits(
            splits, prompts, groups, repeats=1, clusters=20, seed=0, notes=[]
        )  # fmt: skip
        scores = {}
        for share, of_share in [*parts.items(), (1.0, splits)]:
            router, single = np.empty(table.n_tasks), np.empty(table.n_tasks)
            for split in of_share:
                learned = learn(
                    table.subset(split.train), table.embedding[split.train],
                    clusters=20, seed=split.seed,
                )  # fmt: skip
                chosen = learned.artifact().decide_many(table.embedding[split.test]).model_indices
                router[split.test] = table.score[split.test, chosen]
                single[split.test] = table.score[split.test, learned.part.by_cell.default_model]
            scores[share] = router, single
        smaller = None
        for point in report.learning_curve.points:
            router, single = scores[point.share]
            assert point.accuracy == pytest.approx(router.mean(), abs=1e-6)
            assert point.best_single == pytest.approx(single.mean(), abs=1e-6)
            assert point.gain.mean == pytest.approx((router - single).mean(), abs=1e-6)
            if smaller is not None:
                assert point.over_smaller.mean == pytest.approx((router - smaller).mean(), abs=1e-6)
            smaller = router
        whole = report.learning_curve.points[-1]
        assert (whole.gain, whole.accuracy) == (report.gain, report.held_out.accuracy)

    def test_takes_one_repeat_of_ten(self) -> None:
        options = {**QUICK, "folds": 2, "repeats": 11}
        report = hypernova.evaluate(world(2, 44, 2, 0.5), clusters=2, **options)
        assert report.learning_curve.repeats == 2
        assert [point.gain.tasks for point in report.learning_curve.points] == [44, 44]

    def test_saves_where_a_cheap_model_is_as_good(self) -> None:
        """It costs a tenth and is as good at half of the tasks: 45% less, at no loss."""
        table = world(2, 120, 2, 0.0)
        dear = np.random.default_rng(1).random(120) < 0.9
        score = np.stack([dear, dear & (np.arange(120) % 2 == 0)], axis=1).astype(float)
        table = dataclasses.replace(table, score=score, cost_usd=np.tile([1.0, 0.1], (120, 1)))
        curve = hypernova.evaluate(table, clusters=2, **QUICK).learning_curve
        for point in curve.points:
            assert point.saving.mean == 0.0
            # A weight that suits the other folds may be too small for one to save by.
            assert -0.451 <= point.saving.cost_change.mean < -0.35
        # Without the cost weight there is nothing to gain.
        assert curve.points[-1].gain.mean <= 0.0

    @pytest.mark.parametrize("seed", range(2))
    def test_claims_nothing_where_nothing_is_to_be_learned(self, seed) -> None:
        curve = hypernova.evaluate(world(4, 120, 3, 0.0, seed), clusters=4, **QUICK).learning_curve
        low, high = curve.doubling.ci95
        assert low < 0 < high
        assert curve.text.startswith("More tasks are not known to help")
        assert curve.points[-1].saving is None  # no cost is known

    def test_a_small_table_has_no_quarter_and_may_do_without_a_curve(self) -> None:
        table = world(2, 40, 2, 0.5)
        report = hypernova.evaluate(table, clusters=2, **QUICK)
        assert [point.share for point in report.learning_curve.points] == [0.5, 1.0]
        assert any("no point for a quarter" in note for note in report.notes)
        without = hypernova.evaluate(table, clusters=2, learning_curve=False, **QUICK)
        assert without.learning_curve is None
        assert "learning curve" not in str(without)
        # Nothing else depends on it.
        plain = [dataclasses.replace(r, learning_curve=None, notes=()) for r in (report, without)]
        assert plain[0] == plain[1]

    def test_text_of_the_terminal_and_notes(self, growing) -> None:
        _, report = growing
        points = (
            CurvePoint(share=0.5, tasks=1200, accuracy=0.7, best_single=0.72, over_smaller=None,
                       gain=gain(-0.0212, -0.04, -0.0024), saving=gain(-0.001, -1, 1, -0.123)),
            CurvePoint(share=1.0, tasks=2400, accuracy=0.73, best_single=0.72,
                       gain=gain(0.01, -0.002, 0.022), saving=gain(0.002, -1, 1, -0.2),
                       over_smaller=gain(0.03, -0.01, 0.07)),
        )  # fmt: skip
        doubling = forecast(points[-1].over_smaller, points[-1].gain, 4800)
        curve = LearningCurve(
            points=points, repeats=1, doubling=doubling, text=sentence(doubling, points[-1].gain)
        )  # fmt: skip
        report = dataclasses.replace(report, learning_curve=curve)
        written = "\n".join(lines(report))
        expected = """
gain of routers that learned from a part of the training tasks
half, 1,200 tasks                 -2.12 points, 95% interval -4.00 to -0.24
all, 2,400 tasks                  +1.00 points, 95% interval -0.20 to +2.20
their cost, under the weight that lost no accuracy on the other folds
half, 1,200 tasks                 -12.3%, accuracy -0.10 points
all, 2,400 tasks                  -20.0%, accuracy +0.20 points
More tasks are not known to help: what twice as many would add to the router's accuracy
has the 95% interval -1.0 to +7.0 points.
"""
        assert expected in written
        assert few_tasks_notes(report) == [
            "Routers that learned from 1,200 tasks lost 2.1 points to the best single model.",
            "Whether more tasks would help is not to be seen from 320.",
        ]
        large = dataclasses.replace(report.dataset, different_prompts=1000)
        assert few_tasks_notes(dataclasses.replace(report, dataset=large)) == []
