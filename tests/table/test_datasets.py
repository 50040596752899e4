"""Public outcome data: files in their authors' form, read, checked and converted.

Not here: the forms of hypernova's own; test_table reads those, test_write writes them. Figures of
real files that stand here are from SWE-bench/experiments, issues 375 and 467.
"""

from __future__ import annotations

import copy
import csv
import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypernova.errors import NotFoundError, TableError
from hypernova.table import OutcomeTable, PublicTable, read_routerbench, read_swebench
from hypernova.table.sources.public.catalog import PUBLIC_DATASETS
from hypernova.table.sources.public.headline import discrepancy
from support.commands import run, run_python
from support.tables import assert_same_table


def one_line(error: Exception, *parts: str) -> None:
    message = str(error)
    assert message.isprintable()
    assert "; " in message, "says what to do"
    for part in parts:
        assert part in message


# --- SWE-bench --------------------------------------------------------------------------


def entry(name: str, headline: float, details: object, **more: object) -> dict[str, Any]:
    """Give an entry with the keys that the real file has around those that are read."""
    return {
        "name": name,
        "logo": ["https://example.org/logo.svg"],
        "site": None,
        "folder": f"20251201_{name}",
        "resolved": headline,
        "date": "2025-12-01",
        "cost": None,
        "instance_calls": 3.5,
        "os_model": False,
        "tags": [f"Model: {name}"],
        "warning": None,
        "per_instance_details": details,
        **more,
    }


def result(resolved: object, cost: object = 0.25) -> dict[str, object]:
    return {"resolved": resolved, "cost": cost, "api_calls": 7}


IDS = ["django__django-1", "django__django-2", "sympy__sympy-3"]
PROBLEMS = [
    {"instance_id": name, "problem_statement": f"fix\n{name}", "repo": repo, "patch": "+1"}
    for name, repo in zip(IDS, ["django/django", "django/django", "sympy/sympy"], strict=True)
]
A = entry("a", 66.67, dict(zip(IDS, [result(True), result(False), result(True)], strict=True)))
B = entry("b", 33.33, dict(zip(IDS, [result(False), result(True), result(False)], strict=True)))
OLD = entry("old", 12.5, None)


def document(*entries: dict[str, Any]) -> dict[str, Any]:
    without = {key: value for key, value in OLD.items() if key != "per_instance_details"}
    return {
        "leaderboards": [
            {"name": "Test", "results": [without]},
            {"name": "bash-only", "results": [*copy.deepcopy(entries)]},
        ]
    }


def write(at: Path, content: object, problems: object = PROBLEMS) -> tuple[Path, Path]:
    """Write both files; bytes go in as they are."""
    paths = at / "leaderboards.json", at / "problems.json"
    for path, data in zip(paths, (content, problems), strict=True):
        path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    return paths


def swebench(at: Path, *entries: dict[str, Any], **options: Any) -> PublicTable:
    return read_swebench(*write(at, document(*entries)), **options)


def rebuilt(shared: Path, at: Path) -> tuple[Path, Path, OutcomeTable]:
    """Write the real outcomes in the leaderboard's form; also give the table read directly."""
    folder = shared / "data" / "swebench_verified"
    if not folder.is_dir():
        pytest.skip(f"no sample data: {folder} is missing")
    tasks = pq.read_table(folder / "tasks.parquet").to_pydict()
    details: dict[str, dict[str, Any]] = {}
    for row in pq.read_table(folder / "outcomes.parquet").to_pylist():
        details.setdefault(row["model"], {})[row["task_id"]] = {
            "resolved": row["score"] == 1.0,
            "cost": row["cost_usd"],
            "api_calls": row["api_calls"],
        }
    entries = [
        entry(model, round(100 * sum(r["resolved"] for r in results.values()) / len(results), 2),
              results)
        for model, results in details.items()
    ]  # fmt: skip
    leaderboards, _ = write(at, document(OLD, *entries))
    problems = at / "test-00000-of-00001.parquet"
    columns = {
        "repo": tasks["group"],
        "instance_id": tasks["task_id"],
        "problem_statement": tasks["prompt"],
    }
    pq.write_table(pa.table({**columns, "patch": ["+1"] * len(tasks["task_id"])}), problems)
    return leaderboards, problems, OutcomeTable.read(folder)


