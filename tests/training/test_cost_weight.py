"""Targets of cost and accuracy, on costs whose frontier is known, and from the command line."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

import hypernova
from hypernova.errors import FitError
from hypernova.training.cost_weight import Target, find_cost_weight
from hypernova.training.cross_validation import FOLDS, count_repeats
from hypernova.training.estimates.stacking import StackingWeights
from hypernova.training.frontier import cost_weights
from hypernova.training.held_out_scores import HeldOutScores
from hypernova.training.partition import find_partition
from hypernova.training.training_part import Setting
from support.commands import run
from support.factories import blobs, make_table, two_kinds
from support.paths import TABLE

if TYPE_CHECKING:
    from pathlib import Path

NAN = float("nan")
# The estimates of clusters alone.
SETTING = Setting("prompts", 2, 0.0, StackingWeights((1.0, 0, 0, 0, 0), (1.0, 0, 0, 0, 0)))


def dear_and_cheap(**columns) -> hypernova.OutcomeTable:
    """Half of the tasks are easy. m0 solves all for $1, m1 only the easy ones for $0.10.

    The frontier has three points: m0 for all (1.0 at $1), m1 for the easy (1.0 at $0.55),
    m1 for all (0.5 at $0.10).
    """
    vectors, hard = blobs(np.random.default_rng(0), centres=2, each=60)
    score = np.stack([np.ones(120), 1.0 - hard], axis=1)
    cost = np.tile([1.0, 0.1], (120, 1))
    return make_table(vectors, score, **{"cost_usd": cost, **columns})


def find(table: hypernova.OutcomeTable, *, tick=None, **target):
    partition = find_partition(table.groups, table.embedding, 120, 2)
    (asked,) = (Target(kind, value) for kind, value in target.items())
    return find_cost_weight(table, table.embedding, 0, partition, SETTING, asked, tick=tick)


class TestWeights:
    def test_scale_with_the_cost_of_the_best_model_whose_cost_is_known(self) -> None:
        weights = np.array(cost_weights(dear_and_cheap()))
        assert weights[0] == 0
        assert np.all(np.diff(weights) > 0)
        dearer = dear_and_cheap(cost_usd=np.tile([7.0, 0.1], (120, 1)))
        np.testing.assert_allclose(np.array(cost_weights(dearer)) * 7, weights)
        unknown = dear_and_cheap(cost_usd=np.tile([NAN, 0.1], (120, 1)))
        np.testing.assert_allclose(np.array(cost_weights(unknown)) * 0.1, weights)

    def test_none_where_no_cost_is_known(self) -> None:
        assert cost_weights(dear_and_cheap(cost_usd=None)) == []
        assert cost_weights(dear_and_cheap(cost_usd=np.zeros((120, 2)))) == []


class TestTargets:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("target", "accuracy", "cost"),
        [
            ({"cost_usd": 0.56}, 1.0, 0.55),
            ({"cost_usd": 5.0}, 1.0, 0.55),  # of equally accurate ones the cheapest
            ({"cost_usd": 0.2}, 0.5, 0.1),
            ({"accuracy": 1.0}, 1.0, 0.55),
            ({"accuracy": 0.8}, 1.0, 0.55),
            ({"accuracy": 0.5}, 0.5, 0.1),
            ({"quality": 1.0}, 1.0, 0.55),
            ({"quality": 0.8}, 1.0, 0.55),
            ({"quality": 0.5}, 0.5, 0.1),
            ({"savings": 0.0}, 1.0, 0.55),
            ({"savings": 0.44}, 1.0, 0.55),
            ({"savings": 0.85}, 0.5, 0.1),
        ],
    )
    def test_a_known_frontier(self, target, accuracy, cost) -> None:
        found = find(dear_and_cheap(), **target)
        assert (found.accuracy, found.cost_usd) == pytest.approx((accuracy, cost))
        assert found.cost_weight > 0
        # The best single model solves all for $1.
        assert found.kept.value == pytest.approx(accuracy)
        assert found.cost_share.value == pytest.approx(cost)

    @pytest.mark.parametrize(
        ("target", "message"),
        [
            ({"cost_usd": 0.05}, r"costs at most \$0\.05 a task on held-out .* 0\.5000 at \$0\.10"),
            ({"accuracy": 1.01}, r"reaches an accuracy of 1\.01 on held-out .* 1\.0000 at \$0\.55"),
            (
                {"quality": 1.01},
                r"keeps 1\.01 of the best .* \$0\.55\d* \(1\.0000 of the best single",
            ),
            (
                {"savings": 0.95},
                r"saves 0\.95 of the best .* 0\.5000 at \$0\.1000 \(saves 0\.9000\)",
            ),
        ],
    )
    def test_what_no_weight_reaches(self, target, message) -> None:
        with pytest.raises(FitError, match=message) as raised:
            find(dear_and_cheap(), **target)
        assert "\n" not in str(raised.value)

    def test_unknown_costs_are_not_zero(self) -> None:
        """Half of the costs are unknown: the mean is that of the others."""
        cost = np.tile([1.0, 0.1], (120, 1))
        cost[::2] = NAN
        found = find(dear_and_cheap(cost_usd=cost), cost_usd=0.6)
        assert found.accuracy == 1.0
        assert found.cost_usd == pytest.approx(0.55, abs=0.02)

    def test_a_model_of_unknown_cost_is_taken_as_the_dearest(self) -> None:
        """So it cannot be had for less: the cheap model alone meets the target."""
        cost = np.tile([NAN, 0.1, 1.0], (120, 1))
        table = dear_and_cheap()
        score = np.hstack([table.score, 0.9 * np.ones((120, 1))])
        found = find(make_table(table.embedding, score, cost_usd=cost), cost_usd=0.3)
        assert found.cost_usd == pytest.approx(0.1)

    def test_nothing_is_saved_of_an_unknown_cost(self) -> None:
        """The best single model's: nothing can be compared, though accuracy can be kept."""
        table = dear_and_cheap()
        score = np.hstack([table.score, 0.9 * np.ones((120, 1))])
        cost = np.tile([NAN, 0.1, 1.0], (120, 1))
        table = make_table(table.embedding, score, cost_usd=cost)
        with pytest.raises(FitError, match=r"no cost of its best single model.* give target_cost"):
            find(table, savings=0.4)
        found = find(table, quality=0.5)
        assert found.kept.value >= 0.5
        assert found.cost_share is None

    def test_intervals_are_those_of_a_bootstrap_over_prompts(self) -> None:
        rng = np.random.default_rng(0)
        prompts = np.repeat(np.arange(150), 2)
        hard = rng.random(150)[prompts]
        score = (rng.random((300, 2)) < np.stack([1 - hard, 0.9 - hard], axis=1)).astype(float)
        cost = rng.gamma(2.0, [1.0, 0.3], (300, 2))
        table = make_table(np.ones((300, 2)), score, cost_usd=cost)
        ours, theirs = HeldOutScores(300), HeldOutScores(300)
        for scores, model in ((ours, 1), (theirs, 0)):
            scores.add(table, np.arange(300), np.full(300, model))
        for values, found in (
            (score, ours.score_ratio(theirs, prompts)),
            (cost, ours.cost_ratio(theirs, prompts)),
        ):
            of_prompt = values.reshape(150, 2, 2).sum(axis=1)
            drawn = of_prompt[rng.integers(150, size=(4000, 150))].sum(axis=1)
            assert found.value == pytest.approx(values[:, 1].sum() / values[:, 0].sum())
            assert found.error == pytest.approx((drawn[:, 1] / drawn[:, 0]).std(), rel=0.06)
            low, high = found.interval()
            # Widened by the square root of 1.25 for folds that share training parts.
            assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(1.25) * found.error)

    def test_ticks_once_a_fold(self) -> None:
        ticks: list[int] = []
        find(dear_and_cheap(), cost_usd=1.0, tick=ticks.append)
        assert sum(ticks) == FOLDS * count_repeats(120)


