"""Values of tools as scores: each rule, each refusal, and which metric of several counts."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypernova.errors import TableError
from hypernova.table import OutcomeTable, read_logs
from hypernova.table.importing.scores import (
    GroupMetrics,
    Refused,
    ScoreRules,
    choose_metrics,
)
from support.made_up_logs import sample, write_log

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("value", "score"),
    [
        ("C", 1.0), ("P", 0.5), ("I", 0.0), ("N", 0.0),
        (True, 1.0), (False, 0.0), (np.bool_(True), 1.0),
        ("True", 1.0), ("false", 0.0), ("Yes", 1.0), ("no", 0.0), ("correct", 1.0),
        ("INCORRECT", 0.0), ("pass", 1.0), ("failed", 0.0),
        (0, 0.0), (1, 1.0), (0.25, 0.25), (np.float32(0.5), 0.5), (np.int64(1), 1.0),
        (Decimal("0.5"), 0.5), (1.0 + 1e-12, 1.0), (-1e-12, 0.0),
        ("0.75", 0.75), (" 1 ", 1.0), (".5", 0.5), ("85%", 0.85), ("12.5 %", 0.125), ("0%", 0.0),
    ],
)  # fmt: skip
def test_a_value_that_is_a_score(value: object, score: float) -> None:
    assert ScoreRules().score(value) == score


@pytest.mark.parametrize("value", [None, math.nan, "NaN", "", " ", np.float64("nan")])
def test_a_value_that_is_unscored(value: object) -> None:
    found = ScoreRules().score(value)
    assert isinstance(found, float)
    assert math.isnan(found)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ((0, "A"), r"found a pair, \(0, 'A'\)"),
        ([1, 2], "found a pair"),
        ([1, 2, 3], "found a list"),
        ([], "found a list"),
        ({"a": 1}, "found a mapping"),
        (85, "found 85, and a score is a number in 0..1"),
        (-0.1, "found -0.1"),
        (math.inf, "found inf"),
        (10**400, "found 1000"),
        ("c", "found the text 'c'"),
        ("excellent", "found the text 'excellent'"),
        ("120%", "beyond 0% to 100%"),
        ("1_000", "found the text"),
        ("٣", "found the text"),
        ("0x1", "found the text"),
        (b"1", "found b'1', a bytes"),
        (object, "a type"),
    ],
)
def test_a_value_that_is_no_score_is_refused_with_a_remedy(value: object, words: str) -> None:
    found = ScoreRules().score(value)
    assert isinstance(found, Refused)
    assert re.search(words, found.problem)
    assert "\n" not in found.problem + found.remedy
    assert len(found.problem) < 200
    assert found.remedy


@given(st.recursive(st.none() | st.text() | st.floats() | st.integers() | st.binary(), st.lists))
def test_any_value_is_a_score_or_refused(value: object) -> None:
    found = ScoreRules().score(value)
    assert isinstance(found, Refused) or math.isnan(found) or 0.0 <= found <= 1.0


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.floats(0, 1))
def test_a_scale_turns_its_ends_into_0_and_1(low: float, width: float, share: float) -> None:
    rules = ScoreRules(scale=(low, low + width))
    assert rules.score(low) == 0.0
    assert rules.score(low + width) == 1.0
    assert rules.score(low + width * share) == pytest.approx(share, abs=1e-6)
    assert isinstance(rules.score(low - width), Refused)
    # A letter is no number of the scale.
    assert rules.score("P") == 0.5
    assert rules.score(True) == 1.0


def test_choices_score_texts_and_numbers_before_every_rule() -> None:
    rules = ScoreRules(choices={"great": 1.0, "C": 0.25, "3": 0.5})
    assert [rules.score(v) for v in ("great", "C", 3, "3", "I")] == [1.0, 0.25, 0.5, 0.5, 0.0]
    assert isinstance(rules.score("Great"), Refused)
    # Nobody types the line break after a text that a model wrote.
    assert rules.score(" great\n") == 1.0
    assert ScoreRules(choices={"C": 0.25, "C ": 0.75}).score("C ") == 0.75


@pytest.mark.parametrize(
    "options",
    [
        {"scale": (1.0, 1.0)},
        {"scale": (0.0, math.inf)},
        {"scale": (math.nan, 1.0)},
        {"choices": {"x": 2.0}},
        {"choices": {"x": math.nan}},
        {"score": " "},
        {"rename": {"x": "a\nb"}},
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, Any]) -> None:
    words = r"^(scale|choice 'x'|score|new name of 'x'): found .*; (give|remove)"
    with pytest.raises(TableError, match=words):
        read_logs("absent", **options)


def group(name: str | None, *metrics: str, refused: tuple[str, ...] = ()) -> GroupMetrics:
    odd = {metric: Refused("found a pair", "choose", "a.log, line 2") for metric in refused}
    return GroupMetrics(name, dict.fromkeys(metrics, ("a.log", 1)), odd, 1)


class TestChoice:
    def test_the_only_metric_counts(self) -> None:
        assert choose_metrics([group("g", "m"), group(None, "n")], ()) == (
            {"g": "m", None: "n"},
            [],
        )

    def test_one_of_single_values_counts_beside_pairs_which_is_said(self) -> None:
        chosen, notes = choose_metrics([group("g", "m", "pairs", refused=("pairs",))], ())
        assert chosen == {"g": "m"}
        assert notes == ["the metric 'pairs' was passed over: its values are no scores (a pair)"]

    def test_names_choose_in_their_order_and_for_one_group(self) -> None:
        groups = [
            group("g", "m", "n"),
            group("h", "m", "o"),
            group("i=j", "m", "n"),
            group("k", "p"),
        ]
        assert choose_metrics(groups, ["n", "m"])[0] == {"g": "n", "h": "m", "i=j": "n", "k": "p"}
        chosen = choose_metrics(groups, ["m", "h=o", "i=j=n"])[0]
        assert chosen == {"g": "m", "h": "o", "i=j": "n", "k": "p"}
        assert choose_metrics([group("g", "a=b", "m")], ["a=b"])[0] == {"g": "a=b"}

    @pytest.mark.parametrize(
        ("wanted", "words"),
        [
            ([], "group 'g' has several scores: 'm' and 'n'; choose one: hypernova import LOGS "
                 "--score 'm' or --score 'g=m', or read_logs"),
            (["x"], "no metric 'x'; give one of 'm', 'n', 'pairs'"),
            (["h=m"], "no group 'h', and no metric 'm'; give one of .* of the groups 'g'"),
            (["g=x"], "group 'g' has no metric 'x'; give one of 'm', 'n', 'pairs'"),
            (["pairs"], "a.log, line 2, score 'pairs' of group 'g': found a pair; choose"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_chosen_is_an_error_with_the_choices(
        self, wanted: list[str], words: str
    ) -> None:
        with pytest.raises(TableError, match=words):
            choose_metrics([group("g", "m", "n", "pairs", refused=("pairs",))], wanted)

    def test_nothing_but_pairs_is_refused_by_name(self) -> None:
        with pytest.raises(TableError, match="score 'p' of samples without a group: found a pair"):
            choose_metrics([group(None, "p", refused=("p",))], ())

    def test_many_groups_with_several_scores_are_one_line(self) -> None:
        groups = [group(f"g{n}", "acc", "acc_norm") for n in range(57)] + [group("h", "a", "b")]
        with pytest.raises(TableError, match="and so have 56 more groups; group 'h'") as error:
            choose_metrics(groups, ())
        assert len(str(error.value)) < 400


@pytest.mark.usefixtures("made_up")
class TestLogs:
    def test_two_logs_with_different_metrics_are_named(self, tmp_path: Path) -> None:
        write_log(tmp_path / "1.log", [sample("a", scores={"match": 1}, group="g")])
        write_log(tmp_path / "2.log", [sample("b", scores={"includes": 1}, group="g")])
        with pytest.raises(TableError) as error:
            read_logs(tmp_path)
        assert str(error.value) == (
            f"group 'g' has several scores: 'match' (in {tmp_path / '1.log'}) and 'includes' (in "
            f"{tmp_path / '2.log'}); choose one: hypernova import LOGS --score 'match' or --score "
            "'g=match', or read_logs(..., score='match')"
        )
        found = read_logs(tmp_path, score="match", min_models=1)
        assert found.table.models == ("a",)
        assert found.summary.metrics == {"g": "match"}
        assert found.summary.left_out == {"not scored": 1}
        assert "1 of 2 logs with samples of 'g' have no score 'match'" in found.summary.notes

    def test_a_value_of_the_metric_that_is_no_score_is_named_with_its_place(
        self, tmp_path: Path
    ) -> None:
        rows = [sample("a"), sample("b", scores={"match": "so so"})]
        path = write_log(tmp_path / "1.log", rows)
        with pytest.raises(TableError) as error:
            read_logs(path)
        assert str(error.value) == (
            f"{path}, line 3, score 'match' of samples without a group: found the text 'so so'; "
            "give it a score: hypernova import --choice 'so so'=SCORE, or read_logs(..., "
            "choices={...})"
        )
        found = read_logs(path, choices={"so so": 0.5})
        assert found.table.score.tolist() == [[1.0, 0.5]]

    def test_words_of_all_logs_are_named_at_once(self, tmp_path: Path) -> None:
        for name, words in {"1": ("so so", "fine", "yes"), "2": ("poor", "so so")}.items():
            rows = [sample(m, scores={"match": w}) for m, w in zip("abc", words, strict=False)]
            write_log(tmp_path / f"{name}.log", rows)
        with pytest.raises(TableError) as error:
            read_logs(tmp_path)
        assert str(error.value).endswith(
            ": found the text 'so so', and elsewhere 'fine', 'poor'; give each a score: hypernova "
            "import --choice 'so so'=SCORE --choice 'fine'=SCORE --choice 'poor'=SCORE, or "
            "read_logs(..., choices={...})"
        )

    def test_of_a_metric_that_is_free_text_twelve_are_named(self, tmp_path: Path) -> None:
        rows = [sample("a", scores={"why": f"because {n}"}) for n in range(500)]
        with pytest.raises(TableError) as error:
            read_logs(write_log(tmp_path / "1.log", rows))
        assert str(error.value).count("--choice") == 12

    def test_lower_is_better_is_turned_round_and_said(self, tmp_path: Path) -> None:
        rows = [sample("a", scores={"error": 0.25}), sample("b", scores={"error": 1.0})]
        reported = [{"model": "a", "group": None, "metric": "error", "value": 0.25, "name": "mean"}]
        write_log(tmp_path / "1.log", rows, metrics={"error": False}, reported=reported)
        found = read_logs(tmp_path)
        assert found.table.score.tolist() == [[0.75, 0.0]]
        assert found.summary.notes == (
            "lower is better of 'error': its scores are turned round, to 1 less the score",
        )
        (figure,) = found.summary.agreement
        assert (figure.reported, figure.mean, figure.agrees) == (0.75, 0.75, True)

    def test_logs_that_disagree_on_the_direction_are_refused(self, tmp_path: Path) -> None:
        write_log(tmp_path / "1.log", [sample("a")], metrics={"match": False})
        write_log(tmp_path / "2.log", [sample("b")], metrics={"match": True})
        with pytest.raises(
            TableError, match=r"1.log: lower is better of 'match', but .*2.log says"
        ):
            read_logs(tmp_path)

    def test_a_table_of_logs_with_several_scores_says_how_to_import(self, tmp_path: Path) -> None:
        write_log(tmp_path / "1.log", [sample("a", scores={"m": 1, "n": 0}), sample("b")])
        with pytest.raises(TableError, match=r"several scores: .*hypernova import LOGS --score"):
            OutcomeTable.read(tmp_path)


@pytest.mark.usefixtures("made_up")
class TestNotes:
    def test_a_score_that_counts_nowhere_is_named(self, tmp_path: Path) -> None:
        write_log(
            tmp_path / "1.log", [sample("a", scores={"em": 1}), sample("b", scores={"em": 0})]
        )
        write_log(tmp_path / "2.log", [sample("c", scores={"f1": 0.5})])
        notes = read_logs(tmp_path, score=("em", "f1")).summary.notes
        assert any(note.startswith("--score 'f1' counts nowhere: each group") for note in notes)
        assert "1 of 2 logs with samples without a group have no score 'em'" in notes
        notes = read_logs(tmp_path, score="em").summary.notes
        assert not any("counts nowhere" in note for note in notes)

    @pytest.mark.parametrize(
        ("shares", "scale", "doubtful"),
        [
            ((0, 1), (0, 10), True),
            ((0.5, 0.25), (0, 10), True),
            ((0.5, -3), (-5, 5), False),
            ((0.5, 0.25), (-5, 5), True),
            ((0, 2), (0, 10), False),
            ((0, 0), (0, 10), False),
            ((0, 1), (0, 1), False),
            ((0, 0.4), (0, 0.5), False),
            (("C", "I"), (0, 10), False),
        ],
    )
    def test_shares_that_a_scale_for_grades_shrinks_are_named(
        self, tmp_path: Path, shares: tuple[Any, Any], scale: tuple[float, float], doubtful: bool
    ) -> None:
        rows = [sample(m, scores={"match": v}) for m, v in zip("ab", shares, strict=True)]
        grades = [sample(m, group="grades", scores={"match": 0.4 * scale[1]}) for m in "ab"]
        grades[0]["scores"] = {"match": scale[1]}
        write_log(tmp_path / "1.log", rows + grades)
        notes = read_logs(tmp_path, scale=scale).summary.notes
        assert [note for note in notes if "--scale" in note] == (
            [one for one in notes if one.startswith("the scores of samples without a group lie in")]
        )
        assert any("--scale" in note for note in notes) is doubtful
