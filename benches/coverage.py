"""Check how often the interval of `evaluate` covers the true gain, and how often *Route* is wrong.

Not here: speed. Tables are drawn from a simulation whose success rates are known. The true gain
for a table is the one that a user will see: that of the artifact fitted to it over its default
model, on new prompts of the same simulation.

    python benches/coverage.py [--tables 120] [--tasks 200]
"""

from __future__ import annotations

import argparse

import numpy as np

import hypernova

MODELS, DIM, NEW_PROMPTS = 3, 16, 20_000


def draw_prompts(
    rng: np.random.Generator, prompts: int, effect: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draw vectors (prompts, DIM) of three overlapping kinds, and success rates (prompts, MODELS).

    Each model solves its own kind with 0.6 + effect, the others with 0.6 - effect / 2.
    """
    kind = rng.integers(0, MODELS, prompts)
    vectors = np.eye(DIM)[kind] + 0.3 * rng.normal(size=(prompts, DIM))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    own = kind[:, None] == np.arange(MODELS)
    return vectors.astype(np.float32), 0.6 + effect * np.where(own, 1.0, -0.5)


def draw_table(rng: np.random.Generator, tasks: int, effect: float) -> hypernova.OutcomeTable:
    """Draw a table; on half of its tasks one draw decides for all models."""
    vectors, rate = draw_prompts(rng, tasks, effect)
    shared = rng.random((tasks, 1)) < 0.5
    luck = np.where(shared, rng.random((tasks, 1)), rng.random((tasks, MODELS)))
    return hypernova.OutcomeTable.from_arrays(
        task_ids=[str(i) for i in range(tasks)],
        prompts=[f"prompt {i}" for i in range(tasks)],
        models=["a", "b", "c"],
        score=(luck < rate).astype(float),
        embedding=vectors,
    )


def true_gain(artifact: hypernova.Artifact, rng: np.random.Generator, effect: float) -> float:
    """Compute the gain over the default model on new prompts, from the known rates."""
    vectors, rate = draw_prompts(rng, NEW_PROMPTS, effect)
    taken = artifact.decide_many(vectors).model_indices
    default = artifact.models.index(artifact.default_model)
    return float((rate[np.arange(NEW_PROMPTS), taken] - rate[:, default]).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int, default=120)
    parser.add_argument("--tasks", type=int, default=200)
    arguments = parser.parse_args()
    for effect in (0.15, 0.05, 0.0):
        rows, routed, wrongly = [], 0, 0
        for seed in range(arguments.tables):
            rng = np.random.default_rng(seed)
            table = draw_table(rng, arguments.tasks, effect)
            truth = true_gain(hypernova.fit(table, seed=seed, clusters=3), rng, effect)
            report = hypernova.evaluate(table, repeats=3, seed=seed, clusters=3, jobs=1)
            gain = report.to_dict()["gain"]
            rows.append((truth, gain["mean"], *gain["ci95"]))
            route = report.verdict.startswith("Route:")
            routed += route
            wrongly += route and truth <= 0
        truth, mean, low, high = np.array(rows).T
        # An interval has no width where every fold took the best single model.
        moved = high > low
        holds = np.mean((low <= truth) & (truth <= high), where=moved)
        print(
            f"effect {effect}: true gain {truth.mean():+.4f}, estimated {mean.mean():+.4f}; the "
            f"interval holds the truth in {holds:.0%} "
            f"of {moved.sum()}, lies above it in {np.mean(low > truth, where=moved):.0%}; verdict "
            f"Route for {routed} of {arguments.tables}, {wrongly} of them wrongly",
            flush=True,
        )


if __name__ == "__main__":
    main()
