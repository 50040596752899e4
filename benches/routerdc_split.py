"""Route RouterDC's own split: fit on its training tasks alone, and route its test tasks.

Not here: other routers on other tables (``benches.quality``). RouterDC (Chen et al. 2024) trains an
encoder of 86 million parameters for this split; its figures here are those that were published.
Each router is one call of `fit` as it is by default. The table names the data set of a training
prompt, which `fit` reads; no router sees that of a prompt that it routes.

    python -m benches.routerdc_split [--embedder static|minilm]... [--vectors FOLDER] [-o FOLDER]
"""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from benches.paths import sample_tables
from benches.record import output_of, processor

import hypernova
from hypernova.embedder import Embedder, StoredEmbedder

TABLE = "routerdc"
EMBEDDERS = ("static", "minilm")
# The parts that are routed, by their name in the column ``split``.
PARTS = {"test": "test sets", "ood": "other sets"}
PUBLISHED = {"test": 58.54, "ood": 45.85}
# Figures depend on these; an uncommitted record or document changes none.
SOURCES = ("python", "rust", "benches/routerdc_split.py", "Cargo.lock")


@dataclass(frozen=True)
class Split:
    """The table with its columns, and the data sets of each part in order."""

    table: hypernova.OutcomeTable
    part: np.ndarray
    sets: dict[str, list[str]]

    @classmethod
    def read(cls, folder: Path) -> Split:
        """Read the table; exit if it has no column ``split``."""
        table = hypernova.OutcomeTable.read(folder)
        columns = pq.read_table(folder / "tasks.parquet").to_pydict()
        if "split" not in columns:
            sys.exit(f"{folder}: tasks.parquet has no column split; expected RouterDC's table")
        by_id = dict(zip(columns["task_id"], columns["split"], strict=True))
        part = np.array([by_id[task] for task in table.task_ids])
        groups = np.array(table.groups)
        sets = {name: sorted(set(groups[part == name])) for name in PARTS}
        return cls(table, part, sets)

    def tasks(self, part: str, dataset: str | None = None) -> np.ndarray:
        """Return the indices of a part's tasks, all or those of one data set."""
        chosen = self.part == part
        if dataset is not None:
            chosen &= np.array(self.table.groups) == dataset
        return np.flatnonzero(chosen)

    def accuracies(self, models: np.ndarray) -> list[float]:
        """Average the scores of a model for each task, in %: each data set, and each part's mean.

        Args:
            models: (n_tasks,) indices; those of tasks that are not routed are not read.
        """
        row = []
        for part, sets in self.sets.items():
            means = []
            for dataset in sets:
                tasks = self.tasks(part, dataset)
                means.append(100 * float(self.table.score[tasks, models[tasks]].mean()))
            row += [*means, float(np.mean(means))]
        return row


def rivals(split: Split) -> dict[str, list[float]]:
    """Choose models without a router: from the training tasks, and in hindsight."""
    score, train = split.table.score, split.tasks("train")
    everywhere = np.full(len(score), score[train].mean(axis=0).argmax())
    # By the mean over data sets, as the table counts, and not over tasks.
    means = [score[split.tasks("test", dataset)].mean(axis=0) for dataset in split.sets["test"]]
    hindsight = np.full(len(score), np.mean(means, axis=0).argmax())
    known = everywhere.copy()  # where a data set has no training task
    for dataset in {name for sets in split.sets.values() for name in sets}:
        own = split.tasks("train", dataset)
        if len(own):
            known[np.array(split.table.groups) == dataset] = score[own].mean(axis=0).argmax()
    return {
        f"best single model of train ({split.table.models[everywhere[0]]})": split.accuracies(
            everywhere
        ),
        "best model of each data set, chosen on train, data set known": split.accuracies(known),
        f"best single model of test, in hindsight ({split.table.models[hindsight[0]]})": (
            split.accuracies(hindsight)
        ),
        "best model of each task, in hindsight": split.accuracies(score.argmax(axis=1)),
    }


@dataclass(frozen=True)
class Routed:
    """What one router reached, and how long its parts took."""

    accuracies: list[float]
    embed_s: float
    fit_s: float
    setting: dict[str, object]