@pytest.mark.slow
def test_the_real_table_comes_through_the_command_unchanged(shared, tmp_path) -> None:
    leaderboards, problems, direct = rebuilt(shared, tmp_path)
    for output in (tmp_path / "swe", tmp_path / "swe.jsonl"):
        done = run("datasets", "convert", "swebench", leaderboards, problems, "-o", output)
        assert (done.returncode, done.stderr) == (0, "")
        assert "500 tasks x 24 models, 12000 outcomes" in done.stdout
        assert "1 entries" in done.stdout
        assert_same_table(OutcomeTable.read(output), direct)


@pytest.mark.slow
def test_a_wrong_headline_is_reported_by_name(shared, tmp_path) -> None:
    leaderboards, problems, direct = rebuilt(shared, tmp_path)
    content = json.loads(leaderboards.read_text())
    entries = {e["name"]: e for e in content["leaderboards"][1]["results"]}
    broken, near = "o3 (2025-04-16)", "Claude 4 Sonnet (20250514)"
    for results in entries[broken]["per_instance_details"].values():
        results["resolved"] = False
    assert entries[near]["resolved"] == 64.8
    entries[near]["resolved"] = 64.93  # as in the real file, which counts 499 tasks
    leaderboards.write_text(json.dumps(content))

    def convert(name: str, *options: object) -> tuple[list[str], OutcomeTable]:
        arguments = ["swebench", leaderboards, problems, "-o", tmp_path / name, *options]
        done = run("datasets", "convert", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stderr.splitlines()[1:], OutcomeTable.read(tmp_path / name)

    lines, table = convert("all")
    assert [line.strip() for line in lines] == [
        f"{broken}: headline 58.40%, results 0.00% of 500 tasks (-58.40 points), kept",
        f"{near}: headline 64.93%, results 64.80% of 500 tasks (-0.13 points), kept",
    ]
    assert table.models == direct.models
    lines, table = convert("far", "--drop-inconsistent", 1)
    assert [line.rsplit(", ")[-1] for line in lines] == ["left out", "kept"]
    assert set(direct.models) - set(table.models) == {broken}
    lines, table = convert("strict.jsonl", "--drop-inconsistent", "0")
    assert [line.rsplit(", ")[-1] for line in lines] == ["left out", "left out"]
    assert set(direct.models) - set(table.models) == {broken, near}


@given(st.integers(1, 900).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
       st.integers(1, 6), st.sampled_from([-1, 1]))  # fmt: skip
def test_rounding_is_no_discrepancy_and_one_task_is(counts, decimals, step) -> None:
    tasks, solved = counts
    assert discrepancy("m", round(100 * solved / tasks, decimals), solved, tasks) is None
    other = solved + step
    if 0 <= other <= tasks:
        found = discrepancy("m", round(100 * other / tasks, decimals), solved, tasks)
        assert found is not None
        assert math.copysign(1, found.difference) == -step
        assert found.tasks == tasks


@pytest.mark.parametrize(
    ("headline", "solved", "tasks", "agrees"),
    [
        (52.8, 51, 500, False),  # Claude 3.7 Sonnet in the real file
        (69.6, 0, 500, False),  # Gemini 3 Pro, high
        (66.6, 335, 500, False),
        (64.93, 324, 500, False),
        (64.93, 324, 499, True),
        (65, 325, 500, True),
        (65, 1301, 2000, True),  # 65.05 is 65.0 with one decimal
        (65, 1303, 2000, False),
        (0, 0, 3, True),
        (100, 3, 3, True),
        (1e-05, 0, 500, False),
    ],
)
def test_headlines(headline, solved, tasks, agrees) -> None:
    assert (discrepancy("m", headline, solved, tasks) is None) == agrees


def test_holes_and_unknown_costs(tmp_path) -> None:
    details = {
        IDS[0]: result(True, None),
        IDS[1]: {"resolved": False},
        IDS[2]: {"cost": 1, "api_calls": 2},
    }
    third = entry("c", 50, {IDS[1]: result(None), IDS[0]: result(False, 0.0)})
    loaded = swebench(tmp_path, B, entry("a", 50.0, details), third, OLD, entry("e", 5, {}),
                      entry("n", 70.0, {IDS[0]: result(None)}))  # fmt: skip
    table = loaded.table
    nan = np.nan
    assert table.task_ids == tuple(IDS)
    assert table.groups == ("django/django", "django/django", "sympy/sympy")
    assert table.prompts[2] == "fix\nsympy__sympy-3"
    assert table.models == ("a", "b", "c")
    np.testing.assert_array_equal(table.score, [[1, 0, 0], [0, 1, nan], [nan, 0, nan]])
    np.testing.assert_array_equal(table.cost_usd, [[nan, 0.25, nan], [nan, 0.25, nan],
                                                   [nan, 0.25, nan]])  # fmt: skip
    assert np.isnan(table.latency_s).all()
    assert table.name == "leaderboards"
    assert loaded.without_outcomes == ("old", "e", "n")
    (odd,) = loaded.discrepancies
    assert (odd.model, odd.headline, odd.rate, odd.tasks) == ("c", 0.5, 0.0, 1)


def test_some_models_and_the_tasks_that_they_tried(tmp_path) -> None:
    part = entry("part", 100.0, {IDS[2]: result(True)})
    small = entry("small", 0.0, {IDS[0]: result(False)})
    loaded = swebench(tmp_path, part, A, B, small, models=["small", "part"])
    assert loaded.table.models == ("part", "small")
    assert loaded.table.task_ids == (IDS[0], IDS[2])
    np.testing.assert_array_equal(loaded.table.score, [[np.nan, 0], [1, np.nan]])
    with pytest.raises(TableError) as caught:
        swebench(tmp_path, A, B, OLD, models=["a", "old"])
    one_line(caught.value, "'bash-only'", "'old'", "'a', 'b'")


def test_two_entries_of_one_name_stay_apart(tmp_path) -> None:
    later = {**A, "date": "2026-01-01"}
    other = {**A, "folder": "other"}
    assert swebench(tmp_path, A, later, B).table.models == (
        "a [2025-12-01]", "a [2026-01-01]", "b",
    )  # fmt: skip
    assert swebench(tmp_path, A, other, B).table.models == (
        "a [2025-12-01] [20251201_a]", "a [2025-12-01] [other]", "b",
    )  # fmt: skip
    with pytest.raises(TableError) as caught:
        swebench(tmp_path, A, A, B)
    one_line(caught.value, "entry 2", "entry 1 has already")


def test_the_leaderboard_is_asked_for_where_there_are_two(tmp_path) -> None:
    content = document(A, B)
    content["leaderboards"][0]["results"] = [A, B, {**B, "name": "c"}]
    paths = write(tmp_path, content)
    with pytest.raises(TableError) as caught:
        read_swebench(*paths)
    one_line(caught.value, "2 leaderboards", "'Test', 'bash-only'")
    assert read_swebench(*paths, leaderboard="Test").table.models == ("a", "b", "c")
    done = run("datasets", "convert", "swebench", *paths, "--leaderboard", "bash-only",
               "-o", tmp_path / "out.jsonl", "--models", "b", "a")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert OutcomeTable.read(tmp_path / "out.jsonl").models == ("a", "b")
    with pytest.raises(TableError) as caught:
        read_swebench(*paths, leaderboard="Lite")
    one_line(caught.value, "no leaderboard 'Lite'", "'bash-only'")


@pytest.mark.slow
def test_problems_in_every_form(tmp_path) -> None:
    leaderboards, plain = write(tmp_path, document(A, B))
    table = read_swebench(leaderboards, plain).table
    lines = tmp_path / "problems.jsonl"
    lines.write_text("".join(json.dumps(problem) + "\n\n" for problem in PROBLEMS))
    parquet = tmp_path / "problems.parquet"
    pq.write_table(pa.Table.from_pylist(PROBLEMS), parquet)
    for path in (lines, parquet):
        assert_same_table(read_swebench(leaderboards, path).table, table)


def edited(*keys: Any, to: object = None) -> dict[str, Any]:
    """Give the good document with the value at `keys` replaced, or removed."""
    content = document(A, B)
    place: Any = content["leaderboards"]
    for key in keys[:-1]:
        place = place[key]
    if to is None:
        del place[keys[-1]]
    else:
        place[keys[-1]] = to
    return content


FIRST = (1, "results", 0)
DETAILS = (*FIRST, "per_instance_details")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ({"boards": []}, ["with 'leaderboards'", "found 'boards'"]),
        ([1, 2], ["with 'leaderboards'", "found [1, 2]"]),
        ({"leaderboards": {}}, ["'leaderboards'", "found {}", "list"]),
        ({"leaderboards": []}, ["per_instance_details", "newer file"]),
        ({"leaderboards": ["x"]}, ["entry 1", "found 'x'"]),
        (edited(1, "name"), ["number 2 lacks 'name'"]),
        (edited(1, "results"), ["number 2 lacks 'results'"]),
        (edited(1, "name", to="Test"), ["'Test' twice"]),
        (edited(1, "results", to="x"), ["'results'", "'bash-only'", "found 'x'"]),
        (edited(*FIRST, to=3), ["entry 1", "found 3", "'bash-only'"]),
        (edited(*FIRST, "name"), ["entry 1", "lacks 'name'"]),
        (edited(*FIRST, "name", to=5), ["entry 1", "'name'", "found 5"]),
        (edited(*FIRST, "name", to="a\nb"), ["entry 1", "'name'", "control character"]),
        (edited(*FIRST, "resolved"), ["entry 1", "'a'", "lacks 'resolved'"]),
        (edited(*FIRST, "resolved", to="66"), ["entry 1", "'resolved'", "found '66'"]),
        (edited(*FIRST, "resolved", to=True), ["entry 1", "'resolved'", "found True"]),
        (edited(*FIRST, "resolved", to=166.7), ["entry 1", "found 166.7", "0..100"]),
        (edited(*DETAILS, to=[]), ["entry 1", "per_instance_details", "found []"]),
        (edited(*DETAILS, to=True), ["entry 1", "per_instance_details", "found True"]),
        (edited(*DETAILS, IDS[1], to=True), ["entry 1", "'a'", IDS[1], "found True"]),
        (edited(*DETAILS, IDS[1], "resolved", to=1), ["'resolved'", IDS[1], "found 1"]),
        (edited(*DETAILS, IDS[1], "cost", to="1"), ["'cost'", "'a'", IDS[1], "found '1'"]),
        (edited(*DETAILS, IDS[1], "cost", to=-1), ["entry 1", "'cost'", IDS[1], "-1.0"]),
        (edited(*DETAILS, IDS[1], "cost", to=math.nan), ["'cost'", "found nan"]),
        (edited(*DETAILS, "flask-9", to=result(True)), ["'a'", "1 of 4", "problems", "'flask-9'"]),
        (edited(1, "results", 1), ["one model only, 'a'"]),
        (document(), ["per_instance_details", "newer file"]),
        (document(OLD, OLD), ["per_instance_details", "newer file"]),
        (b"", ["not valid JSON", "line 1", "download it again"]),
        (b"\xff\xfe", ["UTF-8", "0xff at offset 0"]),
        (b"[" * 100_000, ["not valid JSON"]),
        (json.dumps(document(A, B)).replace(IDS[1], IDS[0]).encode(), [f"'{IDS[0]}' twice"]),
    ],
    ids=range(32),
)
def test_malformed_leaderboards(content, parts, tmp_path) -> None:
    with pytest.raises(TableError) as caught:
        read_swebench(*write(tmp_path, content))
    one_line(caught.value, "leaderboards.json", *parts)


