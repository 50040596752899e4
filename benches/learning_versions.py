"""Compare `fit` and `evaluate` of this version with another one: time, memory, and the answers.

Not here: routing (`versions.py`). Whole commands run on sample tables (`paths.py`), each a process
of its own that is measured with its descendants, and the versions take turns. Nothing else should
run on the machine: every command may use all cores.

    python -m benches.learning_versions PYTHON [--pythonpath FOLDER] [--rounds 2] [-o FOLDER]

Of a version that is not installed, for instance commit 7491ab0 (0.1.0):

    git worktree add ../hypernova-0.1.0 7491ab0 && cd ../hypernova-0.1.0
    cargo build --release -p hypernova-py --features pyo3/abi3-py311
    cp target/release/lib_core.so python/hypernova/_core.abi3.so
    cd -
    python -m benches.learning_versions .venv/bin/python --pythonpath ../hypernova-0.1.0/python
"""

from __future__ import annotations

import argparse
import datetime
import json
import shlex
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benches.paths import sample_tables
from benches.process_tree import CommandError, Usage, measured
from benches.record import output_of, processor

import hypernova
from hypernova.embedder import Embedder

# Each is a command, a sample table and options.
COMMANDS = (
    "fit routerdc",
    "fit llmrouter_mixed",
    "fit swebench_verified",
    "evaluate routerdc --repeats 1",
    "evaluate llmrouter_mixed --repeats 2 --leave-one-group-out",
    "evaluate swebench_verified",
)
ROUNDS = 2


@dataclass(frozen=True)
class Version:
    """A build of hypernova, and the interpreter that runs it."""

    python: str
    path: str | None
    name: str

    @classmethod
    def of(cls, python: str, path: str | None) -> Version:
        """Find out which version and commit answers; exit if none does."""
        command = [python, "-c", "import hypernova; print(hypernova.__version__)"]
        try:
            # In another folder, because a package may lie in this one.
            found = measured(command, path=path or "", folder=Path(tempfile.gettempdir()))
        except (CommandError, OSError) as error:
            sys.exit(f"{python}: cannot import hypernova: {error}")
        name = found.output.strip()
        commit = output_of("git", "-C", path, "rev-parse", "--short", "HEAD") if path else ""
        return cls(python, path, f"{name}, {commit}" if commit else name)

    def run(self, command: str, output: Path) -> Usage:
        """Run one of `COMMANDS` on its table, with its artifact or report as ``output``."""
        verb, table, *options = shlex.split(command)
        to = "-o" if verb == "fit" else "--json"
        arguments = [verb, str(sample_tables().resolve() / table), to, str(output), *options]
        try:
            return measured(
                [self.python, "-m", "hypernova.cli", *arguments],
                path=self.path or "",
                folder=output.parent,
            )
        except CommandError as error:
            sys.exit(f"{self.name}: {error}")


def fitted_answers(table: hypernova.OutcomeTable, before: Path, now: Path) -> list[str]:
    """Compare two artifacts of a table: settings, decisions on all of its prompts, estimates."""
    old, new = hypernova.Artifact.open(before), hypernova.Artifact.open(now)
    vectors = Embedder.load("static").embed(list(table.prompts))
    first, second = (artifact.decide_many(vectors).model_indices for artifact in (old, new))
    same = first == second
    rows = np.arange(table.n_tasks)
    difference = np.nan_to_num(table.score[rows, second] - table.score[rows, first]).mean()
    estimates = "of other clusters"
    if old.success.shape == new.success.shape:
        estimates = f"at most {np.abs(old.success - new.success).max():.1e}"
    return [
        setting_of(old.metadata["setting"]),
        setting_of(new.metadata["setting"]),
        f"{same.mean():.2%} of decisions agree; the others gain {difference:+.5f} in-sample; "
        f"estimates differ by {estimates}",
    ]


def setting_of(setting: dict[str, Any]) -> str:
    """Write a setting in one cell."""
    return ", ".join(f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}"
                     for key, value in sorted(setting.items()))  # fmt: skip


def evaluated_answers(before: Path, now: Path) -> list[str]:
    """Compare two reports: held-out gains, verdicts, and how often each setting was chosen."""
    old, new = (json.loads(path.read_text(encoding="utf-8")) for path in (before, now))

    def gains(report: dict[str, Any]) -> str:
        gain = report["gain"]
        low, high = gain["ci95"]
        shuffled = report.get("gain_over_shuffled")
        text = f"gain {gain['mean']:+.4f} ({low:+.4f} to {high:+.4f})"
        return text + (f", over shuffled {shuffled['mean']:+.4f}" if shuffled else "")

    def chosen(report: dict[str, Any]) -> dict[str, int]:
        return {
            setting_of({key: value for key, value in one.items() if key != "times"}): one["times"]
            for one in report["settings"]
        }

    was, became = chosen(old), chosen(new)
    agree = sum(min(times, became.get(setting, 0)) for setting, times in was.items())
    same = "the same verdict" if old["verdict"] == new["verdict"] else "another verdict"
    folds = sum(was.values())
    return [gains(old), gains(new), f"{same}; {agree} of {folds} folds chose the same setting"]


