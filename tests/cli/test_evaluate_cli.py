"""`hypernova evaluate` in real processes: output, files, exit codes."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

import hypernova
from support.commands import fails_in_one_line, run
from support.paths import TABLE

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

EVERYTHING = ("--folds", 3, "--repeats", 1, "--clusters", 3)
QUICK = (*EVERYTHING, "--jobs", 1, "--no-learning-curve")


def rows(path: Path, count: int, groups: str = "") -> Path:
    """A table of two models that solve one kind of prompt each."""
    kinds = ["sum the numbers", "rhyme the verses"]
    lines = [
        json.dumps(
            {
                "task_id": i,
                "prompt": f"{kinds[i % 2]} of case {i}",
                "group": groups[i % len(groups)] if groups else None,
                "outcomes": {
                    "adder": {"score": 1 - i % 2, "cost_usd": 0.5},
                    "poet": {"score": i % 2, "cost_usd": 0.25},
                },
            }
        )
        for i in range(count)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.slow
def test_prices_of_a_file_make_the_costs_and_repeats_are_named(tmp_path) -> None:
    """One run of each command; --scan prices what is read in pieces."""
    table = rows(tmp_path / "table.jsonl", 60)
    tokens = '"input_tokens": 1000, "output_tokens": 500'
    text = table.read_text().replace('"cost_usd": 0.25', tokens)
    # The first outcome stands twice.
    table.write_text(
        text.replace('{"score": 1, "cost_usd": 0.5}', '[1, {"score": 1, "cost_usd": 0.5}]', 1)
    )
    prices = tmp_path / "prices.json"
    prices.write_text('{"poet": [2, 8], "someone else": "free"}')
    told = (
        "1 of 120 outcomes are means of up to 2 of one model on one task, 121 in all\n"
        "computed the cost of 60 of 120 outcomes, with prices of 1 of 2 models\n"
    )
    found = run("evaluate", table, *QUICK, "--prices", prices, "--json", tmp_path / "o.json")
    assert found.stderr == told
    values = json.loads((tmp_path / "o.json").read_text())
    assert values["dataset"]["repeats"] == {"outcomes": 1, "largest": 2, "total": 121}
    costs = {model["model"]: model["cost_usd"] for model in values["models"]}
    assert costs == pytest.approx({"adder": 0.5, "poet": 0.006})
    fitted = tmp_path / "r.hnv"
    found = run("fit", table, "--scan", "-o", fitted, "--clusters", 2, "--prices", prices)
    assert (found.returncode, found.stderr) == (0, told)
    assert hypernova.Artifact.open(fitted).cost[-1] == pytest.approx([0.5, 0.006])
    prices.write_text('{"poet": [2, -8]}')
    message = fails_in_one_line("fit", table, "-o", tmp_path / "no.hnv", "--prices", prices)
    assert "'poet'" in message
    assert not (tmp_path / "no.hnv").exists()


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> tuple[subprocess.CompletedProcess[str], Path]:
    folder = tmp_path_factory.mktemp("evaluate")
    table = rows(folder / "table.jsonl", 60, "abc")
    found = run(
        "evaluate", table, *EVERYTHING, "--json", folder / "out.json", "--html", folder / "out.html"
    )
    assert found.returncode == 0, found.stderr
    return found, folder


@pytest.mark.slow
def test_the_verdict_comes_first(done) -> None:
    found, folder = done
    values = json.loads((folder / "out.json").read_text(encoding="utf-8"))
    assert found.stderr == ""
    assert found.stdout.splitlines()[0] == values["verdict"]
    assert f"{values['held_out']['accuracy']:.4f}" in found.stdout
    assert "in-sample" in found.stdout


@pytest.mark.slow
def test_the_files_are_those_of_python(done) -> None:
    _, folder = done
    table = hypernova.OutcomeTable.read(folder / "table.jsonl")
    report = hypernova.evaluate(table, folds=3, repeats=1, clusters=3, jobs=1)
    assert json.loads((folder / "out.json").read_text(encoding="utf-8")) == report.to_dict()
    report.to_html(folder / "again.html")
    assert (folder / "again.html").read_bytes() == (folder / "out.html").read_bytes()
    HTMLParser().feed((folder / "out.html").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_exit_code_is_0_either_way(tmp_path) -> None:
    worth = run("evaluate", rows(tmp_path / "worth.jsonl", 40), *QUICK)
    assert (worth.returncode, worth.stderr) == (0, "")
    assert worth.stdout.startswith("Route: +")
    table = tmp_path / "not.csv"
    # One model solves three of four tasks, the other only tasks that the first solves too.
    lines = [f"{i},prompt {i},m{m},{int(i % 4 > m)}" for i in range(40) for m in range(2)]
    table.write_text("\n".join(["task_id,prompt,model,score", *lines]))
    found = run("evaluate", table, *QUICK)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith("Do not route: use m0 for everything")


@pytest.mark.slow
def test_leave_one_group_out(tmp_path) -> None:
    one = rows(tmp_path / "one.jsonl", 40, "a")
    found = run("evaluate", one, *QUICK, "--leave-one-group-out")
    assert found.returncode == 0
    assert "the table has one, a" in " ".join(found.stdout.split())
    found = run("evaluate", rows(tmp_path / "two.jsonl", 40, "ab"), *QUICK, "--leave-one-group-out")
    assert "groups never seen" in found.stdout


@pytest.mark.slow
def test_a_table_that_is_too_small_fails_in_one_line(tmp_path) -> None:
    line = fails_in_one_line("evaluate", rows(tmp_path / "t.jsonl", 9))
    assert "9 different prompts" in line
    assert "fewer folds" in line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--folds", 1), "folds is 1"),
        (("--repeats", 0), "repeats is 0"),
        (("--clusters", 1000), "1000 clusters"),
        (("--embedder", "no-such"), "no-such"),
    ],
)
def test_an_option_out_of_range_fails_in_one_line(arguments, message) -> None:
    assert message in fails_in_one_line("evaluate", TABLE, *arguments)


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--json", "--html"])
def test_a_place_that_cannot_be_written_is_said_before_the_work(tmp_path, option) -> None:
    assert "make it first" in fails_in_one_line(
        "evaluate", "no-such-table", option, tmp_path / "none" / "out"
    )
    assert "is a folder" in fails_in_one_line("evaluate", "no-such-table", option, tmp_path)


def test_a_missing_table() -> None:
    assert "no-such-table" in fails_in_one_line("evaluate", "no-such-table")


def test_an_option_of_the_wrong_type_is_bad_usage() -> None:
    found = run("evaluate", TABLE, "--clusters", "many")
    assert found.returncode == 2
    assert "Traceback" not in found.stderr