@pytest.mark.parametrize(
    ("problems", "parts"),
    [
        (PROBLEMS[:2], ["leaderboards.json", "'a'", "1 of 3", "problems.json", f"'{IDS[2]}'"]),
        ([*PROBLEMS, {**PROBLEMS[0], "instance_id": "x"}], ["problems.json", "1 of 4", "'x'"]),
        ([*PROBLEMS, PROBLEMS[0]], ["entry 4", "'instance_id'", "entry 1 has already"]),
        ([{"instance_id": "x", "repo": "r"}], ["entry 1", "lacks 'problem_statement'"]),
        ([{**PROBLEMS[0], "repo": 5}], ["entry 1", "'repo'", "found 5"]),
        ([{**PROBLEMS[0], "problem_statement": " "}], ["entry 1", "'problem_statement'", IDS[0]]),
        ([], ["problems.json", "holds no tasks"]),
        (["x"], ["entry 1", "found 'x'"]),
        ({}, ["problems.json", "found {}", "list of objects"]),
        (b"[{", ["problems.json", "not valid JSON"]),
    ],
    ids=range(10),
)
def test_malformed_problems(problems, parts, tmp_path) -> None:
    with pytest.raises(TableError) as caught:
        read_swebench(*write(tmp_path, document(A, B), problems))
    one_line(caught.value, *parts)