def route(split: Split, name: str, vectors: Path) -> Routed:
    """Fit on the training tasks with one embedder, and route all others."""
    embedder = StoredEmbedder(Embedder.load(name), vectors)
    train = split.tasks("train")
    start = time.perf_counter()
    embedder.embed([split.table.prompts[i] for i in train])
    embedded = time.perf_counter()
    artifact = hypernova.fit(split.table.subset(train), embedder=embedder)
    fitted = time.perf_counter()
    models = np.zeros(split.table.n_tasks, dtype=np.int64)
    for part in PARTS:
        tasks = split.tasks(part)
        found = embedder.embed([split.table.prompts[i] for i in tasks])
        chosen = artifact.decide_many(found).model_indices
        models[tasks] = [split.table.models.index(artifact.models[i]) for i in chosen]
    setting = dict(artifact.metadata["setting"])
    return Routed(split.accuracies(models), embedded - start, fitted - embedded, setting)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embedder", action="append", metavar="static|minilm|DIR")
    parser.add_argument("--vectors", type=Path, help="folder in which vectors are kept")
    parser.add_argument("-o", "--output", type=Path, help="folder of the record")
    arguments = parser.parse_args()
    folder = sample_tables() / TABLE
    if not folder.exists():
        sys.exit(f"skipped: {folder} is missing; HYPERNOVA_SHARED names the folder above it")
    split = Split.read(folder)
    state = output_of("git", "rev-parse", "--short", "HEAD") or "unknown"
    changed = output_of("git", "status", "--porcelain", "--untracked-files=no", "--", *SOURCES)
    names = arguments.embedder or list(EMBEDDERS)
    with tempfile.TemporaryDirectory() as temporary:
        routed = {name: route(split, name, arguments.vectors or Path(temporary)) for name in names}
    columns = []
    for part, sets in split.sets.items():
        columns += [*sets, f"**{len(sets)} {PARTS[part]}**"]
    rows = {f"hypernova, `{name}`": result.accuracies for name, result in routed.items()}
    rows |= rivals(split)
    lines = [
        f"| {' | '.join([label, *(f'{value:.2f}' for value in values)])} |"
        for label, values in rows.items()
    ]
    published: list[str] = []
    for part, sets in split.sets.items():
        published += [*[""] * len(sets), f"{PUBLISHED[part]:.2f}"]
    lines.append(f"| RouterDC, as published | {' | '.join(published)} |")
    command = ["python -m benches.routerdc_split", *(f"--embedder {n}" for n in names)]
    counts = {part: len(split.tasks(part)) for part in ("train", *PARTS)}
    record = [
        f"# RouterDC's own split, {datetime.date.today()}, commit {state}",
        "",
        f"{processor()}, Python {sys.version.split()[0]}, uncommitted changes: "
        f"{'yes' if changed else 'no'}. `{' '.join(command)}`. Fitted on the {counts['train']:,} "
        f"tasks of train alone by one call of `fit` as it is by default; {counts['test']:,} tasks "
        f"of test and {counts['ood']:,} of other data sets routed. Accuracy in %; the mean of a "
        "part is that of its data sets, each counted once, as in the paper.",
        "",
        f"| | {' | '.join(columns)} |",
        f"| --- |{' ---: |' * len(columns)}",
        *lines,
        "",
        "| | fitting, s | embedding train, s | setting |",
        "| --- | ---: | ---: | --- |",
        *(
            f"| `{name}` | {result.fit_s:.1f} | {_embedding(result, arguments.vectors)} "
            f"| {result.setting} |"
            for name, result in routed.items()
        ),
    ]
    print("\n".join(record))
    if arguments.output is not None:
        arguments.output.mkdir(parents=True, exist_ok=True)
        path = arguments.output / f"{datetime.date.today()}-{state}-routerdc-split.md"
        path.write_text("\n".join(record) + "\n", encoding="utf-8")
        print(f"wrote {path}")


def _embedding(result: Routed, vectors: Path | None) -> str:
    """Format the time of embedding; vectors of an earlier run say nothing about it."""
    return f"{result.embed_s:.1f}" if vectors is None else "kept"


if __name__ == "__main__":
    main()
