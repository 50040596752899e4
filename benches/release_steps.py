"""Say of which benchmarks the record of a version consists, and how long each takes.

Not here: running them (`release_record.py`), and the page of their figures (`release_page.py`).

Minutes are those of two cores that do nothing else. Sizes are such that all of them together take
less than two hours and a half; `cut` says what a step leaves out for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import NamedTuple

from benches.paths import sample_tables

TABLES = (
    "swebench_verified llmrouter_mixed routellm_mmlu mmlu_pro routerdc zeroeval zeroeval_holes "
    "routerbench3"
)
# Where a command has these words, the other version is named in the way of the benchmark.
BEFORE, BEFORE_SERVER = "{before}", "{before server}"
_FIRST = "zeroeval"  # of the sample tables, for a trial


class Before(NamedTuple):
    """Another version to compare with.

    Attributes:
        python: Its interpreter.
        path: Folder of its package, if it is not installed there.
    """

    python: str
    path: str | None


@dataclass(frozen=True)
class Step:
    """One benchmark, which writes one record.

    Attributes:
        kind: The kind of record that it writes, which names the step.
        group: The part of the page.
        command: Module and arguments; the folder of the record is added.
        minutes: Expected.
        limit: Minutes after which it is ended.
        tiny: Arguments in place of those of `command`, for a trial of the whole.
        needs: Modules of Python without which it cannot run.
        peers: Modules of Python without which rows are missing.
        needs_tables: Whether it reads the sample tables.
        output: Name of the option for the folder.
        cut: What it leaves out; empty for nothing.
    """

    kind: str
    group: str
    command: str
    minutes: float
    limit: float
    tiny: str
    needs: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    needs_tables: bool = True
    output: str = "-o"
    cut: str = ""

    @property
    def shown(self) -> str:
        """The command for readers."""
        text = self.command.replace(BEFORE_SERVER, "PYTHON").replace(BEFORE, "PYTHON")
        return f"python -m {text}"

    @property
    def needs_before(self) -> bool:
        """Whether it compares with another version."""
        return BEFORE in self.command or BEFORE_SERVER in self.command

    def arguments(self, folder: str, before: Before | None, *, tiny: bool = False) -> list[str]:
        """Return the arguments of the interpreter.

        Args:
            folder: Where the record goes.
            before: The other version.
            tiny: Take the sizes of a trial.
        """
        module, _, given = self.command.partition(" ")
        found = ["-m", module]
        text = self.tiny if tiny else given
        for words, option in ((BEFORE, "--pythonpath"), (BEFORE_SERVER, "--before-path")):
            if words in text and before is not None:
                named = [before.python, *([option, before.path] if before.path else [])]
                first, _, rest = text.partition(words)
                return [*found, *first.split(), *named, *rest.split(), self.output, folder]
        return [*found, *text.split(), self.output, folder]

    def lacks(self, before: Before | None) -> str | None:
        """Say why the step cannot run, or return None."""
        if self.needs_before and before is None:
            return "needs another version: give --before PYTHON"
        if missing := missing_modules(self.needs):
            return f"needs {', '.join(missing)}: pip install {' '.join(missing)}"
        if self.needs_tables and not sample_tables().is_dir():
            return "needs the sample tables: set HYPERNOVA_SHARED"
        return None


def missing_modules(names: tuple[str, ...]) -> list[str]:
    """Return those of some modules that are not installed."""
    return [name for name in names if find_spec(name) is None]


STEPS = (
    Step(
        "speed",
        "speed",
        "benches.speed",
        8,
        25,
        "",
        needs=("threadpoolctl",),
        peers=("faiss", "usearch", "nordlys_core"),
        needs_tables=False,
        cut="criterion's and valgrind's rows, unless `cargo bench` ran before",
    ),
    Step(
        "versions",
        "speed",
        f"benches.versions {BEFORE} --starts 2 --rounds 10",
        3,
        10,
        f"{BEFORE} --starts 1 --rounds 1",
        cut="2 starts of 10 turns in place of 6 of 15",
    ),
    Step("text-versions", "text", f"benches.text_versions {BEFORE}", 2, 8, BEFORE),
    Step("runtimes", "text", "benches.runtimes", 3, 10, ""),
    Step(
        "static-models",
        "text",
        "benches.static_models",
        2,
        8,
        "--rounds 1",
        needs=("model2vec",),
        output="--record",
    ),
    Step(
        "processes",
        "text",
        f"benches.processes {BEFORE}",
        2,
        8,
        f"{BEFORE} --starts 2",
        needs_tables=False,
    ),
    Step(
        "quality",
        "quality",
        f"benches.quality {TABLES} --repeats 1",
        13,
        30,
        f"{_FIRST} --folds 2 --repeats 1",
        output="--record",
        cut="each table is dealt into folds once, the smallest not six times",
    ),
    Step(
        "verdicts", "quality", "benches.verdicts", 12, 30, f"{_FIRST} --repeats 1",
    ),
    Step(
        "routerdc-split",
        "quality",
        "benches.routerdc_split --embedder static",
        1,
        5,
        "--embedder static",
        cut="`minilm`",
    ),
    Step(
        "holes",
        "robustness",
        "benches.holes --draws 2 --repeats 1",
        8,
        20,
        f"{_FIRST} --draws 1 --tasks 150 --repeats 1",
        cut="2 draws of each table in place of 10, dealt once in place of twice",
    ),
    Step("unseen", "robustness", "benches.unseen", 6, 15, f"{_FIRST} --tasks 200"),
    Step(
        "robustness-static",
        "robustness",
        "benches.robustness --prompts 100 --no-search",
        8,
        20,
        f"{_FIRST} --prompts 4 --no-search",
        cut="100 prompts of each table in place of 400, and the search for a line",
    ),
    Step(
        "few-tasks",
        "robustness",
        "benches.few_tasks --draws 6",
        4,
        12,
        f"{_FIRST} --draws 1 --tasks 30",
        cut="6 draws in place of 8",
    ),
    Step(
        "many-models",
        "robustness",
        "benches.many_models --draws 2",
        4,
        12,
        f"{_FIRST} --draws 1 --tasks 60",
        cut="2 draws in place of 4",
    ),
    Step(
        "lying-tables",
        "robustness",
        "benches.lying_tables --draws 20",
        4,
        12,
        f"{_FIRST} --draws 1 --tasks 60",
        cut="20 draws in place of 50",
    ),
    Step(
        "stability", "robustness", "benches.stability", 2, 8, f"{_FIRST} --seeds 1 --draws 1"
    ),
    Step(
        "learning-from-use",
        "learning",
        "benches.learning_from_use --draws 3",
        5,
        15,
        "routerdc --draws 1",
        cut="3 draws in place of 8",
    ),
    Step(
        "monitoring-worlds",
        "learning",
        "benches.monitoring_worlds --worlds 12 --drops 6",
        5,
        15,
        "--rates 20 --worlds 1 --drops 1 --verdicts 0",
        needs_tables=False,
        cut="12 worlds and 6 drops of each rate in place of 40 and 20",
    ),
    Step(
        "serve-load",
        "service",
        "benches.serve_load --rate 500 --seconds 180 --workers 2 --kill",
        4,
        8,
        "--seconds 2 --workers 2 --kill",
        needs=("uvloop",),
        needs_tables=False,
    ),
    Step(
        "serve-versions",
        "service",
        f"benches.serve_versions {BEFORE_SERVER}",
        3,
        10,
        BEFORE_SERVER,
        needs=("uvloop",),
        needs_tables=False,
    ),
    Step("event-loop", "service", "benches.event_loop --seconds 3", 1, 5, "--seconds 0.1"),
    Step(
        "scale",
        "scale",
        "benches.scale --tasks 1000000 10000000 --no-vectors --limit 60",
        40,
        75,
        "--tasks 3000 6000 --no-vectors --limit 5",
        needs_tables=False,
        cut="the second fit with vectors that were kept, which needs 20 GB more",
    ),
)  # fmt: skip
GROUPS = tuple(dict.fromkeys(step.group for step in STEPS))
