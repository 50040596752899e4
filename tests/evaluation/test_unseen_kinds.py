"""What routing gains on kinds of task that a table lacks, and the share up to which it pays.

Not here: the margin that learning chooses for such kinds (tests/training/test_margin.py).
"""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hypernova
from hypernova.errors import EvaluationError
from hypernova.evaluation.unseen_kinds import break_even, kind_splits
from hypernova.training.trainer import learn
from support.factories import make_table, unit


def kinds_world(n: int = 420, *, named: bool = True, gain: float = 0.4):
    """Draw four kinds of prompt with a place each; m0 is good at all of them.

    m1 is better by ``gain`` at the first three, so it is expected to be at the fourth as well,
    where it fails.
    """
    rng = np.random.default_rng(0)
    kind = np.arange(n) % 4
    vectors = unit(np.eye(16)[kind] + np.eye(16)[15] + 0.1 * rng.normal(size=(n, 16)))
    rates = np.where((kind == 3)[:, None], [0.9, 0.0], [0.5, 0.5 + gain])
    score = (rng.random((n, 2)) < rates).astype(float)
    groups = {"groups": [f"kind {k}" for k in kind]} if named else {}
    return make_table(vectors, score, **groups), kind


class TestSplits:
    @pytest.mark.parametrize("named", [True, False])
    def test_whole_kinds_are_left_out_in_turn(self, named) -> None:
        table, kind = kinds_world(named=named)
        prompts = table.prompt_groups()
        found = kind_splits(table, table.embedding, prompts, "auto" if named else 4, 0)
        assert found.source == ("groups" if named else "clusters")
        assert len(found.splits) == 4
        tests = np.concatenate([split.test for split in found.splits])
        assert sorted(tests) == list(range(table.n_tasks))
        for split in found.splits:
            assert len(set(kind[split.test])) == 1
            assert set(kind[split.test]).isdisjoint(kind[split.train])

    def test_a_prompt_of_the_kind_is_learned_from_nowhere(self) -> None:
        table, _ = kinds_world(80)
        prompts = [f"prompt {max(i, 1)}" for i in range(80)]
        table = make_table(table.embedding, table.score, groups=table.groups, prompts=prompts)
        found = kind_splits(table, table.embedding, table.prompt_groups(), "auto", 0)
        for split in found.splits:
            assert {prompts[t] for t in split.test}.isdisjoint(prompts[t] for t in split.train)

    def test_one_kind_is_none_to_leave_out(self) -> None:
        rng = np.random.default_rng(0)
        table = make_table(unit(rng.normal(size=(30, 8))), rng.random((30, 2)) < 0.5)
        assert kind_splits(table, table.embedding, table.prompt_groups(), 1, 0).splits == []
        assert (
            hypernova.evaluate(
                table, repeats=1, clusters=1, learning_curve=False, jobs=1
            ).unseen_kinds
            is None
        )


class TestBreakEven:
    def test_by_hand(self) -> None:
        assert break_even(0.03, -0.03) == 0.5
        assert break_even(0.01, -0.04) == pytest.approx(0.2)
        assert break_even(0.01, 0.02) == break_even(0.01, 0.0) == 1.0
        assert break_even(0.0, -0.01) == break_even(-0.01, 0.02) == 0.0
        assert break_even(0.0, 0.0) is break_even(None, 0.1) is break_even(0.1, None) is None

    @given(st.floats(0.001, 0.5), st.floats(-0.5, -0.001))
    def test_a_mix_of_that_share_gains_nothing(self, returning, unseen) -> None:
        share = break_even(returning, unseen)
        assert (1 - share) * returning + share * unseen == pytest.approx(0.0, abs=1e-12)


