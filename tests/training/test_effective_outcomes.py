"""Test what repeats of outcomes change in estimates: certainty about a task, not their number.

Not here: how repeats are read and merged (tests/table/test_repeats.py).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hypernova
from hypernova.table import OutcomeTable
from hypernova.training.estimates.outcome_sums import sum_outcomes
from hypernova.training.estimates.profile import Evidence, estimate
from hypernova.training.estimates.repeats import (
    count_effective,
    effective_outcomes,
    share_between_tasks,
    sum_repeats,
)
from hypernova.training.estimates.sums import total
from support.factories import blobs, make_table, uneven_table
from support.tables import jsonl

QUICK = {"folds": 2, "repeats": 1, "clusters": 2, "jobs": 1, "learning_curve": False}


def drawn(rng: np.random.Generator, tasks: int, repeats, between: tuple[float, float] = (1, 1)):
    """Draw tasks of a beta distribution, and mean scores of repeats: (tasks, 1) each.

    In a population of Beta(a, b), the share of an outcome's variance between tasks is
    1 / (a + b + 1).
    """
    n = np.broadcast_to(np.asarray(repeats, dtype=float), (tasks,))[:, None]
    chance = rng.beta(*between, (tasks, 1))
    return rng.binomial(n.astype(int), chance) / n, n


def sums_of(score: np.ndarray, n: np.ndarray, cells: np.ndarray | None = None, k: int = 1):
    cells = np.zeros(len(score), dtype=np.int64) if cells is None else cells
    nothing = np.full(score.shape, np.nan)
    outcomes = sum_outcomes(score, nothing, nothing, cells, k)
    return outcomes.with_sums(sum_repeats(score, n, cells, k))


def plain_share(score: np.ndarray, n: np.ndarray) -> float:
    """One-way analysis of variance over all models, by loops."""
    within, squares, degrees, inverse, tried = [], 0.0, 0, 0.0, 0
    for j in range(score.shape[1]):
        known = [(s, w) for s, w in zip(score[:, j], n[:, j], strict=True) if not np.isnan(s)]
        for s, w in known:
            if w > 1:
                binary = abs(s * w - round(s * w)) <= 0.02
                within.append(s * (1 - s) * w / (w - 1) if binary else 0.0)
        means = np.array([s for s, _ in known])
        if len(means):
            squares += ((means - means.mean()) ** 2).sum()
            degrees += len(means) - 1
            inverse += sum(1 / w for _, w in known)
            tried += len(means)
    if not within or not degrees or not np.mean(within):
        return 1.0
    between = max(squares / degrees - np.mean(within) * inverse / tried, 0.0)
    return between / (between + np.mean(within))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 3), st.booleans())
def test_the_effective_number_is_that_of_its_definition(seed, tasks, m, graded) -> None:
    rng = np.random.default_rng(seed)
    n = rng.integers(1, 6, (tasks, m)).astype(float)
    score = rng.binomial(n.astype(int), rng.random((tasks, m))) / n
    if graded:
        score = rng.random((tasks, m))
    score[rng.random((tasks, m)) < 0.2] = np.nan
    cells = rng.integers(0, 3, tasks)
    sums = sums_of(score, n, cells, 3)
    share = plain_share(score, n)
    assert share_between_tasks(sums) == pytest.approx(share, abs=1e-6)
    found = effective_outcomes(sums)
    for c in range(4):
        members = np.ones(tasks, bool) if c == 3 else cells == c
        for j in range(m):
            known = members & ~np.isnan(score[:, j])
            of_task = [share + (1 - share) / w for w in n[known, j]]
            want = len(of_task) ** 2 / sum(of_task) if of_task else 0.0
            assert found[c, j] == pytest.approx(want, rel=1e-5)
            assert known.sum() <= found[c, j] * (1 + 1e-9)
            assert found[c, j] <= n[known, j].sum() * (1 + 1e-9)
    np.testing.assert_array_equal(count_effective(score, n, cells, 3), found)
    # A table in two pieces, of which one may have no repeats at all, has the same sums.
    half = tasks // 2
    parts = [sums_of(score[at], n[at], cells[at], 3) for at in (slice(half), slice(half, None))]
    for name in sums:
        np.testing.assert_array_equal(total(parts)[name], sums[name])


def test_without_repeats_it_is_the_number_of_outcomes_to_the_bit() -> None:
    table = uneven_table(300, 16, 0.3)[0]
    cells = np.arange(300) % 7
    sums = sums_of(table.score, table.n, cells, 7)
    np.testing.assert_array_equal(effective_outcomes(sums), sums["n"])


@pytest.mark.parametrize("between", [(0.3, 0.3), (1, 1), (4, 4)])
def test_it_foretells_how_much_rates_vary_between_worlds(between) -> None:
    """50 tasks of ten outcomes each are worth more than 50 outcomes, and less than 500."""
    rng = np.random.default_rng(7)
    rates, found, errors = [], [], []
    for _ in range(400):
        score, n = drawn(rng, 50, 10, between)
        evidence = Evidence(sums_of(score, n).with_sums(_pairs(score)))
        rates.append(score.mean())
        found.append(effective_outcomes(evidence.sums)[-1, 0])
        errors.append(estimate(evidence, 10.0).profile.standard_error[-1, 0])
    # The variance of a single outcome is 0.25 at a mean of one half.
    spread = np.std(rates)
    share = 1 / (sum(between) + 1)
    want = 50 / (share + (1 - share) / 10)
    assert np.mean(found) == pytest.approx(want, rel=0.06)
    assert 0.25 / spread**2 == pytest.approx(want, rel=0.2)
    # The standard error of the rate needs no number of outcomes: means of tasks vary less.
    assert np.mean(errors) == pytest.approx(spread, rel=0.1)
    assert 0.5 / np.sqrt(500) * 1.15 < np.mean(errors) < 0.5 / np.sqrt(50)


def _pairs(score: np.ndarray):
    from hypernova.training.estimates.outcome_sums import sum_pairs

    return sum_pairs(score, [0], np.zeros(len(score), dtype=np.int64), 1)


def test_one_task_of_many_outcomes_is_one_task() -> None:
    """Where all that varies is the task, its repeats tell nothing."""
    rng = np.random.default_rng(0)
    score = rng.integers(0, 2, (40, 1)).astype(float)
    sums = sums_of(score, np.full((40, 1), 100.0))
    assert share_between_tasks(sums) == 1.0
    np.testing.assert_array_equal(effective_outcomes(sums), [[40.0], [40.0]])
    # And where nothing belongs to the task, each outcome tells as much as one of another task.
    even = np.full((40, 1), 0.5)
    even[::2], even[1::2] = 0.25, 0.75
    assert share_between_tasks(sums_of(even, np.full((40, 1), 4.0))) < 0.1


def test_means_of_graded_outcomes_prove_no_variance_within_tasks() -> None:
    rng = np.random.default_rng(0)
    score = rng.random((60, 2))
    assert share_between_tasks(sums_of(score, np.full((60, 2), 8.0))) > 0.9
    alone = sums_of(np.array([[0.5]]), np.array([[8.0]]))
    assert share_between_tasks(alone) == 1.0
    np.testing.assert_array_equal(effective_outcomes(alone), [[1.0], [1.0]])


def repeated_table(n: np.ndarray | int, seed: int = 0, **columns) -> OutcomeTable:
    """Make a table of two kinds of task, with successes of repeats behind each score."""
    rng = np.random.default_rng(seed)
    vectors, labels = blobs(rng, centres=2, each=60)
    chance = np.where(labels[:, None] == np.arange(2), 0.8, 0.3)
    behind = np.broadcast_to(n, chance.shape)
    hard = rng.normal(0, 0.15, (len(labels), 1))
    score = rng.binomial(behind, (chance + hard).clip(0, 1)) / behind
    return make_table(vectors, score, n=behind, **columns)


def test_an_artifact_learns_from_mean_scores_and_holds_the_effective_number() -> None:
    table = repeated_table(10)
    plain = replace(table, n=np.ones(table.score.shape))
    found, want = (hypernova.fit(t, clusters=2) for t in (table, plain))
    for name in ("success", "standard_error", "gain_error", "mean", "cost"):
        np.testing.assert_array_equal(getattr(found, name), getattr(want, name))
    assert (found.counts[-1] > 1.2 * want.counts[-1]).all()
    assert (found.counts[-1] < 0.9 * 10 * want.counts[-1]).all()
    np.testing.assert_array_equal(want.counts[-1], [120.0, 120.0])
    assert found.metadata["repeats"] == {"outcomes": 240, "largest": 10, "total": 2400}
    assert "repeats" not in want.metadata
    # The sha256 is over all sections: without repeats nothing differs from a table without `n`.
    bare = make_table(table.embedding, table.score)
    assert hypernova.fit(bare, clusters=2).sha256 == want.sha256


def test_a_task_of_many_repeats_weighs_as_much_as_any_other() -> None:
    n = np.ones((120, 2), dtype=int)
    n[:6] = 1000
    table = repeated_table(n)
    found = hypernova.fit(table, clusters=2)
    np.testing.assert_allclose(found.mean[-1], table.score.mean(axis=0), rtol=1e-6)
    assert (found.counts[-1] < 140).all()


def test_a_scanned_table_gives_the_same_artifact(tmp_path) -> None:
    table = repeated_table(np.array([[1, 4]]), name="outcomes")
    table.save(tmp_path / "outcomes.jsonl")
    options = {"clusters": 2, "jobs": 1}
    with OutcomeTable.scan(tmp_path / "outcomes.jsonl") as scanned:
        assert scanned.repeats == table.repeats
        found = hypernova.fit(scanned, **options)
    want = hypernova.fit(OutcomeTable.read(tmp_path / "outcomes.jsonl"), **options)
    np.testing.assert_array_equal(found.counts, want.counts)
    assert found.metadata["repeats"] == {"outcomes": 120, "largest": 4, "total": 600}


def test_a_report_counts_tasks_and_says_how_many_repeats(tmp_path) -> None:
    table = repeated_table(10, name="epochs")
    report = hypernova.evaluate(table, **QUICK)
    plain = hypernova.evaluate(replace(table, n=np.ones(table.score.shape)), **QUICK)
    assert report.dataset.repeats == table.repeats
    assert plain.dataset.repeats is None
    assert report.held_out == plain.held_out
    assert report.gain == plain.gain
    assert report.held_out.n == table.n_tasks
    told = "240 of 240 outcomes are means of up to 10 of one model on one task"
    assert told in " ".join(str(report).split())
    assert "means of up to" not in str(plain)
    report.to_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "100% of outcomes are means of up to 10 of a task" in page
    again = hypernova.evaluation.Report.from_dict(report.to_dict())
    assert again.dataset == report.dataset


def test_a_model_is_added_with_its_effective_number() -> None:
    rng = np.random.default_rng(3)
    artifact = hypernova.fit(repeated_table(1), clusters=2)
    table = _new_model(rng)
    added = hypernova.add_model(artifact, table).artifact
    plain = hypernova.add_model(artifact, replace(table, n=np.ones(table.score.shape))).artifact
    np.testing.assert_array_equal(added.success, plain.success)
    assert plain.counts[-1, -1] == 40
    assert 40 < added.counts[-1, -1] < 400


def _new_model(rng: np.random.Generator) -> OutcomeTable:
    vectors, _ = blobs(rng, centres=2, each=20)
    score = rng.binomial(10, rng.beta(2, 2, (40, 1))) / 10
    columns = {"task_ids": [f"n{i}" for i in range(40)], "prompts": ["a prompt"] * 40}
    return OutcomeTable.from_arrays(
        **columns, models=["new"], score=score, n=np.full((40, 1), 10), embedding=vectors,
        min_models=1, embedding_origin="embedding of table",
    )  # fmt: skip


def test_repeats_weigh_in_recalibration_by_their_effective_number(tmp_path) -> None:
    """A log moves an artifact that was fitted with repeats less, and not as if they were tasks."""
    table = repeated_table(10)
    fits = [
        hypernova.fit(each, clusters=2)
        for each in (table, replace(table, n=np.ones(table.score.shape)))
    ]
    moved = []
    for artifact in fits:
        at = tmp_path / f"{len(moved)}"
        with hypernova.OutcomeLog(at) as log:
            for vector in table.embedding[:60]:
                decision = artifact.decide(vector, allow=[artifact.default_model])
                log.record_decision(decision)
                log.record_outcome(decision, 0.0)
        new = hypernova.recalibrate(artifact, at).artifact
        moved.append(artifact.success[-1] - new.success[-1])
    best = fits[0].models.index(fits[0].default_model)
    assert 0 < moved[0][best] < moved[1][best]
    ratio = fits[0].counts[-1, best] / fits[1].counts[-1, best]
    assert moved[0][best] > moved[1][best] / ratio


def test_lines_of_outcomes_and_of_their_means_fit_alike(tmp_path) -> None:
    rng = np.random.default_rng(0)
    lines, means = [], []
    for i in range(60):
        scores = rng.binomial(1, (0.8, 0.4) if i % 2 else (0.3, 0.6), (4, 2)).tolist()
        task = {"task_id": f"t{i}", "prompt": f"{'sum of' if i % 2 else 'poem on'} {i}"}
        each = {name: [row[j] for row in scores] for j, name in enumerate("ab")}
        lines.append({**task, "outcomes": each})
        mean = {name: {"score": sum(row) / 4, "n": 4} for name, row in each.items()}
        means.append({**task, "outcomes": mean})
    (tmp_path / "other").mkdir()
    paths = jsonl(tmp_path, *lines), jsonl(tmp_path / "other", *means)
    found = [hypernova.fit(OutcomeTable.read(path), clusters=2) for path in paths]
    assert found[0].sha256 == found[1].sha256
