"""Notes on tables that are not what they seem: each kind where it is, and where it is not."""

from __future__ import annotations

import json
from itertools import permutations, product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hypernova
from hypernova import OutcomeTable
from hypernova.table.notes.agreement import agreement
from support.commands import run
from support.factories import blobs

if TYPE_CHECKING:
    from pathlib import Path

REAL = (
    "llmrouter_mixed",
    "mmlu_pro",
    "routellm_mmlu",
    "routerbench3",
    "routerdc",
    "swebench_verified",
    "zeroeval",
    "zeroeval_holes",
)


def world(
    n: int = 600, m: int = 6, *, seed: int = 0, graded: bool = False, holes: float = 0.0
) -> np.ndarray:
    """Scores of models of different strength, on tasks that are hard or easy for all of them."""
    rng = np.random.default_rng([seed, n, m])
    latent = rng.normal(size=(n, 1)) + np.linspace(-0.7, 0.7, m) + 0.5 * rng.normal(size=(n, m))
    score = np.clip(np.round(latent * 2 + 2) / 4, 0, 1) if graded else (latent > 0).astype(float)
    score[rng.random((n, m)) < holes] = np.nan
    return score


def table(score: np.ndarray, groups: Any = None, **columns: Any) -> OutcomeTable:
    n, m = score.shape
    return OutcomeTable.from_arrays(
        task_ids=[f"t{i}" for i in range(n)],
        prompts=[f"prompt {i}" for i in range(n)],
        models=[f"m{j:02}" for j in range(m)],
        score=score,
        groups=groups,
        **columns,
    )


def five_groups(n: int) -> list[str]:
    return [f"g{i % 5}" for i in range(n)]


def shuffled(score: np.ndarray, m: int, groups: list[str], seed: int = 0) -> np.ndarray:
    """Put the outcomes of a model out of order within each group; holes stay where they are."""
    rng = np.random.default_rng(seed)
    score, names = score.copy(), np.array(groups)
    for name in sorted(set(groups)):
        rows = np.flatnonzero((names == name) & ~np.isnan(score[:, m]))
        score[rows, m] = score[rng.permutation(rows), m]
    return score


def only(notes: list[str], *parts: str) -> str:
    """Return the one note, which is one line, holds each part and says what to do."""
    (note,) = notes
    assert note.isprintable()
    assert note.endswith(".")
    for part in parts:
        assert part in note
    return note


# ---- rows out of order -------------------------------------------------------------------------


def by_definition(score: np.ndarray, groups: np.ndarray) -> tuple[list[float], ...]:
    """Correlations, z and typical correlations of all models, task by task."""
    n, m = score.shape
    own = np.full((n, m), np.nan)
    for t, k in product(range(n), range(m)):
        if not np.isnan(score[t, k]):
            own[t, k] = score[t, k] - np.nanmean(score[groups == groups[t], k])
    correlations, zs, evenness = [], [], []
    for k in range(m):
        pairs: dict[int, list[tuple[float, float]]] = {}
        for t in range(n):
            others = [own[t, j] for j in range(m) if j != k and not np.isnan(own[t, j])]
            if others and not np.isnan(own[t, k]):
                pairs.setdefault(groups[t], []).append((own[t, k], float(np.mean(others))))
        covariance = variance = a_all = b_all = deviation = 0.0
        for of_group in pairs.values():
            a, b = np.array(of_group).T
            a, b = a - a.mean(), b - b.mean()
            covariance += a @ b
            variance += (a @ a) * (b @ b) / max(len(a) - 1, 1)
            a_all, b_all = a_all + a @ a, b_all + b @ b
            deviation += np.abs(a).sum()
        varied = variance > 1e-15
        correlations.append(covariance / np.sqrt(a_all * b_all) if varied else np.nan)
        zs.append(covariance / np.sqrt(variance) if varied else np.nan)
        n_compared = sum(map(len, pairs.values()))
        evenness.append(deviation / np.sqrt(a_all * n_compared) if varied else np.nan)
    typical = []
    for k in range(m):
        rest = [correlations[j] / evenness[j] for j in range(m) if j != k]
        rest = [value for value in rest if not np.isnan(value)]
        typical.append(np.median(rest) * evenness[k] if rest else np.nan)
    return correlations, zs, typical


