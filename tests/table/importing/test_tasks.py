"""One task is one task: whatever the files, their order, and how often an attempt is read."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypernova.table import OutcomeTable, read_logs
from hypernova.table.importing.collect import distinct_ids
from support.made_up_logs import sample, write_log

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("made_up")


def cells(table: OutcomeTable) -> dict[str, Any]:
    """Return all of a table by names, so that tables of other orders compare."""
    return {
        task: (
            table.prompts[i],
            table.groups[i],
            {m: (table.score[i, j], table.n[i, j]) for j, m in enumerate(table.models)},
        )
        for i, task in enumerate(table.task_ids)
    }


def same(a: OutcomeTable, b: OutcomeTable) -> bool:
    names = ("score", "cost_usd", "latency_s", "input_tokens", "output_tokens", "n")
    return (
        (a.task_ids, a.prompts, a.groups, a.models) == (b.task_ids, b.prompts, b.groups, b.models)
        and all(np.array_equal(getattr(a, n), getattr(b, n), equal_nan=True) for n in names)
    )  # fmt: skip


SAMPLES = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["a", "b", "c"]),
        "task": st.sampled_from(["1", "2", "3"]),
        "group": st.sampled_from([None, "maths", "law"]),
        "document": st.sampled_from([None, "d1", "d2"]),
        "prompt": st.sampled_from(["p1", "p2", "", None]),
        "scores": st.dictionaries(
            st.just("match"), st.sampled_from(["C", "I", "P", None, True, 0.25]), max_size=1
        ),
        "cost_usd": st.sampled_from([None, 0.5, 2.0]),
        "attempt": st.sampled_from([None, None, "x", "y", "z"]),
        "left_out": st.sampled_from([None, None, None, "not scored"]),
    }
)


class TestAnyLogs:
    @given(st.lists(SAMPLES, min_size=1, max_size=12), st.integers(0, 12), st.randoms())
    @settings(max_examples=60)
    def test_splitting_and_permuting_files_changes_no_table(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        samples: list[dict[str, Any]],
        at: int,
        order: random.Random,
    ) -> None:
        folder = tmp_path_factory.mktemp("logs")
        always = [sample("a", "0"), sample("b", "0"), sample("c", "0")]
        whole = [write_log(folder / "whole" / "1.log", always + samples)]
        parts = [always, samples[:at], samples[at:]]
        split = [write_log(folder / "split" / f"{n}.log", rows) for n, rows in enumerate(parts)]
        table = read_logs(*whole).table
        shuffled = list(split)
        order.shuffle(shuffled)
        assert same(table, read_logs(*split).table)
        assert same(table, read_logs(*shuffled).table)
        assert same(table, read_logs(folder / "split").table)
        assert same(table, read_logs(*shuffled, folder / "split", *split).table)

    @given(st.lists(SAMPLES, min_size=1, max_size=12))
    @settings(max_examples=60)
    def test_a_table_is_what_a_plain_definition_says(
        self, tmp_path_factory: pytest.TempPathFactory, samples: list[dict[str, Any]]
    ) -> None:
        folder = tmp_path_factory.mktemp("logs")
        rows = [sample("a", "0"), sample("b", "0"), *samples]
        table = read_logs(write_log(folder / "1.log", rows)).table
        score = {"C": 1.0, "I": 0.0, "P": 0.5, True: 1.0, 0.25: 0.25}
        # By attempt the first score; then by task and model all of them.
        first: dict[Any, tuple[Any, float]] = {}
        prompts: dict[Any, str] = {}
        for row in rows:
            key = (row.get("group"), row.get("document") or row["prompt"])
            if row["prompt"]:
                prompts.setdefault(key, row["prompt"])
        for number, row in enumerate(rows):
            attempt = row.get("attempt") or number
            usable = row["prompt"] and not row.get("left_out")
            if usable and attempt not in first:
                first[attempt] = None  # type: ignore[assignment]
                key = (row.get("group"), row.get("document") or row["prompt"])
                first[attempt] = (key, row["model"]), row["scores"].get("match")  # type: ignore[assignment]
            elif usable and first[attempt][1] is None:
                first[attempt] = first[attempt][0], row["scores"].get("match")  # type: ignore[assignment]
        by_cell: dict[Any, list[float]] = {}
        for cell, value in first.values():
            if value is not None:
                by_cell.setdefault(cell, []).append(score[value])
        found = {
            (group, prompt, model): value
            for _, (prompt, group, of) in cells(table).items()
            for model, value in of.items()
            if not np.isnan(value[0])
        }
        assert len(found) <= len(by_cell)
        assert sum(n for _, n in found.values()) == sum(map(len, by_cell.values()))
        total = sum(score * n for score, n in found.values())
        assert total == pytest.approx(sum(sum(scores) for scores in by_cell.values()))
        assert table.n_tasks == len({key for (key, _), _ in by_cell.items()})
        assert sorted(table.prompts) == sorted(prompts[key] for key in {k for k, _ in by_cell})


def read(folder: Path, *logs: list[dict[str, Any]], **options: Any) -> Any:
    for number, rows in enumerate(logs):
        write_log(folder / f"{number}.log", rows)
    return read_logs(folder, **{"min_models": 1, **options})


class TestTasks:
    def test_tasks_stand_by_group_and_id_whenever_their_logs_were_written(
        self, tmp_path: Path
    ) -> None:
        maths = [sample(model, i, group="maths") for i in ("10", "9") for model in "ab"]
        law = [sample(model, "1", group="law") for model in "ab"]
        for number, logs in enumerate([(maths, law), (law, maths)]):
            table = read(tmp_path / str(number), *logs).table
            assert table.task_ids == ("1", "9", "10")
            assert table.groups == ("law", "maths", "maths")

    def test_the_same_prompt_under_several_models_runs_and_files_is_one_task(
        self, tmp_path: Path
    ) -> None:
        found = read(
            tmp_path,
            [sample("a", "1", scores={"match": 1}), sample("a", "1", scores={"match": 0})],
            [sample("b", "1"), sample("a", "1", scores={"match": 0})],
        )
        table, summary = found.table, found.summary
        assert table.task_ids == ("1",)
        assert table.score[0].tolist() == [pytest.approx(1 / 3), 1.0]
        assert table.n[0].tolist() == [3, 1]
        assert (summary.samples, summary.repeats, summary.filled) == (4, 1, 1.0)
        assert summary.models == {"a": (1, pytest.approx(1 / 3)), "b": (1, 1.0)}

    def test_templates_that_differ_are_one_task_by_their_document(self, tmp_path: Path) -> None:
        table = read(
            tmp_path,
            [sample("a", "1", prompt="Q: 1+1? A:", document="1+1?")],
            [sample("b", "1", prompt="Please add: 1+1?", document="1+1?")],
            [sample("b", "1", prompt="Q: 1+1? A:", document="another")],
        ).table
        assert table.task_ids == ("1", "1#2")
        assert table.prompts == ("Q: 1+1? A:", "Q: 1+1? A:")
        assert np.isnan(table.score).tolist() == [[False, False], [True, False]]

    def test_ids_that_clash_between_groups_get_the_group(self, tmp_path: Path) -> None:
        table = read(
            tmp_path,
            [sample("a", "1", group="maths", prompt="x"), sample("a", "2", group="maths")],
            [sample("a", "1", group="law", prompt="x"), sample("a", "1", prompt="x")],
        ).table
        assert table.task_ids == ("1", "law/1", "maths/1", "2")
        assert table.groups == (None, "law", "maths", "maths")

    def test_names_and_order_of_files_change_no_table(self, tmp_path: Path) -> None:
        ids = ["10", "9", "x2", "x10", "007", "9" * 5000, ""]
        logs = [
            [sample(model, task, group=group, prompt=f"{group} {task} {turn}") for task in ids]
            for group in ("maths", "law", None)
            for model in "ab"
            for turn in range(2)
        ]
        tables = []
        for seed in range(3):
            random.Random(seed).shuffle(logs)
            for number, rows in enumerate(logs):
                write_log(tmp_path / str(seed) / f"{number}.log", rows)
            tables.append(read_logs(tmp_path / str(seed)).table)
        assert all(same(table, tables[0]) for table in tables)
        in_law = [id_ for id_, group in zip(tables[0].task_ids, tables[0].groups, strict=True)
                  if group == "law" and "#" not in id_]  # fmt: skip
        expected = ["", "law/007", "law/9", "law/10", f"law/{'9' * 5000}", "law/x2", "law/x10"]
        assert in_law[1:] == expected[1:]

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["1", "2", "a/1", "1#2", "a/1#2", ""]),
                st.sampled_from([None, "a", "b"]),
            ),
            max_size=12,
        )
    )
    def test_ids_are_always_distinct(self, pairs: list[tuple[str, str | None]]) -> None:
        ids = distinct_ids([a for a, _ in pairs], [b for _, b in pairs])
        assert len(set(ids)) == len(pairs)
        assert all(ids)

    def test_an_attempt_that_two_logs_have_is_read_once(self, tmp_path: Path) -> None:
        rows = [sample("a", "1", attempt="x", cost_usd=2.0), sample("b", "1", attempt="y")]
        found = read(tmp_path, rows, [{**rows[0], "scores": {"match": 0}}])
        assert found.table.score.tolist() == [[1.0, 1.0]]
        assert found.table.cost_usd[0, 0] == 2.0
        assert found.summary.repeats == 0
        assert found.summary.left_out == {"read before": 1}

    def test_metrics_of_one_attempt_are_those_of_one_sample(self, tmp_path: Path) -> None:
        rows = [
            sample("a", "1", attempt="x", scores={"strict": 0}),
            sample("a", "1", attempt="x", scores={"flexible": 1}, cost_usd=1.0),
        ]
        found = read(tmp_path, rows, score="flexible")
        assert found.table.score.tolist() == [[1.0]]
        assert found.table.cost_usd.tolist() == [[1.0]]
        assert (found.summary.samples, found.summary.left_out) == (1, {})

    def test_what_is_left_out_is_missing_and_counted(self, tmp_path: Path) -> None:
        found = read(
            tmp_path,
            [
                sample("a", "1"),
                sample("a", "2", prompt=None),
                sample("a", "3", prompt=" \n"),
                sample("a", "4", scores={}),
                sample("a", "5", scores={"match": float("nan")}),
                sample("a", "6", left_out="the tool or the model failed", scores={"match": 0}),
                sample("", "7"),
                sample("b", "1", left_out="no quality score"),
            ],
        )
        assert found.table.task_ids == ("1",)
        assert found.table.models == ("a",)
        assert found.summary.left_out == {
            "the tool or the model failed": 1,
            "not scored": 2,
            "prompt without text": 2,
            "no model": 1,
            "no quality score": 1,
        }
        assert "no outcome was found of 'b'" in found.summary.notes
        assert "4 tasks have no outcome and are left out" in found.summary.notes

    def test_media_odd_costs_and_notes_are_told(self, tmp_path: Path) -> None:
        for number in range(3):
            rows = [sample("a", str(number), media=number == 1, cost_usd=[3.0, -1.0, 1e13][number])]
            write_log(tmp_path / f"{number}.log", rows, notes=["a limit was met"])
        found = read_logs(tmp_path, min_models=1)
        assert found.summary.notes == (
            "2 costs, latencies or numbers of tokens are negative or above 1e+12, and are taken "
            "for unknown",
            "a limit was met (in 3 logs)",
            "1 sample has images or other media beside its text, which no router sees",
        )
        assert np.isnan(found.table.cost_usd[:, 0]).tolist() == [False, True, True]

    def test_halves_of_surrogate_pairs_and_control_characters_do_no_harm(
        self, tmp_path: Path
    ) -> None:
        rows = [sample("a", "1\n2\x00", prompt="half \ud83d of one", group="two\tlines")]
        table = read(tmp_path, rows).table
        assert (table.prompts, table.task_ids) == (("half \ufffd of one",), ("1 2",))
        assert table.groups == ("two lines",)
        table.save(tmp_path / "table.jsonl")

    def test_costs_latencies_and_tokens_are_means_of_those_known(self, tmp_path: Path) -> None:
        table = read(
            tmp_path,
            [sample("a", latency_s=1.0, input_tokens=10, output_tokens=4)],
            [sample("a", latency_s=3.0, input_tokens=10), sample("b")],
        ).table
        assert table.latency_s[0, 0] == 2.0
        assert (table.input_tokens[0, 0], table.output_tokens[0, 0]) == (10.0, 4.0)
        assert np.isnan(table.latency_s[0, 1])
        assert np.isnan(table.cost_usd).all()

    def test_the_table_is_named_by_its_file_or_folder(self, tmp_path: Path) -> None:
        read(tmp_path / "my.logs", [sample("a")])
        assert read_logs(tmp_path / "my.logs", min_models=1).table.name == "my.logs"
        assert read_logs(tmp_path / "my.logs" / "0.log", min_models=1).table.name == "0"
        paths = [tmp_path / "my.logs"] * 2
        assert read_logs(*paths, min_models=1).table.name == "logs"


class TestModels:
    def test_two_models_of_one_new_name_become_one(self, tmp_path: Path) -> None:
        logs = [sample("a/x", scores={"match": 0}), sample("x"), sample("y")]
        found = read(tmp_path, logs, rename={"a/x": "x", "none": "z"})
        assert found.table.models == ("x", "y")
        assert found.table.n.tolist() == [[2, 1]]
        assert found.summary.notes == ("no log has the model 'none' that was to be renamed",)

    def test_names_that_look_like_one_model_are_told(self, tmp_path: Path) -> None:
        found = read(tmp_path, [sample("gpt-4o"), sample("openai/gpt-4o"), sample("other")])
        assert found.summary.similar_models == (("gpt-4o", "openai/gpt-4o"),)
