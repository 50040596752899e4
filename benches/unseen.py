"""Measure what routing gains on kinds of task that the table lacks, and whether novelty tells them.

Not here: how good decisions on kinds that return are in detail (`benches.quality`). Tasks are held
out in five folds, and each group in turn, or sets of groups where there are many; everything is
learned and chosen in the training part.

    python -m benches.unseen [TABLE...] [--unseen 0.1 0.5] [--tasks 6200] [-o FOLDER]
"""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from pathlib import Path

import numpy as np
from benches.paths import sample_tables
from benches.quality.__main__ import TABLES
from benches.record import processor, source_state, write_page
from threadpoolctl import threadpool_limits

import hypernova
from hypernova.embedder import Embedder
from hypernova.training.clustering.kmeans import assign, kmeans
from hypernova.training.cross_validation import deal_folds, deal_kinds
from hypernova.training.trainer import learn

# Sets in which the groups of a table with more are left out.
MAX_SETS = 14
# Neighbours, and clusters of prompts, whose distance is measured.
NEIGHBOURS, CLUSTERS = (1, 10), 48
# Width of the covariances of the Mahalanobis distances, in mean variances.
WIDENED = 0.3
HELD_OUT, LEFT_OUT = "held out", "left out"


def splits_of(table):
    """Yield whether tasks are held out or left out by group, and the two parts."""
    prompts = table.prompt_groups()
    fold = deal_folds(prompts, 5, np.random.default_rng(0))
    for f in range(5):
        yield HELD_OUT, np.flatnonzero(fold != f), np.flatnonzero(fold == f)
    named = np.array([group or "" for group in table.groups])
    kinds = np.unique(named, return_inverse=True)[1]
    sets = deal_kinds(kinds, min(MAX_SETS, int(kinds.max()) + 1))
    for s in range(int(sets.max()) + 1 if sets.max() else 0):
        test = np.flatnonzero(sets == s)
        # A prompt that is also in another group would be known.
        yield LEFT_OUT, np.flatnonzero(~np.isin(prompts, prompts[test])), test