@pytest.mark.slow
def test_a_file_cut_short_anywhere_is_refused(tmp_path) -> None:
    leaderboards, problems = write(tmp_path, document(A, B))
    whole = leaderboards.read_bytes()
    for length in range(len(whole)):
        leaderboards.write_bytes(whole[:length])
        with pytest.raises(TableError) as caught:
            read_swebench(leaderboards, problems)
        one_line(caught.value, "leaderboards.json", "download it again")


def test_absent_and_unknown_files(tmp_path) -> None:
    leaderboards, problems = write(tmp_path, document(A, B))
    with pytest.raises(NotFoundError, match=r"nothing\.json"):
        read_swebench(tmp_path / "nothing.json", problems)
    with pytest.raises(NotFoundError, match=r"nothing\.json"):
        read_swebench(leaderboards, tmp_path / "nothing.json")
    other = problems.rename(tmp_path / "problems.txt")
    with pytest.raises(TableError, match=r"\.txt.*\.parquet"):
        read_swebench(leaderboards, other)


# --- RouterBench ------------------------------------------------------------------------

# The order and the further columns of the real file: scores, answers, costs, the oracle's choice.
WIDE: dict[str, list[Any]] = {
    "sample_id": ["mbpp.dev.1", "mbpp.dev.2", "winogrande.dev.1"],
    "prompt": [
        str(["Write a function.\n", 'It prints "it\'s".']),
        "['A list of one\\nwith a line break']",
        "No list: [a] \\d",
    ],
    "eval_name": ["mbpp", "mbpp", "winogrande"],
    "claude-v1": [1.0, 0.25, None],
    "meta/llama-2-70b-chat": [0.0, 1.0, 0.5],
    "claude-v1|model_response": ["['x']", "['y,\n\"z\"']", "['']"],
    "meta/llama-2-70b-chat|model_response": ["['x']", "['y']", "['z']"],
    "claude-v1|total_cost": [0.0007, None, 0.0001],
    "meta/llama-2-70b-chat|total_cost": [6.57e-05, 0.0, 1e-05],
    "oracle_model_to_route_to": ["claude-v1", "no_model_correct", "x"],
}


