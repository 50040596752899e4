"""Faults of other routers that this package must not have, where no other module tests it.

FIELD 1, 2, 3, 4, 5, 6, 7 and 9 are in test_format, test_rule and test_vectors; 7 and 12
in test_training; 8 in test_router; 10 is a matter of benchmarks. Here: 2, 11, and of 13 the demo;
the commands and code blocks of the README are in test_pages.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import pytest

from support.commands import run_python
from support.paths import ROOT

TRAINING_ONLY = ("faiss", "pyarrow", "tqdm", "sklearn", "pandas", "torch", "transformers")


def modules_after(code: str) -> set[str]:
    """Top-level modules that are loaded once a fresh process has run ``code``."""
    program = f"import sys\n{code}\nprint(sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = run_python("-c", program, code=0)
    return set(json.loads(done.stdout.splitlines()[-1].replace("'", '"')))


def test_importing_is_light() -> None:
    """Neither an inference engine nor a training library on import."""
    loaded = modules_after("import hypernova")
    assert not loaded & {"onnxruntime", "tokenizers", *TRAINING_ONLY}


def test_routing_text_loads_no_training_library() -> None:
    """Text to decision without torch, and without what only training needs."""
    loaded = modules_after("import hypernova; hypernova.Embedder.load('minilm').embed_one('Fix')")
    assert "onnxruntime" in loaded
    assert not loaded & set(TRAINING_ONLY) - {"tqdm"}  # the tokenizers package may bring tqdm


def test_serving_does_not_import_training() -> None:
    code = "import hypernova; hypernova.Router.open().route('Fix the race')"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys\n{code}\nassert not [m for m in sys.modules if 'hypernova.training' in m]",
        ],
        check=False,
    )
    assert done.returncode == 0


@pytest.mark.slow
def test_a_process_that_routes_is_small() -> None:
    """The peer's process takes 1.3 GB; a wide bound, to see a mistake of that kind."""
    # Not ru_maxrss: a child inherits that of the process that forked it.
    code = (
        "import hypernova\n"
        "hypernova.Router.open().route('Fix the race')\n"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    done = run_python("-c", code, code=0)
    assert int(done.stdout) < 400_000  # KiB


@pytest.mark.slow
def test_nothing_goes_over_the_network(tmp_path) -> None:
    """Fitting, opening and routing in a process that cannot open a socket."""
    code = f"""
import socket
def refuse(*a, **k): raise AssertionError("a socket was opened")
socket.socket.connect = refuse
socket.create_connection = refuse
socket.getaddrinfo = refuse
import hypernova
table = hypernova.OutcomeTable.read({str(ROOT / "examples" / "simulated.jsonl")!r})
hypernova.fit(table, clusters=3).save({str(tmp_path / "r.hnv")!r})
print(hypernova.Router.open({str(tmp_path / "r.hnv")!r}).route("Join two tables").model)
"""
    assert socket.socket  # the module exists here as it does in the child
    done = run_python("-c", code, code=0)
    assert done.stdout.startswith("simulated-")


@pytest.mark.slow
def test_the_demo_runs_and_says_that_it_is_simulated(tmp_path) -> None:
    demo = [ROOT / "examples" / "demo.py", ROOT / "examples" / "simulated.jsonl"]
    done = subprocess.run(
        [sys.executable, *demo, "--prompt", "Join two tables", "--embedder", "static"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "*simulated*" in done.stdout
    assert "accuracy (simulated)" in done.stdout
    assert "Join two tables" in done.stdout
    assert (tmp_path / "build" / "demo.hnv").exists()
