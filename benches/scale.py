"""Fit and route large simulated tables with the command, and record time, memory and disk.

Not here: the tables (`large_tables.py`). Each command is a process of its own and is measured with
all of its descendants. The artifact is then tested on prompts that are in no table, of which the
true success probabilities are known. The table was just written, so it may be read from memory.

    python -m benches.scale [--tasks 1000000 3000000] [--what fit route] [-o benches/record]

A table of a million tasks takes about a gigabyte, and its vectors two.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from benches.large_tables import add_world_to, bytes_needed, size_of, task_files, world_of, write
from benches.process_tree import CommandError, Usage, measured
from benches.record import output_of, processor
from benches.simulated_world import BLOCK_TASKS, World, block, truth

import hypernova
from hypernova.embedder import Embedder

# The commands. {table}, {artifact}, {vectors} and {decisions} are paths.
FIT = ["fit", "{table}", "--output", "{artifact}", "--scan", "--vectors", "{vectors}"]
ROUTE = ["route", "--artifact", "{artifact}", "--input", "{table}", "--output", "{decisions}"]
# The same for a table that is held in memory, to compare small ones.
FIT_IN_MEMORY = ["fit", "{table}", "--output", "{artifact}"]

# A line of a command's output that states the time of a phase, such as "embedding  312.5 s".
PHASE = re.compile(r"^\s*(?:fit: )?([A-Za-z][A-Za-z ,]*?)[: ]\s*([0-9][0-9,]*\.?[0-9]*) ?s\b")
VECTOR_BYTES = 2_100
# Texts on which `route_many` is timed, before and after the command that routes them all.
SAMPLE = 100_000
ROUTED = f"`route_many` decides for the first {SAMPLE:,} texts of the table in one process. "
# New prompts come from blocks that no table reaches.
NEW_BLOCKS = (1 << 20, 2)

# A process of its own times route_many on the first texts of a table, in pieces as a table has.
ROUTE_MANY = """
import json, sys, time
import pyarrow.parquet
import hypernova

router = hypernova.Router.open(sys.argv[1])
left, took, done = int(sys.argv[2]), 0.0, 0
router.route_many(["Fix the race in the scheduler", "Sort the list of customers"])
for path in sys.argv[3:]:
    for batch in pyarrow.parquet.ParquetFile(path).iter_batches(8192, columns=["prompt"]):
        texts = batch["prompt"].to_pylist()[:left]
        if not texts:
            break
        start = time.perf_counter()
        router.route_many(texts)
        took += time.perf_counter() - start
        left, done = left - len(texts), done + len(texts)
