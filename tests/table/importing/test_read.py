"""Logs are found by content, broken ones are named, and tables of our own stay what they are."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import time
import tomllib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from hypernova.errors import NotFoundError, TableError
from hypernova.table import OutcomeTable, read_logs
from hypernova.table.importing.gather import gather
from hypernova.table.importing.read import are_logs
from hypernova.table.importing.registry import log_readers
from hypernova.table.importing.scores import ScoreRules
from support.archives import write_zip
from support.commands import run
from support.made_up_logs import MadeUpReader, install, sample, write_log
from support.pages import blocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hypernova.table.log_files.files import LogFile

PAIR = [sample("a"), sample("b")]


@contextmanager
def other_user() -> Iterator[None]:
    """Go on as a user without rights, if this is one with all of them."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.usefixtures("made_up")
class TestDiscovery:
    def test_folders_are_walked_in_natural_order_and_hidden_names_passed_over(
        self, tmp_path: Path
    ) -> None:
        for name in ("run10/1.log", "run9/b/2.log", "run9/b/10.log", ".git/x.log", "_old/x.log"):
            write_log(
                tmp_path / name, [sample("a", name, prompt=name), sample("b", name, prompt=name)]
            )
        write_log(tmp_path / "_x.log", [sample("c")])
        found = read_logs(tmp_path)
        assert found.table.prompts == ("run9/b/2.log", "run9/b/10.log", "run10/1.log")
        assert found.summary.logs == {"Made Up": 3}
        assert found.table.models == ("a", "b")
        # A file that is named is read, whatever its name.
        assert read_logs(tmp_path / "_x.log", min_models=1).table.models == ("c",)

    def test_links_that_lead_back_and_files_found_twice_are_read_once(self, tmp_path: Path) -> None:
        write_log(tmp_path / "a" / "1.log", PAIR)
        (tmp_path / "a" / "loop").symlink_to(tmp_path)
        (tmp_path / "a" / "self").symlink_to(tmp_path / "a" / "self")
        (tmp_path / "a" / "again.log").symlink_to(tmp_path / "a" / "1.log")
        os.link(tmp_path / "a" / "1.log", tmp_path / "a" / "hard.log")
        found = read_logs(tmp_path, tmp_path / "a", tmp_path / "a" / "1.log")
        assert found.summary.logs == {"Made Up": 1}
        assert found.summary.samples == 2

    def test_files_that_nobody_knows_are_counted_in_folders_and_refused_by_name(
        self, tmp_path: Path
    ) -> None:
        write_log(tmp_path / "1.log", PAIR)
        for name, content in {
            "README.md": b"# Logs, and more", "x.csv": b"a,b\n1,2\n", "e.json": b"{}", "empty": b"",
            "list.json": b"[1, 2]", "x.eval": b"PK\x03\x04junk", "x.gz": b"\x1f\x8bjunk",
            "x.parquet": b"PAR1junk",
        }.items():  # fmt: skip
            (tmp_path / name).write_bytes(content)
        found = read_logs(tmp_path)
        assert [name.rpartition("/")[2] for name in found.summary.unknown_files] == [
            "README.md", "e.json", "empty", "list.json", "x.csv", "x.eval", "x.gz", "x.parquet"
        ]  # fmt: skip
        for name in ("README.md", "x.csv", "e.json", "x.eval", "x.parquet"):
            with pytest.raises(
                TableError, match=r"no log of a tool that is known; .*Inspect AI, .*"
            ):
                read_logs(tmp_path / name, tmp_path / "1.log")
        with pytest.raises(TableError, match=r"empty: is empty, and no log .* or Made Up"):
            read_logs(tmp_path / "empty")

    def test_nothing_to_read_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(TableError, match="no log was named"):
            read_logs()
        with pytest.raises(NotFoundError, match="absent: no such file or folder"):
            read_logs(tmp_path / "absent")
        (tmp_path / "notes.txt").write_text("hello")
        with pytest.raises(TableError, match="found no log among 1 files; name logs of Inspect AI"):
            read_logs(tmp_path)
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(TableError, match="is no regular file"):
            read_logs(tmp_path / "pipe")

    def test_files_beside_a_log_are_given_to_its_reader(self, tmp_path: Path) -> None:
        figure = {"model": "a", "group": None, "metric": "match", "value": 1.0, "name": "mean"}
        path = write_log(tmp_path / "1.log", PAIR)
        (tmp_path / "results.json").write_text(json.dumps({"made_up_results": [figure]}))
        for paths in ([path], [tmp_path], [path, tmp_path / "results.json"]):
            found = read_logs(*paths)
            assert [one.name for one in found.summary.agreement] == ["mean"]
            assert found.summary.unknown_files == ()
        with pytest.raises(TableError, match="found no log among 1 files"):
            read_logs(tmp_path / "results.json")

    def test_a_reader_that_fails_at_a_file_does_not_know_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(self: MadeUpReader, file: LogFile) -> bool:
            return file.first_keys.index("made_up") == 0  # a ValueError where there is none

        monkeypatch.setattr(MadeUpReader, "recognise", fail)
        write_log(tmp_path / "1.log", PAIR)
        (tmp_path / "notes").write_text("hello")
        found = read_logs(tmp_path)
        assert found.table.models == ("a", "b")
        assert found.summary.unknown_files == (f"{tmp_path}/notes",)

    def test_packed_logs_are_known_by_their_content(self, tmp_path: Path) -> None:
        path = write_log(tmp_path / "1.log", PAIR)
        (tmp_path / "packed").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
        assert read_logs(tmp_path).table.models == ("a", "b")
        assert OutcomeTable.read(tmp_path / "packed").models == ("a", "b")


