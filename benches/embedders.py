"""Compare what routing gains with several embedders, on the same tasks in the same folds.

Not here: other routers (`benches.quality`), or intervals (`hypernova evaluate`). Everything is
learned in the training part of each fold, the best single model too. Standard errors are over
prompts, those of differences paired by task. The frontier is that of `hypernova evaluate`: over all
cost weights, the gain over random mixes of two models at the router's cost.

    python -m benches.embedders [TABLE...] [--embedders static minilm] [--vectors DIR] [-o FOLDER]
"""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from benches.paths import sample_tables
from benches.quality.__main__ import HELD_OUT_TASKS, MAX_REPEATS, TABLES
from benches.record import processor, source_state, write_page
from threadpoolctl import threadpool_limits

import hypernova
from hypernova.embedder import open_embedder, store_vectors
from hypernova.evaluation.estimated_table import EstimatedTable
from hypernova.evaluation.protocol import decide_split, fold_splits
from hypernova.parallel import HERE
from hypernova.training.embedding import embed_texts
from hypernova.training.estimates.sums import mean_known
from hypernova.training.frontier import cost_weights

if TYPE_CHECKING:
    from hypernova.table import OutcomeTable

Array = np.ndarray[Any, Any]
FOLDS, SEED = 5, 0
# Gains below this many points, by the first embedder and the last, have no ratio.
MIN_GAIN = 0.25


@dataclass(frozen=True)
class Gains:
    """Gains of a router that reads one embedder's vectors, in points, mean over repeats.

    Attributes:
        best_single: (tasks,) over the best single model of the training part.
        frontier: (tasks,) over mixes at the same cost, mean over cost weights; None without costs.
    """

    best_single: Array
    frontier: Array | None


def gains_of(table: OutcomeTable, vectors: Array, repeats: int) -> Gains:
    """Route each fold's tasks by what is learned from the others, and compare.

    Args:
        table: Outcomes, of groups by which missing ones are estimated.
        vectors: float32 (tasks, dim).
        repeats: Number of times that the tasks are dealt into folds.
    """
    weights = cost_weights(table)
    filled = EstimatedTable.by_kind(table, lambda: np.zeros(table.n_tasks, np.int64)).filled
    over_single = np.zeros((repeats, table.n_tasks))
    over_mixes = np.full((repeats, len(weights), table.n_tasks), np.nan)
    for split in fold_splits(table.prompt_groups(), FOLDS, repeats, SEED):
        found = decide_split(table, vectors, replace(split, shuffle_seeds=()), "auto", weights)
        score, usd = filled.score[split.test], filled.cost_usd[split.test]
        tasks = np.arange(len(split.test))
        over_single[split.repeat, split.test] = score[tasks, found.chosen] - score[:, found.single]
        for i in range(len(weights)):
            chosen = found.by_weight[i]
            mix = found.hull and found.hull.mix(float(mean_known(usd[tasks, chosen])))
            if mix:
                mixed = score[:, [mix.cheap, mix.dear]] @ [1 - mix.share, mix.share]
                over_mixes[split.repeat, i, split.test] = score[tasks, chosen] - mixed
    frontier = np.nanmean(over_mixes, axis=(0, 1)) if weights else None
    return Gains(100 * over_single.mean(axis=0), None if frontier is None else 100 * frontier)


def standard_error(values: Array, prompts: Array) -> float:
    """Standard error of the mean over tasks, of which those of one prompt are one draw."""
    sums = np.bincount(prompts, weights=values - values.mean())
    return float(np.sqrt((sums**2).sum()) / len(values))


def row_of(name: str, n: str, gains: list[Array], prompts: Array) -> str:
    """Write a row: each embedder's gain, and the first against the last."""
    cells = [f"{g.mean():+.2f} ({standard_error(g, prompts):.2f})" for g in gains]
    if len(gains) > 1:
        difference = gains[0] - gains[-1]
        error = standard_error(difference, prompts)
        cells.append(f"{difference.mean():+.2f} ({error:.2f})")
        first, last = gains[0].mean(), gains[-1].mean()
        some = max(first, last) >= MIN_GAIN and last > 0
        cells.append(f"{100 * first / last:.0f}%" if some else "no gain")
    return f"| {name} | {n} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", default=TABLES, metavar="TABLE")
    parser.add_argument("--embedders", nargs="+", default=["static", "minilm"], metavar="E")
    parser.add_argument("--repeats", type=int, help="by default until 3,000 tasks were held out")
    parser.add_argument("--vectors", type=Path, help="folder that keeps vectors for the next run")
    parser.add_argument("-o", "--output", type=Path, help="folder of the record")
    arguments = parser.parse_args()
    start, rows, measured = time.monotonic(), [], []
    embedders = [open_embedder(name) for name in arguments.embedders]
    names = [Path(name).name for name in arguments.embedders]
    if arguments.vectors is not None:
        embedders = [store_vectors(embedder, arguments.vectors) for embedder in embedders]
    for name in arguments.tables:
        path = sample_tables() / name if name in TABLES else Path(name)
        if not path.exists():
            print(f"skipped {name}: {path} is missing; set HYPERNOVA_SHARED", file=sys.stderr)
            continue
        table = hypernova.OutcomeTable.read(path)
        repeats = arguments.repeats or min(
            max(round(HELD_OUT_TASKS / table.n_tasks), 1), MAX_REPEATS
        )
        measured.append(name)
        n, prompts = f"{repeats} x {table.n_tasks:,}", table.prompt_groups()
        with threadpool_limits(1):
            found = [
                gains_of(table, embed_texts(embedder, table.prompts, HERE, False), repeats)
                for embedder in embedders
            ]
        rows.append(row_of(f"`{table.name}`", n, [g.best_single for g in found], prompts))
        print(rows[-1], flush=True)
        frontiers = [g.frontier for g in found if g.frontier is not None]
        if frontiers:
            rows.append(row_of(f"`{table.name}`, frontier", n, frontiers, prompts))
            print(rows[-1], flush=True)
    if not rows:
        sys.exit("no table to measure on; name one, or set HYPERNOVA_SHARED")
    commit, changed = source_state()
    against = [f"{names[0]} less {names[-1]}", f"{names[0]} of {names[-1]}"] * (len(names) > 1)
    columns = ["table", "tasks", *names, *against]
    dealt = f" --repeats {arguments.repeats}" if arguments.repeats else ""
    command = (
        f"python -m benches.embedders {' '.join(measured)} --embedders {' '.join(names)}{dealt}"
    )
    record = [
        f"# What routing gains with each embedder, {datetime.date.today()}, commit {commit}",
        "",
        f"{processor()}, Python {sys.version.split()[0]}, uncommitted changes: {changed}, "
        f"{(time.monotonic() - start) / 60:.0f} minutes. Held-out gain in points over the best "
        "single model of the training part, five folds, the same ones for each embedder, with the "
        "standard error over prompts; of the difference it is paired by task. *Frontier*: over "
        "random mixes of two models at the router's cost, mean over all cost weights. A ratio "
        f"stands where a gain is at least {MIN_GAIN} points. `{command}`.",
        "",
        f"| {' | '.join(columns)} |",
        f"| --- | --- |{' ---: |' * (len(columns) - 2)}",
        *rows,
    ]
    write_page(record, arguments.output, commit, "embedders")


if __name__ == "__main__":
    main()
