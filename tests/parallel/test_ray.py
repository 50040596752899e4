"""The engine of a Ray cluster, on real nodes: the same results, lost processes, errors, endings.

Not here: the calls (`support/calls.py`) and the program on the cluster (`support/ray_cluster.py`).
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from hypernova.errors import FitError, MissingExtraError
from hypernova.parallel import check_engine
from support.calls import environment, interrupting, products
from support.commands import run_python
from support.process_tree import PROC, alive, children, until
from support.ray_programs import ray_environment, run_on_ray, short_folder
from support.tracing import strace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WITHOUT_RAY = find_spec("ray") is None
needs_ray = pytest.mark.skipif(
    WITHOUT_RAY or not PROC.is_dir(), reason="Ray NOT run: the package ray or /proc is missing"
)


@pytest.fixture(scope="module", name="short_folder")
def _short_folder() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def ran(short_folder: Path) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """What came of each part on a cluster of two nodes, and the output of the program."""
    return run_on_ray("support.ray_cluster", short_folder, timeout_s=300, OPENBLAS_NUM_THREADS="2")


@needs_ray
@pytest.mark.slow
@pytest.mark.ray
class TestCluster:
    def test_results_are_in_the_order_of_the_calls(self, ran) -> None:
        assert ran[1]["order"] == list(range(12))

    def test_the_same_bytes_as_in_this_process(self, ran) -> None:
        assert ran[1]["bytes"] == [products(seed) for seed in range(4)]
        assert ran[1]["threads"] == ["1", "1", "1"]

    @pytest.mark.parametrize("what", ["fitted", "evaluated"])
    def test_what_is_learned_has_the_same_bytes(self, ran, what) -> None:
        size, same = ran[1][what]
        assert same
        assert size > 1_000

    def test_decisions_have_the_same_bytes(self, ran) -> None:
        assert ran[1]["routed"] == [True]

    def test_both_nodes_take_part(self, ran) -> None:
        assert len({node for node, _ in ran[1]["nodes"]}) == 2

    def test_shared_arguments_arrive(self, ran) -> None:
        assert ran[1]["shared"] == [[0.0, 0], [0.0, 1], [0.0, 2]]

    def test_a_process_that_is_killed_changes_nothing(self, ran) -> None:
        assert ran[1]["a killed process"] == [{"results": [0, 1, 2, 3, 4]}, True]

    def test_a_node_that_is_lost_changes_nothing(self, ran) -> None:
        assert ran[1]["a lost node"] == list(range(8))

    def test_the_exception_of_a_call_is_raised_as_it_is(self, ran) -> None:
        found = ran[1]["a call that fails"]
        message = ["rows.parquet, row 7: cut short"]
        assert found == {"results": [1], "type": "TableError", "message": message}

    def test_a_call_that_ends_its_process_each_time_is_one_line(self, ran) -> None:
        found = ran[1]["a call that always kills"]
        assert (found["type"], found["results"]) == ("WorkerError", [])
        [line] = found["message"]
        assert "docs/scale.md" in line
        assert "Traceback" not in line

    def test_results_pass_through_a_store_that_cannot_hold_them(self, ran) -> None:
        """120 MB through 80 MB, and this process keeps none of them."""
        count, whole, grown_mb = ran[1]["many results"]
        assert (count, whole) == (30, True)
        assert grown_mb < 100

    def test_closing_the_iterator_frees_the_cluster(self, ran) -> None:
        assert ran[1]["closed early"] == [1, 0]

    def test_a_cluster_of_the_program_is_left_running(self, ran) -> None:
        assert ran[1]["still there"] is True

    def test_a_cluster_that_was_joined_is_left_and_nothing_is_printed(self, ran) -> None:
        done, found = ran
        assert found["by its address"] == [{"results": [1, 2]}, False]
        assert done.stdout.startswith("what comes now")
        assert done.stderr == ""

    @pytest.mark.usefixtures("ran")
    def test_the_home_is_as_it_was(self, short_folder: Path) -> None:
        assert list((short_folder / "home").iterdir()) == []


HERE = """
import os
from functools import partial
from hypernova.parallel import map_calls
calls = [partial(divmod, i, 7) for i in range(3)]
print(list(map_calls(calls, engine="ray", jobs=1, total=3, description="")))
"""


@needs_ray
@pytest.mark.slow
@pytest.mark.ray
class TestOwnRay:
    """A Ray that is started on this machine for one map, and ended."""

    def test_it_reaches_nobody_and_leaves_nothing(self, tmp_path: Path, short_folder: Path) -> None:
        for name in ("home", "work"):
            (tmp_path / name).mkdir()
        temporary = short_folder / "own"
        temporary.mkdir()
        log = tmp_path / "log"
        tracer = [strace(), "-f", "--seccomp-bpf", "-qq", "-o", str(log)]
        tracer += ["-e", "trace=connect,sendto,bind"]
        done = subprocess.run(
            [*(tracer if strace() else []), sys.executable, "-P", "-c", HERE],
            cwd=tmp_path / "work",
            env={**ray_environment(), "HOME": str(tmp_path / "home"), "TMPDIR": str(temporary)},
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "[(0, 0), (0, 1), (0, 2)]\n"
        for name in (tmp_path / "home", tmp_path / "work", temporary):
            assert list(name.iterdir()) == []
        if strace() is None:
            pytest.skip("sockets NOT traced: strace is missing, or may not trace here")
        calls = [line for line in log.read_text(errors="replace").splitlines() if "AF_INET" in line]
        assert len(calls) > 20
        outside = [
            line for line in calls if not re.search(r'"(127\.[\d.]+|::1|::ffff:127\.[\d.]+)"', line)
        ]
        assert outside == []

    @pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
    def test_a_signal_ends_it_with_all_its_processes(self, name: str, short_folder: Path) -> None:
        temporary = short_folder / name
        temporary.mkdir()
        env = {**ray_environment(), "TMPDIR": str(temporary)}
        with interrupting("ray", 1, **env) as process:
            started = children(process.pid)
            assert len(started) > 3
            if name == "SIGINT":
                os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
            else:
                process.terminate()
            out, err = process.communicate(timeout=30)
            assert (process.returncode, out, err) == (128 + signal.Signals[name], b"", b"")
            assert until(lambda: not any(map(alive, started)), 20)
        assert list(temporary.iterdir()) == []


@needs_ray
@pytest.mark.slow
@pytest.mark.ray
def test_a_machine_that_is_short_of_memory_is_one_line() -> None:
    """Ray ends the processes of calls there, and by itself would do so for ever."""
    program = (
        "from functools import partial; from hypernova.parallel import map_calls\n"
        "from hypernova.errors import WorkerError\n"
        "calls = [partial(divmod, 7, 2)]\n"
        "try: print(list(map_calls(calls, engine='ray', jobs=1, total=1, description='')))\n"
        "except WorkerError as error: print(error)"
    )
    env = {**environment(), "RAY_memory_usage_threshold": "0.01", "RAY_task_oom_retries": "1"}
    done = run_python("-c", program, env=env, code=0)
    assert done.stdout.startswith("Ray could not make the calls (OutOfMemoryError: ")
    assert done.stdout.count("\n") == 1


@needs_ray
@pytest.mark.slow
@pytest.mark.ray
def test_a_cluster_that_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    program = (
        "from functools import partial; from hypernova.parallel import map_calls\n"
        "from hypernova.errors import WorkerError\n"
        "try: list(map_calls([partial(int)], engine='ray', total=1, description=''))\n"
        "except WorkerError as error: print(error)"
    )
    env = {**environment(), "RAY_ADDRESS": "127.0.0.1:9"}
    done = run_python("-c", program, env=env, code=0)
    assert done.stdout.startswith("the Ray cluster at RAY_ADDRESS=127.0.0.1:9 cannot be reached (")
    assert done.stdout.count("\n") == 1


def test_usage_statistics_are_off_before_ray_is_imported() -> None:
    program = (
        "import os, sys; from hypernova.errors import MissingExtraError\n"
        "from hypernova.parallel.on_ray import import_ray\n"
        "sys.modules['ray'] = None\n"  # so that its import fails, installed or not
        "try: import_ray()\n"
        "except MissingExtraError: print(os.environ['RAY_USAGE_STATS_ENABLED'])"
    )
    for value, there in (("", "0"), ("0", "0"), ("1", "1")):
        env = {**environment(), "RAY_USAGE_STATS_ENABLED": value}
        assert run_python("-c", program, env=env, code=0).stdout == f"{there}\n"


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "USAGE_STATS_ENABLED",
        "ENABLE_WINDOWS_OR_OSX_CLUSTER",
        "AUTH_MODE",
        "task_oom_retries",
    ):
        monkeypatch.setenv(f"RAY_{name}", "0")  # so that it is as before, afterwards
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r'pip install "hypernova-router\[ray\]"'):
        check_engine("ray", FitError)
