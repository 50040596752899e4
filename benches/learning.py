"""Check that recalibration follows a model that got worse, and how heavy an outcome may weigh.

Not here: speed. Exploration is drawn by this script, by the rule of ``explore=``.
One part of a table is fitted and another is served in three stretches, with a recalibration after
each; the rest gives the accuracy. The outcomes are once those of the table, and once those of a
default model that fails three tenths of what it used to solve.

    python -m benches.learning TABLE
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import product
from pathlib import Path

import numpy as np

import hypernova
from hypernova.embedder import open_embedder
from hypernova.outcome_log import LoggedDecision, LoggedOutcome

EXPLORE = (0.0, 0.05, 0.2)
WEIGHTS = (1.0, 2.0, 5.0, 20.0)
STRETCHES = 3
START = 1_764_000_000.0


def part_of(table: hypernova.OutcomeTable, tasks: np.ndarray) -> hypernova.OutcomeTable:
    """Select tasks of a table, without its vectors and costs."""
    return hypernova.OutcomeTable.from_arrays(
        task_ids=[table.task_ids[i] for i in tasks],
        prompts=[table.prompts[i] for i in tasks],
        groups=[table.groups[i] for i in tasks],
        models=table.models,
        score=table.score[tasks],
    )


def serve(artifact, vectors, score, explore, rng, path: Path) -> None:
    """Write the log of a stretch: one decision and one outcome a task."""
    models, lines = artifact.models, []
    for number, decided in enumerate(artifact.decide_many(vectors)):
        estimated = {entry.model: entry.success for entry in decided.ranking}
        model = models[rng.integers(len(models))] if rng.random() < explore else decided.model
        chance = explore / len(models) + (1 - explore) * (model == decided.model)
        decision = LoggedDecision(
            rng.bytes(16).hex(), START, artifact.sha256, model, decided.cluster, chance,
            "routed", float(decided.novelty), estimated[model],
        )  # fmt: skip
        outcome = LoggedOutcome(decision.id, START, float(score[number, models.index(model)]))
        lines += [decision.line(), outcome.line()]
    path.write_bytes(b"".join(lines))


def accuracy(artifact, vectors, score) -> float:
    """Average the scores of the chosen models."""
    taken = artifact.decide_many(vectors).model_indices
    return float(score[np.arange(len(score)), taken].mean())


def run(table: hypernova.OutcomeTable, fit_on: int, test_on: int, draws: int) -> None:
    """Print the accuracy for each rate of exploration and bound of the weight."""
    vectors = open_embedder("static").embed(list(table.prompts))
    rows: dict[tuple[str, object, object], list[float]] = {}
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        order = rng.permutation(table.n_tasks)
        logged, test = order[fit_on:-test_on], order[-test_on:]
        fitted = hypernova.fit(part_of(table, order[:fit_on]), describe=False)
        worse = table.score.copy()
        worse[:, table.models.index(fitted.default_model)] *= rng.random(table.n_tasks) < 0.7
        for world, score in (("as fitted", table.score), ("default got worse", worse)):
            rows.setdefault((world, "-", "-"), []).append(
                accuracy(fitted, vectors[test], score[test])
            )
            for explore, weight in product(EXPLORE, WEIGHTS):
                if explore == 0.0 and weight > 1.0:
                    continue  # all weights are 1
                artifact, again = fitted, np.random.default_rng(seed)
                with tempfile.TemporaryDirectory() as folder:
                    for stretch, tasks in enumerate(np.array_split(logged, STRETCHES)):
                        path = Path(folder) / f"{stretch}.jsonl"
                        serve(artifact, vectors[tasks], score[tasks], explore, again, path)
                        done = hypernova.recalibrate(artifact, path, max_weight=weight)
                        artifact = done.artifact
                rows.setdefault((world, explore, weight), []).append(
                    accuracy(artifact, vectors[test], score[test])
                )
    print(f"{table.name}: {fit_on} tasks fitted, {len(logged)} logged, {test_on} tested, {draws}x")
    print("| world | explore | heaviest weight | accuracy |\n| --- | --- | --- | --- |")
    for (world, explore, weight), seen in rows.items():
        print(f"| {world} | {explore} | {weight} | {np.mean(seen):.4f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table")
    parser.add_argument("--fit-on", type=int, default=800)
    parser.add_argument("--test-on", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=4)
    arguments = parser.parse_args()
    loaded = hypernova.OutcomeTable.read(arguments.table)
    run(loaded, arguments.fit_on, arguments.test_on, arguments.draws)