def time_line(command: str, before: list[Usage], now: list[Usage]) -> str:
    """Format the least times and the least peaks of memory of both versions."""
    cells = [command]
    for measure, unit, shown in (
        ("wall_s", 1, ".1f"),
        ("cpu_s", 1, ".1f"),
        ("memory", 1e6, ",.0f"),
        ("private", 1e6, ",.0f"),
    ):
        a, b = (min(getattr(used, measure) for used in runs) / unit for runs in (before, now))
        cells += [f"{a:{shown}}", f"{b:{shown}}", f"{a / b:.2f}"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("python", help="interpreter of the environment with the other version")
    parser.add_argument(
        "--pythonpath", help="folder of the other version's package, if it is not installed there"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="runs of each command")
    parser.add_argument(
        "--command",
        action="append",
        metavar="'fit TABLE'",
        help="in place of the usual ones; may be repeated",
    )
    parser.add_argument("--keep", type=Path, help="folder for the artifacts and reports")
    parser.add_argument("-o", "--output", type=Path, help="folder of the record")
    arguments = parser.parse_args()
    commands = arguments.command or COMMANDS
    missing = {
        table
        for table in (shlex.split(command)[1] for command in commands)
        if not (sample_tables() / table).exists()
    }
    if missing:
        sys.exit(
            f"skipped: {sample_tables()} lacks {', '.join(sorted(missing))}; HYPERNOVA_SHARED "
            "names the folder above the sample data"
        )
    old = Version.of(arguments.python, arguments.pythonpath)
    new = Version.of(sys.executable, str(Path(hypernova.__file__).parents[1]))
    times, answers = [], []
    with tempfile.TemporaryDirectory() as folder:
        place = (arguments.keep or Path(folder)).absolute()
        place.mkdir(parents=True, exist_ok=True)
        for number, command in enumerate(commands):
            files = [place / f"{number}-before", place / f"{number}-now"]
            suffix = ".hnv" if command.startswith("fit") else ".json"
            files = [file.with_suffix(suffix) for file in files]
            used: tuple[list[Usage], list[Usage]] = ([], [])
            for turn in range(arguments.rounds):
                for which in (0, 1) if turn % 2 else (1, 0):
                    used[which].append((old, new)[which].run(command, files[which]))
                    print(f"{command}, {(old, new)[which].name}: "
                          f"{used[which][-1].wall_s:.1f} s", flush=True)  # fmt: skip
            times.append(time_line(command, *used))
            if suffix == ".hnv":
                table = hypernova.OutcomeTable.read(sample_tables() / shlex.split(command)[1])
                compared = fitted_answers(table, *files)
            else:
                compared = evaluated_answers(*files)
            answers.append(f"| {' | '.join([command, *compared])} |")
    commit = output_of("git", "rev-parse", "--short", "HEAD") or "unknown"
    changed = output_of("git", "status", "--porcelain", "--untracked-files=no")
    record = [
        f"# Fitting and evaluating, before and now, {datetime.date.today()}, commit {commit}",
        "",
        f"Before: {old.name}; now: {new.name}. {processor()}, Python {sys.version.split()[0]}, "
        f"uncommitted changes: {'yes' if changed else 'no'}. Whole commands with `static` on all "
        f"cores, {arguments.rounds} times in turns; the least of each figure, and the ratio of "
        "before to now. Memory is the peak of all processes of a command at one time, where shared "
        "pages count once, and no less than the largest process's RSS; *anonymous* is without "
        "pages of files, such as libraries. `python -m benches.learning_versions PYTHON`.",
        "",
        "| command | before, s | now, s | ratio | CPU before, s | now, s | ratio "
        "| memory before, MB | now, MB | ratio | anonymous before, MB | now, MB | ratio |",
        "| --- |" + " ---: |" * 12,
        *times,
        "",
        "The answers:",
        "",
        "| command | before | now | compared |",
        "| --- | --- | --- | --- |",
        *answers,
    ]
    print("\n".join(record))
    if arguments.output is not None:
        arguments.output.mkdir(parents=True, exist_ok=True)
        path = arguments.output / f"{datetime.date.today()}-{commit}-learning.md"
        path.write_text("\n".join(record) + "\n")
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
