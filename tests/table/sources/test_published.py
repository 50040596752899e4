"""Published results read as logs: the same outcomes as their tables, and which files belong.

Not here: what the files may hold and what is refused (`test_datasets`).
"""

from __future__ import annotations

import csv
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hypernova.errors import TableError
from hypernova.table import OutcomeTable, read_logs, read_routerbench, read_swebench
from hypernova.table.importing.registry import log_readers
from hypernova.table.sources.files import LogFile
from hypernova.table.sources.log import Note, Reported, Sample
from hypernova.table.sources.prompt_choice import PromptChoice
from hypernova.table.sources.routerbench import RouterBenchReader
from hypernova.table.sources.swebench import SwebenchReader
from support.tables import assert_same_table

AUTO = PromptChoice()
WIDE: dict[str, list[Any]] = {
    "sample_id": ["mbpp.1", "mbpp.2", "winogrande.1"],
    "prompt": ["['Write it.', 'It prints x.']", "Same", "Same"],
    "eval_name": ["mbpp", "mbpp", "winogrande"],
    "a": [1.0, 0.25, None],
    "b": [0.0, None, 0.5],
    "a|total_cost": [0.001, None, 0.1],
    "b|total_cost": [0.0, 0.1, 0.2],
}
IDS = ["django__1", "django__2", "sympy__3"]


def wide(at: Path, form: str) -> Path:
    path = at / f"wide.{form}"
    if form == "parquet":
        pq.write_table(pa.table(WIDE), path)
    else:
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(WIDE)
            writer.writerows(zip(*WIDE.values(), strict=True))
    return path


def problems(at: Path, ids: list[str], name: str = "problems.json") -> Path:
    rows = [{"instance_id": i, "problem_statement": f"Fix {i}", "repo": i[:5]} for i in ids]
    (at / name).write_text(json.dumps(rows))
    return at / name


def board(name: str, **results: dict[str, bool | None]) -> dict[str, Any]:
    return {
        "name": name,
        "results": [
            {
                "name": model,
                "resolved": 66.67,
                "date": "2026",
                "per_instance_details": {
                    i: {"resolved": solved, "cost": 0.5} for i, solved in of.items()
                },
            }
            for model, of in results.items()
        ],
    }


GOOD = board("Verified", x=dict(zip(IDS, [True, False, True], strict=True)),
             y=dict(zip(IDS, [False, None, True], strict=True)))  # fmt: skip


def leaderboards(at: Path, *boards: dict[str, Any]) -> Path:
    path = at / "leaderboards.json"
    path.write_text(json.dumps({"leaderboards": boards}))
    return path


def swebench(log: Path, *others: Path, prompt: str = "auto") -> list[Any]:
    reader = SwebenchReader()
    assert reader.recognise(LogFile(log))
    files = [LogFile(path) for path in others]
    return list(reader.read(LogFile(log), files, PromptChoice.parse(prompt)))


def same(records: list[Any], table: OutcomeTable) -> None:
    """Assert that samples are the outcomes of a table, in its order of tasks."""
    found = [record for record in records if isinstance(record, Sample)]
    assert list(dict.fromkeys(sample.task for sample in found)) == list(table.task_ids)
    score = np.full((table.n_tasks, table.n_models), np.nan)
    cost = score.copy()
    for sample in found:
        at = table.task_ids.index(sample.task), table.models.index(sample.model)
        (value,) = sample.scores.values()
        score[at] = np.nan if value is None else value
        cost[at] = np.nan if sample.cost_usd is None else sample.cost_usd
        assert sample.prompt == table.prompts[at[0]]
        assert sample.group == table.groups[at[0]]
    np.testing.assert_array_equal(score, table.score)
    np.testing.assert_array_equal(cost, table.cost_usd)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_wide_table_as_a_log(form: str, tmp_path) -> None:
    path = wide(tmp_path, form)
    reader = RouterBenchReader()
    assert reader.recognise(LogFile(path))
    records = list(reader.read(LogFile(path), [], AUTO))
    same(records, read_routerbench(path).table)
    assert len(records) == 6  # with two holes, which are samples without a score
    # Two prompts of one text are two tasks.
    assert len({record.document for record in records}) == 3


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_an_import_is_the_same_table(form: str, tmp_path) -> None:
    path = wide(tmp_path, form)
    assert_same_table(read_logs(path).table, read_routerbench(path).table)
    paths = leaderboards(tmp_path, GOOD), problems(tmp_path, IDS)
    found = read_logs(*paths)
    loaded = read_swebench(*paths)
    assert_same_table(found.table, loaded.table)
    # The summary says what the command says.
    disagreeing = [one for one in found.summary.agreement if not one.agrees]
    assert [one.model for one in disagreeing] == [odd.model for odd in loaded.discrepancies]
    assert [round(one.mean, 9) for one in disagreeing] == [odd.rate for odd in loaded.discrepancies]
    assert found.summary.left_out == {"not scored": 1}


