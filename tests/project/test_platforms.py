"""What other platforms lack: asked for in one place, and done without.

Processes here lack the names that Windows lacks, on this platform: it is as near as one comes
without a Windows. Not here: types for other platforms (`make lint`), and the core for other targets
(`make check-targets`).
"""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING

import pytest

from hypernova.outcome_log import read_log
from support.commands import fails_in_one_line, output_of, run, run_python
from support.paths import PACKAGE, TABLE
from support.server import serving
from support.windows_names import environment_without, lacking_in, platforms_of

if TYPE_CHECKING:
    from pathlib import Path

# Where names are asked for that some platforms lack.
ASKING = {"signals.py", "system.py"}
PROMPT = "Write a SQL query that lists customers without an order"


def needs_posix(tree: ast.Module) -> bool:
    """Return whether a module asserts, before it does anything, that it is not on Windows."""
    asserted = 'assert sys.platform != "win32"'
    return any(
        isinstance(node, ast.Assert) and ast.unparse(node.test) == asserted[7:].replace('"', "'")
        for node in tree.body
    )


class TestNames:
    def test_each_is_asked_for_in_one_place(self) -> None:
        found = []
        for path in sorted(PACKAGE.rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            name = path.relative_to(PACKAGE).as_posix()
            if name not in ASKING and not needs_posix(tree):
                found += [f"{name}:{one}" for one in lacking_in(tree)]
        assert found == []

    @pytest.mark.parametrize(
        "line",
        ["os.fork()", "x = signal.SIGHUP", "import fcntl", "from os import O_CLOEXEC, path"],
    )
    def test_one_is_found(self, line: str) -> None:
        assert len(lacking_in(ast.parse(line))) == 1

    @pytest.mark.parametrize(
        ("code", "needs"),
        [
            ("os.mkfifo(path)", "posix"),
            ("process.send_signal(signal.SIGKILL)", "posix"),
            ("path.symlink_to(other)", "posix"),
            ("serving('--workers', 2)", "posix"),
            ("Path(f'/proc/{pid}/maps')", "linux"),
            ("children(os.getpid()); os.kill(pid, signal.SIGKILL)", "linux"),
            ("signal.SIGINT, os.getpid(), '/dev/null' in text", None),
        ],
    )
    def test_a_test_runs_where_it_can(self, code: str, needs: str | None) -> None:
        assert platforms_of(ast.parse(code)) == needs

    def test_what_needs_posix_says_so_before_it_uses_it(self) -> None:
        needing = [
            path.relative_to(PACKAGE).as_posix()
            for path in sorted(PACKAGE.rglob("*.py"))
            if needs_posix(ast.parse(path.read_text(encoding="utf-8")))
        ]
        assert needing == ["integrations/server/processes/supervisor.py"]


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return environment_without(tmp_path_factory.mktemp("start"))


class TestWithoutWhatWindowsLacks:
    def test_the_names_are_gone_there(self, without: dict[str, str]) -> None:
        code = (
            "import os, signal; print(hasattr(os, 'fork'), hasattr(os, 'register_at_fork'), "
            "hasattr(os, 'preadv'), hasattr(signal, 'SIGHUP'), hasattr(signal, 'setitimer'))"
        )
        assert set(run_python("-c", code, env=without, code=0).stdout.split()) == {"False"}

    def test_every_module_is_imported(self, without: dict[str, str]) -> None:
        left_out = {"hypernova.integrations.server.processes.supervisor", "hypernova.cli.__main__"}
        names = [
            ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
            for path in sorted(PACKAGE.rglob("*.py"))
        ]
        code = (
            "import sys, importlib\n"
            "for name in sys.argv[1:]:\n"
            "    try: importlib.import_module(name)\n"
            "    except ImportError as error:\n"
            "        if 'hypernova' in (error.name or ''): raise\n"  # extras may be missing
            "print(len([n for n in sys.modules if n.startswith('hypernova')]))\n"
        )
        names = [n.removesuffix(".__init__") for n in names if n not in left_out]
        done = run_python("-c", code, *names, env=without, code=0)
        assert int(done.stdout) >= len(names) // 2

    def test_a_text_is_routed(self, without: dict[str, str]) -> None:
        there = json.loads(output_of("route", "--json", PROMPT, env=without))
        here = json.loads(output_of("route", "--json", PROMPT))
        assert there["model"] == here["model"]
        assert there["ranking"] == here["ranking"]

    @pytest.mark.slow
    def test_a_fit_with_two_processes_is_the_same_file(
        self, without: dict[str, str], tmp_path: Path
    ) -> None:
        for name, env in (("there", without), ("here", None)):
            output_of("fit", TABLE, "-o", tmp_path / name, "--jobs", 2, env=env)
        assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()

    @pytest.mark.slow
    def test_a_table_is_evaluated(self, without: dict[str, str], tmp_path: Path) -> None:
        report = tmp_path / "report.json"
        options = ("--folds", 2, "--repeats", 1, "--no-learning-curve", "--jobs", 2)
        run("evaluate", TABLE, *options, "--json", report, env=without, code=0)
        assert json.loads(report.read_text(encoding="utf-8"))["dataset"]["tasks"] > 0

    def test_vectors_are_kept_and_read_again(self, without: dict[str, str], tmp_path: Path) -> None:
        code = (
            "import sys\n"
            "from hypernova.embedder import Embedder, store_vectors\n"
            "texts, plain = [f'text {i}' for i in range(300)], Embedder.load('static')\n"
            "vectors = store_vectors(plain, sys.argv[1]).embed(texts[:: int(sys.argv[2])])\n"
            "assert (vectors == plain.embed(texts)[:: int(sys.argv[2])]).all()\n"
        )
        for step in (1, 7):  # the second process reads some of what the first has kept
            run_python("-c", code, tmp_path / "vectors", step, env=without, code=0)
        assert len(list((tmp_path / "vectors").rglob("*"))) >= 2

    def test_a_log_is_written_and_read(self, without: dict[str, str], tmp_path: Path) -> None:
        code = (
            "import sys, hypernova\n"
            "router = hypernova.Router.open()\n"
            "with hypernova.OutcomeLog(sys.argv[1], fsync='always', sketch=True) as log:\n"
            "    decision = router.route('Fix the race')\n"
            "    log.record_decision(decision)\n"
            "    log.record_outcome(decision, 1.0)\n"
            "print(len(list(hypernova.read_log(sys.argv[1]))))\n"
        )
        done = run_python("-c", code, tmp_path / "log", env=without, code=0)
        assert done.stdout == "1\n"
        assert [joined.outcome.score for joined in read_log(tmp_path / "log")] == [1.0]

    def test_one_process_serves(self, without: dict[str, str], tmp_path: Path) -> None:
        log, access = tmp_path / "log", tmp_path / "access.jsonl"
        with serving("--log", log, "--access-log", access, env=without) as server:
            with server.client() as client:
                answer = client.post("/v1/route", json={"text": PROMPT})
                assert answer.status_code == 200, answer.text
            assert server.stop() == 0
        assert len(access.read_text(encoding="utf-8").splitlines()) == 1
        assert len(list(log.iterdir())) == 1

    def test_several_workers_are_refused_in_one_line(self, without: dict[str, str]) -> None:
        line = fails_in_one_line("serve", "--port", 0, "--workers", 2, env=without)
        assert line == (
            "hypernova: several workers need a system that forks, such as Linux; start one\n"
        )