def wide_csv(at: Path, columns: dict[str, list[Any]]) -> Path:
    path = at / "wide.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def wide_parquet(at: Path, columns: dict[str, list[Any]]) -> Path:
    pq.write_table(pa.table(columns), at / "wide.parquet")
    return at / "wide.parquet"


FORMS = [wide_csv, wide_parquet]


@pytest.mark.parametrize("form", FORMS)
def test_a_wide_table(form, tmp_path) -> None:
    loaded = read_routerbench(form(tmp_path, WIDE))
    expected = OutcomeTable.from_arrays(
        task_ids=WIDE["sample_id"],
        prompts=[
            'Write a function.\n\nIt prints "it\'s".',
            "A list of one\nwith a line break",
            "No list: [a] \\d",
        ],
        groups=WIDE["eval_name"],
        models=["claude-v1", "meta/llama-2-70b-chat"],
        score=[[1.0, 0.0], [0.25, 1.0], [np.nan, 0.5]],
        cost_usd=[[0.0007, 6.57e-05], [np.nan, 0.0], [np.nan, 1e-05]],
    )
    assert_same_table(loaded.table, expected)
    assert (loaded.table.name, loaded.discrepancies, loaded.without_outcomes) == ("wide", (), ())


@pytest.mark.parametrize("form", FORMS)
def test_a_wide_table_without_groups_and_some_models(form, tmp_path) -> None:
    columns = {key: values for key, values in WIDE.items() if key != "eval_name"}
    columns |= {"third": [0, 1, 0], "third|total_cost": [1, 2, 3]}
    path = form(tmp_path, columns)
    table = read_routerbench(path, models=["third", "claude-v1"]).table
    assert table.models == ("claude-v1", "third")
    assert table.groups == (None,) * 3
    np.testing.assert_array_equal(table.cost_usd[:, 1], [1, 2, 3])
    with pytest.raises(TableError) as caught:
        read_routerbench(path, models=["claude-v9"])
    one_line(caught.value, "'claude-v9'", "'third'")


