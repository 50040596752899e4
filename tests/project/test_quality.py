"""The comparison with other routers: each router against an oracle of its own, and no leak.

Not here: how good they are on real tables; `make bench-quality` says that.
"""

from __future__ import annotations

import csv
import os
import re

import numpy as np
import pytest

from support.commands import run_python

pytest.importorskip("sklearn", reason="the other routers use scikit-learn")

from typing import TYPE_CHECKING

from benches.quality import rivals
from benches.quality.compare import (
    GROUP_KNOWN,
    HINDSIGHT,
    HULL,
    HYPERNOVA,
    ORACLE,
    RIVALS,
    calibration,
    check,
    choose,
    compare,
)
from sklearn.linear_model import LogisticRegression, Ridge

import hypernova
from hypernova.errors import EvaluationError
from hypernova.evaluation.protocol import fold_splits
from support.paths import ROOT

if TYPE_CHECKING:
    import subprocess

CENTRES, DIM, MODELS = 24, 32, 4


def make_table(*, each: int = 12, noise: float = 0.1, seed: int = 0) -> hypernova.OutcomeTable:
    """Prompts around centres; the model `centre % MODELS` solves what lies around a centre.

    The others solve a third of it, model 0 a little more; `noise` flips outcomes. Some prompts
    stand there twice.
    """
    rng = np.random.default_rng(seed)
    centre = np.repeat(np.arange(CENTRES), each)
    n = len(centre)
    vectors = np.eye(DIM)[centre] + 0.05 * rng.normal(size=(n, DIM))
    solves = rng.random((n, MODELS)) < np.array([0.4, 0.3, 0.3, 0.3])
    solves[np.arange(n), centre % MODELS] = True
    score = np.where(rng.random((n, MODELS)) < noise, ~solves, solves).astype(np.float64)
    prompts = [f"prompt {i}" for i in range(n)]
    for i in range(0, n, 12):
        prompts[i + 1], vectors[i + 1] = prompts[i], vectors[i]
    return hypernova.OutcomeTable.from_arrays(
        task_ids=[f"t{i}" for i in range(n)],
        prompts=prompts,
        models=[f"m{j}" for j in range(MODELS)],
        score=score,
        cost_usd=np.tile([0.4, 0.3, 0.2, 0.1], (n, 1)),
        embedding=vectors,
        name="constructed",
    )


def training(table: hypernova.OutcomeTable) -> rivals.Training:
    return rivals.Training(table.embedding, table.score, table.prompt_groups(), seed=5)


@pytest.fixture(scope="module")
def table() -> hypernova.OutcomeTable:
    return make_table()


