"""`evaluate`: baselines and figures against loops, intervals against theory, known optima."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import statistics
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hypernova
from hypernova.errors import EmbedderMismatchError, EvaluationError, FitError, NotFoundError
from hypernova.evaluation import Report, baselines, intervals, protocol
from hypernova.evaluation import verdict as rule
from hypernova.evaluation.figure_fields import CostChange, Figure, Gain, GainOverShuffled
from hypernova.evaluation.figures import PairedFigures, complementarity
from hypernova.evaluation.report_fields import SingleModel
from hypernova.parallel import map_calls
from hypernova.report_values import Interval, rounded
from hypernova.table import read_prompts
from hypernova.training.cost_weight import cost_weights
from hypernova.training.trainer import learn
from support.paths import EXAMPLES

NAN = float("nan")


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def make_table(score, **columns) -> hypernova.OutcomeTable:
    score = np.asarray(score, dtype=float)
    n, m = score.shape
    arguments = {
        "task_ids": [f"t{i}" for i in range(n)],
        "prompts": [f"prompt {i}" for i in range(n)],
        "models": [f"m{j}" for j in range(m)],
        "score": score,
        **columns,
    }
    return hypernova.OutcomeTable.from_arrays(**arguments)


def two_kinds(seed: int = 0, n: int = 100, swap: float = 0.1, **columns):
    """Two kinds of prompt, and two models that solve one kind each, but for a share ``swap``."""
    rng = np.random.default_rng(seed)
    kind = np.arange(n) % 2
    vectors = unit(np.eye(16)[kind] + 0.05 * rng.normal(size=(n, 16)))
    score = (kind[:, None] == np.arange(2)).astype(float)
    score = np.where(rng.random(score.shape) < swap, 1 - score, score)
    return make_table(score, **{"embedding": vectors, **columns})


# In this process, and without the learning curve: both cost more than such a table.
QUICK = {"folds": 4, "repeats": 2, "clusters": 2, "jobs": 1, "learning_curve": False}
EVERYTHING = {**QUICK, "learning_curve": True}


# Small tables with holes, unknown costs, repeated prompts and tasks without a group.
@st.composite
def tables(draw, min_tasks: int = 1) -> hypernova.OutcomeTable:
    n, m = draw(st.integers(min_tasks, 8)), draw(st.integers(2, 4))
    size = {"min_size": n * m, "max_size": n * m}
    score = np.array(draw(st.lists(st.sampled_from([0, 0.25, 0.5, 1, NAN]), **size)), dtype=float)
    cost = np.array(draw(st.lists(st.sampled_from([0, 0.5, 1, 3, NAN]), **size)), dtype=float)
    score = score.reshape(n, m)
    score[0] = np.where(np.isnan(score[0]), 0.0, score[0])  # each model has an outcome
    each = {"min_size": n, "max_size": n}
    return make_table(
        score,
        cost_usd=cost.reshape(n, m),
        prompts=draw(st.lists(st.sampled_from(["a", "b", "c", "d"]), **each)),
        groups=draw(st.lists(st.sampled_from(["x", "y", None]), **each)),
    )


def numbers(names) -> tuple[np.ndarray, list[str]]:
    known = list(dict.fromkeys(name for name in names if name is not None))
    return np.array([-1 if name is None else known.index(name) for name in names]), known


def mean(values) -> float:
    there = [value for value in values if not math.isnan(value)]
    return statistics.fmean(there) if there else NAN


def near(value, expected) -> bool:
    """Whether two figures are equal but for rounding; None is unknown, as NaN is."""
    return (NAN if value is None else value) == pytest.approx(expected, abs=1e-9, nan_ok=True)


class TestBaselines:
    @given(tables())
    def test_random_is_the_mean_over_models(self, table) -> None:
        found = baselines.random_choice(table)
        for t in range(table.n_tasks):
            assert near(found.score[0, t], mean(table.score[t]))
            assert near(found.cost[0, t], mean(table.cost_usd[t]))

    @pytest.mark.slow
    @given(tables())
    def test_oracle_takes_the_best_and_then_the_cheapest(self, table) -> None:
        found = baselines.oracle(table)
        for t in range(table.n_tasks):
            pairs = [
                (score, cost)
                for score, cost in zip(table.score[t], table.cost_usd[t], strict=True)
                if not math.isnan(score)
            ]
            best = max((score for score, _ in pairs), default=NAN)
            costs = [cost for score, cost in pairs if score == best and not math.isnan(cost)]
            assert near(found.score[0, t], best)
            assert near(found.cost[0, t], min(costs, default=NAN))

    @pytest.mark.slow
    @given(tables())
    def test_group_oracle_takes_one_model_for_a_group(self, table) -> None:
        groups, _ = numbers(table.groups)
        chosen = baselines.best_of_groups(table, groups)
        found = baselines.chosen_outcomes(table, chosen)
        for group in set(groups.tolist()):
            members = [t for t in range(table.n_tasks) if groups[t] == group]
            outcomes = {
                m: [s for s in table.score[members, m] if not math.isnan(s)]
                for m in range(table.n_models)
            }
            most = max(map(len, outcomes.values()))
            rates = {
                m: mean(scores)
                for m, scores in outcomes.items()
                if scores and 2 * len(scores) >= most
            }
            # The first of equal ones; a group without any outcome takes any model.
            best = next((m for m in rates if rates[m] == max(rates.values())), 0)
            for t in members:
                assert near(found.score[0, t], table.score[t, best])
                assert near(found.cost[0, t], table.cost_usd[t, best])

    @given(
        st.lists(
            st.tuples(st.sampled_from([0.0, 1, 2, 3, 5, NAN]), st.sampled_from([0, 0.2, 0.5, 0.9])),
            min_size=1,
            max_size=6,
        ),
        st.floats(0, 6),
    )
    def test_no_mix_of_two_models_beats_the_hull(self, models, budget) -> None:
        """Against all pairs of models: the best accuracy that a budget buys."""
        cost, accuracy = np.array(models, dtype=float).T
        hull = baselines.upper_hull(cost, accuracy)
        known = [(c, a) for c, a in models if not math.isnan(c)]
        assert bool(hull) == bool(known)
        if not hull or budget < cost[hull[0]]:
            return
        best = max((a for c, a in known if c <= budget), default=-1.0)
        for (c1, a1), (c2, a2) in itertools.permutations(known, 2):
            if c1 <= budget < c2:
                best = max(best, a1 + (a2 - a1) * (budget - c1) / (c2 - c1))
        assert np.interp(budget, cost[hull], accuracy[hull]) == pytest.approx(best)

    @pytest.mark.slow
    @given(tables(), st.data())
    def test_the_mix_costs_what_the_router_costs(self, table, data) -> None:
        chosen = np.array(
            data.draw(
                st.lists(
                    st.integers(0, table.n_models - 1),
                    min_size=table.n_tasks,
                    max_size=table.n_tasks,
                )
            )
        )
        spent = mean(table.cost_usd[t, chosen[t]] for t in range(table.n_tasks))
        hull = baselines.Hull.of(table)
        mix = None if hull is None else hull.mix(spent)
        n = (~np.isnan(table.score)).sum(axis=0)
        usual = [mean(table.cost_usd[:, m]) for m in range(table.n_models) if 2 * n[m] >= n.max()]
        if mix is None:
            assert math.isnan(spent) or all(map(math.isnan, usual))
            return
        low, high = mean(table.cost_usd[:, mix.cheap]), mean(table.cost_usd[:, mix.dear])
        costs = (1 - mix.share) * low + mix.share * high
        assert 0 <= mix.share <= 1
        if low < high:
            assert costs == pytest.approx(spent)
        else:  # one model: the router is cheaper than the cheapest, or as dear as the best
            assert mix.cheap == mix.dear
            assert costs <= spent + 1e-9 or costs == min(c for c in usual if not math.isnan(c))

    @pytest.mark.slow
    @given(tables(), st.data())
    def test_a_mix_is_an_expectation(self, table, data) -> None:
        shape = (2, table.n_tasks)
        cells = {"min_size": 2 * table.n_tasks, "max_size": 2 * table.n_tasks}
        models = st.lists(st.integers(-1, table.n_models - 1), **cells)
        cheap, dear = (np.array(data.draw(models)).reshape(shape) for _ in range(2))
        share = np.array(data.draw(st.lists(st.sampled_from([0.0, 0.25, 1.0]), **cells)))
        share = share.reshape(shape)
        found = baselines.mix_outcomes(table, cheap, dear, share)
        for r, t in np.ndindex(shape):
            s = share[r, t]
            for values, got in ((table.score, found.score), (table.cost_usd, found.cost)):
                low = NAN if cheap[r, t] < 0 else values[t, cheap[r, t]]
                high = NAN if dear[r, t] < 0 else values[t, dear[r, t]]
                assert near(got[r, t], high if s == 1 else (1 - s) * low + s * high)


class TestFigures:
    @pytest.mark.slow
    @given(tables(), st.data())
    def test_equal_loops(self, table, data) -> None:
        repeats = data.draw(st.integers(1, 3))
        cells = {"min_size": repeats * table.n_tasks, "max_size": repeats * table.n_tasks}
        models = st.lists(st.integers(-1, table.n_models - 1), **cells)
        ours, theirs = (
            np.array(data.draw(models)).reshape(repeats, table.n_tasks) for _ in range(2)
        )
        groups, names = numbers(table.groups)
        figures = PairedFigures(table.prompt_groups(), groups, names, seed=0)
        figures.add("ours", baselines.chosen_outcomes(table, ours))
        figures.add("theirs", baselines.chosen_outcomes(table, theirs))
        figures.pair("ours", "theirs", test_to_train=0.25)
        figures.draw()

        def value(values, chosen, r: int, t: int) -> float:
            return NAN if chosen[r, t] < 0 else float(values[t, chosen[r, t]])

        tasks, rows = range(table.n_tasks), range(repeats)
        score = [mean(value(table.score, ours, r, t) for r in rows) for t in tasks]
        cost = [mean(value(table.cost_usd, ours, r, t) for r in rows) for t in tasks]
        gains = [
            mean(value(table.score, ours, r, t) - value(table.score, theirs, r, t) for r in rows)
            for t in tasks
        ]

        def macro(values) -> float:
            return mean(mean(values[t] for t in tasks if table.groups[t] == g) for g in names)

        figure = figures.figure("ours")
        assert near(figure.accuracy, mean(score))
        assert near(figure.cost_usd, mean(cost))
        assert figure.n == sum(not math.isnan(s) for s in score)
        assert figure.macro is None if not names else near(figure.macro, macro(score))
        gain = figures.gain("ours", "theirs")
        assert near(gain.mean, mean(gains))
        assert gain.tasks == sum(not math.isnan(g) for g in gains)
        assert gain.macro is None if not names else near(gain.macro, macro(gains))
        assert (gain.ci95 is None) == (gain.tasks == 0)
        unscored = mean(
            float(math.isnan(value(table.score, ours, r, t))) for r in rows for t in tasks
        )
        assert near(figures.unscored("ours"), unscored)

        # Costs are compared only where both are known.
        pairs = [
            [(value(table.cost_usd, ours, r, t), value(table.cost_usd, theirs, r, t)) for r in rows]
            for t in tasks
        ]
        both = [[p for p in row if not math.isnan(sum(p))] for row in pairs]
        spent = mean(mean(b for _, b in row) for row in both)
        if spent > 0:
            saved = mean(mean(a - b for a, b in row) for row in both)
            assert near(gain.cost_change.mean, saved / spent)
        else:
            assert gain.cost_change is None
        for row, group in zip(figures.by_group("ours", "theirs"), names, strict=True):
            members = [t for t in tasks if table.groups[t] == group]
            assert row.group == group
            assert row.tasks == len(members)
            assert near(row.accuracy, mean(score[t] for t in members))
            assert near(row.gain, mean(gains[t] for t in members))

    @pytest.mark.slow
    @given(tables())
    def test_complementarity_is_a_count(self, table) -> None:
        best = 0
        failed = [t for t in range(table.n_tasks) if table.score[t, best] < 0.5]
        found = complementarity(table.score, table.models, best)
        solved = {
            name: sum(table.score[t, m] >= 0.5 for t in failed)
            for m, name in enumerate(table.models)
        }
        assert found.failed == len(failed)
        assert found.solved_by_another == sum(any(s >= 0.5 for s in table.score[t]) for t in failed)
        assert {r.model: r.solves for r in found.rescuers} == {
            name: times for name, times in solved.items() if times
        }
        times = [r.solves for r in found.rescuers]
        assert times == sorted(times, reverse=True)

    def test_rounded_is_json(self) -> None:
        values = {"a": np.float32(0.25), "b": (NAN, math.inf, -1e-9), "c": np.arange(2), "d": "x"}
        text = json.dumps(rounded(values), allow_nan=False)
        assert text == '{"a": 0.25, "b": [null, null, 0.0], "c": [0, 1], "d": "x"}'
        change = rounded(CostChange(mean=NAN, ci95=Interval(-0.25, 0.1234567)))
        assert json.dumps(change) == '{"mean": null, "ci95": [-0.25, 0.123457]}'


class TestIntervals:
    def test_weighted_means_equal_a_loop(self) -> None:
        rng = np.random.default_rng(0)
        for repeats in (1, 3):
            values = np.where(rng.random((repeats, 6)) < 0.4, NAN, rng.random((repeats, 6)))
            values[:, 0] = NAN
            weight, of_repeat = rng.integers(0, 3, (20, 6)), rng.integers(0, 2, (20, 3))
            known = ~np.isnan(values)
            found = intervals.weighted_means(
                np.where(known, values, 0.0), known, weight.astype(float), of_repeat.astype(float)
            )
            for b in range(20):
                # Each task as often as it was drawn, each of its repeats as often as drawn.
                times = [1] if repeats == 1 else of_repeat[b]
                rows = [list(np.repeat(values[:, t], times)) for t in range(6)]
                drawn = [mean(row) for t, row in enumerate(rows) for _ in range(weight[b, t])]
                assert near(found[b], mean(drawn))

    def test_spread_is_that_of_a_mean(self) -> None:
        values = np.random.default_rng(0).normal(size=(1, 300))
        draws = intervals.draw_means({"x": values}, np.arange(300), seed=1)["x"]
        assert draws.std() == pytest.approx(values.std() / np.sqrt(300), rel=0.05)
        low, high = intervals.interval(draws)
        assert (high - low) / 2 == pytest.approx(1.96 * values.std() / np.sqrt(300), rel=0.06)

    def test_repeats_of_a_task_are_no_more_tasks(self) -> None:
        values = np.random.default_rng(0).normal(size=(1, 200))
        alone = intervals.draw_means({"x": values}, np.arange(200), seed=0)["x"]
        often = intervals.draw_means({"x": np.repeat(values, 10, 0)}, np.arange(200), seed=0)["x"]
        assert often.std() == pytest.approx(alone.std(), rel=0.06)

    def test_repeats_that_differ_widen_the_interval(self) -> None:
        """Two things vary: their variances add up (Owen 2007)."""
        rng = np.random.default_rng(0)
        task, repeat = rng.normal(size=300), rng.normal(size=(8, 1))
        draws = intervals.draw_means({"x": task + repeat}, np.arange(300), seed=0)["x"]
        expected = np.sqrt(task.var() / 300 + repeat.var() / 8)
        assert draws.std() == pytest.approx(expected, rel=0.05)

    def test_equal_prompts_are_drawn_together(self) -> None:
        values = np.random.default_rng(0).normal(size=100)
        alone = intervals.draw_means({"x": values[None]}, np.arange(100), seed=0)["x"]
        copies = intervals.draw_means(
            {"x": np.tile(values, 4)[None]}, np.tile(np.arange(100), 4), seed=0
        )["x"]
        np.testing.assert_allclose(copies, alone)

    def test_covers_the_truth_as_often_as_it_says(self) -> None:
        """400 tables of 80 tasks: the interval holds the true rate about 95 times of 100."""
        rng = np.random.default_rng(0)
        tables = {i: (rng.random((1, 80)) < 0.7).astype(float) for i in range(400)}
        drawn = intervals.draw_means(tables, np.arange(80), seed=0)
        ranges = [intervals.interval(draws) for draws in drawn.values()]
        covered = np.mean([low <= 0.7 <= high for low, high in ranges])
        assert 0.92 <= covered <= 0.98

    def test_widened_is_the_variance_of_nadeau_and_bengio(self) -> None:
        """Five folds: a quarter more variance, for each end by itself."""
        low, high = intervals.widened(Interval(0.01, 0.04), 0.02, 0.25)
        assert (0.02 - low) ** 2 == pytest.approx(1.25 * 0.01**2)
        assert (high - 0.02) ** 2 == pytest.approx(1.25 * 0.02**2)
        assert intervals.widened(Interval(0.0, 0.0), 0.0, 0.25) == (0.0, 0.0)
        assert intervals.widened(None, NAN, 0.25) is None

    def test_nothing_known_gives_no_interval(self) -> None:
        drawn = intervals.draw_means({"x": np.full((2, 5), NAN)}, np.arange(5), seed=0)["x"]
        assert intervals.interval(drawn) is None


class TestSplits:
    @pytest.mark.slow
    @given(st.lists(st.integers(0, 20), min_size=10, max_size=60), st.integers(2, 4))
    def test_each_task_is_held_out_once_a_repeat_and_no_prompt_leaks(self, prompts, k) -> None:
        prompts = np.array(prompts)
        splits = list(protocol.fold_splits(prompts, k, 3, seed=1))
        assert len(splits) == 3 * k
        for r in range(3):
            held_out = np.concatenate([split.test for split in splits if split.repeat == r])
            assert sorted(held_out.tolist()) == list(range(len(prompts)))
        for split in splits:
            assert not set(prompts[split.train]) & set(prompts[split.test])
            assert len(split.train) + len(split.test) == len(prompts)
        assert len({split.seed for split in splits}) == len(splits)

    @pytest.mark.slow
    @given(tables())
    def test_a_group_left_out_leaves_no_prompt_behind(self, table) -> None:
        groups, names = numbers(table.groups)
        prompts = table.prompt_groups()
        splits = list(protocol.group_splits(prompts, groups, seed=0))
        assert len(splits) == len(names)
        for split, name in zip(splits, names, strict=True):
            assert [t for t in range(table.n_tasks) if table.groups[t] == name] == list(split.test)
            unseen = {table.prompts[t] for t in split.test}
            assert list(split.train) == [
                t for t in range(table.n_tasks) if table.prompts[t] not in unseen
            ]

    @pytest.mark.slow
    @given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(0, 9))
    def test_shuffled_tasks_get_the_places_of_one_other_prompt(self, prompts, seed) -> None:
        """Equal prompts get those of one prompt that occurs as often; each place is given once."""
        prompts = np.array(prompts)
        given = protocol.shuffle_tasks(prompts, seed)
        assert sorted(given.tolist()) == list(range(len(prompts)))
        pairs = set(zip(prompts.tolist(), prompts[given].tolist(), strict=True))
        assert len(pairs) == len(set(prompts.tolist()))
        assert {place for _, place in pairs} == set(prompts.tolist())

    def test_any_prompt_may_get_the_place_of_any_that_occurs_as_often(self) -> None:
        prompts = np.array([0, 1, 2, 3, 3, 4, 4, 5, 5, 5])
        seen = {
            (int(p), int(q))
            for seed in range(60)
            for p, q in zip(prompts, prompts[protocol.shuffle_tasks(prompts, seed)], strict=True)
        }
        expected = {(p, q) for same in ([0, 1, 2], [3, 4], [5]) for p in same for q in same}
        assert seen == expected

    @pytest.mark.slow
    def test_no_outcome_of_the_test_part_enters(self) -> None:
        """The outcomes of the test part are replaced; nothing that was decided may change."""
        table = two_kinds(swap=0.3, cost_usd=np.random.default_rng(1).random((100, 2)))
        weights = cost_weights(table)
        for split in itertools.islice(protocol.fold_splits(table.prompt_groups(), 4, 1, 0), 2):
            score, cost = table.score.copy(), table.cost_usd.copy()
            score[split.test] = 1 - score[split.test]
            cost[split.test] = 100 - cost[split.test]
            other = dataclasses.replace(table, score=score, cost_usd=cost)
            calls = [
                partial(
                    protocol.decide_split,
                    each,
                    table.embedding,
                    split,
                    "auto",
                    weights,
                    call_weights=(0.0, 0.5),
                    estimates=True,
                    margins=True,
                )
                for each in (table, other)
            ]
            decided = map_calls(calls, jobs=1, total=2, description="")
            first, second = map(dataclasses.asdict, decided)
            assert first.keys() == second.keys()
            for name in first:
                np.testing.assert_equal(first[name], second[name])


class TestVerdict:
    @staticmethod
    def gain(mean, low, high, change=None) -> Gain:
        cost = change and CostChange(mean=change[0], ci95=Interval(*change[1:]))
        return Gain(mean=mean, ci95=Interval(low, high), macro=None, tasks=500, cost_change=cost)

    @staticmethod
    def over_shuffled(mean, low, high) -> GainOverShuffled:
        return GainOverShuffled(mean=mean, ci95=Interval(low, high), tasks=500)

    @staticmethod
    def single(model, accuracy, cost_usd) -> SingleModel:
        return SingleModel(
            model=model, accuracy=accuracy, ci95=None, cost_usd=cost_usd, n=500, taken=0.0
        )

    @pytest.mark.parametrize(
        ("gain", "sentence"),
        [
            (
                (0.016, 0.005, 0.027, (-0.05, -0.1, 0.0)),
                "Route: +1.6 points over big (95% interval +0.5 to +2.7) at 5% lower cost",
            ),
            (
                (0.016, 0.0003, 0.03),
                "Route: +1.60 points over big (95% interval +0.03 to +3.00); what it costs is "
                "not known",
            ),
            (
                (0.02, 0.01, 0.03, (0.114, 0.1, 0.2)),
                "Route: +2.0 points over big (95% interval +1.0 to +3.0) at 11% higher cost",
            ),
            (
                (0.004, -0.01, 0.018),
                "Do not route yet: +0.4 points over big is not proven (95% interval -1.0 to +1.8); "
                "use big for everything until more tasks decide it",
            ),
            (
                (0.0, 0.0, 0.0),
                "Do not route: use big for everything; the router found nothing that another model "
                "does better",
            ),
            (
                (-0.02, -0.03, -0.01),
                "Do not route: use big for everything; routing changes accuracy by -2.0 points "
                "(95% interval -3.0 to -1.0)",
            ),
            (
                (0.0001, -0.002, 0.002),
                "Do not route: use big for everything; routing changes accuracy by 0.0 points "
                "(95% interval -0.2 to +0.2)",
            ),
        ],
    )
    def test_forms(self, gain, sentence) -> None:
        proven = self.over_shuffled(0.01, 0.001, 0.02)
        assert rule.verdict(self.gain(*gain), proven, "big", [], []) == sentence

    def test_a_gain_without_prompts_is_no_reason_to_route(self) -> None:
        found = rule.verdict(
            self.gain(0.02, 0.01, 0.03), self.over_shuffled(0.01, -0.001, 0.02), "big", [], []
        )
        assert found == (
            "Do not route yet: +2.0 points over big (95% interval +1.0 to +3.0), but a router that "
            "learned from shuffled prompts is not proven to do worse, so the prompts may have no "
            "part in it"
        )

    def test_for_cost(self) -> None:
        """Weights that lose too much, or save nothing, are not advised."""
        weighted = [
            (0.0, self.gain(0.001, -0.009, 0.01, (0.1, 0.0, 0.2))),
            (0.1, self.gain(0.000, -0.009, 0.01, (-0.2, -0.3, -0.1))),
            (0.2, self.gain(-0.001, -0.009, 0.01, (-0.37, -0.5, -0.3))),
            (0.4, self.gain(-0.1, -0.2, -0.05, (-0.9, -0.95, -0.8))),
        ]
        frontier = [
            rule.WeightedResult(
                weight,
                Figure(accuracy=0.7 + gain.mean, ci95=None, cost_usd=0.5 - weight, macro=None, n=1),
                gain,
                self.gain(0.02, 0.01, 0.03),
            )
            for weight, gain in weighted
        ]
        dear = self.single("big", 0.7, 0.5)
        poor = self.single("small", 0.69, 0.1)
        unknown = self.single("new", 0.9, None)
        none = self.over_shuffled(0.0, -0.01, 0.01)
        sentence = rule.verdict(weighted[0][1], none, "big", frontier, [dear, poor, unknown])
        assert sentence == (
            "Route for cost: 37% lower cost than big at a cost weight of 0.2, for -0.1 points of "
            "accuracy (95% interval -0.9 to +1.0)"
        )
        plain = self.single("medium", 0.7, 0.25)
        sentence = rule.verdict(weighted[0][1], none, "big", frontier, [dear, poor, plain])
        assert sentence == (
            "Do not route: use medium for everything; at $0.25 a task and an accuracy of 0.700 no "
            "cost weight is better"
        )
        # A coin that is tossed between two models saves as well.
        coin = [dataclasses.replace(r, over_mix=self.gain(0.02, -0.01, 0.03)) for r in frontier]
        sentence = rule.verdict(weighted[0][1], none, "big", coin, [dear, poor, unknown])
        assert sentence == (
            "Do not route yet: +0.1 points over big is not proven (95% interval -0.9 to +1.0); use "
            "big for everything until more tasks decide it"
        )
        assert rule.cheaper_weight([gain for _, gain in weighted[:1]]) is None
        assert rule.cheaper_weight([gain for _, gain in weighted[3:]]) is None
        # A weight after one that failed is not looked at, however good it looks.
        assert rule.cheaper_weight([weighted[i][1] for i in (3, 1, 2)]) is None

    def test_many_weights_do_not_make_a_claim_likelier(self) -> None:
        """All 24 weights lose just the margin, each with noise of its own."""
        rng = np.random.default_rng(0)
        claims = 0
        for _ in range(4000):
            found = rng.normal(-rule.MARGIN, 0.01, size=24)
            gains = [self.gain(g, g - 0.0196, g + 0.0196, (-0.5, -0.6, -0.4)) for g in found]
            claims += rule.cheaper_weight(gains) is not None
        assert claims / 4000 == pytest.approx(0.025, abs=0.008)

    def test_tasks_to_decide(self) -> None:
        assert rule.tasks_to_decide(self.gain(0.005, -0.005, 0.015)) == 2000
        assert rule.tasks_to_decide(self.gain(0.02, 0.01, 0.03)) is None
        assert rule.tasks_to_decide(self.gain(-0.005, -0.02, 0.015)) is None


FIGURE = {"accuracy", "ci95", "cost_usd", "macro", "n", "estimated"}
FIELDS = {
    "version": None,
    "hypernova": None,
    "dataset": {
        "name", "tasks", "different_prompts", "models", "groups", "outcomes", "density", "costs",
        "repeats",
    },
    "protocol": {
        "folds", "repeats", "seed", "embedder", "clusters", "bootstrap", "text", "unseen",
    },
    "in_sample": FIGURE | {"label"},
    "held_out": FIGURE,
    "best_single": FIGURE,
    "best_single_hindsight": FIGURE | {"model"},
    "random": FIGURE,
    "group_oracle": FIGURE,
    "oracle": FIGURE,
    "shuffled_clusters": FIGURE,
    "cost_matched_mix": FIGURE,
    "gain": {"mean", "ci95", "macro", "tasks", "cost_change", "estimated"},
    "shared_text": None,
    "alike_prompts": None,
    "gain_over_shuffled": {"mean", "ci95", "tasks", "estimated"},
    "pareto": [{"cost_weight", "accuracy", "ci95", "cost_usd", "over_mix", "estimated"}],
    "frontier_gain": {"mean", "ci95", "macro", "tasks", "cost_change", "estimated"},
    "aiq": {"router", "single_models", "low_usd", "high_usd"},
    "call_frontier": None,
    "gap_recovered": None,
    "calibration": {"error", "brier", "brier_of_rates", "n", "bins"},
    "learning_curve": {"points", "repeats", "doubling", "text"},
    "unseen_kinds": {
        "expected", "kinds", "left_out", "sets", "gain", "worst", "novel", "break_even", "text",
    },
    "group_given": None,  # no two groups have 20 tasks each
    "models": [{"model", "accuracy", "ci95", "cost_usd", "n", "taken", "estimated"}],
    "groups": [{"group", "tasks", "accuracy", "best_single", "gain", "estimated"}],
    "leave_one_group_out": {"held_out", "best_single", "gain", "novel", "groups"},
    "complementarity": {"model", "failed", "solved_by_another", "rescuers"},
    "settings": [None],
    "clusters": [
        {"cluster", "tasks", "words", "prompts", "decision", "reason", "cells"},
    ],
    "notes": [None],
    "verdict": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def evaluated() -> tuple[hypernova.OutcomeTable, Report]:
    """Two kinds in three groups, costs, and every option on."""
    groups = [
        ("even", "odd", "odd", "odd")[i % 4] if i < 80 else f"late {i % 2}" for i in range(100)
    ]
    table = two_kinds(groups=groups, cost_usd=np.tile([2.0, 1.0], (100, 1)), name="kinds")
    return table, hypernova.evaluate(table, leave_one_group_out=True, **EVERYTHING)


@pytest.mark.slow
class TestEvaluate:
    def test_finds_a_known_optimum(self, evaluated) -> None:
        table, report = evaluated
        values = report.to_dict()
        kind = np.arange(100) % 2
        optimum = table.score[np.arange(100), kind].mean()
        assert values["held_out"]["accuracy"] == pytest.approx(optimum, abs=0.011)
        assert values["gain"]["ci95"][0] > 0.2
        assert values["shuffled_clusters"]["accuracy"] < optimum - 0.2
        assert report.verdict.startswith("Route: +")
        assert values["held_out"]["accuracy"] <= values["oracle"]["accuracy"]
        # Half of the tasks go to the model that costs half.
        assert values["held_out"]["cost_usd"] == pytest.approx(1.5, abs=0.05)

    def test_has_every_field(self, evaluated) -> None:
        _, report = evaluated
        values = report.to_dict()
        assert json.loads(json.dumps(values, allow_nan=False)) == values
        assert values.keys() == FIELDS.keys()
        for name, fields in FIELDS.items():
            if isinstance(fields, set):
                assert values[name].keys() == fields, name
            elif fields and fields[0]:
                assert values[name]
                assert all(row.keys() == fields[0] for row in values[name]), name
        assert values["leave_one_group_out"]["groups"][0].keys() == {
            "group", "tasks", "accuracy", "best_single", "gain", "estimated", "novel",
        }  # fmt: skip
        assert [weight["cost_weight"] for weight in values["pareto"]] == sorted(
            weight["cost_weight"] for weight in values["pareto"]
        )
        assert len(values["pareto"]) == 31
        assert sum(row["times"] for row in values["settings"]) == 8
        assert sum(row["taken"] for row in values["models"]) == pytest.approx(1)
        assert sum(row["tasks"] for row in values["clusters"]) == 100
        cell = values["clusters"][0]["cells"][0]
        assert cell.keys() == {"model", "n", "mean", "success", "ci95", "cost_usd"}
        assert cell["ci95"][0] < cell["success"] < cell["ci95"][1]

    def test_the_curve_goes_from_the_default_to_the_cheapest(self, evaluated) -> None:
        _, report = evaluated
        values = report.to_dict()
        first, last = values["pareto"][0], values["pareto"][-1]
        assert {key: first[key] for key in ("accuracy", "cost_usd", "ci95")} == {
            key: values["held_out"][key] for key in ("accuracy", "cost_usd", "ci95")
        }
        assert last["cost_usd"] == 1.0

    def test_in_sample_is_that_of_fit(self, evaluated) -> None:
        table, report = evaluated
        artifact = hypernova.fit(table, clusters=2)
        fitted = artifact.metadata["in_sample"]
        in_sample = report.to_dict()["in_sample"]
        assert in_sample["accuracy"] == fitted["accuracy"]
        assert in_sample["label"] == fitted["label"]
        decisions = [row["decision"] for row in report.to_dict()["clusters"]]
        assert decisions == [d.model for d in artifact.decide_many(artifact.centroids)]

    def test_clusters_of_other_prompts_are_those_of_fit(self) -> None:
        table = hypernova.OutcomeTable.read(EXAMPLES / "simulated.jsonl").subset(np.arange(120))
        # The file has the prompts of the table.
        prompts = read_prompts(EXAMPLES / "prompts.jsonl")[::2]
        options = {"clusters": 4, "seed": 3, "cluster_prompts": prompts}
        quick = {"folds": 2, "repeats": 1, "jobs": 1, "learning_curve": False}
        report = hypernova.evaluate(table, **quick, **options).to_dict()
        artifact = hypernova.fit(table, **options)
        other = hypernova.fit(table, clusters=4, seed=3)
        assert not np.array_equal(artifact.centroids, other.centroids)
        # The table has holes: `fit` leaves out what it cannot score.
        fitted, in_sample = artifact.metadata["in_sample"], report["in_sample"]
        assert in_sample["estimated"]["measured"] == fitted["accuracy"]
        assert in_sample["estimated"]["low"] < in_sample["accuracy"]
        assert "Clusters are found on 160 other prompts." in report["notes"]

    def test_a_fold_learns_with_the_other_prompts(self, evaluated) -> None:
        table, _ = evaluated
        split = next(protocol.fold_splits(table.prompt_groups(), 2, 1, 0))
        train, vectors = table.subset(split.train), table.embedding[split.train]
        chosen = set()
        for seed in range(5):
            rng = np.random.default_rng(seed)
            noise = rng.normal(size=(40, table.embedding.shape[1])).astype(np.float32)
            noise /= np.linalg.norm(noise, axis=1, keepdims=True)
            decided = protocol.decide_split(table, table.embedding, split, 8, (), noise)
            learned = learn(train, vectors, clusters=8, seed=split.seed, cluster_vectors=noise)
            expected = learned.artifact().decide_many(table.embedding[split.test])
            assert np.array_equal(decided.chosen, expected.model_indices)
            novel = expected.reason_codes == expected.reasons.index("default_novel")
            assert np.array_equal(decided.novel, novel)
            chosen.add((tuple(decided.chosen), tuple(decided.novel)))
        assert len(chosen) > 1, "what the clusters are makes no difference here"

    def test_no_other_prompts(self, evaluated) -> None:
        table = hypernova.OutcomeTable.read(EXAMPLES / "simulated.jsonl")
        with pytest.raises(FitError, match="cluster_prompts holds no prompts"):
            hypernova.evaluate(table, cluster_prompts=[])
        with pytest.raises(EmbedderMismatchError, match="brings vectors"):
            hypernova.evaluate(evaluated[0], cluster_prompts=["a prompt"])

    def test_does_not_depend_on_jobs(self, evaluated) -> None:
        table, report = evaluated
        options = {**EVERYTHING, "jobs": 2}
        again = hypernova.evaluate(table, leave_one_group_out=True, **options)
        assert again.to_dict() == report.to_dict()

    def test_repeats_from_its_seed(self) -> None:
        table = two_kinds(swap=0.3)
        first, same, other = (hypernova.evaluate(table, seed=s, **QUICK) for s in (3, 3, 4))
        assert first.to_dict() == same.to_dict()
        assert first.to_dict()["held_out"] != other.to_dict()["held_out"]

    def test_lies_above_the_mixes_of_two_models_where_prompts_tell_which_is_enough(self) -> None:
        """Half of the tasks are easy: a dear model solves all, a cheap one the easy ones.

        Routing solves all for $0.55 a task, where a random mix at that cost solves 75%. Where
        nothing is known of a prompt, a router is such a mix.
        """
        rng, hard = np.random.default_rng(0), np.arange(120) % 2
        vectors = unit(np.eye(16)[hard] + 0.05 * rng.normal(size=(120, 16)))
        score = np.stack([np.ones(120), 1.0 - hard], axis=1)
        cost = np.tile([1.0, 0.1], (120, 1))
        report = hypernova.evaluate(make_table(score, embedding=vectors, cost_usd=cost), **QUICK)
        assert report.verdict.startswith("Route for cost: 45% lower cost than m0")
        between = [p for p in report.pareto if p.cost_usd == pytest.approx(0.55, abs=0.01)]
        assert len(between) > 10
        for point in between:
            assert point.over_mix is not None
            assert point.over_mix.mean == pytest.approx(0.25, abs=0.01)
            assert point.over_mix.is_proven
        assert 0.1 < report.frontier_gain.mean < 0.25
        # A line from 0.5 at $0.1 to 1 at $1 for mixes; routing reaches 1 at $0.55.
        assert report.aiq.single_models == pytest.approx(0.75)
        assert report.aiq.router == pytest.approx(0.875, abs=0.01)
        assert (report.aiq.low_usd, report.aiq.high_usd) == (0.1, 1.0)
        assert report.call_frontier is None
        nothing = unit(rng.normal(size=(120, 16)))
        blind = make_table(score, embedding=nothing, cost_usd=cost)
        report = hypernova.evaluate(blind, **QUICK)
        assert report.frontier_gain.mean == pytest.approx(0.0, abs=0.04)
        assert report.aiq.router == pytest.approx(0.75, abs=0.03)
        assert report.verdict.startswith("Do not route")

    @pytest.mark.parametrize("seed", range(3))
    def test_finds_nothing_in_shuffled_outcomes(self, seed) -> None:
        """Outcomes that went to other tasks have nothing to do with the prompts."""
        table = two_kinds(n=120)
        score = np.random.default_rng(seed).permutation(table.score)
        options = {**QUICK, "folds": 3, "clusters": "auto"}
        report = hypernova.evaluate(dataclasses.replace(table, score=score), **options)
        gain = report.to_dict()["gain"]
        assert gain["ci95"][0] <= 0 <= gain["ci95"][1] or gain["mean"] < 0
        assert report.verdict.startswith("Do not route")

    def test_a_kind_never_seen(self) -> None:
        """Left out, a kind is routed as if it were the other one, or taken for novel."""
        table = two_kinds(groups=[("a", "b")[i % 2] for i in range(100)])
        values = hypernova.evaluate(table, leave_one_group_out=True, **QUICK).to_dict()
        left_out = values["leave_one_group_out"]
        assert left_out["held_out"]["accuracy"] < 0.3 < 0.8 < values["held_out"]["accuracy"]
        assert left_out["novel"] == 1.0
        assert {row["group"] for row in left_out["groups"]} == {"a", "b"}
        assert [row["tasks"] for row in left_out["groups"]] == [50, 50]

    def test_holes_are_estimated(self) -> None:
        table = two_kinds(n=160)
        rng = np.random.default_rng(0)
        score = np.where(rng.random((160, 2)) < 0.2, NAN, table.score)
        score[:5] = NAN
        report = hypernova.evaluate(dataclasses.replace(table, score=score), **QUICK).to_dict()
        assert report["held_out"]["accuracy"] > 0.8
        assert report["dataset"]["tasks"] < 160
        assert report["held_out"]["n"] < report["dataset"]["tasks"]
        assert report["gain"]["tasks"] <= report["held_out"]["n"]
        assert report["held_out"]["estimated"]["measured"] > 0.8
        assert 0.1 < report["held_out"]["estimated"]["share"] < 0.3
        assert "left out" in report["notes"][0]
        assert any("without an outcome" in note for note in report["notes"])

    def test_partly_known_costs(self) -> None:
        table = two_kinds(cost_usd=np.tile([2.0, NAN], (100, 1)))
        report = hypernova.evaluate(table, **QUICK).to_dict()
        assert report["models"][1]["cost_usd"] is None
        assert report["held_out"]["cost_usd"] == 2.0
        assert any("Costs are known for 50%" in note for note in report["notes"])

    def test_equal_prompts_are_counted_once(self) -> None:
        once = two_kinds(n=60, swap=0.3)
        rows = np.tile(np.arange(60), 2)
        twice = dataclasses.replace(once.subset(rows), task_ids=tuple(f"t{i}" for i in range(120)))
        values = [hypernova.evaluate(table, **QUICK).to_dict() for table in (once, twice)]
        assert [v["dataset"]["different_prompts"] for v in values] == [60, 60]
        # No more evidence, so no narrower interval.
        for name in ("random", "oracle"):
            assert values[0][name]["ci95"] == values[1][name]["ci95"]

    def test_a_report_equals_the_one_read_from_its_json(self, evaluated) -> None:
        _, report = evaluated
        values = report.to_dict()
        read = Report.from_dict(json.loads(json.dumps(values)))
        assert read == report
        assert json.dumps(read.to_dict()) == json.dumps(values)
        assert str(read) == str(report)

    def test_fields_are_typed(self, evaluated) -> None:
        _, report = evaluated
        values = report.to_dict()
        assert report.gain.ci95.low == values["gain"]["ci95"][0]
        assert report.gain.is_proven
        assert report.held_out.accuracy == values["held_out"]["accuracy"]
        assert report.pareto[-1].cost_usd == values["pareto"][-1]["cost_usd"]
        assert (
            report.leave_one_group_out.groups[0].novel
            == (values["leave_one_group_out"]["groups"][0]["novel"])
        )
        assert (
            report.clusters[0].cells[1].ci95.high == (values["clusters"][0]["cells"][1]["ci95"][1])
        )
        with pytest.raises(dataclasses.FrozenInstanceError):
            report.verdict = "Route"

    def test_a_report_without_newer_fields_is_read(self, evaluated) -> None:
        values = evaluated[1].to_dict()
        newer = ("shared_text", "alike_prompts", "aiq", "call_frontier", "gap_recovered")
        for name in (*newer, "calibration", "group_given", "learning_curve"):
            del values[name]
        read = Report.from_dict(values)
        without = dict.fromkeys(("aiq", "calibration", "learning_curve"))
        assert read == dataclasses.replace(evaluated[1], **without)
        assert str(read)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"version": 2}, "version 2; this hypernova reads 1"),
            ({"version": None}, "version None"),
            ({"gain": {}}, "incomplete"),
            ({"more": 1}, "'more'"),
        ],
    )
    def test_other_dicts_are_no_reports(self, evaluated, changes, message) -> None:
        with pytest.raises(ValueError, match=message) as found:
            Report.from_dict({**evaluated[1].to_dict(), **changes})
        assert "\n" not in str(found.value)

    def test_text_and_page(self, evaluated, tmp_path) -> None:
        _, report = evaluated
        text = str(report)
        assert text.startswith(report.verdict)
        assert "in-sample (too good)" in text
        assert max(map(len, text.splitlines()[1:])) <= 88
        report.to_html(tmp_path / "report.html")
        assert "points over m" in (tmp_path / "report.html").read_text(encoding="utf-8")
        with pytest.raises(NotFoundError, match="make it first"):
            report.to_html(tmp_path / "none" / "report.html")


class TestRealTable:
    @pytest.mark.slow
    def test_finds_nothing_in_shuffled_outcomes_of_swebench(self, shared) -> None:
        table = hypernova.OutcomeTable.read(shared / "data" / "swebench_verified")
        order = np.random.default_rng(0).permutation(table.n_tasks)
        shuffled = dataclasses.replace(
            table, score=table.score[order], cost_usd=table.cost_usd[order]
        )
        report = hypernova.evaluate(shuffled, folds=2, repeats=1, learning_curve=False).to_dict()
        assert report["gain"]["ci95"][0] <= 0
        assert not report["verdict"].startswith("Route: ")
        # What does not depend on the prompts is known from the table's README.
        assert report["best_single_hindsight"]["accuracy"] == 0.744
        assert report["oracle"]["accuracy"] == 0.872
        assert report["complementarity"]["failed"] == 128
        assert report["complementarity"]["solved_by_another"] == 64


class TestBadInput:
    @pytest.mark.parametrize(
        ("n", "options", "message"),
        [
            (9, {}, r"9 different prompts .* 5 folds need at least 13 .* ask for fewer folds"),
            (30, {"folds": 20}, r"30 different prompts .* 20 folds need at least 40"),
            (
                16,
                {"folds": 2},
                r"16 different prompts .* 2 folds need at least 20 .*so add tasks \(",
            ),
            (40, {"folds": 1}, "folds is 1; expected a whole number from 2"),
            (40, {"repeats": 0}, "repeats is 0"),
            (40, {"jobs": 0}, "jobs is 0"),
            (40, {"seed": -1}, "seed is -1"),
            (40, {"clusters": 35}, "35 clusters .* training part has 32 different prompts"),
        ],
    )
    def test_what_cannot_be_evaluated(self, n, options, message) -> None:
        with pytest.raises(EvaluationError, match=message) as found:
            hypernova.evaluate(two_kinds(n=n), **options)
        assert "\n" not in str(found.value)

    def test_clusters_out_of_range(self) -> None:
        with pytest.raises(FitError, match="clusters is 0"):
            hypernova.evaluate(two_kinds(), clusters=0)

    @pytest.mark.slow
    @pytest.mark.parametrize("n", [13, 20, 21])
    def test_the_smallest_table_is_evaluated(self, n) -> None:
        for k in (2, 3, 5):
            training = n - -(-n // k)
            if n >= 2 * k and training >= 10:
                hypernova.evaluate(two_kinds(n=n), folds=k, repeats=1, jobs=1)  # with its curve
            else:
                with pytest.raises(EvaluationError):
                    hypernova.evaluate(two_kinds(n=n), folds=k, repeats=1, jobs=1)

    def test_repeated_prompts_are_no_tasks(self) -> None:
        table = two_kinds(n=80, prompts=[f"prompt {i % 8}" for i in range(80)])
        with pytest.raises(EvaluationError, match="8 different prompts"):
            hypernova.evaluate(table)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("groups", "note"), [(None, "the table has none"), (["one"] * 60, "the table has one, one")]
    )
    def test_one_group_cannot_be_left_out(self, groups, note) -> None:
        table = two_kinds(n=60, groups=groups)
        values = hypernova.evaluate(table, leave_one_group_out=True, **QUICK).to_dict()
        assert values["leave_one_group_out"] is None
        assert any(note in n for n in values["notes"])
        assert values["held_out"]["accuracy"] > 0.7  # what can still be said is said

    @pytest.mark.slow
    def test_a_group_that_is_nearly_all_cannot_be_left_out(self) -> None:
        table = two_kinds(n=60, groups=["most"] * 55 + ["rest"] * 5)
        values = hypernova.evaluate(table, leave_one_group_out=True, **QUICK).to_dict()
        assert [row["group"] for row in values["leave_one_group_out"]["groups"]] == ["rest"]
        assert any("group most could not be left out" in note for note in values["notes"])

    @pytest.mark.slow
    def test_models_without_a_common_task(self) -> None:
        score = np.full((60, 2), NAN)
        score[np.arange(60), np.arange(60) % 2] = np.arange(60) % 3 > 0
        table = dataclasses.replace(two_kinds(n=60), score=score)
        report = hypernova.evaluate(table, **QUICK)
        assert any("No task has outcomes of two models" in n for n in report.to_dict()["notes"])
        assert report.verdict.startswith("Do not route")
        str(report)

    @pytest.mark.slow
    def test_all_scores_equal(self) -> None:
        table = dataclasses.replace(two_kinds(n=60), score=np.ones((60, 2)))
        report = hypernova.evaluate(table, **QUICK)
        assert report.verdict.startswith("Do not route: use m0 for everything")
        assert report.to_dict()["gain"]["ci95"] == [0, 0]
        assert any("All scores are equal" in note for note in report.to_dict()["notes"])

    @pytest.mark.slow
    def test_no_costs(self) -> None:
        values = hypernova.evaluate(two_kinds(n=60), **QUICK).to_dict()
        assert values["pareto"] == []
        assert values["cost_matched_mix"] is None
        assert values["held_out"]["cost_usd"] is None
        assert values["gain"]["cost_change"] is None
