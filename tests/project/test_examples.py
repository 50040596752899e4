"""Check that the demo data is what its script writes and has the properties that it claims.

Not here: whether a router learns anything from it; that is judged, not asserted.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from support.paths import EXAMPLES

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


# Chance that any cell at all falls outside its band if the script draws from the stated rates.
FALSE_ALARM = 0.01


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a JSON lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def band(n: int, rate: float, tests: int) -> tuple[int, int]:
    """Return the least and greatest total score that `n` outcomes of a stated rate may have.

    With one point per success the total is binomial(n, rate). The band leaves out at most
    FALSE_ALARM / tests / 2 of the probability at each end, by exact summation, so that over all
    `tests` (Bonferroni) a faithful draw is outside any band with probability at most FALSE_ALARM.
    Half points, and rates that differ from outcome to outcome around the mean `rate`, only lessen
    the variance of the total, so the same band serves for both.
    """
    tail = FALSE_ALARM / tests / 2
    # Term from term: binomial coefficients of this size do not fit a float.
    chance = [(1 - rate) ** n]
    for k in range(n):
        chance.append(chance[k] * (n - k) / (k + 1) * rate / (1 - rate))
    low = next(k for k in range(n + 1) if sum(chance[: k + 1]) > tail)
    high = next(k for k in range(n, -1, -1) if sum(chance[k:]) > tail)
    return low, high


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """Return `simulate.py` as a module."""
    spec = importlib.util.spec_from_file_location("simulate", EXAMPLES / "simulate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """Return the committed outcome table."""
    return read_jsonl(EXAMPLES / "simulated.jsonl")


@pytest.fixture(scope="module")
def scores(rows: list[dict[str, Any]]) -> dict[tuple[str, str], list[float]]:
    """Return the scores of each (group, model)."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        for model, outcome in row["outcomes"].items():
            found[row["group"], model].append(outcome["score"])
    return found


def simulate(out: Path, *options: str) -> bytes:
    """Run the script as its users do, from another folder, and return what it wrote."""
    command = [sys.executable, str(EXAMPLES / "simulate.py"), "--out", str(out), *options]
    subprocess.run(command, check=True, cwd=out.parent, timeout=60)
    return out.read_bytes()


def test_the_committed_table_is_what_the_script_writes(tmp_path: Path) -> None:
    assert simulate(tmp_path / "again.jsonl") == (EXAMPLES / "simulated.jsonl").read_bytes()


def test_another_seed_gives_another_table(tmp_path: Path) -> None:
    other = simulate(tmp_path / "other.jsonl", "--seed", "8")
    assert other != (EXAMPLES / "simulated.jsonl").read_bytes()


def test_prompts_are_many_varied_and_unique(rows: list[dict[str, Any]]) -> None:
    tasks = read_jsonl(EXAMPLES / "prompts.jsonl")
    assert [{key: row[key] for key in ("task_id", "group", "prompt")} for row in rows] == tasks
    assert len(tasks) >= 300
    assert len({task["task_id"] for task in tasks}) == len(tasks)
    assert len({task["prompt"] for task in tasks}) == len(tasks)
    groups = Counter(task["group"] for task in tasks)
    assert len(groups) >= 8
    assert min(groups.values()) >= 30
    # No template mill: an opening of five words is shared by two prompts at most.
    openings = Counter(" ".join(task["prompt"].lower().split()[:5]) for task in tasks)
    assert max(openings.values()) <= 2


def test_every_model_says_that_it_is_simulated(
    script: ModuleType, rows: list[dict[str, Any]]
) -> None:
    models = {model for row in rows for model in row["outcomes"]}
    assert models == set(script.MODELS)
    assert all("simulated" in model for model in models)
    assert "simulated" in (EXAMPLES / "README.md").read_text(encoding="utf-8").split("\n")[0]


def test_values_are_in_range_and_holes_are_as_stated(
    script: ModuleType, rows: list[dict[str, Any]]
) -> None:
    outcomes = [outcome for row in rows for outcome in row["outcomes"].values()]
    known = [outcome["cost_usd"] for outcome in outcomes if outcome.get("cost_usd") is not None]
    assert {outcome["score"] for outcome in outcomes} == {0, 0.5, 1}
    assert min(known) > 0
    assert min(outcome["latency_s"] for outcome in outcomes) > 0
    assert all(row["outcomes"] for row in rows)
    # An unknown cost occurs in both forms that a reader has to take.
    assert any("cost_usd" not in outcome for outcome in outcomes)
    assert any(outcome.get("cost_usd", 0) is None for outcome in outcomes)

    cells = len(rows) * len(script.MODELS)
    low, high = band(cells, script.MISSING_OUTCOME, tests=2)
    assert low <= cells - len(outcomes) <= high
    low, high = band(len(outcomes), script.UNKNOWN_COST, tests=2)
    assert low <= len(outcomes) - len(known) <= high


def test_realised_rates_lie_in_the_binomial_band_of_the_stated_ones(
    script: ModuleType, scores: dict[tuple[str, str], list[float]]
) -> None:
    stated = {
        (group, model): rate
        for group, rates in script.STATED_RATES.items()
        for model, rate in zip(script.MODELS, rates, strict=True)
    }
    assert set(scores) == set(stated)
    outside = {}
    for cell, rate in stated.items():
        low, high = band(len(scores[cell]), rate, tests=len(stated))
        if not low <= sum(scores[cell]) <= high:
            outside[cell] = (low, sum(scores[cell]), high)
    assert not outside

    # About 30 outcomes a cell leave a wide band; ten times as many for each model, a narrow one.
    for model in script.MODELS:
        cells = [cell for cell in stated if cell[1] == model]
        n = sum(len(scores[cell]) for cell in cells)
        expected = sum(len(scores[cell]) * stated[cell] for cell in cells)
        low, high = band(n, expected / n, tests=len(script.MODELS))
        assert low <= sum(sum(scores[cell]) for cell in cells) <= high, model


def test_models_complement_each_other(
    script: ModuleType,
    rows: list[dict[str, Any]],
    scores: dict[tuple[str, str], list[float]],
) -> None:
    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    single = {
        model: mean([s for (_, m), cell in scores.items() if m == model for s in cell])
        for model in script.MODELS
    }
    best = max(single.values())
    assert single["simulated-large"] == best

    oracle = mean([max(o["score"] for o in row["outcomes"].values()) for row in rows])
    assert oracle >= best + 0.05

    # Groups are of equal size: the mean over groups is the mean over tasks.
    by_group = mean(
        [
            max(mean(scores[group, model]) for model in script.MODELS)
            for group in script.STATED_RATES
        ]
    )
    assert by_group >= best + 0.06

    # The README prints these figures; a reader may trust them only if something holds them.
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for figure in (*single.values(), by_group, oracle):
        assert f"| {figure:.3f} |" in readme


def test_the_readme_states_the_rates_of_the_script(script: ModuleType) -> None:
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert f"| group | {' | '.join(script.MODELS)} |" in readme
    for group, rates in script.STATED_RATES.items():
        assert f"| {group} | {' | '.join(f'{rate:.2f}' for rate in rates)} |" in readme
