"""The figures that logs state beside the means of their samples, and the reasons of differences."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypernova.table import read_logs
from hypernova.table.importing.agreement import LogScores, compare
from hypernova.table.importing.scores import ScoreRules
from hypernova.table.sources.log import Reported
from support.made_up_logs import sample, write_log

if TYPE_CHECKING:
    from pathlib import Path

    from hypernova.table.importing.summary import FigureAgreement

pytestmark = pytest.mark.usefixtures("made_up")
FAILED = "the tool or the model failed"


def stated(value: float, model: str = "a", **more: Any) -> dict[str, Any]:
    return {"model": model, "group": None, "metric": "match", "value": value, "name": "acc", **more}


def figure(folder: Path, value: float, *samples: dict[str, Any], **options: Any) -> FigureAgreement:
    write_log(folder / "1.log", samples, reported=[stated(value)])
    (found,) = read_logs(folder, min_models=1, **options).summary.agreement
    return found


def scores(*values: object, **more: Any) -> list[dict[str, Any]]:
    return [sample("a", str(n), scores={"match": v}, **more) for n, v in enumerate(values)]


class TestRounding:
    @pytest.mark.parametrize(
        ("value", "agrees"),
        [
            (2 / 3, True), (0.6667, True), (0.667, True), (0.67, False), (0.666, False),
            (0.7, False), (0.66666, False), (66.7, True), (66.67, True), (66.6, False),
        ],
    )  # fmt: skip
    def test_figures_agree_up_to_their_digits(
        self, tmp_path: Path, value: float, agrees: bool
    ) -> None:
        found = figure(tmp_path, value, *scores(1, 1, 0))
        assert found.agrees is agrees
        assert (found.mean, found.outcomes, found.reason) == (pytest.approx(2 / 3), 3, None)
        assert found.model == "a"
        assert found.name == "acc"
        assert found.log.endswith("1.log")

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.integers(3, 12))
    def test_a_mean_rounded_to_three_digits_or_more_agrees(
        self, values: list[float], digits: int
    ) -> None:
        from numpy import arange, array, ones, zeros

        n = len(values)
        log = LogScores(
            "x.log", {"a": 0}, {None: 0}, zeros(n, int), zeros(n, int), arange(n),
            ones(n, bool), {"m": array(values)},
        )  # fmt: skip
        mean = math.fsum(values) / n
        for value, expected in ((round(mean, digits), True), (mean, True), (mean + 0.002, False)):
            (found,) = compare(log, [Reported("a", None, "m", value, "mean")], ScoreRules())
            if value <= 1.0:
                assert found.agrees is expected


class TestReasons:
    def test_unscored_samples_that_the_tool_counts_as_0(self, tmp_path: Path) -> None:
        found = figure(tmp_path, 0.5, *scores(1, 1, None, None))
        assert (found.mean, found.agrees) == (1.0, False)
        assert found.reason == "the tool counts 2 samples without a score as 0"

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            (0.4, "the tool counts 1 sample that is left out here, as 0"),
            (0.6, "the tool counts 1 sample that is left out here, by their scores"),
        ],
    )
    def test_failed_samples_that_the_tool_counts(
        self, tmp_path: Path, value: float, reason: str
    ) -> None:
        rows = [*scores(1, 1, 0, 0), sample("a", "9", left_out=FAILED)]
        assert figure(tmp_path, value, *rows).reason == reason

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            (1.0, "the best of several attempts at a task"),
            (0.75, "the median of several attempts at a task"),
            (0.0, "the worst of several attempts at a task"),
            (0.5, "the most frequent score of several attempts at a task"),
        ],
    )
    def test_another_way_to_reduce_attempts(self, tmp_path: Path, value: float, words: str) -> None:
        found = figure(tmp_path, value, *scores(1, 1), *scores(1, 0), *scores(0, 0.5))
        assert found.mean == pytest.approx(3.5 / 6)
        assert found.reason == f"the tool takes {words}"

    def test_the_mean_of_each_task_first(self, tmp_path: Path) -> None:
        found = figure(tmp_path, 0.5, *scores(1, 0), *scores(1), *scores(1))
        assert found.reason == "the tool takes the mean of each task first"

    def test_all_models_of_the_log(self, tmp_path: Path) -> None:
        rows = [*scores(1, 1), sample("b", "1", scores={"match": 0}), sample("b", "2")]
        found = figure(tmp_path, 0.75, *rows)
        assert found.reason == "the tool's figure is over all models of the log"

    def test_what_nothing_explains_has_no_reason(self, tmp_path: Path) -> None:
        found = figure(tmp_path, 0.123, *scores(1, 1, None), sample("a", "8", left_out=FAILED))
        assert (found.agrees, found.reason) == (False, None)


class TestOptions:
    def test_a_scale_changes_the_figures_of_numbers_alone(self, tmp_path: Path) -> None:
        def log(name: str, values: tuple[object, ...], value: float) -> None:
            rows = [sample("a", f"{name}{n}", group=name, scores={"match": v})
                    for n, v in enumerate(values)]  # fmt: skip
            write_log(tmp_path / f"{name}.log", rows, reported=[stated(value)])

        log("numbers", (3, 7, "4"), 14 / 3)
        log("letters", ("C", "I", "P"), 0.5)
        log("booleans", (True, False, True), 2 / 3)
        log("percent", ("50%", "100%"), 0.75)
        log("lowest", (1, 1), 1.0)
        found = read_logs(tmp_path, min_models=1, scale=(1, 10)).summary.agreement
        assert len(found) == 5
        assert [one.log for one in found if not one.agrees] == []

    def test_a_choice_is_the_reason_of_a_difference_that_it_makes(self, tmp_path: Path) -> None:
        found = figure(tmp_path, 2 / 3, *scores("C", "C", "I"), choices={"C": 0.9})
        assert (found.agrees, found.mean) == (False, pytest.approx(0.6))
        assert found.reason
        assert found.reason.startswith("the scores are those of --choice")
        # One that changes nothing is no reason.
        found = figure(tmp_path, 0.9, *scores("C", "C", "I"), choices={"C": 1.0, "x": 0.0})
        assert (found.agrees, found.reason) == (False, None)
        found = figure(tmp_path, 0.6, *scores("C", "C", "I"), choices={"C": 0.9})
        assert (found.agrees, found.reason) == (True, None)


class TestFigures:
    def test_a_scale_is_that_of_the_figure_too(self, tmp_path: Path) -> None:
        found = figure(tmp_path, 6.5, *scores(4, 9), scale=(0, 10))
        assert (found.reported, found.mean, found.agrees) == (0.65, 0.65, True)
        assert figure(tmp_path, 6.49, *scores(4, 9), scale=(0, 10)).agrees is False

    def test_a_figure_is_compared_before_samples_of_other_logs_are_dropped(
        self, tmp_path: Path
    ) -> None:
        rows = [sample("a", str(n), attempt=f"{n}", scores={"match": n % 2}) for n in range(4)]
        write_log(tmp_path / "1.log", rows[:2], reported=[stated(0.5)])
        write_log(tmp_path / "2.log", rows, reported=[stated(0.5)])
        found = read_logs(tmp_path, min_models=1).summary
        assert [(one.agrees, one.outcomes) for one in found.agreement] == [(True, 2), (True, 4)]
        assert found.left_out == {"read before": 2}

    def test_figures_of_other_metrics_groups_and_models_are_left_out(self, tmp_path: Path) -> None:
        rows = [sample("a", "1", group="g", scores={"match": 1, "other": 0.5, "pair": [0, 1]})]
        reported = [
            stated(1.0, group="g"), stated(0.5, metric="other"), stated(1.0, group="h"),
            stated(1.0, model="z"), stated(1.0, metric="none"), stated(math.nan),
            stated(1.0, metric="pair"),
        ]  # fmt: skip
        write_log(tmp_path / "1.log", rows, reported=reported)
        (found,) = read_logs(tmp_path, score="match", min_models=1).summary.agreement
        assert (found.group, found.metric, found.agrees) == ("g", "match", True)

    def test_a_figure_goes_by_the_new_name_of_its_model(self, tmp_path: Path) -> None:
        found = figure(tmp_path, 0.5, *scores(0, 1), rename={"a": "b"})
        assert (found.model, found.agrees) == ("b", True)


def test_a_summary_is_json(tmp_path: Path) -> None:
    rows = [*scores(1, 0.5), sample("b", "1", group=None)]
    write_log(tmp_path / "1.log", rows, reported=[stated(0.75)])
    (tmp_path / "README").write_text("x")
    write_log(tmp_path / "2.log", [], kind="broken")
    summary = read_logs(tmp_path, skip_broken=True).summary
    found = json.loads(json.dumps(summary.as_dict(), allow_nan=False))
    assert found == {
        "logs": {"Made Up": 1},
        "samples": 3,
        "tasks": 2,
        "groups": {"": 2},
        "models": {"a": {"outcomes": 2, "mean": 0.75}, "b": {"outcomes": 1, "mean": 1.0}},
        "filled": 0.75,
        "repeats": 0,
        "left_out": {},
        "broken": {
            f"{tmp_path}/2.log": f"{tmp_path}/2.log, line 1: is broken; mend it",
        },
        "unknown_files": [f"{tmp_path}/README"],
        "agreement": [
            {
                "log": f"{tmp_path}/1.log", "model": "a", "group": None, "metric": "match",
                "name": "acc", "reported": 0.75, "mean": 0.75, "outcomes": 2, "reason": None,
                "tolerance": pytest.approx(5e-4, rel=1e-3), "agrees": True,
            }
        ],
        "metrics": {"": "match"},
        "similar_models": [],
        "notes": [],
    }  # fmt: skip