@given(
    st.integers(2, 14), st.integers(2, 4), st.integers(1, 4), st.booleans(), st.integers(0, 2**32)
)
@settings(max_examples=60, deadline=None)
def test_agreement_is_what_its_definition_says(n, m, n_groups, graded, seed) -> None:
    rng = np.random.default_rng(seed)
    score = rng.integers(0, 4, (n, m)) / 3 if graded else rng.integers(0, 2, (n, m)).astype(float)
    score[rng.random((n, m)) < 0.2] = np.nan
    groups = np.sort(rng.integers(0, n_groups, n))
    correlations, zs, typical = by_definition(score, groups)
    found = agreement(score, groups)
    np.testing.assert_allclose(found.correlation, correlations, atol=1e-9)
    np.testing.assert_allclose(found.z, zs, atol=1e-8)
    known = ~np.isnan(correlations)
    np.testing.assert_allclose(found.typical[known], np.array(typical)[known], atol=1e-9)


def test_z_has_mean_0_and_variance_1_over_all_permutations() -> None:
    score = np.random.default_rng(3).random((7, 3))
    groups = np.array([0, 0, 0, 1, 1, 1, 1])
    zs = []
    for first, second in product(permutations(range(3)), permutations(range(3, 7))):
        moved = score.copy()
        moved[:, 0] = score[[*first, *second], 0]
        zs.append(agreement(moved, groups).z[0])
    assert np.mean(zs) == pytest.approx(0, abs=1e-12)
    assert np.var(zs) == pytest.approx(1)


@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("holes", [0.0, 0.3])
@pytest.mark.parametrize("named", [False, True])
def test_rows_out_of_order_are_found(graded, holes, named) -> None:
    score = world(600, graded=graded, holes=holes)
    groups = five_groups(600)
    given_groups = groups if named else None
    assert table(score, given_groups).notes() == []
    for m in range(6):
        notes = table(shuffled(score, m, groups), given_groups).notes()
        note = only(notes, "out of order", "match the outcomes to their task ids")
        assert f"scores of m{m:02} (" in note
        assert ("tasks of a group are hard" in note) == named


def test_a_difference_between_groups_hides_no_shuffle_within_them() -> None:
    groups = five_groups(600)
    hard = np.array([[i % 5 in (0, 1)] for i in range(600)])
    kept = np.random.default_rng(1).random((600, 1)) < 0.3
    score = np.where(hard & ~kept, 0.0, world(600))
    apart = shuffled(score, 2, groups)
    others = np.delete(apart, 2, axis=1).mean(axis=1)
    assert np.corrcoef(apart[:, 2], others)[0, 1] > 0.1
    only(table(apart, groups).notes(), "m02 (")


def test_several_columns_are_one_note_and_exchanged_scores_are_negative() -> None:
    score = shuffled(shuffled(world(800, 9), 1, ["all"] * 800), 4, ["all"] * 800, seed=1)
    note = only(table(score).notes(), "m01 (", "m04 (")
    assert "exchanged" not in note
    score = world(800, 9)
    score[:, 3] = 1 - score[:, 3]
    only(table(score).notes(), "m03 (-0.", "right and wrong exchanged")


@pytest.mark.parametrize("n", [10, 30])
def test_few_tasks_and_two_models_say_nothing(n) -> None:
    for seed in range(20):
        score = world(n, 6, seed=seed)
        assert not [x for x in table(score).notes() if "correlate" in x]
        assert not [x for x in table(shuffled(score, 0, ["g"] * n)).notes() if "correlate" in x]
    two = world(2000, 2)
    assert table(two).notes() == table(shuffled(two, 0, ["g"] * 2000)).notes() == []


def test_groups_of_one_task_say_nothing() -> None:
    score = shuffled(world(600), 0, ["g"] * 600)
    assert table(score, [f"g{i}" for i in range(600)]).notes() == []


def test_models_that_do_not_agree_with_one_another_get_no_note() -> None:
    score = np.random.default_rng(0).integers(0, 2, (3000, 5)).astype(float)
    assert table(score).notes() == []