class TestFit:
    @pytest.mark.slow
    def test_the_weight_becomes_the_default(self) -> None:
        """Models with a kind each, one of them five times as dear."""
        cost = np.tile([1.0, 0.2], (240, 1))
        table, labels = two_kinds(np.random.default_rng(0), cost_usd=cost)
        artifact = hypernova.fit(table, target_cost=0.61)
        target = artifact.metadata["target"]
        assert target["label"].startswith("held-out")
        assert target["asked"] == {"cost_usd": 0.61, "accuracy": None}
        # Either model is right in half of the cases, and each is the best single one of some folds.
        low, high = target["cost_saved"]["ci95"]
        assert 0.2 < low < target["cost_saved"]["share"] < high < 0.5
        low, high = target["accuracy_kept"]["ci95"]
        assert 1.3 < low < target["accuracy_kept"]["share"] < high < 2.2
        assert target["cost_usd"] == pytest.approx(0.6, abs=0.01)
        assert target["accuracy"] > 0.85
        assert artifact.policy["cost_weight"] == target["cost_weight"]
        taken = artifact.decide_many(table.embedding).model_indices
        assert np.mean(taken == labels) > 0.97
        # A tighter one leaves little to the dear model: 6% of held-out tasks bring it to 0.25.
        tight = hypernova.fit(table, target_cost=0.25)
        assert (
            np.mean(tight.decide_many(table.embedding).model_indices == 0)
            < 0.3
            < np.mean(taken == 0)
        )
        assert tight.metadata["target"]["cost_usd"] <= 0.25
        assert tight.policy["cost_weight"] > artifact.policy["cost_weight"]

    @pytest.mark.parametrize(
        "options",
        [
            {"target_cost": 0.5, "target_accuracy": 0.5},
            {"target_cost": 0.5, "cost_weight": 0.1},
            {"target_accuracy": 0.5, "cost_weight": 0.1},
            {"quality": 0.9, "cost_weight": 0.1},
            {"quality": 0.9, "savings": 0.1},
            {"savings": 0.0, "target_cost": 0.5},
        ],
    )
    def test_one_target_at_a_time(self, options) -> None:
        with pytest.raises(FitError, match="give one of cost_weight, target_cost, target_a"):
            hypernova.fit(dear_and_cheap(), **options)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"quality": 98}, r"quality is 98; expected a number from 0 to 2"),
            ({"quality": 0.0}, r"quality is 0; .* such as 0\.98"),
            ({"quality": NAN}, r"quality is nan"),
            ({"savings": 40}, r"savings is 40; expected a number from 0 to 1"),
            ({"savings": 1.0}, r"savings is 1; .* below 1"),
            ({"savings": -0.1}, r"savings is -0\.1"),
            ({"savings": True}, r"savings is True"),
        ],
    )
    def test_targets_out_of_range(self, options, message) -> None:
        with pytest.raises(FitError, match=message) as found:
            hypernova.fit(dear_and_cheap(), **options)
        assert "\n" not in str(found.value)

    @pytest.mark.parametrize("target", ["target_cost", "target_accuracy", "quality", "savings"])
    def test_a_table_without_costs(self, target) -> None:
        with pytest.raises(FitError, match="knows no cost above zero"):
            hypernova.fit(dear_and_cheap(cost_usd=None), **{target: 0.5})

    @pytest.mark.slow
    @pytest.mark.parametrize("target", ["target_cost", "target_accuracy"])
    def test_a_cost_that_is_known_only_of_a_model_never_taken(self, target) -> None:
        table = dear_and_cheap(cost_usd=np.tile([NAN, 0.1], (120, 1)))
        worse = make_table(table.embedding, np.tile([1.0, 0.0], (120, 1)), cost_usd=table.cost_usd)
        with pytest.raises(FitError, match="no cost of the models that are chosen"):
            hypernova.fit(worse, **{target: 0.05})


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> Path:
    """Half of the simulated table of the examples."""
    path = tmp_path_factory.mktemp("table") / "simulated.jsonl"
    path.write_text("".join(TABLE.read_text().splitlines(keepends=True)[::2]))
    return path