@pytest.mark.parametrize(
    "prompt",
    ["[]", "[1, 2]", "['a', 2]", "[a]", "['a'", "[" * 5000 + "]" * 5000, "['a' 'b'", "[\\d]"],
)
def test_a_prompt_that_is_no_list_of_strings_stays(prompt, tmp_path) -> None:
    columns = {**WIDE, "prompt": [prompt, "x", "y"]}
    assert read_routerbench(wide_csv(tmp_path, columns)).table.prompts[0] == prompt


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"prompt": None}, ["lacks 'prompt'"]),
        ({"sample_id": None}, ["lacks 'sample_id'"]),
        ({"claude-v1|total_cost": None}, ["'claude-v1|total_cost'", "empty cells"]),
        ({"claude-v1": None}, ["'claude-v1|total_cost'", "scores, 'claude-v1', is missing"]),
        ({"claude-v1": [1, 1.2, 0]}, ["'mbpp.dev.2'", "'claude-v1'", "1.2"]),
        ({"claude-v1": [1, -0.5, 0]}, ["'mbpp.dev.2'", "'claude-v1'", "-0.5"]),
        ({"claude-v1|total_cost": [0, 0, -1.0]}, ["'winogrande.dev.1'", "no outcome"]),
        (
            {"claude-v1|total_cost": [0, -1.0, 0]},
            ["column 'MODEL|total_cost' (task 'mbpp.dev.2', model 'claude-v1'): found -1.0"],
        ),
        ({"claude-v1": ["1", "good", "0"]}, ["'claude-v1'"]),
        ({"claude-v1": [None] * 3}, ["'claude-v1'", "no outcomes"]),
        ({"sample_id": ["x", "y", "x"]}, ["'sample_id'", "'x'"]),
        ({"prompt": ["x", "['']", "y"]}, ["'prompt'", "'mbpp.dev.2'", "without text"]),
        ({key: None for key in WIDE if "llama" in key}, ["one model only"]),
        ({key: None for key in WIDE if "|" in key}, ["holds no model", "'MODEL|total_cost'"]),
    ],
    ids=range(14),
)  # fmt: skip
def test_malformed_wide_tables(form, changes, parts, tmp_path) -> None:
    columns = {key: values for key, values in {**WIDE, **changes}.items() if values is not None}
    path = form(tmp_path, columns)
    if "no outcome" in parts:  # a cost in a hole belongs to no outcome, and is not looked at
        assert read_routerbench(path).table.n_models == 2
        return
    with pytest.raises(TableError) as caught:
        read_routerbench(path)
    one_line(caught.value, path.name, *parts)


def test_a_wide_csv_names_line_and_column(tmp_path) -> None:
    path = wide_csv(tmp_path, {**WIDE, "claude-v1|total_cost": ["0.1", "free", "0.1"]})
    with pytest.raises(TableError) as caught:
        read_routerbench(path)
    one_line(caught.value, "wide.csv, line 3, column 'claude-v1|total_cost'", "'free'")
    head, _, rest = path.read_text().partition("\n")
    path.write_text(head.replace("meta/llama-2-70b-chat", "claude-v1") + "\n" + rest)
    with pytest.raises(TableError, match=r"'claude-v1'.*twice"):
        read_routerbench(path)