def test_a_weak_model_is_spared() -> None:
    """It agrees with the others by a good third of what is typical."""
    weak = world(1000)
    rng = np.random.default_rng(1)
    weak[:, 0] = np.where(rng.random(1000) < 0.6, rng.integers(0, 2, 1000), weak[:, 0])
    found = agreement(weak, np.zeros(1000, dtype=int))
    assert found.correlation[0] < 0.5 * found.typical[0]
    assert table(weak).notes() == []


def test_a_model_that_solves_hardly_any_task_is_spared() -> None:
    """Its scores are nearly all equal, so they cannot correlate as the others' do."""
    for seed in range(20):
        score = world(500, 6, seed=seed)
        easiest = np.argsort(-score.sum(axis=1) + np.random.default_rng(seed).normal(size=500))
        score[:, 0] = 0.0
        score[easiest[:20], 0] = 1.0
        assert table(score).notes() == []


@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.3]))
@settings(max_examples=15, deadline=None)
def test_the_order_of_tasks_changes_no_note(seed, holes) -> None:
    groups = five_groups(600)
    score = shuffled(world(600, 5, holes=holes), 2, groups)
    score[:, 3] = 1.0
    moved = np.random.default_rng(seed).permutation(600)
    again = table(score[moved], [groups[i] for i in moved])
    assert again.notes() == table(score, groups).notes()
    assert len(again.notes()) == 2


def test_a_large_table_is_looked_at_in_part() -> None:
    score = np.concatenate([world(10_000, 4), world(10_000, 4, seed=1)])
    groups = [f"g{i // 50}" for i in range(20_000)]
    only(table(shuffled(score, 3, groups), groups).notes(), "m03 (", "on 8,192 tasks")


# ---- identical and constant models -------------------------------------------------------------


def test_identical_models_are_found_on_the_tasks_that_both_have() -> None:
    score = world(300, 6)
    score[:, 4] = score[:, 1]
    only(table(score).notes(), "m01 and m04 (300 tasks)", "leave one out")
    score[:100, 4] = score[50:150, 1] = np.nan
    only(table(score).notes(), "m01 and m04 (150 tasks)")
    score[200, 4] = 1 - score[200, 4]
    assert table(score).notes() == []


def test_three_copies_are_one_note() -> None:
    score = world(300, 6, graded=True)
    score[:, 4] = score[:, 5] = score[:, 1]
    only(table(score).notes(), "m01 and m04 (", "m01 and m05 (", "m04 and m05 (")


def test_two_models_alone_may_be_identical() -> None:
    score = world(60, 2)
    score[:, 1] = score[:, 0]
    only(table(score).notes(), "m00 and m01 (60 tasks)")


def test_equal_by_chance_is_no_copy() -> None:
    """Ten tasks; and strong models, each of which fails one of forty."""
    score = world(10, 2)
    score[:, 1] = score[:, 0]
    assert table(score).notes() == []
    strong = np.ones((40, 4))
    strong[[0, 0, 1, 2], range(4)] = 0
    assert table(strong).notes() == []


@pytest.mark.parametrize("value", [0.0, 1.0, 0.25])
def test_a_constant_model_is_found(value) -> None:
    score = world(200, 5)
    score[:, 2] = value
    only(table(score).notes(), f"m02 ({value:g} on 200 tasks)", "graded")


def test_two_constant_models_do_not_hide_each_other() -> None:
    score = world(200, 5)
    score[:, 2] = score[:, 3] = 0.0
    only(table(score).notes(), "m02 (0 on 200 tasks) and m03 (0 on 200 tasks)")
    only(table(np.repeat([[0.0, 1.0]], 40, axis=0)).notes(), "m00 (0 on 40 tasks)", "m01 (1 on")


def test_constant_models_are_told_by_number_and_by_the_others() -> None:
    all_constant = table(np.repeat([[0.0, 1.0]], 40, axis=0)).notes()
    only(all_constant, "those of no model differ: check that their answers were graded.")
    assert "other models" not in all_constant[0]
    score = world(200, 5)
    score[:, 2] = 0.0
    only(table(score).notes(), "the other models': check that its answers", "leave the model out.")
    score[:, 3] = 0.0
    only(table(score).notes(), "the other models': check that their answers", "the models out.")


def test_a_model_that_may_be_right_on_every_task_gets_no_note() -> None:
    score = np.ones((40, 3))
    score[:2, 1] = score[3:6, 2] = 0
    assert table(score).notes() == []
    few = world(200, 4)
    few[9:, 1], few[:9, 1] = np.nan, 0.0
    assert table(few).notes() == []