def distances(part, artifact, train, vectors, test):
    """Score how unlike the training part prompts are, by each measure of novelty."""
    found = {
        "the artifact's": artifact.decide_many(test).distances,
        f"nearest of {CLUSTERS} clusters": assign(
            test, kmeans(vectors, min(CLUSTERS, len(vectors) // 8), 0)
        )[1],
        "uncertain group": 1.0 - part.found.shares(test).max(axis=1),
    }
    alike = test @ vectors.T
    alike.sort(axis=1)
    for n in NEIGHBOURS:
        found[f"{n} nearest prompt{'s' if n > 1 else ''}"] = 1.0 - alike[:, -n:].mean(axis=1)
    named = np.array([group or "" for group in train.groups])
    groups, place = np.unique(named, return_inverse=True)
    means = np.stack([vectors[place == g].mean(axis=0) for g in range(len(groups))])

    def whitened(rows):
        covariance = np.cov(rows, rowvar=False)
        width = WIDENED * np.trace(covariance) / len(covariance)
        return np.linalg.inv(np.linalg.cholesky(covariance + width * np.eye(len(covariance)))).T

    within, whole = whitened(vectors - means[place]), whitened(vectors)
    x, centres = test @ within, means @ within
    squares = (x**2).sum(axis=1)[:, None] - 2 * x @ centres.T + (centres**2).sum(axis=1)
    found["Mahalanobis"] = squares.min(axis=1)
    # Less the distance from the mean of all tasks (Ren et al. 2021).
    behind = (((test - vectors.mean(axis=0)) @ whole) ** 2).sum(axis=1)
    found["relative Mahalanobis"] = found["Mahalanobis"] - behind
    return found


def area(known, unknown) -> float:
    """Probability that a left-out prompt is farther than a held-out one; a half for equal ones."""
    known = np.sort(known)
    low = np.searchsorted(known, unknown, "left")
    return float((low + np.searchsorted(known, unknown, "right")).mean() / (2 * len(known)))


def measured(table, vectors, shares):
    """Gains by share of unseen kinds and way of holding out; novelty scores; novel prompts."""
    gains = {(share, way): [] for share in shares for way in (HELD_OUT, LEFT_OUT)}
    margins = {share: [] for share in shares}
    scores: dict[str, dict[str, list]] = {HELD_OUT: {}, LEFT_OUT: {}}
    novel: dict[str, list] = {HELD_OUT: [], LEFT_OUT: []}
    for way, train, test in splits_of(table):
        part = table.subset(train)
        for share in shares:
            learned = learn(part, vectors[train], unseen=share)
            artifact = learned.artifact()
            decisions = artifact.decide_many(vectors[test])
            own = table.score[test, decisions.model_indices]
            gains[share, way].append(own - table.score[test, learned.part.by_cell.default_model])
            if way == HELD_OUT:
                margins[share].append(artifact.margin)
        novel[way].append(decisions.reason_codes == decisions.reasons.index("default_novel"))
        found = distances(learned.part, artifact, part, vectors[train], vectors[test])
        for name, values in found.items():
            scores[way].setdefault(name, []).append(values)
    areas = {
        name: area(np.concatenate(values), np.concatenate(scores[LEFT_OUT][name]))
        for name, values in scores[HELD_OUT].items()
        if name in scores[LEFT_OUT]
    }
    joined = {way: 100 * np.concatenate(values).mean() for way, values in novel.items() if values}
    return gains, margins, areas, joined


def in_points(gains) -> str:
    """Mean gain in points, with its standard error over tasks, of the decisions that are known."""
    known = np.concatenate(gains)
    unknown = np.isnan(known).mean()
    known = known[~np.isnan(known)]
    error = known.std(ddof=1) / np.sqrt(len(known))
    of = f", {100 * unknown:.0f}% unknown" if unknown > 0.005 else ""
    return f"{100 * known.mean():+.2f} ({100 * error:.2f}{of})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", default=TABLES, metavar="TABLE")
    parser.add_argument("--unseen", type=float, nargs="+", default=[0.1, 0.5])
    parser.add_argument("--tasks", type=int, default=6200, help="of a larger table, drawn")
    parser.add_argument("-o", "--output", type=Path, help="folder of the record")
    arguments = parser.parse_args()
    embedder = Embedder.load("static")
    start, rows, told = time.monotonic(), [], []
    names: list[str] = []
    for name in arguments.tables:
        path = sample_tables() / name if name in TABLES else Path(name)
        if not path.exists():
            print(f"skipped {name}: {path} is missing; set HYPERNOVA_SHARED", file=sys.stderr)
            continue
        table = hypernova.OutcomeTable.read(path)
        if table.n_tasks > arguments.tasks:
            order = np.random.default_rng(0).permutation(table.n_tasks)
            table = table.subset(np.sort(order[: arguments.tasks]))
        vectors = embedder.embed(list(table.prompts))
        with threadpool_limits(1):
            gains, margins, areas, novel = measured(table, vectors, arguments.unseen)
        for share in arguments.unseen:
            left_out = gains[share, LEFT_OUT]
            cells = [
                f"`{table.name}`",
                f"{table.n_tasks:,}",
                f"{share:g}",
                " ".join(f"{margin:g}" for margin in margins[share]),
                in_points(gains[share, HELD_OUT]),
                in_points(left_out) if left_out else "",
            ]
            rows.append(f"| {' | '.join(cells)} |")
            print(rows[-1], flush=True)
        names = names or list(areas)
        told.append(
            f"| `{table.name}` | {' | '.join(f'{areas[n]:.2f}' for n in names if n in areas)} | "
            f"{' | '.join(f'{share:.0f}' for share in novel.values())} |"
        )
        print(told[-1], flush=True)
    if not rows:
        sys.exit("no table to measure on; name one, or set HYPERNOVA_SHARED")
    commit, changed = source_state()
    record = [
        f"# Kinds of task that a table lacks, {datetime.date.today()}, commit {commit}",
        "",
        f"{processor()}, Python {sys.version.split()[0]}, `static`, uncommitted changes: "
        f"{changed}, {(time.monotonic() - start) / 60:.0f} minutes. Gain in "
        "points over the best single model of the training part, with the standard error over "
        "tasks: on tasks of five folds, whose kinds return, and on groups that were left out in "
        f"turn (in {MAX_SETS} sets where there are more). *Unseen* is the share of prompts of "
        "unseen kinds that the fit was told to expect, *margins* are those of the five folds. "
        "`python -m benches.unseen`.",
        "",
        "| table | tasks | unseen | margins | kinds that return | kinds left out |",
        "| --- | ---: | ---: | --- | ---: | ---: |",
        *rows,
        "",
        "Area under the curve with which a distance tells left-out prompts from held-out ones (0.5 "
        "tells nothing), and the share of either, in percent, that the artifact takes for novel:",
        "",
        f"| table | {' | '.join(names)} | novel, held out | novel, left out |",
        f"| --- | {' | '.join('---:' for _ in names)} | ---: | ---: |",
        *told,
    ]
    write_page(record, arguments.output, commit, "unseen")


if __name__ == "__main__":
    main()
