"""Fit and route large simulated tables with the command, and record time, memory and disk.

Not here: the tables (`large_tables.py`). Each command is a process of its own and is measured with
all of its descendants. The artifact is then tested on prompts that are in no table, of which the
true success probabilities are known. The table was just written, so it may be read from memory.

    python -m benches.scale [--tasks 1000000 3000000] [--what fit route] [-o benches/record]
    python -m benches.scale --tasks 1000000 10000000 --no-vectors --limit 120

A table of a million tasks takes about a gigabyte, and its vectors two. With ``--limit`` a size that
would take longer than the minutes that are left, by the time a task of the size before, is made
smaller, and a command that is not done at the end is ended; the record says so.
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
from benches.process_tree import CommandError, OutOfTimeError, Usage, measured
from benches.record import processor, source_state, write_page
from benches.simulated_world import BLOCK_TASKS, World, block, truth

import hypernova
from hypernova.embedder import Embedder

# The commands. {table}, {artifact}, {vectors} and {decisions} are paths.
FIT = ["fit", "{table}", "--output", "{artifact}", "--scan"]
KEEP_VECTORS = ["--vectors", "{vectors}"]
ROUTE = ["route", "--artifact", "{artifact}", "--input", "{table}", "--output", "{decisions}"]
# The same for a table that is held in memory, to compare small ones.
FIT_IN_MEMORY = ["fit", "{table}", "--output", "{artifact}"]

# A line of a command's output that states the time of a phase, such as "embedding  312.5 s".
PHASE = re.compile(r"^\s*(?:fit: )?([A-Za-z][A-Za-z ,]*?)[: ]\s*([0-9][0-9,]*\.?[0-9]*) ?s\b")
VECTOR_BYTES, DECISION_BYTES = 2_100, 60
# A size that is made smaller is a multiple of so many tasks.
SIZE_STEP = 100_000
# Of the time that is left, the part that a size may take by the time of the one before.
SPARE = 0.8
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

    def widen(self) -> None:
        """Make room for a size that was added."""
        for values in self.rows.values():
            values += [None] * (len(self.sizes) - len(values))

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


class Clock:
    """The time that a benchmark may take.

    Args:
        minutes: From now on; None for any time.
    """

    def __init__(self, minutes: float | None) -> None:
        self._end = None if minutes is None else time.monotonic() + 60 * minutes

    @property
    def left_s(self) -> float | None:
        """Seconds that are left, at least one; None for any time."""
        return None if self._end is None else max(self._end - time.monotonic(), 1.0)

    def size(self, tasks: int, before: tuple[int, float] | None) -> int:
        """Return the size that fits into the time that is left.

        Args:
            tasks: The size that is asked for.
            before: The size before, and its seconds; None if there is none.
        """
        if self.left_s is None or before is None:
            return tasks
        size, seconds = before
        fits = int(SPARE * self.left_s / (seconds / size))
        return tasks if fits >= tasks else fits // SIZE_STEP * SIZE_STEP


def run(command: list[str], places: dict[str, Path], clock: Clock) -> Usage:
    """Measure a command of hypernova; exit with its message if it fails."""
    filled = [part.format(**places) for part in command]
    print(f"  hypernova {command[0]} began at {time.strftime('%H:%M:%S')}", file=sys.stderr)

    def progress(seconds: float, memory: int) -> None:
        disk = size_of(places["table"].parent)
        print(
            f"  {command[0]}: {seconds / 60:.0f} minutes, peak memory {memory / 1e6:,.0f} MB, "
            f"{disk / 1e9:.1f} GB on the disk",
            file=sys.stderr,
        )

    try:
        return measured(
            [sys.executable, "-m", "hypernova.cli", *filled],
            limit_s=clock.left_s,
            progress=progress,
        )
    except OutOfTimeError:
        raise
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
    figures: Figures,
    world: World,
    tasks: int,
    arguments: argparse.Namespace,
    folder: Path,
    clock: Clock,
) -> None:
    """Make a table, run the commands on it, and add the rows.

    Raises:
        OutOfTimeError: A command was ended; the rows before it stand.
    """
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
    fit = fit_command(arguments)
    note(figures, tasks, "fit", run(fit, places, clock))
    if "{vectors}" in fit:
        size = size_of(places["vectors"])
        figures.add(tasks, "vectors on the disk, MB", size / 1e6, ",.0f", "task")
        if "fit" in arguments.what:
            first = hypernova.Artifact.open(places["artifact"], mmap=False)
            note(figures, tasks, "fit again, vectors kept", run(fit, places, clock))
            changed = changed_decisions(
                world, first, hypernova.Artifact.open(places["artifact"], mmap=False)
            )
            figures.add(tasks, "fit again: other decisions for new prompts, %", changed, ".3f")
    for way, success in held_out(world, hypernova.Artifact.open(places["artifact"])).items():
        figures.add(tasks, f"new prompts: true success of {way}", success, ".4f")
    if "route" in arguments.what:
        paths = task_files(places["table"])
        speeds = [route_many_speed(places["artifact"], paths)]
        used = run(ROUTE, places, clock)
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


def fit_command(arguments: argparse.Namespace) -> list[str]:
    """Return the command that fits, by the options."""
    if arguments.in_memory:
        return FIT_IN_MEMORY
    return FIT if arguments.no_vectors else [*FIT, *KEEP_VECTORS]


def room_needed(world: World, tasks: int, arguments: argparse.Namespace) -> float:
    """Estimate the bytes on the disk of a table and of all that is made of it."""
    kept = 0 if arguments.no_vectors or arguments.in_memory else VECTOR_BYTES
    each = kept + (DECISION_BYTES if "route" in arguments.what else 0)
    return bytes_needed(world, tasks, arguments.layout) + each * tasks


def measure_all(
    world: World, arguments: argparse.Namespace, folder: Path
) -> tuple[Figures, list[str]]:
    """Measure each size in turn, as far as the time goes.

    Returns:
        The rows, and a sentence for each size that was made smaller or not done.
    """
    clock, before, said = Clock(arguments.limit), None, []
    sizes: list[int] = []
    figures = Figures(sizes)
    for asked in sorted(arguments.tasks):
        tasks = clock.size(asked, before)
        if tasks < asked:
            said.append(f"{asked:,} tasks did not fit into {arguments.limit:g} minutes")
        if tasks in sizes or tasks <= (before[0] if before else 0):
            continue
        sizes.append(tasks)
        figures.widen()
        place = folder / str(tasks)
        place.mkdir()
        start = time.monotonic()
        try:
            measure(figures, world, tasks, arguments, place, clock)
        except OutOfTimeError as error:
            part = str(error).rpartition(": ")[2]
            said.append(f"of {tasks:,} tasks a command was not done and was {part}")
        before = tasks, time.monotonic() - start
        shutil.rmtree(place)
    return figures, said


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
    parser.add_argument(
        "--no-vectors", action="store_true", help="fit without keeping the vectors, 2 GB a million"
    )
    parser.add_argument("--limit", type=float, metavar="MINUTES", help="time for all sizes")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the tables go
    world = world_of(arguments)
    largest = max(arguments.tasks)
    needed = room_needed(world, largest, arguments)
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="hypernova-scale-") as folder:
        free = shutil.disk_usage(folder).free
        if free < needed:
            kept = "" if arguments.no_vectors else " and their vectors"
            sys.exit(
                f"{largest:,} tasks{kept} need about {needed / 1e9:.0f} GB, and "
                f"{free / 1e9:.0f} GB are free at {Path(folder).parent}; name another --folder"
                f"{'' if arguments.no_vectors else ', or give --no-vectors'}"
            )
        figures, said = measure_all(world, arguments, Path(folder))
    commit, changed = source_state()
    commands = [fit_command(arguments), *([ROUTE] if "route" in arguments.what else [])]
    named = ", ".join(f"`hypernova {' '.join(part)}`" for part in commands)
    limits = [f"{sentence[0].upper()}{sentence[1:]}. " for sentence in said]
    record = [
        f"# Large tables, {datetime.date.today()}, commit {commit}",
        "",
        f"{processor()}, Python {sys.version.split()[0]}, hypernova {hypernova.__version__}; "
        f"uncommitted changes: {changed}. {''.join(limits)}Simulated tables of "
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
    write_page(record, arguments.output, commit, "scale")


if __name__ == "__main__":
    main()
