"""The record of a version: steps in processes of their own, resumed, and the page of their figures.

Not here: reading figures (test_records_reader.py), and what the benchmarks measure.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from benches import release_record
from benches.records import FOLDER, RecordError, Records
from benches.release_page import PARTS, page_of
from benches.release_record import Log, chosen, estimate, main, make_all, run
from benches.release_steps import BEFORE, GROUPS, STEPS, Before, Step

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "abcdef1"
# A benchmark: it counts its runs, and writes a record unless it is told to fail or to wait.
BENCH = """
import argparse, os, pathlib, subprocess, sys, time
from benches.record import write_page
parser = argparse.ArgumentParser()
for name in ("--kind", "--do", "--runs", "-o"):
    parser.add_argument(name)
a = parser.parse_args()
with open(a.runs, "a") as file:
    print(a.kind, file=file)
if a.do == "fail":
    sys.exit("the table is not there")
if a.do == "wait":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    pathlib.Path(a.runs).with_suffix(".pid").write_text(str(child.pid))
lines = ["# A page", "", "| row | now |", "| --- | --- |", "| one | 5 us |"]
write_page(lines, pathlib.Path(a.o), "abcdef1", a.kind)
if a.do == "wait":
    time.sleep(600)
"""


@pytest.fixture
def bench(tmp_path, monkeypatch) -> Path:
    """Put the benchmark where processes find it; return the file that counts its runs."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "small_bench.py").write_text(BENCH)
    paths = [str(tmp_path / "code"), os.environ.get("PYTHONPATH", ""), str(FOLDER.parents[1])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setattr(release_record, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(release_record, "busy_cores", lambda: 0.0)
    # The commit of these tests is in no repository: it is the present one, and no other's.
    monkeypatch.setattr(release_record, "same_sources", lambda _, other=None: other is not None)
    (tmp_path / "records").mkdir()
    return tmp_path / "runs"


def step(kind: str, do: str, runs: Path, limit: float = 1.0, **values: Any) -> Step:
    command = f"small_bench --kind {kind} --do {do} --runs {runs}"
    return Step(kind, "speed", command, 0.01, limit, "", needs_tables=False, **values)


def make(steps: list[Step], folder: Path) -> list[str]:
    log = Log(folder, COMMIT)
    return make_all(steps, folder, log, None, COMMIT, argparse.Namespace(tiny=False, busy=9.0))


def test_steps_leave_records_and_are_not_made_again(bench: Path, tmp_path, capsys) -> None:
    folder = tmp_path / "records"
    steps = [
        step("small", "write", bench, cut="half of it"),
        step("broken", "fail", bench),
        step("lonely", "write", bench, peers=("no_such_module",)),
        step("impossible", "write", bench, needs=("no_such_module",)),
        Step("older", "speed", f"small_bench {BEFORE}", 1, 1, "", needs_tables=False),
    ]
    assert make(steps, folder) == ["broken", "impossible", "older"]
    said = capsys.readouterr().out
    assert "impossible: needs no_such_module: pip install no_such_module" in said
    assert "older: needs another version: give --before PYTHON" in said
    assert "broken: no record after" in said
    assert "exit code 1: the table is not there" in said
    with next(folder.glob("*-abcdef1-release.csv")).open(newline="") as file:
        rows = {row["step"]: row for row in csv.DictReader(file)}
    assert {name: row["status"] for name, row in rows.items()} == {
        "small": "complete", "broken": "no record", "lonely": "partial",
    }  # fmt: skip
    assert all(re.fullmatch(r"\d+\.\d\d", row["load"]) for row in rows.values())
    record = Records(folder).latest("small")
    assert record is not None
    assert record.value("one", "now").number == 5.0
    assert not record.is_partial
    assert "Complete. Cut: half of it." in record.text
    lonely = Records(folder).latest("lonely")
    assert lonely is not None
    assert lonely.is_partial
    assert "without no_such_module" in lonely.text

    # A second run makes what has no record, and a third what was removed.
    assert make(steps, folder) == ["broken", "impossible", "older"]
    assert bench.read_text().split() == ["small", "broken", "lonely", "broken"]
    record.path.unlink()
    make(steps[:1], folder)
    assert bench.read_text().split()[-1] == "small"
    assert record.path.exists()
    # Sources of another commit have no record.
    assert not Log(folder, "fffffff").has(steps[0])


def test_a_step_that_takes_too_long_is_ended_with_its_children(bench: Path, tmp_path) -> None:
    folder = tmp_path / "records"
    assert make([step("slow", "wait", bench, limit=0.1)], folder) == []
    record = Records(folder).latest("slow")
    assert record is not None
    assert record.is_partial
    assert "ended after 0.1 minutes" in record.text
    child = int(bench.with_suffix(".pid").read_text())
    until = time.monotonic() + 20
    while _lives(child):
        assert time.monotonic() < until, "the benchmark's child is left"
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_output_of_a_command_is_kept(tmp_path) -> None:
    log = tmp_path / "new" / "log"
    code, out_of_time = run(["sh", "-c", "echo one; echo two >&2; exit 3"], log, 60)
    assert (code, out_of_time, log.read_text()) == (3, False, "one\ntwo\n")


def test_sources_that_differ_are_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(release_record, "source_state", lambda: (COMMIT, "yes"))
    with pytest.raises(SystemExit, match="sources differ from the commit: commit them"):
        main(["-o", str(tmp_path), "--only", "speed"])
    assert not list(tmp_path.iterdir())


def test_sources_that_change_meanwhile_end_the_run(bench: Path, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(release_record, "same_sources", lambda *_: False)
    with pytest.raises(SystemExit, match="the sources are no longer those of abcdef1"):
        make([step("small", "write", bench)], tmp_path / "records")
    assert not bench.exists()


def test_a_machine_that_is_busy_is_not_measured(monkeypatch) -> None:
    monkeypatch.setattr(release_record, "busy_cores", lambda: 1.5)
    with pytest.raises(SystemExit, match=r"1\.5 cores have been at work for 0 minutes"):
        release_record.wait_until_quiet(0.3, 0.0)
    assert release_record.wait_until_quiet(2.0, 0.0) == 1.5


# --- the steps --------------------------------------------------------------------------


def test_all_steps_fit_into_the_time() -> None:
    assert sum(step.minutes for step in STEPS) <= 150
    assert all(step.minutes < step.limit for step in STEPS)
    assert len({step.kind for step in STEPS}) == len(STEPS)
    assert all(find_spec(step.command.split()[0]) for step in STEPS)


def test_the_other_version_is_named_as_each_benchmark_takes_it() -> None:
    by_kind = {step.kind: step for step in STEPS}
    before = Before("old/python", "old")
    assert by_kind["versions"].arguments("out", before) == [
        *("-m", "benches.versions", "old/python", "--pythonpath", "old"),
        *("--starts", "2", "--rounds", "10", "-o", "out"),
    ]
    served = by_kind["serve-versions"].arguments("out", Before("old/python", None))
    assert served == ["-m", "benches.serve_versions", "old/python", "-o", "out"]
    tiny = by_kind["quality"].arguments("out", None, tiny=True)
    assert tiny[-2:] == ["--record", "out"]


def test_steps_are_chosen_by_name_and_group(tmp_path) -> None:
    assert [step.kind for step in chosen(["text", "scale"])] == [
        "text-versions", "runtimes", "static-models", "processes", "scale",
    ]  # fmt: skip
    assert chosen([]) == list(STEPS)
    lines = estimate(chosen(["service"]), Log(tmp_path, COMMIT), None)
    assert [line.split()[0] for line in lines] == [
        "step", "serve-load", "serve-versions", "event-loop", "left",
    ]  # fmt: skip
    assert "needs another version" in lines[2]
    assert {"speed", "quality", "robustness", "service", "scale"} <= set(GROUPS)


# --- the page ---------------------------------------------------------------------------


def test_the_page_names_what_was_not_reached(tmp_path) -> None:
    heads = "| table | tasks | by the seed, % | without a 20th of the tasks, % | within |\n"
    rows = "| `a` | 1 | 0.1 | 0.2 | yes |\n| `b` | 1 | 9.0 | 0.2 | no |\n"
    text = f"# Same\n\nAMD EPYC, 2 cores. `python -m benches.stability`.\n\n{heads}"
    text += "| - | - | - | - | - |\n" + rows
    path = tmp_path / "2026-01-01-abcdef1-stability.md"
    path.write_text(text)
    page = page_of(Records(tmp_path))
    assert "- The same decisions: b\n" in page
    assert "All were made on commit abcdef1." in page
    assert "| a | 0.1 | 0.2 | yes | yes |" in page
    assert "| b | 9.0 | 0.2 | no | **no** |" in page
    assert "Reached by 1 of 2." in page
    assert "Not measured: speed, versions" in page
    # Another commit, and a part.
    other = tmp_path / "2026-01-01-fffffff-serve-load.md"
    other.write_text("| load | p99 |\n| - | - |\n| 500 | 6.1 ms |\n\n**Partial**: ended.\n")
    page = page_of(Records(tmp_path))
    assert "**Records of several commits**: abcdef1: stability; fffffff: serve-load." in page
    assert "**Partial.**" in page
    assert "| 500 | 6.1 ms | **no** |" in page
    # A record of another form is said to be one, and costs no other part.
    other.write_text("nothing\n")
    page = page_of(Records(tmp_path))
    assert "The record has another form: 2026-01-01-fffffff-serve-load.md: 0 tables" in page
    assert "| a | 0.1 | 0.2 | yes | yes |" in page


def test_the_page_is_checked(tmp_path, capsys) -> None:
    (tmp_path / "2026-01-01-abcdef1-sizes.md").write_text("| a | b |\n| - | - |\n| 1 | 2 |\n")
    arguments = ["-o", str(tmp_path)]
    assert main([*arguments, "--check"]) == 1
    assert "is not what the records give" in capsys.readouterr().out
    assert main([*arguments, "--page"]) == 0
    assert main([*arguments, "--check"]) == 0
    (tmp_path / "2026-01-02-abcdef2-sizes.md").write_text("| a | b |\n| - | - |\n| 1 | 3 |\n")
    assert main([*arguments, "--check"]) == 1


def test_records_of_this_repository_have_the_form_of_the_page() -> None:
    """But for those that were made before the page was."""
    records = Records(FOLDER)
    before = {"2026-11-28-f4acd21-serve-load.md"}
    for part in PARTS:
        record = records.latest(part.kind)
        if record is None or record.path.name in before:
            continue
        try:
            rows = part.make(record)
        except RecordError as error:
            pytest.fail(str(error))
        assert rows
        assert all({part.reached(row)} <= {True, False, None} for row in rows)
    assert main(["--check"]) == 0