class _Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_is_not_opened(tmp_path) -> None:
    path = tmp_path / "routerbench_0shot.pkl"
    path.write_bytes(pickle.dumps(_Bomb(tmp_path / "ran")))
    done = run("datasets", "convert", "routerbench", path, "-o", tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "to_csv('routerbench_0shot.csv', index=False)" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    pickle.loads(path.read_bytes())
    assert (tmp_path / "ran").exists()  # it would have
    with pytest.raises(TableError, match=r"\.xlsx"):
        read_routerbench(path.rename(tmp_path / "wide.xlsx"))


# --- the command ------------------------------------------------------------------------


def test_the_list_needs_no_network() -> None:
    code = """
import socket
def refuse(*a, **k): raise AssertionError("a socket was opened")
socket.socket.connect = refuse
socket.create_connection = refuse
socket.getaddrinfo = refuse
from hypernova.cli import main
raise SystemExit(main(["datasets"]))
"""
    done = run_python("-c", code)
    assert (done.returncode, done.stderr) == (0, "")
    for source in PUBLIC_DATASETS:
        assert f"{source.name}: " in done.stdout
        for file in source.files:
            assert file in done.stdout
            assert "https://" in file
    assert "Nothing is downloaded" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("source", [s for s in PUBLIC_DATASETS if s.convert], ids=lambda s: s.name)
def test_the_listed_command_works(source, tmp_path, monkeypatch) -> None:
    """The list names files that exist here in small: its command must take them as it stands."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, document(A, B))
    pq.write_table(pa.Table.from_pylist(PROBLEMS), "PROBLEMS.parquet")
    wide_csv(tmp_path, WIDE).rename("routerbench_0shot.csv")
    words = source.convert.split()
    assert words[0] == "hypernova"
    done = run(*words[1:])
    assert done.returncode == 0, done.stderr
    assert OutcomeTable.read("FOLDER").n_tasks == 3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["out", "out.jsonl"])
def test_nothing_is_overwritten(name, tmp_path) -> None:
    wide = wide_csv(tmp_path, WIDE)
    assert run("datasets", "convert", "routerbench", wide, "-o", tmp_path / name).returncode == 0
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    # Said before the work: the file to read is not even looked for.
    done = run("datasets", "convert", "routerbench", "absent.csv", "-o", tmp_path / name)
    assert (done.returncode, done.stdout) == (1, "")
    assert "exists already" in done.stderr
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


@pytest.mark.slow
def test_a_converted_table_can_be_fitted(tmp_path) -> None:
    n = 40
    columns = {
        "sample_id": [f"t{i}" for i in range(n)],
        "prompt": [str([f"Sum {i} and {i + 1}" if i % 2 else f"Name king {i}"]) for i in range(n)],
        "eval_name": ["sum" if i % 2 else "king" for i in range(n)],
        "x": [i % 2 for i in range(n)],
        "y": [1 - i % 2 for i in range(n)],
        "x|total_cost": [0.1] * n,
        "y|total_cost": [""] * n,
    }
    wide = wide_csv(tmp_path, columns)
    done = run("datasets", "convert", "routerbench", wide, "-o", tmp_path / "table")
    assert done.stdout == f"wrote {tmp_path / 'table'}: 40 tasks x 2 models, 80 outcomes\n"
    done = run("fit", tmp_path / "table", "-o", tmp_path / "r.hnv", "--clusters", 2)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["convert"],
        ["convert", "mmlu", "x", "-o", "y"],
        ["convert", "swebench", "x", "-o", "y"],
        ["convert", "swebench", "x", "y"],
        ["convert", "routerbench", "x", "y", "-o", "z"],
        ["convert", "swebench", "x", "y", "-o", "z", "--drop-inconsistent", "-1"],
        ["convert", "swebench", "x", "y", "-o", "z", "--drop-inconsistent", "nan"],
        ["convert", "routerbench", "x", "-o", "y", "--leaderboard", "z"],
        ["download"],
    ],
)
def test_bad_usage_is_exit_code_2(arguments) -> None:
    done = run("datasets", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
