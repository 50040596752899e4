"""The command line as a whole: help, wrong words, examples, and an ending before it has begun.

Not here: what a command does (a file for each), and signals once one runs (test_signals).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest
from examples.archive import EXAMPLES, packed_files

from hypernova.cli import main
from hypernova.cli.examples import ARCHIVE
from support.commands import fails_in_one_line, output_of, run, run_python

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["rout", "hello"], ["hypernova: there is no command 'rout'", "did you mean route?"]),
        (["xyzzy"], ["there are import, fit, evaluate"]),
        (["route", "hello", "--expalin"], ["hypernova route: ", "did you mean --explain?"]),
        (["serve", "--prot=3"], ["there is no option --prot; did you mean --port?"]),
        (["fit", "table.csv", "-o", "r.hnv", "--zzz"], ["there is no option --zzz; see "]),
        (["route", "Sort", "a", "list"], ["'a' is one argument too many; put quotes around"]),
        (["route"], ["arguments are required: TEXT, or --input; see hypernova route --help"]),
        (
            ["datasets", "convert", "swebench"],
            ["hypernova datasets convert swebench: ", "required"],
        ),
        (["route", "x", "--cost-weight", "much"], ["argument --cost-weight: invalid float value"]),
    ],
    ids=range(9),
)
def test_a_wrong_command_line_is_one_line_with_a_remedy(words: list[str], parts: list[str]) -> None:
    done = run(*words, code=2)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert all(part in done.stderr for part in parts), done.stderr
    assert " --help" in done.stderr


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["inspect", ""], "hypernova inspect: argument ROUTER.hnv: it is empty; "),
        (["inspect", "--data", ""], "argument --data: it is empty; "),
        (["route", "-a", "", "hello"], "argument -a/--artifact: it is empty; "),
        (["route", "--input", "", "--output", "d.parquet"], "argument --input: it is empty; "),
        (["route", "hello", "--prices="], "argument --prices: it is empty; "),
        (["examples", ""], "argument FOLDER: it is empty; "),
        (["import", "logs", "", "-o", "t.jsonl"], "argument LOGS: it is empty; "),
        (["fit", "t.jsonl", "-o", ""], "argument -o/--output: it is empty; "),
        (["evaluate", "t.jsonl", "--vectors", ""], "argument --vectors: it is empty; "),
        (["monitor", "router.hnv", ""], "argument LOG: it is empty; "),
        (["recalibrate", "router.hnv", "", "-o", "n.hnv"], "argument LOG: it is empty; "),
        (["serve", "--log", ""], "argument --log: it is empty; "),
        (["datasets", "convert", "routerbench", "", "-o", "t"], "argument WIDE: it is empty; "),
    ],
    ids=" ".join,
)
def test_an_empty_path_is_no_folder(
    words: list[str], named: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(words)
    said = capsys.readouterr()
    assert ended.value.code == 2
    assert named in said.err
    assert (said.out, len(said.err.splitlines())) == ("", 1)
    assert not list(tmp_path.iterdir())


def test_an_empty_prompt_reaches_the_router(capsys) -> None:
    assert main(["route", ""]) == 1
    assert "the text is empty" in capsys.readouterr().err


def test_help_is_there_in_every_way_that_people_ask_for_it() -> None:
    shown = output_of("--help")
    assert "first steps:\n  hypernova route --explain" in shown
    assert output_of("help") == shown
    assert run(code=2).stderr == shown
    assert output_of("help", "route") == output_of("route", "--help")
    assert run_python("-m", "hypernova", "--help", code=0).stdout == shown
    assert "no command 'nothing'" in run("help", "nothing", code=2).stderr


def test_examples_are_those_of_the_repository(tmp_path: Path) -> None:
    """If this fails: make examples."""
    for _ in range(2):  # those that are there already stay
        said = output_of("examples", cwd=tmp_path)
    written = {p.relative_to(tmp_path / "examples") for p in tmp_path.rglob("*") if p.is_file()}
    assert written == {path.relative_to(EXAMPLES) for path in packed_files()}
    for name in written:
        assert (tmp_path / "examples" / name).read_bytes() == (EXAMPLES / name).read_bytes()
    command = said.splitlines()[-1].split()
    assert "tasks, 5 models" in output_of(*command[1:], "--repeats", 1, cwd=tmp_path)


def test_examples_overwrite_nothing(tmp_path: Path) -> None:
    mine = tmp_path / "examples" / "simulated.jsonl"
    mine.parent.mkdir()
    mine.write_text("mine")
    assert "simulated.jsonl: has other content" in fails_in_one_line("examples", cwd=tmp_path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [mine]
    assert mine.read_text() == "mine"
    assert "is a file; name a folder" in fails_in_one_line("examples", mine)


def test_the_archive_names_no_time_and_no_user() -> None:
    with zipfile.ZipFile(ARCHIVE) as archive:
        entries = archive.infolist()
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)


# Sends SIGINT as the module is looked for: a moment in the start that no sleep could hit.
_INTERRUPT = """
import os, signal, sys
wanted = sys.argv[1]
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == wanted:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from hypernova.__main__ import main
sys.argv = ["hypernova", "route", "Sort a list"]
sys.exit(main())
"""


@pytest.mark.parametrize(
    "module", ["hypernova.cli", "hypernova._core", "hypernova.router.router", "argparse", "json"]
)
def test_ctrl_c_ends_the_command_while_it_starts_and_prints_nothing(module: str) -> None:
    done = run_python("-c", _INTERRUPT, module)
    assert (done.stdout, done.stderr) == ("", "")
    assert done.returncode in (-signal.SIGINT, 128 + signal.SIGINT)


def test_a_start_whose_interrupt_is_ignored_goes_on() -> None:
    ignoring = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n{_INTERRUPT}"
    done = run_python("-c", ignoring, "argparse", code=0)
    assert "cluster" in done.stdout


def test_a_prompt_unlike_those_of_the_bundled_artifact_is_told_whose_it_is(tmp_path: Path) -> None:
    bread, scope = "How do I bake bread?", "The bundled artifact learned from Python issues alone"
    assert scope in output_of("route", bread)
    assert scope in output_of("route", "--explain", bread)
    assert scope not in output_of("route", "--json", bread)
    likely = "DataArray.groupby fails with a TypeError when the coordinate holds NaN"
    assert scope not in output_of("route", likely)
    output_of("examples", tmp_path)
    output_of("fit", tmp_path / "simulated.jsonl", "-o", tmp_path / "router.hnv")
    assert scope not in output_of("route", "-a", tmp_path / "router.hnv", bread)


def test_a_module_of_the_command_is_run_where_no_user_has_a_home(tmp_path: Path) -> None:
    bare = {"PATH": "/usr/bin:/bin", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    done = subprocess.run(
        [sys.executable, "-m", "hypernova", "route", "Sort a list"],
        env=bare | {"HOME": "/nonexistent", "LANG": "C"}, cwd=tmp_path, capture_output=True,
        check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.splitlines()[1].startswith(b"  ")
    assert done.stderr == b""
    assert list(tmp_path.iterdir()) == []