class TestRouters:
    def brute_force(self, train: rivals.Training, vector, k: int, but: int | None = None) -> int:
        """The model with the most solved among the k nearest prompts, by sorting them all."""
        cosine = train.vectors.astype(np.float64) @ vector.astype(np.float64)
        near = [i for i in np.argsort(-cosine, kind="stable") if train.prompts[i] != but][:k]
        total = train.score[near].sum(axis=0)
        rates = train.score.mean(axis=0)
        return max(range(MODELS), key=lambda m: (total[m], rates[m], -m))

    def test_knn_leaves_out_the_prompt_itself(self, table) -> None:
        # Ten pairs of neighbours are given one prompt each. Their vectors stay different:
        # with equal ones, chance would decide which of two is the k-th.
        different = np.unique(table.prompt_groups(), return_index=True)[1]
        single = table.subset(different)
        prompts = np.arange(len(different))
        prompts[1:200:20] = prompts[0:200:20]
        train = rivals.Training(single.embedding, single.score, prompts, seed=0)
        tried = [1, 5, 20, 90]
        for k, accuracy in zip(tried, rivals.knn_accuracy(train, tried), strict=True):
            taken = [
                self.brute_force(train, vector, k, but=prompt)
                for vector, prompt in zip(train.vectors, prompts, strict=True)
            ]
            assert accuracy == pytest.approx(
                train.score[np.arange(len(taken)), taken].mean(), abs=1e-12
            )

    def test_knn_chooses_as_brute_force_does(self, table) -> None:
        different = np.unique(table.prompt_groups(), return_index=True)[1]
        train = training(table.subset(different))
        fitted = rivals.knn(train)
        queries = make_table(seed=1).embedding
        expected = [self.brute_force(train, query, int(fitted.knob)) for query in queries]
        assert fitted.choose(queries).tolist() == expected

    @pytest.mark.parametrize("penalty", [1.0, 31.6, 10_000.0])
    def test_ridge_is_the_closed_form_and_that_of_scikit_learn(self, table, penalty) -> None:
        rows, score = table.embedding.astype(np.float64), table.score
        (fitted,) = rivals.ridge_path(table.embedding, score, [penalty])
        ones = np.hstack([rows, np.ones((len(rows), 1))])
        unpenalised_intercept = penalty * np.diag([1.0] * DIM + [0.0])
        solved = np.linalg.solve(ones.T @ ones + unpenalised_intercept, ones.T @ score)
        assert fitted.weights == pytest.approx(solved[:-1], abs=1e-6)
        assert fitted.intercepts == pytest.approx(solved[-1], abs=1e-6)
        theirs = Ridge(alpha=penalty).fit(rows, score).predict(rows)
        assert fitted.predict(table.embedding) == pytest.approx(theirs, abs=1e-6)

    def test_logistic_is_that_of_scikit_learn(self, table) -> None:
        rng = np.random.default_rng(3)
        score = np.where(rng.random(table.score.shape) < 0.2, 0.25, table.score)
        rows = table.embedding.astype(np.float64)
        penalties = [100.0, 10.0, 1.0]
        for penalty, fitted in zip(
            penalties, rivals.logistic_path(table.embedding, score, penalties), strict=True
        ):
            logits = fitted.predict(table.embedding)
            for m in range(MODELS):
                # A score of 0.25 is a quarter of a success and three quarters of a failure.
                theirs = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=10_000).fit(
                    np.vstack([rows, rows]),
                    np.repeat([1, 0], len(rows)),
                    sample_weight=np.concatenate([score[:, m], 1 - score[:, m]]),
                )
                assert logits[:, m] == pytest.approx(theirs.decision_function(rows), abs=0.02)

    def test_nordlys_takes_the_best_raw_rate_of_a_cluster(self) -> None:
        # As many well separated centres as the recipe has clusters: k-means must find them.
        table = make_table()
        known = np.flatnonzero(np.arange(table.n_tasks) // 12 < rivals.CLUSTERS)
        train = training(table.subset(known))
        of_centre = train.score.reshape(rivals.CLUSTERS, 12, MODELS).mean(axis=1)
        rates = train.score.mean(axis=0)
        expected = [
            max(range(MODELS), key=lambda m, row=row: (row[m], rates[m], -m)) for row in of_centre
        ]
        taken = rivals.nordlys(train).choose(np.eye(DIM, dtype=np.float32)[: rivals.CLUSTERS])
        assert taken.tolist() == expected

    def test_a_draw_goes_to_the_better_model_overall(self) -> None:
        score = np.array([[0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
        train = rivals.Training(np.eye(2, dtype=np.float32), score, np.arange(2), seed=0)
        assert rivals.best_of(np.array([[1, 1, 1], [1, 1, 0], [2, 1, 1]]), train).tolist() == [
            2,
            1,
            0,
        ]
        assert rivals.best_single(train).choose(train.vectors).tolist() == [2, 2]

    @pytest.mark.parametrize("router", ["kNN", "ridge per model", "logistic per model"])
    def test_finds_the_known_optimum(self, router) -> None:
        table, new = make_table(noise=0.0), make_table(noise=0.0, seed=1)
        taken = RIVALS[router](training(table)).choose(new.embedding)
        right = taken == np.repeat(np.arange(CENTRES), 12) % MODELS
        assert right.mean() > 0.97

    @pytest.mark.parametrize("router", ["ridge per model", "logistic per model"])
    def test_a_large_penalty_wins_where_vectors_say_nothing(self, table, router) -> None:
        # The same outcomes with vectors of their own: only the best single model is left.
        rng = np.random.default_rng(9)
        vectors = rng.normal(size=(table.n_tasks, DIM)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        score = np.tile([0.6, 0.5, 0.5, 0.5], (table.n_tasks, 1))
        score = (rng.random(score.shape) < score).astype(np.float64)
        fitted = RIVALS[router](rivals.Training(vectors, score, np.arange(len(vectors)), seed=0))
        best = score.mean(axis=0).argmax()
        assert (fitted.choose(vectors) == best).mean() > 0.9


class TestComparison:
    @pytest.mark.slow
    @pytest.mark.parametrize("router", [HYPERNOVA, *RIVALS])
    def test_no_outcome_of_the_test_part_reaches_a_decision(self, table, router) -> None:
        part = next(iter(fold_splits(table.prompt_groups(), 3, 1, 0)))
        assert not set(table.subset(part.train).prompts) & set(table.subset(part.test).prompts)

        def decided(rows: np.ndarray) -> list[int]:
            score = table.score.copy()
            score[rows] = 1 - score[rows]
            altered = hypernova.OutcomeTable.from_arrays(
                task_ids=table.task_ids,
                prompts=table.prompts,
                models=table.models,
                score=score,
                embedding=table.embedding,
            )
            return choose(altered, altered.embedding, part, router).models.tolist()

        as_it_is = decided(np.array([], dtype=np.int64))
        assert decided(part.test) == as_it_is
        assert decided(part.train) != as_it_is

    @pytest.mark.slow
    def test_hypernova_best_single_and_frontier_are_those_of_the_judge(self, table) -> None:
        comparison = compare(
            table, table.embedding, embedder="made", folds=3, repeats=2, seed=7, jobs=1
        )
        report = hypernova.evaluate(
            table, folds=3, repeats=2, seed=7, jobs=1, learning_curve=False
        ).to_dict()
        rows = {row.router: row for row in comparison.rows}
        pairs = {
            HYPERNOVA: "held_out",
            "best single model": "best_single",
            HINDSIGHT: "best_single_hindsight",
            ORACLE: "oracle",
        }
        for router, name in pairs.items():
            assert rows[router].accuracy == pytest.approx(report[name]["accuracy"], abs=1e-6)
            assert rows[router].ci95 == pytest.approx(report[name]["ci95"], abs=1e-6)
            assert rows[router].cost_usd == pytest.approx(report[name]["cost_usd"], abs=1e-6)
        single = rows["best single model"]
        assert single.lead == pytest.approx(report["gain"]["mean"], abs=1e-6)
        assert single.lead_ci95 == pytest.approx(report["gain"]["ci95"], abs=1e-6)
        frontier = report["frontier_gain"]["mean"]
        assert rows[HYPERNOVA].frontier == pytest.approx(frontier, abs=1e-6)
        mix = report["cost_matched_mix"]["accuracy"]
        assert rows[HULL].accuracy == pytest.approx(mix, abs=1e-6)

    def test_every_model_is_learned_from_its_own_tasks(self, table) -> None:
        """With the outcomes that a model has in half of the table it alone is fitted on those."""
        score = table.score.copy()
        score[::2, 1] = np.nan
        rows = np.arange(1, len(score), 2)
        for path in (rivals.ridge_path, rivals.logistic_path):
            (all_models,) = path(table.embedding, score, [3.0])
            (own,) = path(table.embedding[rows], table.score[rows], [3.0])
            (whole,) = path(table.embedding, table.score, [3.0])
            for at, expected in ((1, own), (2, whole)):
                found = all_models.predict(table.embedding)[:, at]
                assert found == pytest.approx(expected.predict(table.embedding)[:, at], abs=0.02)

    @pytest.mark.parametrize("router", RIVALS)
    def test_no_router_takes_a_model_without_outcomes(self, table, router) -> None:
        score = table.score.copy()
        score[:, 0] = np.nan
        train = rivals.Training(table.embedding, score, table.prompt_groups(), seed=5)
        assert 0 not in RIVALS[router](train).choose(table.embedding[:60])

    def test_the_best_of_a_group_was_tried_there(self) -> None:
        nan = np.nan
        score = np.array([[1, 0, nan], [0, 1, nan], [1, 0, nan], [0, 1, 1], [0, 1, nan]])
        train = rivals.Training(np.eye(5, dtype=np.float32), score, np.arange(5), seed=0)
        rates = rivals.group_rates(train, np.array([0, 0, 0, 1, 1]), 3)
        assert rates[0].tolist() == [pytest.approx(2 / 3), pytest.approx(1 / 3), -np.inf]
        assert rates[1].tolist() == [0, 1, 1]
        assert rates[2].tolist() == [0.4, 0.6, -np.inf]

    def test_calibration_is_that_of_loops(self) -> None:
        rng = np.random.default_rng(0)
        estimates = np.append(rng.random(300), [0.0, 1.0])
        outcomes = (rng.random(302) < estimates**2).astype(float)
        rates = np.full(302, 0.4)
        found = calibration(estimates, outcomes, rates)
        error = 0.0
        for low in range(10):
            inside = [i for i in range(302) if min(int(estimates[i] * 10), 9) == low]
            error += abs(sum(estimates[i] - outcomes[i] for i in inside)) / 302
        assert found.error == pytest.approx(error)
        assert found.brier == pytest.approx(
            np.mean([(e - o) ** 2 for e, o in zip(estimates, outcomes, strict=True)])
        )
        assert found.brier_of_rates == pytest.approx(np.mean((0.4 - outcomes) ** 2))

    @pytest.mark.slow
    def test_measured_decisions_are_those_of_the_judge(self) -> None:
        """Groups too: where they tell all, the best model of each is the best of each centre."""
        made = make_table(each=6, noise=0.0)
        score = made.score.copy()
        score[np.random.default_rng(0).random(score.shape) < 0.1] = np.nan
        groups = [f"g{i // 6 % MODELS}" for i in range(made.n_tasks)]
        holed = hypernova.OutcomeTable.from_arrays(
            task_ids=made.task_ids, prompts=made.prompts, models=made.models, score=score,
            cost_usd=made.cost_usd, groups=groups, embedding=made.embedding,
        )  # fmt: skip
        comparison = compare(
            holed, holed.embedding, embedder="made", folds=3, repeats=1, seed=7, jobs=1
        )
        report = hypernova.evaluate(
            holed, folds=3, repeats=1, seed=7, jobs=1, learning_curve=False
        ).to_dict()
        rows = {row.router: row for row in comparison.rows}
        ours = rows[HYPERNOVA]
        # A comparison leaves out the decisions without an outcome, which the judge estimates.
        measured = report["held_out"]["estimated"]["measured"]
        assert ours.accuracy == pytest.approx(measured, abs=1e-6)
        assert 0 < ours.unscored < 0.2
        assert rows[GROUP_KNOWN].accuracy == 1.0
        assert 0 < comparison.calibration.brier < comparison.calibration.brier_of_rates

    def test_small_tables_are_refused(self, table) -> None:
        with pytest.raises(EvaluationError, match="20 for as many clusters"):
            check(table.subset(np.arange(24)), 5)


class TestCommand:
    def run(self, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return run_python(
            "-m", "benches.quality", *arguments, cwd=ROOT, env={**os.environ, **environment}
        )

    @pytest.mark.slow
    def test_writes_a_record_and_all_digits_beside_it(self, table, tmp_path) -> None:
        table.save(tmp_path / "made.jsonl")
        done = self.run(
            tmp_path / "made.jsonl", "--folds", 2, "--repeats", 9, "--repeats", "made=1",
            "--jobs", 2, "--record", tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (record,) = tmp_path.glob("*-quality.md")
        text = record.read_text(encoding="utf-8")
        assert str(tmp_path) not in text
        assert "2 folds, dealt once, seed 0" in text
        with record.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
        assert [line["router"] for line in lines] == [
            HYPERNOVA, *RIVALS, HULL, HINDSIGHT, ORACLE,
        ]  # fmt: skip
        for line in lines:
            accuracy = f"{float(line['accuracy']):.4f}"
            assert re.search(rf"^\| (\*\*)?{line['router']}(\*\*)? \| {accuracy} \|", text, re.M)

    @pytest.mark.slow
    def test_says_what_is_not_there(self, tmp_path) -> None:
        done = self.run("--record", tmp_path, HYPERNOVA_SHARED=str(tmp_path))
        assert done.returncode == 1
        assert done.stderr.count("skipped") == 8
        assert "no table to compare on" in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