print(json.dumps(done / took))
"""


class Figures:
    """Rows of the record, a column for each size.

    Attributes:
        sizes: Numbers of tasks.
        rows: The value of each size by row; None where it was not measured.
    """

    def __init__(self, sizes: list[int]) -> None:
        self.sizes = sizes
        self.rows: dict[str, list[float | None]] = {}
        self._formats: dict[str, tuple[str, str]] = {}

    def add(self, tasks: int, row: str, value: float, format_: str, ratio: str = "") -> None:
        """Add a figure.

        Args:
            tasks: The size.
            row: Name of the row, with its unit.
            value: The figure.
            format_: How it is shown, ``,.0f`` for instance.
            ratio: ``task`` compares the last size with the first by the task, ``whole`` as it is;
                nothing makes no ratio.
        """
        values = self.rows.setdefault(row, [None] * len(self.sizes))
        values[self.sizes.index(tasks)] = value
        self._formats[row] = format_, ratio
        print(f"  {row}: {value:{format_}}", flush=True)

    def lines(self) -> list[str]:
        """Format the table."""
        heads = ["", *(f"{tasks:,} tasks" for tasks in self.sizes), "ratio"]
        lines = [f"| {' | '.join(heads)} |", "| --- |" + " ---: |" * (len(heads) - 1)]
        growth = self.sizes[-1] / self.sizes[0]
        for row, values in self.rows.items():
            format_, kind = self._formats[row]
            shown = ["" if value is None else f"{value:{format_}}" for value in values]
            first, last, ratio = values[0], values[-1], ""
            if kind and len(values) > 1 and first and last:
                by = last / first / (growth if kind == "task" else 1)
                ratio = f"{by:.3f}" + " a task" * (kind == "task")
            lines.append(f"| {row} | {' | '.join(shown)} | {ratio} |")
        return lines


def run(command: list[str], places: dict[str, Path]) -> Usage:
    """Measure a command of hypernova; exit with its message if it fails."""
    filled = [part.format(**places) for part in command]
    try:
        return measured([sys.executable, "-m", "hypernova.cli", *filled])
    except CommandError as error:
        sys.exit(str(error))


def note(figures: Figures, tasks: int, name: str, used: Usage) -> None:
    """Add the rows of a command."""
    figures.add(tasks, f"{name}: time, s", used.wall_s, ",.1f", "task")
    figures.add(tasks, f"{name}: CPU time of all processes, s", used.cpu_s, ",.1f", "task")
    figures.add(tasks, f"{name}: peak memory, MB", used.memory / 1e6, ",.0f", "whole")
    figures.add(tasks, f"{name}: of it not pages of files, MB", used.private / 1e6, ",.0f", "whole")
    figures.add(tasks, f"{name}: largest process, MB", used.largest / 1e6, ",.0f", "whole")
    for line in used.output.splitlines():
        if found := PHASE.match(line):
            seconds = float(found[2].replace(",", ""))
            figures.add(tasks, f"{name}: {found[1].strip()}, s", seconds, ",.1f", "task")


def route_many_speed(artifact: Path, files: list[Path]) -> float:
    """Return the texts a second of `Router.route_many` in a process of its own."""
    arguments = [str(artifact), str(SAMPLE), *map(str, files)]
    done = subprocess.run(
        [sys.executable, "-c", ROUTE_MANY, *arguments], check=True, capture_output=True, text=True
    )
    return float(json.loads(done.stdout))


def held_out(world: World, artifact: hypernova.Artifact) -> dict[str, float]:
    """Compare the choices of an artifact on new prompts with the best that there are.

    Returns:
        The mean true success probability by way of choosing.
    """
    first, blocks = NEW_BLOCKS
    embedder = Embedder.load("static")
    column = [world.models.index(model) for model in artifact.models]
    default = world.models.index(artifact.default_model)
    best = world.models.index(truth(world)["best_single"])
    found: dict[str, list[float]] = {}
    for number in range(first, first + blocks):
        tasks = block(world, number)
        expected = world.expected(tasks.kinds, tasks.latent)
        vectors = tasks.vectors
        if vectors is None:
            vectors = embedder.embed(tasks.prompts.to_pylist())
        chosen = np.array(column)[artifact.decide_many(vectors).model_indices]
        rows = np.arange(BLOCK_TASKS)
        of_kind = world.success.argmax(axis=1)[tasks.kinds]
        for way, models in (
            ("the artifact's choice", chosen),
            ("the artifact's default model", np.full(BLOCK_TASKS, default)),
            ("the best single model", np.full(BLOCK_TASKS, best)),
            ("the best model of the kind, known", of_kind),
            ("the best model of the prompt, known", expected.argmax(axis=1)),
        ):
            found.setdefault(way, []).append(float(expected[rows, models].mean()))
    return {way: float(np.mean(values)) for way, values in found.items()}


def changed_decisions(world: World, one: hypernova.Artifact, other: hypernova.Artifact) -> float:
    """Return the percentage of new prompts for which two artifacts choose different models.

    A prompt that comes again is embedded once for the store and may be embedded again, in another
    batch, by the process that sums it up: the last bits of `static` depend on the batch.
    """
    if one.to_bytes() == other.to_bytes():
        return 0.0
    tasks = block(world, NEW_BLOCKS[0])
    vectors = tasks.vectors
    if vectors is None:
        vectors = Embedder.load("static").embed(tasks.prompts.to_pylist())
    chosen, again = (a.decide_many(vectors).model_indices for a in (one, other))
    return 100.0 * float((chosen != again).mean())


def measure(
    figures: Figures, world: World, tasks: int, arguments: argparse.Namespace, folder: Path
) -> None:
    """Make a table, run the commands on it, and add the rows."""
    places = {
        "table": folder / "table",
        "artifact": folder / "router.hnv",
        "vectors": folder / "vectors",
        "decisions": folder / "decisions.parquet",
    }
    print(f"{tasks:,} tasks", flush=True)
    start = time.perf_counter()
    in_memory = arguments.in_memory
    layout, files = ("apart", 1) if in_memory else (arguments.layout, arguments.files)
    write(places["table"], world, tasks, layout=layout, files=files)
    figures.add(tasks, "making the table, s", time.perf_counter() - start, ",.1f", "task")
    figures.add(tasks, "table on the disk, MB", size_of(places["table"]) / 1e6, ",.0f", "task")
    fit = FIT_IN_MEMORY if in_memory else FIT
    note(figures, tasks, "fit", run(fit, places))
    if "{vectors}" in fit:
        size = size_of(places["vectors"])
        figures.add(tasks, "vectors on the disk, MB", size / 1e6, ",.0f", "task")
        if "fit" in arguments.what:
            first = hypernova.Artifact.open(places["artifact"], mmap=False)
            note(figures, tasks, "fit again, vectors kept", run(fit, places))
            changed = changed_decisions(
                world, first, hypernova.Artifact.open(places["artifact"], mmap=False)
            )
            figures.add(tasks, "fit again: other decisions for new prompts, %", changed, ".3f")
    for way, success in held_out(world, hypernova.Artifact.open(places["artifact"])).items():
        figures.add(tasks, f"new prompts: true success of {way}", success, ".4f")
    if "route" in arguments.what:
        paths = task_files(places["table"])
        speeds = [route_many_speed(places["artifact"], paths)]
        used = run(ROUTE, places)
        speeds.append(route_many_speed(places["artifact"], paths))
        note(figures, tasks, "route", used)
        import pyarrow.parquet

        decided = pyarrow.parquet.ParquetFile(places["decisions"]).metadata.num_rows
        if decided != tasks:
            sys.exit(f"{decided:,} decisions for {tasks:,} prompts")
        figures.add(tasks, "route: texts a second", tasks / used.wall_s, ",.0f", "whole")
        figures.add(tasks, "route_many: texts a second, before", speeds[0], ",.0f", "whole")
        figures.add(tasks, "route_many: texts a second, after", speeds[1], ",.0f", "whole")
        ratio = tasks / used.wall_s / np.mean(speeds)
        figures.add(tasks, "route / route_many", float(ratio), ".3f")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, nargs="+", default=[1_000_000, 3_000_000])
    parser.add_argument("--what", nargs="+", choices=("fit", "route"), default=["fit", "route"])
    add_world_to(parser)
    parser.add_argument("--layout", choices=("nested", "apart", "shuffled"), default="nested")
    parser.add_argument("--files", type=int, default=16)
    parser.add_argument(
        "--in-memory", action="store_true", help="fit tables of one file that are held in memory"
    )
    parser.add_argument("--folder", type=Path, help="where tables go for a while")
    parser.add_argument("-o", "--output", type=Path, help="folder of the record")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the tables go
    world = world_of(arguments)
    largest = max(arguments.tasks)
    needed = bytes_needed(world, largest, arguments.layout) + VECTOR_BYTES * largest
    figures = Figures(sorted(arguments.tasks))
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="hypernova-scale-") as folder:
        free = shutil.disk_usage(folder).free
        if free < needed:
            sys.exit(
                f"{largest:,} tasks and their vectors need about {needed / 1e9:.0f} GB, and "
                f"{free / 1e9:.0f} GB are free at {Path(folder).parent}; name another --folder"
            )
        for tasks in figures.sizes:
            place = Path(folder) / str(tasks)
            place.mkdir()
            measure(figures, world, tasks, arguments, place)
            shutil.rmtree(place)
    commit = output_of("git", "rev-parse", "--short", "HEAD") or "unknown"
    changed = output_of("git", "status", "--porcelain", "--untracked-files=no")
    fit = FIT_IN_MEMORY if arguments.in_memory else FIT
    commands = [fit, *([ROUTE] if "route" in arguments.what else [])]
    named = ", ".join(f"`hypernova {' '.join(part)}`" for part in commands)
    record = [
        f"# Large tables, {datetime.date.today()}, commit {commit}",
        "",
        f"{processor()}, Python {sys.version.split()[0]}, hypernova {hypernova.__version__}; "
        f"uncommitted changes: {'yes' if changed else 'no'}. Simulated tables of "
        f"{arguments.models} models and {arguments.groups} kinds, {arguments.tokens} tokens a "
        f"prompt, {'in one file' if arguments.in_memory else f'{arguments.files} files'}, seed "
        f"{arguments.seed}. {named}. Peak memory is that of all processes of a command at one "
        "time, where shared pages count once, and no less than the largest process's RSS. "
        f"{ROUTED if 'route' in arguments.what else ''}"
        "New prompts are 16,384 of the same world that no table has; their success is the mean "
        "of true probabilities. The ratio is that of the last size to the first. "
        "`python -m benches.scale`.",
        "",
        *figures.lines(),
    ]
    print("\n".join(record))
    if arguments.output is not None:
        arguments.output.mkdir(parents=True, exist_ok=True)
        path = arguments.output / f"{datetime.date.today()}-{commit}-scale.md"
        path.write_text("\n".join(record) + "\n")
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
