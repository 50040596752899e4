"""`hypernova import` in real processes, on real logs: what is written, printed and refused.

Not here: the tools (tests/table/sources), the rules (tests/table/importing) and the words of the
summary (test_import_summary.py).
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import hypernova
from hypernova.cli import main
from hypernova.table import read_logs
from support.commands import fails_in_one_line, output_of
from support.paths import EXAMPLES
from support.process_tree import PROC, alive, children, until

if TYPE_CHECKING:
    from pathlib import Path

LOGS = EXAMPLES / "logs" / "inspect"
SMALL, LARGE = LOGS / "arithmetic-small.eval", LOGS / "arithmetic-large.eval"


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder with the logs of two models."""
    folder = tmp_path / "logs"
    folder.mkdir()
    for log in (SMALL, LARGE):
        shutil.copy(log, folder)
    return folder


def contents(folder: Path) -> dict[Path, bytes | None]:
    return {p: p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


def models_of(*logs: Path) -> tuple[str, ...]:
    return read_logs(*logs, min_models=1).table.models


class TestTable:
    @pytest.mark.parametrize("name", ["table.jsonl", "table"])
    def test_it_is_that_of_python_and_other_commands_take_it(self, logs, tmp_path, name) -> None:
        out = tmp_path / name
        printed = output_of("import", logs, "-o", out)
        table = hypernova.OutcomeTable.read(out)
        expected = read_logs(logs).table
        assert (table.task_ids, table.prompts) == (expected.task_ids, expected.prompts)
        assert table.models == expected.models
        for array in ("score", "cost_usd", "latency_s", "input_tokens", "output_tokens"):
            np.testing.assert_array_equal(getattr(table, array), getattr(expected, array))
        assert f"wrote {out}: 3 tasks x 2 models, 6 outcomes\n" in printed
        assert printed.endswith(f"  hypernova evaluate {out}\n")

    def test_the_figures_of_the_logs_agree(self, logs) -> None:
        printed = output_of("import", logs, "--dry-run")
        assert "logs        2: 2 of Inspect AI\n" in printed
        assert "differ" not in printed
        found = json.loads(output_of("import", logs, "--dry-run", "--json"))
        assert {one["model"] for one in found["agreement"]} == set(models_of(logs))
        assert all(one["agrees"] for one in found["agreement"])

    def test_json_is_the_whole_summary(self, logs, tmp_path) -> None:
        out = tmp_path / "table.jsonl"
        found = json.loads(output_of("import", logs, "-o", out, "--json"))
        summary = json.loads(json.dumps(read_logs(logs).summary.as_dict()))
        assert {key: found[key] for key in summary} == summary
        assert found["table"] == str(out)
        assert found["outcomes"] == 6

    def test_one_model_is_written_and_a_second_is_asked_for(self, tmp_path) -> None:
        out = tmp_path / "one.jsonl"
        printed = output_of("import", SMALL, "-o", out)
        assert "to route, a second is needed" in printed
        assert f"hypernova add-model ROUTER.hnv {out} -o NEW.hnv" in printed
        assert hypernova.OutcomeTable.read(out, min_models=1).n_models == 1


class TestNothingIsWritten:
    def test_a_dry_run_shows_the_summary_alone(self, logs, tmp_path) -> None:
        before = contents(tmp_path)
        for options in ((), ("-o", tmp_path / "table.jsonl"), ("--json",)):
            output_of("import", logs, "--dry-run", *options)
            assert contents(tmp_path) == before

    def test_an_existing_table_stays(self, logs, tmp_path) -> None:
        out = tmp_path / "table.jsonl"
        out.write_text("mine")
        before = contents(tmp_path)
        # It is looked at before the logs, which are not there.
        message = fails_in_one_line("import", tmp_path / "nowhere", "-o", out)
        assert "exists already and is left as it is" in message
        assert "tables are not written as .csv" in fails_in_one_line(
            "import", logs, "-o", tmp_path / "t.csv"
        )
        assert contents(tmp_path) == before

    @pytest.mark.parametrize(
        ("options", "part"),
        [
            ((), "-o/--output; --dry-run shows the summary alone"),
            (("--dry-run", "--prices-template", "p.toml"), "leave one out"),
            (("--dry-run", "--scale", "1", "0"), "1 is not below 0"),
            (("--dry-run", "--scale", "1", "1"), "1 is not below 1"),
            (("--dry-run", "--scale", "nan", "1"), "a finite number, got 'nan'"),
            (("--dry-run", "--scale", "0"), "expected 2 arguments"),
            (("--dry-run", "--choice", "good"), "expected VALUE=SCORE"),
            (("--dry-run", "--choice", "good=2"), "with a score, 0 to 1, got 'good=2'"),
            (("--dry-run", "--choice", "good=nan"), "got 'good=nan'"),
            (("--dry-run", "--choice", "a=1", "--choice", "a=0"), "'a' has two scores"),
        ],
    )
    def test_wrong_usage(self, logs, tmp_path, capsys, options, part) -> None:
        before = contents(tmp_path)
        with pytest.raises(SystemExit) as ended:
            main(["import", str(logs), *options])
        said = capsys.readouterr()
        assert (ended.value.code, said.out) == (2, "")
        assert part in " ".join(said.err.split())
        assert contents(tmp_path) == before

    @pytest.mark.parametrize(
        ("options", "part"),
        [
            (("--prompt", "all"), "give auto, sent, user or field:NAME"),
            (("--rename", "none.json"), "none.json: no such file"),
            (("--prices", "none.json"), "none.json: no such file"),
            (("--prices-template", "p.txt"), "name a .toml or a .json file"),
            (("--prices-template", "none/p.toml"), "does not exist; make it first"),
        ],
    )
    def test_what_is_wrong_is_one_line(
        self, logs, tmp_path, capsys, monkeypatch, options, part
    ) -> None:
        monkeypatch.chdir(tmp_path)
        before = contents(tmp_path)
        assert main(["import", str(logs), "-o", "t.jsonl", *options]) == 1
        said = capsys.readouterr()
        assert (said.out, said.err.count("\n")) == ("", 1)
        assert part in said.err
        assert contents(tmp_path) == before

    def test_no_log_at_all(self, tmp_path) -> None:
        (tmp_path / "notes.txt").write_text("no log")
        before = contents(tmp_path)
        for path in (tmp_path, tmp_path / "notes.txt", tmp_path / "nowhere"):
            assert str(path) in fails_in_one_line("import", path, "-o", tmp_path / "t.jsonl")
        assert contents(tmp_path) == before


class TestBrokenLogs:
    @pytest.fixture
    def cut(self, logs) -> Path:
        path = logs / "cut.eval"
        path.write_bytes(LARGE.read_bytes()[:-2000])
        return path

    def test_a_broken_log_is_an_error_that_names_it(self, logs, cut, tmp_path) -> None:
        before = contents(tmp_path)
        message = fails_in_one_line("import", logs, "-o", tmp_path / "t.jsonl")
        assert str(cut) in message
        assert "--skip-broken" in message
        assert contents(tmp_path) == before

    def test_the_rest_is_read_if_that_is_asked_for(self, logs, cut, tmp_path) -> None:
        out = tmp_path / "t.jsonl"
        printed = output_of("import", logs, "-o", out, "--skip-broken")
        assert "1 log is left out: it cannot be read" in printed
        assert "cut.eval" in printed
        assert hypernova.OutcomeTable.read(out).n_tasks == 3
        found = json.loads(output_of("import", logs, "--skip-broken", "--dry-run", "--json"))
        assert list(found["broken"]) == [str(cut)]


class TestScores:
    def test_several_scorers_are_asked_for_with_the_choices(self) -> None:
        message = fails_in_one_line("import", LOGS / "mixed.eval", "--dry-run")
        assert "--score" in message


class TestNames:
    def test_two_names_become_one_model(self, logs, tmp_path) -> None:
        names = tmp_path / "names.json"
        old = models_of(logs)
        names.write_text(json.dumps({old[0]: old[1], "nobody": "x"}))
        out = tmp_path / "t.jsonl"
        printed = output_of("import", logs, "-o", out, "--rename", names)
        table = hypernova.OutcomeTable.read(out, min_models=1)
        assert table.models == (old[1],)
        assert table.n.tolist() == [[2.0]] * 3
        assert "'nobody'" in printed

    def test_a_chain_is_refused(self, logs, tmp_path) -> None:
        names = tmp_path / "names.json"
        names.write_text('{"a": "b", "b": "c"}')
        message = fails_in_one_line("import", logs, "--dry-run", "--rename", names)
        assert "each name is renamed once" in message


class TestPrices:
    def without_costs(self, logs: Path) -> Path:
        """A JSON log, of which the costs are taken out."""
        path = logs / "medium.json"
        log = json.loads((LOGS / "arithmetic-medium.json").read_text())

        def stripped(value: Any) -> Any:
            if isinstance(value, dict):
                return {k: stripped(v) for k, v in value.items() if k != "total_cost"}
            return list(map(stripped, value)) if isinstance(value, list) else value

        path.write_text(json.dumps(stripped(log)))
        return path

    def test_a_template_is_filled_in_and_gives_the_costs_that_the_logs_lack(
        self, logs, tmp_path
    ) -> None:
        unknown = models_of(self.without_costs(logs))[0]
        prices, out = tmp_path / "prices.toml", tmp_path / "t.jsonl"
        before = read_logs(logs).table
        printed = output_of("import", logs, "--prices-template", prices)
        assert f"--prices {prices} -o TABLE" in " ".join(printed.split())
        assert sorted(p.name for p in tmp_path.iterdir()) == ["logs", "prices.toml"]
        message = fails_in_one_line("import", logs, "--prices", prices, "-o", out)
        assert "is not filled in" in message
        assert not out.exists()
        again = fails_in_one_line("import", logs, "--prices-template", prices)
        assert "exists already and is left as it is" in again

        prices.write_text(prices.read_text().replace('"fill in"', "2.0"))
        printed = output_of("import", logs, "--prices", prices, "-o", out)
        table = hypernova.OutcomeTable.read(out)
        known = ~np.isnan(before.cost_usd)
        np.testing.assert_array_equal(table.cost_usd[known], before.cost_usd[known])
        m = table.models.index(unknown)
        assert np.isnan(before.cost_usd[:, m]).all()
        tokens = (before.input_tokens + before.output_tokens)[:, m]
        np.testing.assert_allclose(table.cost_usd[:, m], tokens * 2e-6)
        assert "of them from tokens and prices" in printed

    def test_models_without_a_price_are_named(self, logs, tmp_path) -> None:
        models = models_of(logs)
        prices = tmp_path / "prices.json"
        prices.write_text(json.dumps({models[0]: [1, 2], "other": "free"}))
        printed = output_of("import", logs, "--prices", prices, "--dry-run")
        assert f"no price of {models[1]}" in " ".join(printed.split())
        found = json.loads(output_of("import", logs, "--prices", prices, "--dry-run", "--json"))
        assert found["models_without_price"] == [models[1]]
        prices.write_text('{"other": 1}')
        message = fails_in_one_line("import", logs, "--prices", prices, "--dry-run")
        assert "holds no price of any of the models" in message


@pytest.mark.slow
@pytest.mark.skipif(not PROC.is_dir(), reason="ending NOT tested: there is no /proc")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_nothing_behind(tmp_path, number, code) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    for i in range(3000):
        shutil.copy(LARGE, logs / f"{i}.eval")
    before = set(tmp_path.rglob("*"))
    process = subprocess.Popen(
        [sys.executable, "-m", "hypernova.cli", "import", logs, "-o", tmp_path / "t.jsonl"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip

    # It looks at the heads of all files itself, and reads so many in worker processes.
    assert until(lambda: process.poll() is not None or len(children(process.pid)) >= 2)
    workers = children(process.pid)
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (code, b"")
    assert b"Traceback" not in err
    assert until(lambda: not any(map(alive, workers)))
    assert set(tmp_path.rglob("*")) == before