# ---- scales ------------------------------------------------------------------------------------


def test_percentages_are_found_in_a_table_a_model_and_a_group() -> None:
    score, groups = world(300, graded=True), five_groups(300)
    only(table(score / 100, groups).notes(), "All scores are at most 0.01", "multiply them by 100")
    of_model = score.copy()
    of_model[:, 3] /= 100
    only(table(of_model, groups).notes(), "The scores of m03 (at most 0.01)", "multiply")
    of_group = score.copy()
    of_group[1::5] /= 100
    only(table(of_group, groups).notes(), "The scores of group 'g1' (at most 0.01)")


def test_small_credits_and_zeros_are_no_percentages() -> None:
    score = world(300)
    score[:, 3] = np.where(world(300)[:, 3] > 0, 0.02, 0)
    assert table(score).notes() == []
    score = world(300, 4)
    score[:, 0], score[:3, 0] = 0.0, 0.01
    assert not [note for note in table(score).notes() if "percent" in note]


def costs(n: int = 400, m: int = 6, *, seed: int = 0, spread: float = 0.4) -> np.ndarray:
    """Costs over two powers of ten among models, and as much among tasks."""
    rng = np.random.default_rng(seed)
    tasks = rng.uniform(-1, 1, (n, 1))
    return 10 ** (tasks + np.linspace(-4, -2, m) + spread * rng.normal(size=(n, m)))


@pytest.mark.parametrize("m", [2, 3, 6])
def test_honest_costs_get_no_note(m) -> None:
    score = world(400, m)
    assert table(score, cost_usd=costs(m=m)).notes() == []
    known = costs(m=m)
    known[::3, 0], known[1::3, 1] = np.nan, 0.0
    assert table(score, cost_usd=known).notes() == []


def test_kinds_of_task_that_cost_a_thousandfold_get_no_note() -> None:
    """Also where the models that were tried on the dear kind were not tried on the cheap one."""
    cost = costs()
    cost[200:] *= 1000
    assert table(world(400), cost_usd=cost).notes() == []
    score = world(400)
    score[:200, 3:] = score[200:, :3] = np.nan
    cost[np.isnan(score)] = np.nan
    assert table(score, cost_usd=cost).notes() == []


def test_pairs_of_models_drawn_at_random_get_no_note() -> None:
    rng = np.random.default_rng(0)
    score, cost = world(4000, 20), costs(4000, 20)
    hole = np.argsort(rng.random(score.shape), axis=1) >= 2
    score[hole] = cost[hole] = np.nan
    assert table(score, cost_usd=cost).notes() == []


@pytest.mark.parametrize("factor", [1e3, 1e-3, 1e6])
def test_a_model_whose_costs_are_off_is_found(factor) -> None:
    cost = costs()
    m = 5 if factor > 1 else 0
    cost[:, m] *= factor
    note = only(table(world(400), cost_usd=cost).notes(), f"costs of m{m:02} are", "per thousand")
    assert ("1/" in note) == (factor < 1)
    only(table(world(400, 2), cost_usd=cost[:, [4, 5] if m else [0, 1]]).notes(), "The costs of")


@pytest.mark.parametrize("factor", [1e3, 1e-3])
@pytest.mark.parametrize("share", [0.05, 0.5])
@pytest.mark.parametrize("m", [2, 6])
def test_some_costs_that_are_off_are_found(factor, share, m) -> None:
    cost = costs(m=m, spread=0.1)
    n = int(share * 400)
    cost[:n, 1] *= factor
    notes = table(world(400, m), cost_usd=cost).notes()
    if m == 2:  # either half may be the one that is off, and then the levels are apart too
        notes = [note for note in notes if note.startswith("Some")]
    note = only(notes, "Some costs are far from", "m01 (")
    assert f"on {n} of 400 tasks" in note
    assert " of on " not in note


@pytest.mark.parametrize(("factor", "words"), [(1e300, "over 1e12 times"), (1e-300, "less than")])
def test_a_factor_beyond_all_sense_has_few_digits(factor, words) -> None:
    cost = costs()
    cost[:, 5 if factor > 1 else 0] *= factor
    cost[:] = np.minimum(cost, 1e12)
    cost[:, 1:5] = np.maximum(cost[:, 1:5] * 1e-9, 1e-300)
    note = only(table(world(400), cost_usd=cost).notes(), "costs of m")
    assert words in note
    assert len(note) < 300


