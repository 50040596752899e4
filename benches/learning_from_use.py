"""Measure what a router learns from the log of its own decisions, as a share of what it could.

Not here: a model that got worse, and weights of outcomes (`benches.learning`). Some tasks of a
sample table are fitted, without their groups; others are routed and logged with the outcome of
the model that was taken, and the artifact is recalibrated after a number of them; the rest gives
the accuracy. The yardstick is a fit that knows the outcomes of all models on the logged tasks too.

    python -m benches.learning_from_use [TABLE...] [--draws 8] [--first-draw 0] [-o FOLDER]

Settings were chosen on the draws from 100 on, and the record is of those from 0 on.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from benches.many_models import mean_and_error
from benches.paths import sample_tables
from benches.record import processor, source_state, write_page
from threadpoolctl import threadpool_limits

import hypernova
from hypernova.embedder import open_embedder

TABLES = ("llmrouter_mixed", "routerdc", "mmlu_pro")
FITTED = 800
LOGGED = (300, 1000, 3000)
EXPLORE = (0.0, 0.05, 0.1)
# Tasks that give the accuracy, at most.
MAX_TESTED = 8000
# Points that recalibration may lose on average, and the share of the gain of full knowledge that
# is asked for, with the most outcomes and the most exploration.
MAX_LOSS, ASKED = 0.2, 0.5

# Gains in points by table, logged tasks, exploration (None: all outcomes known) and sketch.
Gains = dict[tuple[str, int, float | None, bool], list[float]]


def part_of(table: hypernova.OutcomeTable, tasks: np.ndarray) -> hypernova.OutcomeTable:
    """Select tasks of a table, without its groups, vectors and costs."""
    return hypernova.OutcomeTable.from_arrays(
        task_ids=[table.task_ids[i] for i in tasks],
        prompts=[table.prompts[i] for i in tasks],
        models=table.models,
        score=table.score[tasks],
    )


class Draw:
    """A split of a table, with its fitted router."""

    def __init__(self, table: hypernova.OutcomeTable, vectors: np.ndarray, seed: int) -> None:
        self.table, self.vectors, self.seed = table, vectors, seed
        self.order = np.random.default_rng(seed).permutation(table.n_tasks)
        self.logged = self.order[FITTED : FITTED + LOGGED[-1]]
        self.tested = self.order[FITTED + LOGGED[-1] :][-MAX_TESTED:]
        self.fitted = self.fit(0)
        self.before = self.accuracy(self.fitted)

    def fit(self, more: int) -> hypernova.Artifact:
        """Fit on the first tasks and some of the logged ones, with the outcomes of all models."""
        return hypernova.fit(
            part_of(self.table, self.order[: FITTED + more]), describe=False, jobs=1
        )

    def accuracy(self, artifact: hypernova.Artifact) -> float:
        """Average the known scores of the chosen models, in points."""
        taken = artifact.decide_many(self.vectors[self.tested]).model_indices
        return 100.0 * float(np.nanmean(self.table.score[self.tested, taken]))

    def gains(self, explore: float, sketch: bool) -> list[float]:
        """Route and log the logged tasks, and recalibrate after each number of `LOGGED`."""
        router, found = hypernova.Router(self.fitted), []
        with tempfile.TemporaryDirectory() as folder:
            artifact, start = self.fitted, 0
            for end in LOGGED:
                tasks = self.logged[start:end]
                options = {"explore": explore, "explore_seed": self.seed} if explore else {}
                decisions = router.route_many([self.table.prompts[i] for i in tasks], **options)
                with hypernova.OutcomeLog(folder, sketch=sketch) as log:
                    for task, decision in zip(tasks, decisions, strict=True):
                        score = self.table.score[task, self.table.models.index(decision.model)]
                        if not np.isnan(score):
                            log.record_decision(decision)
                            log.record_outcome(decision, float(score))
                artifact, start = hypernova.recalibrate(artifact, folder).artifact, end
                found.append(self.accuracy(artifact) - self.before)
        return found


def measure(name: str, seeds: range) -> tuple[Gains, list[float]]:
    """Measure a table: gains in points, and the accuracies of the fitted artifacts."""
    path = sample_tables() / name if name in TABLES else Path(name)
    table = hypernova.OutcomeTable.read(path)
    vectors = open_embedder("static").embed(list(table.prompts))
    gains: Gains = defaultdict(list)
    before = []
    for seed in seeds:
        draw = Draw(table, vectors, seed)
        before.append(draw.before)
        for size in LOGGED:
            gains[name, size, None, False].append(draw.accuracy(draw.fit(size)) - draw.before)
        for explore in EXPLORE:
            for sketch in (False, True):
                for size, gain in zip(LOGGED, draw.gains(explore, sketch), strict=True):
                    gains[name, size, explore, sketch].append(gain)
    return gains, before


def rows_of(gains: Gains, before: list[float], name: str) -> list[str]:
    """Write the rows of a table."""
    rows = []
    for size in LOGGED:
        full = gains[name, size, None, False]
        for explore in EXPLORE:
            plain, sketched = (gains[name, size, explore, sketch] for sketch in (False, True))
            share = np.mean(sketched) / np.mean(full) if np.mean(full) > 0 else np.nan
            least = min(np.mean(plain), np.mean(sketched))
            reached = (
                ""
                if (size, explore) != (LOGGED[-1], EXPLORE[-1])
                else (", half" if share >= ASKED else ", less than half")
            )
            cells = [
                name, f"{np.mean(before):.2f}", f"{size}", f"{explore:g}", mean_and_error(full),
                mean_and_error(plain), mean_and_error(sketched), f"{share:.0%}",
                f"{min(sketched):+.2f}", ("yes" if least >= -MAX_LOSS else "no") + reached,
            ]  # fmt: skip
            rows.append(f"| {' | '.join(cells)} |")
    return rows


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", default=list(TABLES))
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--first-draw", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, help="folder of the record")
    arguments = parser.parse_args()
    start, rows = time.monotonic(), []
    seeds = range(arguments.first_draw, arguments.first_draw + arguments.draws)
    for name in arguments.tables:
        if not (sample_tables() / name if name in TABLES else Path(name)).exists():
            print(
                f"skipped {name}: not in {sample_tables()}; set HYPERNOVA_SHARED", file=sys.stderr
            )
            continue
        with threadpool_limits(1):  # more gain little, and lose much beside other work
            found = rows_of(*measure(name, seeds), name)
        print(*found, sep="\n", file=sys.stderr, flush=True)
        rows += found
    if not rows:
        sys.exit("no table to measure on; name one, or set HYPERNOVA_SHARED")
    commit, changed = source_state()
    head = ["table", "as fitted", "logged", "explore", "all outcomes known", "without sketches",
            "with sketches", "share", "worst draw", "within"]  # fmt: skip
    record = [
        f"# Learning from use, {datetime.date.today()}, commit {commit}",
        "",
        f"{processor()}, Python {sys.version.split()[0]}, `static`, uncommitted changes: "
        f"{changed}, {(time.monotonic() - start) / 60:.0f} minutes. Accuracy of an artifact fitted "
        f"on {FITTED} tasks without their groups, and gains in points on up to {MAX_TESTED:,} "
        f"other tasks: means of the draws {seeds[0]} to {seeds[-1]}, with the standard error over "
        "draws. *All outcomes known*: fitted on the logged tasks too, with the outcomes of all "
        "models. *Without* and *with sketches*: recalibrated by the log of the decisions, with the "
        "outcome of the model that was taken. *Share*: of the gain with all outcomes known, with "
        f"sketches. *Within*: no mean loss of more than {MAX_LOSS} points. "
        "`python -m benches.learning_from_use`.",
        "",
        f"| {' | '.join(head)} |",
        "| --- |" + " ---: |" * (len(head) - 2) + " --- |",
        *rows,
        "",
    ]
    print("\n".join(record))
    write_page(record, arguments.output, commit, "learning-from-use")


if __name__ == "__main__":
    main()