class TestReport:
    def test_figures_are_those_of_routers_that_never_saw_the_kind(self) -> None:
        table, kind = kinds_world()
        report = hypernova.evaluate(table, repeats=1, learning_curve=False, jobs=1, unseen=0.0)
        gains = np.empty(table.n_tasks)
        for left_out in range(4):
            train, test = np.flatnonzero(kind != left_out), np.flatnonzero(kind == left_out)
            learned = learn(table.subset(train), table.embedding[train], unseen=0.0)
            chosen = learned.artifact().decide_many(table.embedding[test]).model_indices
            default = learned.part.by_cell.default_model
            gains[test] = table.score[test, chosen] - table.score[test, default]
        facts = report.unseen_kinds
        assert facts.gain.mean == pytest.approx(gains.mean(), abs=1e-6)
        of_kinds = [gains[kind == k].mean() for k in range(4)]
        assert facts.worst.gain == pytest.approx(min(of_kinds), abs=1e-6)
        assert facts.worst.name == f"kind {np.argmin(of_kinds)}"
        assert facts.worst.tasks == 105
        assert facts.sets == 4
        assert (facts.expected, facts.kinds, facts.left_out) == (0.0, "groups", 4)

    def test_it_pays_up_to_a_share_and_says_so(self, tmp_path) -> None:
        """Two kinds look alike, and another model is better at each: one is taken for the other."""
        rng = np.random.default_rng(0)
        kind = np.arange(480) % 4
        places = np.eye(16)[kind // 2] + 0.5 * np.eye(16)[8 + kind]
        vectors = unit(places + 0.1 * rng.normal(size=(480, 16)))
        rates = np.array([[0.7, 0.95], [0.95, 0.6], [0.2, 0.95], [0.95, 0.6]])[kind]
        score = (rng.random((480, 2)) < rates).astype(float)
        table = make_table(vectors, score, groups=[f"kind {k}" for k in kind])
        report = hypernova.evaluate(table, repeats=1, learning_curve=False, jobs=1, unseen=0.0)
        facts = report.unseen_kinds
        assert report.gain.mean > 0.1
        assert facts.gain.mean < 0
        share = report.gain.mean / (report.gain.mean - facts.gain.mean)
        assert facts.break_even == pytest.approx(share, abs=1e-4)
        said = f"Routing pays as long as fewer than {100 * share:.0f}% of prompts are of kinds"
        assert facts.text.startswith(said)
        assert facts.text in report.notes
        assert "gain on kinds left out" in str(report)
        report.to_html(tmp_path / "report.html")
        page = (tmp_path / "report.html").read_text()
        assert "On kinds that the table lacks" in page
        assert said in page
        assert hypernova.Report.from_dict(report.to_dict()) == report
        old = {name: value for name, value in report.to_dict().items() if name != "unseen_kinds"}
        assert hypernova.Report.from_dict(old).unseen_kinds is None

    def test_clusters_stand_in_for_groups(self) -> None:
        table, _ = kinds_world(200, named=False)
        report = hypernova.evaluate(table, repeats=1, learning_curve=False, jobs=1, clusters=4)
        assert (report.unseen_kinds.kinds, report.unseen_kinds.left_out) == ("clusters", 4)
        assert report.unseen_kinds.worst.name == "a cluster of prompts"

    @pytest.mark.slow
    def test_the_share_is_an_option_of_the_command_line_too(self, tmp_path) -> None:
        table, _ = kinds_world(160)
        table.save(tmp_path / "table")
        command = [sys.executable, "-m", "hypernova.cli", "evaluate", str(tmp_path / "table")]
        options = ["--repeats", "1", "--no-learning-curve", "--unseen", "0.5", "--jobs", "1"]
        path = tmp_path / "report.json"
        subprocess.run([*command, *options, "--json", str(path)], check=True, capture_output=True)
        report = json.loads(path.read_text())
        assert report["protocol"]["unseen"] == report["unseen_kinds"]["expected"] == 0.5
        assert {setting["margin"] for setting in report["settings"]} <= {1.0, 0.0} | {
            m / 100 for m in range(31)
        }

    @pytest.mark.parametrize("unseen", [-0.1, 1.5, float("inf"), "half", None])
    def test_a_share_that_is_none(self, unseen) -> None:
        table, _ = kinds_world(80)
        with pytest.raises(EvaluationError, match=r"^unseen is .*; expected a number from 0 to 1$"):
            hypernova.evaluate(table, unseen=unseen)