def test_a_few_costs_of_next_to_nothing_get_no_note() -> None:
    cost = costs()
    cost[:5, 1] = 1e-9
    assert table(world(400), cost_usd=cost).notes() == []


# ---- groups ------------------------------------------------------------------------------------


def test_groups_of_one_model_are_counted_and_the_first_named() -> None:
    score = world(400)
    groups: list[str | None] = [f"g\n{i // 2:03}" if i < 114 else None for i in range(400)]
    score[:114, 1:] = np.nan
    note = only(table(score, groups).notes(), "57 groups have outcomes of one model alone")
    assert "'g\\n000' (m00)" in note
    assert "and 52 more" in note
    score[2:114] = world(400)[2:114]
    only(table(score, groups).notes(), "1 group has outcomes of one model alone: 'g\\n000' (m00);")


def test_tasks_without_a_group_are_no_group() -> None:
    score = world(400)
    score[:100, 1:] = np.nan
    assert table(score, [None] * 100 + ["g"] * 300).notes() == []


def test_a_table_of_one_model_or_one_task_has_nothing_to_compare() -> None:
    assert table(world(50, 3)[:, :1], ["g"] * 50, min_models=1).notes() == []
    one = table(np.array([[1.0, 0.0]]))
    assert one.notes() == one.subset(np.arange(0)).notes() == []


@pytest.mark.filterwarnings("error")
def test_tasks_and_models_without_outcomes_are_passed_over() -> None:
    score, cost = world(600), costs(600)
    score[:100] = cost[:100] = np.nan
    score[:, 5] = cost[:, 5] = np.nan
    score[599, 5] = 1.0  # a table has an outcome of each model
    part = table(score, five_groups(600), cost_usd=cost).subset(np.arange(599))
    assert part.notes() == []


# ---- where notes are shown ---------------------------------------------------------------------


def odd_table() -> OutcomeTable:
    vectors, _ = blobs(np.random.default_rng(0), centres=2, each=60)
    score = world(120, 3)
    score[:, 1] = 0.0
    return table(score, ["a"] * 60 + ["b"] * 60, embedding=vectors)


@pytest.mark.slow
def test_fit_and_evaluate_say_what_is_odd(tmp_path: Path) -> None:
    odd = odd_table()
    (note,) = odd.notes()
    assert hypernova.fit(odd, clusters=2).metadata["notes"] == [note]
    path = tmp_path / "odd.jsonl"
    odd.save(path)
    fitted = run("fit", path, "-o", tmp_path / "r.hnv", "--clusters", 2, code=0)
    assert fitted.stderr == f"note: {note}\n"
    figures = tmp_path / "report.json"
    quick = ("--folds", 2, "--repeats", 1, "--clusters", 2, "--jobs", 1, "--no-learning-curve")
    shown = run("evaluate", path, "--scan", *quick, "--json", figures, code=0)
    assert note in json.loads(figures.read_text())["notes"]
    assert note in " ".join(shown.stdout.split())


def test_an_artifact_of_a_table_without_notes_has_none_in_its_metadata() -> None:
    vectors, _ = blobs(np.random.default_rng(0), centres=2, each=60)
    fair = table(world(120, 3), embedding=vectors)
    assert fair.notes() == []
    assert "notes" not in hypernova.fit(fair, clusters=2).metadata


@pytest.mark.parametrize("name", REAL)
def test_real_tables_get_no_note_and_a_shuffled_column_is_found(shared, name) -> None:
    real = OutcomeTable.read(shared / "data" / name)
    assert real.notes() == []
    if real.n_models > 2:
        groups = [str(group) for group in real.groups]
        weakest = int(np.argmin(np.nanmean(real.score, axis=0)))
        score = shuffled(real.score, weakest, groups)
        apart = OutcomeTable.from_arrays(
            task_ids=real.task_ids,
            prompts=real.prompts,
            models=real.models,
            score=score,
            groups=groups,
        )
        only(apart.notes(), f"The scores of {real.models[weakest]} (", "out of order")