@pytest.mark.usefixtures("made_up")
class TestBrokenLogs:
    def test_files_and_folders_that_cannot_be_opened_are_broken_logs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_log(tmp_path / "logs" / "1.log", PAIR)
        closed = [write_log(tmp_path / "logs" / "2.log", PAIR), tmp_path / "logs" / "shut"]
        write_log(closed[1] / "3.log", PAIR)
        monkeypatch.chdir(tmp_path)  # whose parents are closed to others
        tmp_path.chmod(0o755)
        (tmp_path / "logs").chmod(0o755)
        read_logs("logs")  # with all modules, which the other user may not read
        for path in closed:
            path.chmod(0)
        with other_user():
            with pytest.raises(TableError) as error:
                read_logs("logs")
            found = read_logs("logs", skip_broken=True).summary
            for path in ("logs/shut", "logs/2.log"):
                with pytest.raises(TableError, match=rf"^{path}: cannot be opened .*check the f"):
                    read_logs(path)
            for path in ("logs/shut", "logs", "logs/shut/3.log"):
                with pytest.raises(TableError, match=r"(shut|.\.log): cannot be opened .*check"):
                    OutcomeTable.read(path)
            with pytest.raises(TableError, match=r"^logs/shut/3.log: cannot be opened .*folders"):
                read_logs("logs/shut/3.log")
        closed[1].chmod(0o700)
        assert str(error.value).startswith("2 logs of 3 cannot be read: (1) logs/shut: cannot be")
        assert list(found.broken) == ["logs/shut", "logs/2.log"]
        assert (found.logs, found.unknown_files) == ({"Made Up": 1}, ())

    def test_an_empty_path_is_not_the_folder_one_works_in(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_log(tmp_path / "1.log", PAIR)
        monkeypatch.chdir(tmp_path)
        assert read_logs(".").summary.samples == 2
        with pytest.raises(NotFoundError, match="the path of a log is empty; name"):
            read_logs("")

    def test_a_log_whose_samples_are_all_left_out_lacks_no_metric(self, tmp_path: Path) -> None:
        write_log(tmp_path / "1.log", PAIR)
        write_log(tmp_path / "2.log", [sample("c", left_out="the tool or the model failed")])
        notes = read_logs(tmp_path).summary.notes
        assert notes == ("no outcome was found of 'c'",)

    def test_of_3000_logs_two_broken_ones_are_named(self, tmp_path: Path) -> None:
        begun = time.perf_counter()
        for number in range(3000):
            broken = {77: "broken", 2999: "bug"}.get(number, True)
            rows = [sample("a" if number % 2 else "b", str(number // 2))]
            write_log(tmp_path / f"{number}.log", rows, kind=broken)
        with pytest.raises(TableError) as error:
            read_logs(tmp_path)
        assert str(error.value) == (
            f"2 logs of 3000 cannot be read: (1) {tmp_path}/77.log, line 1: is broken; mend it, "
            f"(2) {tmp_path}/2999.log: cannot be read as a log of Made Up (KeyError: 'no such "
            "key\\nin the log'); leave it out, and report it if the tool opens it; to read the "
            "others without: --skip-broken of hypernova import, or read_logs(..., "
            "skip_broken=True)"
        )
        found = read_logs(tmp_path, skip_broken=True)
        assert found.summary.logs == {"Made Up": 2998}
        assert found.table.n_tasks == 1500
        assert list(found.summary.broken) == [f"{tmp_path}/77.log", f"{tmp_path}/2999.log"]
        assert found.summary.filled == 2998 / 3000
        assert time.perf_counter() - begun < 60

    def test_a_broken_log_leaves_nothing_behind(self, tmp_path: Path) -> None:
        path = write_log(tmp_path / "2.log", [sample("c", "9"), sample("c", "8")])
        path.write_text(path.read_text()[:-9])
        write_log(tmp_path / "1.log", PAIR)
        with pytest.raises(TableError, match=r"one log of 2 .*2.log, line 3: is cut short; wait"):
            read_logs(tmp_path)
        found = read_logs(tmp_path, skip_broken=True)
        assert found.table.models == ("a", "b")
        assert found.summary.samples == 2

    def test_a_single_broken_log_and_only_broken_ones_are_errors(self, tmp_path: Path) -> None:
        path = write_log(tmp_path / "1.log", [], kind="broken")
        with pytest.raises(TableError) as error:
            read_logs(path)
        assert str(error.value) == f"{path}, line 1: is broken; mend it"
        write_log(tmp_path / "2.log", [], kind="broken")
        with pytest.raises(TableError, match=r"no log can be read \(\(1\) .*mend it, \(2\) "):
            read_logs(tmp_path, skip_broken=True)
        for number in range(3, 30):
            write_log(tmp_path / f"{number}.log", [], kind="broken")
        with pytest.raises(TableError, match=r"no log can be read .*, and 17 more\); give other"):
            read_logs(tmp_path)
        write_log(tmp_path / "30.log", PAIR)
        with pytest.raises(TableError, match=r"29 logs of 30 cannot be read: .*, and 17 more; to"):
            read_logs(tmp_path)

    def test_where_every_log_is_broken_nobody_is_told_to_skip_them(self, tmp_path: Path) -> None:
        for number in range(2):
            write_log(tmp_path / f"{number}.log", [], kind="broken")
        for skip_broken in (False, True):
            with pytest.raises(TableError, match=r"no log can be read \(\(1\)") as error:
                read_logs(tmp_path, skip_broken=skip_broken)
            assert "skip" not in str(error.value)

    @pytest.mark.parametrize(
        ("values", "remedy"),
        [
            ({"prompt": " "}, "choose another text as the prompt: hypernova import --prompt"),
            ({"left_out": "the tool or the model failed"}, "run the evaluation again"),
            ({"scores": {}}, "give logs with scored samples"),
            ({"left_out": "no quality score"}, "give logs with scored samples"),
            (
                {"left_out": "no quality score", "cost_usd": 1.0},
                "give logs with scored samples: these are requests without scores",
            ),
        ],
    )
    def test_without_an_outcome_the_remedy_fits_the_reason(
        self, tmp_path: Path, values: dict[str, object], remedy: str
    ) -> None:
        write_log(tmp_path / "1.log", [sample("a", **values), sample("b", **values)])
        with pytest.raises(TableError, match=rf"no sample gives .*\); {remedy}") as error:
            read_logs(tmp_path)
        assert ("add their costs" in str(error.value)) == ("cost_usd" in values)

    def test_logs_without_an_outcome_are_an_error_that_says_why(self, tmp_path: Path) -> None:
        write_log(tmp_path / "1.log", [sample("a", scores={}), sample("a", left_out="no model")])
        with pytest.raises(
            TableError, match=r"no sample gives an outcome .1 no model, 1 not scored"
        ):
            read_logs(tmp_path)
        write_log(tmp_path / "1.log", [])
        with pytest.raises(TableError, match="the logs hold none"):
            read_logs(tmp_path)

    def test_a_name_that_no_model_may_have_is_named_with_its_sample(self, tmp_path: Path) -> None:
        write_log(tmp_path / "1.log", [sample("a"), sample(" b")])
        write_log(tmp_path / "2.log", [sample("a")])
        with pytest.raises(TableError) as error:
            read_logs(tmp_path)
        assert str(error.value) == (
            f"{tmp_path}/1.log, sample 2: model: found ' b', with a blank before or after it; give "
            "it another: hypernova import --rename, or read_logs(..., rename=...)"
        )
        assert read_logs(tmp_path, rename={" b": "b"}).table.models == ("a", "b")

    def test_what_is_no_record_is_an_error_and_not_passed_over(self, tmp_path: Path) -> None:
        write_log(tmp_path / "1.log", [*PAIR, sample(5)])  # type: ignore[arg-type]
        with pytest.raises(TableError, match=r"1.log: cannot be read .*gave the model 5, no text"):
            read_logs(tmp_path)
        for record in (None, {"model": "a"}, ("a", "b")):
            with pytest.raises(TypeError, match=r"its reader yielded .*, which is no record"):
                gather(
                    [record],  # type: ignore[list-item]
                    label="1.log", reader="x", title="X", rules=ScoreRules(), rename={},
                )  # fmt: skip

    def test_one_model_only_is_an_error_that_names_the_logs(self, tmp_path: Path) -> None:
        write_log(tmp_path / "1.log", [sample("a")])
        with pytest.raises(TableError, match=r"1.log.*outcomes of one model only, 'a'"):
            OutcomeTable.read(tmp_path)
        assert OutcomeTable.read(tmp_path, min_models=1).models == ("a",)


@pytest.mark.usefixtures("made_up")
class TestWorkers:
    def test_worker_processes_give_the_same_table_and_the_same_errors(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(8):
            rows = [
                sample("ab"[number % 2], str(n % 7), attempt=f"{number} {n}", scores={"m": n % 2})
                for n in range(40)
            ]
            write_log(tmp_path / f"{number}.log", rows)
        here = read_logs(tmp_path)
        monkeypatch.setattr("hypernova.table.importing.read._BYTES_FOR_WORKERS", 0)
        monkeypatch.setattr("hypernova.table.importing.read.default_jobs", lambda: 2)
        there = read_logs(tmp_path)
        assert here.summary == there.summary
        assert here.table.task_ids == there.table.task_ids
        assert here.table.score.tolist() == there.table.score.tolist()
        write_log(tmp_path / "9.log", [], kind="broken")
        write_log(tmp_path / "10.log", [], kind="bug")
        with pytest.raises(TableError, match=r"2 logs of 10 cannot be read: \(1\) .*9.log, line 1"):
            read_logs(tmp_path)


class TestTables:
    """Tables of our own are read as before, whatever readers there are."""

    @pytest.mark.usefixtures("made_up")
    def test_a_table_of_each_format_is_none_of_logs(self, tmp_path: Path) -> None:
        write_log(tmp_path / "logs" / "1.log", PAIR)
        table = read_logs(tmp_path / "logs").table
        table.save(tmp_path / "table.jsonl")
        table.save(tmp_path / "table")
        head = "task_id,prompt,model,score\n"
        (tmp_path / "table.csv").write_text(head + "1,p,a,1\n1,p,b,0\n")
        (tmp_path / "table.jsonl.gz").write_bytes(
            gzip.compress((tmp_path / "table.jsonl").read_bytes())
        )
        for name in ("table.jsonl", "table", "table.csv", "table.jsonl.gz", "absent"):
            assert not are_logs(tmp_path / name)
        assert are_logs(tmp_path / "logs")
        assert are_logs(tmp_path / "logs" / "1.log")
        assert OutcomeTable.read(tmp_path / "table.jsonl").models == ("a", "b")
        # Logs in a folder of a table do not make it one of logs.
        write_log(tmp_path / "table" / "1.log", PAIR)
        assert OutcomeTable.read(tmp_path / "table").models == ("a", "b")

    @pytest.mark.usefixtures("made_up")
    def test_of_a_table_in_many_files_one_is_looked_at(self, tmp_path: Path) -> None:
        for number in range(3):
            (tmp_path / f"{number}.csv").write_text("task_id,prompt,model,score\n1,p,a,1\n")
        write_log(tmp_path / "x.log", PAIR)
        assert not are_logs(tmp_path)
        (tmp_path / "0.csv").unlink()
        assert not are_logs(tmp_path)
        for name in ("tasks", "outcomes"):
            write_log(tmp_path / "halves" / name / "x.log", PAIR)
        assert not are_logs(tmp_path / "halves")
        assert are_logs(tmp_path / "halves" / "tasks")

    @pytest.mark.usefixtures("made_up")
    def test_scanning_logs_says_to_import_them(self, tmp_path: Path) -> None:
        write_log(tmp_path / "1.log", PAIR)
        with pytest.raises(TableError, match="read into memory; make a table of them first: hyper"):
            OutcomeTable.scan(tmp_path)
        found = OutcomeTable.read(tmp_path)
        found.save(tmp_path / "table.jsonl")
        assert OutcomeTable.scan(tmp_path / "table.jsonl").models == ("a", "b")

    def test_what_is_neither_is_refused_as_before(self, tmp_path: Path) -> None:
        (tmp_path / "x.txt").write_text("x")
        with pytest.raises(TableError, match=r"the suffix '.txt' is not one of an outcome table"):
            OutcomeTable.read(tmp_path / "x.txt")
        with pytest.raises(TableError, match=r"the folder lacks tasks.parquet"):
            OutcomeTable.read(tmp_path)


class TestBombs:
    def test_an_archive_that_unpacks_to_too_much_is_a_broken_log(self, tmp_path: Path) -> None:
        header = {"version": 2, "status": "success", "eval": {"task": "t", "model": "m"}}
        bomb = b'{"version": 2, "x": "' + b"x" * (80 << 20)
        write_zip(
            tmp_path / "bomb.eval",
            {"_journal/start.json": json.dumps(header).encode(), "header.json": bomb,
             "summaries.json": b"[]"},
            sizes={"header.json": 100},
        )  # fmt: skip
        with pytest.raises(TableError, match=r"bomb.eval, entry header.json: (unpacks|cannot be)"):
            read_logs(tmp_path)


READER = """
from hypernova.table.sources import ToolLogReader
from hypernova.table.sources.log import Sample

class Reader(ToolLogReader):
    name = "third"
    title = "Third Party"

    def recognise(self, file):
        return file.head.startswith(b"THIRD PARTY")

    def read(self, log, others, prompt):
        with log.open() as lines:
            next(lines)
            for number, line in enumerate(lines, 2):
                model, task, score = line.decode().split()
                yield Sample(model, None, task, f"prompt of {task}", {"grade": score},
                             place=f"line {number}")
"""


class TestThirdParty:
    """A package with an entry point, in a process of its own."""

    def test_the_reader_of_the_page_reads(self, tmp_path: Path) -> None:
        (reader,), (declared,) = (
            blocks("docs/importing/own.md", language) for language in ("python", "toml")
        )
        packages = tmp_path / "packages"
        packages.mkdir()
        (packages / "our_package.py").write_text(reader)
        entries = tomllib.loads(declared)["project"]["entry-points"]["hypernova.log_readers"]
        for name, value in entries.items():
            install(packages, value=value, name=name)
        (tmp_path / "law.csv").write_text(
            "question,model,grade\nWho?,small,40%\nWho?,large,yes\nWhy?,small,no\nWhy?,large,0.5\n"
        )
        path = os.pathsep.join([str(packages), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, "PYTHONPATH": path}
        run("import", "law.csv", "-o", "t.jsonl", cwd=tmp_path, env=environment, code=0)
        table = OutcomeTable.read(tmp_path / "t.jsonl")
        assert (table.prompts, table.groups) == (("Who?", "Why?"), ("law", "law"))
        assert table.score.tolist() == [[1.0, 0.4], [0.5, 0.0]]

    def run(self, folder: Path, program: str, *, value: str = "third_party:Reader") -> Any:
        (folder / "packages").mkdir()
        install(folder / "packages", value=value, name="third")
        (folder / "packages" / "third_party.py").write_text(READER)
        path = [str(folder / "packages"), *filter(None, [os.environ.get("PYTHONPATH")])]
        return subprocess.run(
            [sys.executable, "-c", program],
            cwd=folder, env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def test_its_logs_are_read(self, tmp_path: Path) -> None:
        (tmp_path / "grades.txt").write_text("THIRD PARTY\nsmall t1 85%\nlarge t1 yes\n")
        done = self.run(
            tmp_path,
            "from hypernova.table import read_logs, OutcomeTable\n"
            "found = read_logs('grades.txt')\n"
            "print(found.summary.logs, found.summary.models)\n"
            "print(OutcomeTable.read('grades.txt').score.tolist())",
        )
        assert done.stderr == ""
        assert done.stdout.splitlines() == [
            "{'Third Party': 1} {'large': (1, 1.0), 'small': (1, 0.85)}",
            "[[1.0, 0.85]]",
        ]

    def test_its_logs_are_read_in_worker_processes_too(self, tmp_path: Path) -> None:
        for number in range(8):
            blank = " " * 20_000
            text = "".join(f"m{number} t{n} {blank} {n % 2}\n" for n in range(120))
            (tmp_path / f"{number}.txt").write_text("THIRD PARTY\n" + text)
        done = self.run(
            tmp_path,
            "import glob; from hypernova.table import read_logs\n"
            "found = read_logs(*glob.glob('*.txt')).table; print(found)",
        )
        assert done.stderr == ""
        assert "120 tasks x 8 models" in done.stdout

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ("no_such_module:Reader", "cannot be loaded .No module named 'no_such_module'."),
            ("third_party:Nothing", "cannot be loaded .*has no attribute 'Nothing'"),
            ("builtins:dict", "which is no ToolLogReader; derive it from hypernova.table"),
        ],
    )
    def test_an_entry_point_that_is_no_reader_is_named(
        self, tmp_path: Path, value: str, words: str
    ) -> None:
        (tmp_path / "1.txt").write_text("THIRD PARTY\n")
        program = (
            "from hypernova.table import read_logs, OutcomeTable\n"
            "from hypernova.errors import TableError\n"
            "try:\n    read_logs('1.txt')\nexcept TableError as error:\n    print(error)"
        )
        done = self.run(tmp_path, program, value=value)
        assert done.stderr == ""
        assert re.search(words, done.stdout)
        assert done.stdout.count("\n") == 1


def test_the_readers_of_the_package_come_first() -> None:
    assert [reader.name for reader in log_readers()][:2] == ["inspect", "lm-eval"]
    assert len({reader.name for reader in log_readers()}) == len(log_readers())
