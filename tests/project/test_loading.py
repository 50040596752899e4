"""What a process has loaded: routing brings its own modules, and the first array brings NumPy.

Each test looks at ``sys.modules`` of a process of its own.
"""

from __future__ import annotations

import pytest

from support.commands import run_python

# Costly, and of no use to a decision; a program may load any of them itself.
NEVER = {"onnxruntime", "tokenizers", "numpy"}
LATER = {
    *("asyncio", "concurrent.futures", "dataclasses", "datetime", "email", "importlib.metadata"),
    *(
        "hashlib",
        "inspect",
        "logging",
        "multiprocessing",
        "pickle",
        "shutil",
        "socket",
        "subprocess",
    ),
    *("tempfile", "typing_extensions", "zipfile"),
}
# Parts of the package that a decision for a text does not need.
PARTS = {
    *("evaluation", "export", "integrations", "outcome_log", "parallel", "table", "training"),
    *("embedder.stored", "prices", "route_options", "router.explanation"),
    "router.table",
}
SHOW = "; import sys; print(*sorted(sys.modules))"


def loaded_by(code: str) -> set[str]:
    """The modules of a process that has run some code."""
    return set(run_python("-c", code + SHOW, code=0).stdout.splitlines()[-1].split())


def loaded_by_command(*words: str) -> set[str]:
    """The modules of a process that has run a command of the command line."""
    return loaded_by(
        f"from hypernova.cli import main\ntry: main({list(words)!r})\nexcept SystemExit: pass\npass"
    )


@pytest.mark.parametrize(
    "code",
    [
        "import hypernova",
        "import hypernova; hypernova.Router.open()",
        "import hypernova; hypernova.Router.open().artifact.metadata",
        "import hypernova; hypernova.Artifact.open(hypernova.router.BUNDLED_ARTIFACT).embedder",
    ],
)
def test_opening_loads_what_serves(code: str) -> None:
    loaded = loaded_by(code)
    assert not loaded & (NEVER | LATER)
    assert not loaded & {f"hypernova.{part}" for part in PARTS}


@pytest.mark.parametrize(
    "code",
    [
        "router.route('Fix the race')",
        "router.warm_up()",
        "decision = router.route('Fix', cost_weight=0.1); decision.to_dict(), decision.ranking",
        "router.route(messages=[{'role': 'user', 'content': c} for c in ('Sort', 'Join')])",
        "router.route_many(['Fix the race', 'Sort a list'])",
        "router.reload(hypernova.router.BUNDLED_ARTIFACT).sha256",
        "hypernova.Router.open().route('Sort')",
    ],
)
def test_routing_a_text_loads_what_serves(code: str) -> None:
    loaded = loaded_by(f"import hypernova; router = hypernova.Router.open(); {code}")
    assert not loaded & (NEVER | LATER - {"logging"})
    assert "logging" not in loaded or "reload" in code
    assert not loaded & {f"hypernova.{part}" for part in PARTS}


def test_a_command_that_routes_loads_what_serves() -> None:
    loaded = loaded_by_command("route", "Fix the race")
    assert not loaded & (NEVER | LATER)
    assert not loaded & {f"hypernova.{part}" for part in PARTS - {"router.explanation"}}


def test_a_decision_without_arrays_loads_no_numpy() -> None:
    code = (
        "import array, hypernova\n"
        "artifact = hypernova.Router.open().artifact\n"
        "vector = array.array('f', [1.0] + [0.0] * (artifact.dim - 1))\n"
        "decision = artifact.decide(vector)\n"
        "decision.ranking, decision.to_dict(), decision.after_failure(decision.model)\n"
        "try: artifact.decide([1.0])\n"
        "except ValueError: pass\n"
        "pass"
    )
    assert not loaded_by(code) & (NEVER | LATER)


@pytest.mark.parametrize(
    "code",
    [
        "artifact.centroids",
        "artifact.success",
        "artifact.decide_many(memoryview(bytes(4 * artifact.dim)).cast('f', [1, artifact.dim]))"
        ".clusters",
    ],
)
def test_the_first_array_brings_numpy(code: str) -> None:
    before = "import sys, hypernova; artifact = hypernova.Router.open().artifact\n"
    before += "assert 'numpy' not in sys.modules\n"
    assert "numpy" in loaded_by(f"{before}assert not {code}.flags.writeable")


def test_an_array_that_is_made_first_is_known_for_one() -> None:
    """NumPy may have been imported by the program, after hypernova and without it."""
    code = (
        "import hypernova; artifact = hypernova.Router.open().artifact; import numpy\n"
        "vector = numpy.zeros(2 * artifact.dim, dtype=numpy.float32)\n"
        "vector[0] = 1\n"
        "assert artifact.decide(vector[:artifact.dim]).model in artifact.models\n"
        "try: artifact.decide(vector[::2])\n"
        "except ValueError as error: assert 'strides' in str(error), error\n"
        "else: raise AssertionError\n"
        "pass"
    )
    loaded_by(code)


def test_without_numpy_an_array_is_an_import_error() -> None:
    code = (
        "import sys; sys.modules['numpy'] = None  # as Python marks what cannot be imported\n"
        "import hypernova; artifact = hypernova.Router.open().artifact\n"
        "for _ in range(2):\n"
        "    try: artifact.centroids\n"
        "    except ImportError as error: assert 'numpy' in str(error)\n"
        "    else: raise AssertionError\n"
        "pass"
    )
    loaded_by(code)


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["route", "--help"], ["fit", "-h"]])
def test_a_command_that_only_prints_loads_no_library(words: list[str]) -> None:
    loaded = loaded_by_command(*words)
    assert not loaded & NEVER
    commands = {m for m in loaded if m.startswith("hypernova.cli.")}
    assert not commands & {"hypernova.cli.evaluate", "hypernova.cli.datasets"}
    assert ("hypernova.cli.route" in commands) == (words[0] == "route")


def test_telemetry_is_off_from_the_first_import() -> None:
    code = (
        "import os; os.environ.pop('ORT_DISABLE_TELEMETRY', None)\n"
        "import hypernova\n"
        "assert os.environ['ORT_DISABLE_TELEMETRY'] == '1'\n"
        "pass"
    )
    assert not loaded_by(code) & (NEVER | LATER)