@pytest.mark.parametrize(("form", "unit"), [("csv", "line 3"), ("parquet", "row 2")])
def test_a_wide_table_by_another_name(form: str, unit: str, tmp_path) -> None:
    path = wide(tmp_path, form).rename(tmp_path / "log")
    found = list(RouterBenchReader().read(LogFile(path), [], AUTO))
    assert [sample.place for sample in found][2:4] == [unit, unit]


class _Touch:
    """Make a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_is_named_and_not_opened(protocol: int, tmp_path) -> None:
    path, ran = tmp_path / "routerbench_0shot.pkl", tmp_path / "ran"
    path.write_bytes(pickle.dumps([*WIDE, _Touch(ran)], protocol))
    with pytest.raises(TableError, match=r"to_csv\('routerbench_0shot\.csv', index=False\)"):
        read_logs(path)
    assert not ran.exists()
    path.write_bytes(pickle.dumps(["else"], protocol))
    assert not RouterBenchReader().recognise(LogFile(path))


def test_leaderboards_as_a_log(tmp_path) -> None:
    paths = leaderboards(tmp_path, GOOD), problems(tmp_path, IDS)
    records = swebench(*paths)
    loaded = read_swebench(*paths)
    same(records, loaded.table)
    figures = [record for record in records if isinstance(record, Reported)]
    assert figures == [
        Reported("x", None, "resolved", 0.6667, "headline rate"),
        Reported("y", None, "resolved", 0.6667, "headline rate"),
    ]
    assert [odd.model for odd in loaded.discrepancies] == ["y"]


def test_entries_without_results_are_told(tmp_path) -> None:
    entry = {"name": "old", "resolved": 5.0, "per_instance_details": None}
    both = {**GOOD, "results": [*GOOD["results"], entry]}
    records = swebench(leaderboards(tmp_path, both), problems(tmp_path, IDS))
    (note,) = [record for record in records if isinstance(record, Note)]
    assert "1 entries have no results by task" in note.text


def test_of_several_files_those_of_the_same_instances_belong(tmp_path) -> None:
    lite = board("Lite", z={IDS[0]: True}, w={IDS[0]: False})
    log = leaderboards(tmp_path, GOOD, lite)
    whole, part = problems(tmp_path, IDS), problems(tmp_path, IDS[:1], "lite.json")
    other = problems(tmp_path, ["x"], "other.json")
    found = [record for record in swebench(log, part, other) if isinstance(record, Sample)]
    assert {sample.model for sample in found} == {"z", "w"}
    found = [record for record in swebench(log, whole) if isinstance(record, Sample)]
    assert {sample.model for sample in found} == {"x", "y"}
    for files in ([whole, part], [other]):
        with pytest.raises(TableError, match=r"leaderboards\.json: \d of its.*--leaderboard"):
            swebench(log, *files)


def test_a_leaderboard_without_problems_says_what_to_give(tmp_path) -> None:
    with pytest.raises(TableError, match=r"without the problem statements; give .*'repo'"):
        swebench(leaderboards(tmp_path, GOOD), leaderboards(tmp_path, GOOD))


def test_problems_that_do_not_belong_are_refused_as_by_the_table(tmp_path) -> None:
    paths = leaderboards(tmp_path, GOOD), problems(tmp_path, IDS[:2])
    with pytest.raises(TableError) as by_table:
        read_swebench(*paths)
    with pytest.raises(TableError) as as_log:
        swebench(*paths)
    assert str(as_log.value) == str(by_table.value)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("auto", "Fix django__1"),
        ("sent", "Fix django__1"),
        ("user", "Fix django__1"),
        ("field:problem_statement", "Fix django__1"),
        ("field:instance_id", "django__1"),
        ("field:repo", "djang"),
    ],
)
def test_prompts(prompt: str, expected: str, tmp_path) -> None:
    records = swebench(leaderboards(tmp_path, GOOD), problems(tmp_path, IDS), prompt=prompt)
    assert records[0].prompt == expected
    with pytest.raises(TableError, match=r"'hints'.*'problem_statement'"):
        swebench(leaderboards(tmp_path, GOOD), problems(tmp_path, IDS), prompt="field:hints")


def test_a_leaderboard_cut_short_anywhere_is_refused_or_not_taken(tmp_path) -> None:
    log, beside = leaderboards(tmp_path, GOOD), problems(tmp_path, IDS)
    whole = log.read_bytes()
    for length in range(0, len(whole), 7):
        log.write_bytes(whole[:length])
        if SwebenchReader().recognise(LogFile(log)):
            with pytest.raises(TableError, match=r"leaderboards\.json"):
                swebench(log, beside)


def test_each_file_is_taken_by_one_reader(tmp_path) -> None:
    files = {
        wide(tmp_path, "csv"): "routerbench",
        wide(tmp_path, "parquet"): "routerbench",
        leaderboards(tmp_path, GOOD): "swebench",
    }
    for path, name in files.items():
        assert [r.name for r in log_readers() if r.recognise(LogFile(path))] == [name]
    beside = LogFile(problems(tmp_path, IDS))
    assert [r.name for r in log_readers() if r.recognise(beside)] == []
    assert [r.name for r in log_readers() if r.accompanies(beside)] == ["swebench"]