class TestCommand:
    @pytest.mark.slow
    def test_route_goes_by_the_weight_that_meets_the_target(self, simulated, tmp_path) -> None:
        path = tmp_path / "router.hnv"
        done = run("fit", simulated, "-o", path, "--clusters", 4, "--target-cost", 0.003)
        assert done.returncode == 0, done.stderr
        notes = hypernova.Artifact.open(path).metadata
        assert notes["target"]["cost_usd"] <= 0.003
        weight = notes["target"]["cost_weight"]
        assert f"{notes['target']['accuracy']:.4f} at $" in done.stdout
        assert f"with a cost weight of {weight:.4g}" in done.stdout
        router, prompts = (
            hypernova.Router.open(path),
            hypernova.OutcomeTable.read(simulated).prompts,
        )
        cheap, best = (router.route_many(prompts, cost_weight=w) for w in (weight, 0))
        decided = zip(prompts, cheap, best, strict=True)
        prompt = next(prompt for prompt, one, two in decided if one.model != two.model)
        route = ("route", "-a", path, "--json", prompt)
        of_target, given, free = (
            json.loads(run(*route, *more).stdout)
            for more in ([], ["--cost-weight", weight], ["--cost-weight", 0])
        )
        assert of_target.pop("id") != given.pop("id")
        assert of_target == given
        assert of_target["ranking"][0]["cost_usd"] < free["ranking"][0]["cost_usd"]
        for entry in of_target["ranking"]:
            expected = entry["success"] - weight * entry["cost_usd"]
            assert entry["utility"] == pytest.approx(expected)

    @pytest.mark.slow
    def test_a_share_of_the_accuracy_is_kept(self, simulated, tmp_path) -> None:
        path = tmp_path / "router.hnv"
        done = run("fit", simulated, "-o", path, "--clusters", 4, "--quality", 0.95)
        assert done.returncode == 0, done.stderr
        target = hypernova.Artifact.open(path).metadata["target"]
        assert target["asked"]["quality"] == 0.95
        assert target["accuracy_kept"]["share"] >= 0.95
        assert target["cost_usd"] < 0.0115  # what the best single model costs
        for key, text in (("accuracy_kept", "keeps"), ("cost_saved", "saves")):
            share, (low, high) = target[key]["share"], target[key]["ci95"]
            assert low < share < high
            assert f"{text} {100 * share:.1f}% of " in done.stdout
            assert f"95% interval {100 * low:.1f} to {100 * high:.1f}" in done.stdout

    @pytest.mark.slow
    def test_a_target_out_of_reach_fails_in_one_line(self, simulated, tmp_path) -> None:
        """One line that says what is nearest, and no artifact."""
        path = tmp_path / "router.hnv"
        done = run("fit", simulated, "-o", path, "--clusters", 4, "--savings", 0.999)
        assert (done.returncode, done.stdout) == (1, "")
        line = r"hypernova: no cost weight saves 0\.999 of the best single model's cost on held-out"
        assert re.match(line, done.stderr)
        assert "(saves 0." in done.stderr
        assert done.stderr.count("\n") == 1
        assert not path.exists()

    def test_both_is_bad_usage(self, simulated, tmp_path) -> None:
        both = ("--target-cost", 1, "--target-accuracy", 0.5)
        done = run("fit", simulated, "-o", tmp_path / "r.hnv", *both)
        assert done.returncode == 2
        assert "not allowed with" in done.stderr
