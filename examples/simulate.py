"""Simulate the outcome table of the demo, `simulated.jsonl`, from the prompts in `prompts.jsonl`.

Not here: a measurement. No language model was called, the five models do not exist, every success
rate, price and speed below is invented, and nothing here says anything about real models.

The simulation keeps these properties of real tables:

- Models complement each other. `simulated-large` is the best single model, and each of the others
  beats it on some kind of work, or nearly matches it there for much less.
- Outcomes are correlated. A task has one difficulty, and most models' luck on it is that
  difficulty: a hard task is hard for most of them. The stated rates still hold exactly.
- Cells are missing: some outcomes altogether, some only their cost.

The rates were chosen so that routing by kind of work gains 6 to 10 points, or a demo would have
nothing to show: five tables of rates were tried, the first four with a look at seed 7. The last was
settled on the mean held-out gain over eight other seeds, and seed 7 was then taken as it came.

Only uniform draws, comparisons and basic arithmetic are used, no logarithm or cosine, so that one
seed gives the same bytes on every platform. Every cell takes the same number of draws: rewording
a prompt changes that task's row and no other.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

HERE = Path(__file__).resolve().parent

MODELS = (
    "simulated-large",
    "simulated-coder",
    "simulated-maths",
    "simulated-writer",
    "simulated-small",
)

# Invented: expected score of a model (column, in the order of MODELS) on a kind of work (row).
#                   large  coder  maths  writer small
STATED_RATES = {
    "bug_fix":        (0.66, 0.82, 0.58, 0.46, 0.40),
    "sql":            (0.76, 0.74, 0.64, 0.50, 0.48),
    "regex":          (0.76, 0.70, 0.62, 0.48, 0.72),
    "concurrency":    (0.76, 0.58, 0.60, 0.44, 0.36),
    "maths":          (0.58, 0.42, 0.86, 0.44, 0.34),
    "refactoring":    (0.68, 0.82, 0.56, 0.52, 0.44),
    "shell":          (0.80, 0.72, 0.58, 0.52, 0.76),
    "data_wrangling": (0.78, 0.70, 0.66, 0.52, 0.48),
    "prose":          (0.62, 0.36, 0.46, 0.88, 0.48),
    "explain_code":   (0.72, 0.80, 0.62, 0.62, 0.50),
}  # fmt: skip

# Invented, in the order of MODELS.
USD_PER_1K_TOKENS = (0.0150, 0.0060, 0.0055, 0.0045, 0.0004)
SECONDS_PER_1K_TOKENS = (22.0, 12.0, 26.0, 14.0, 5.0)

# Graded work: half a point for a draw within HALF_POINT of the stated rate, on either side; the
# expected score stays at the stated rate.
GRADED = frozenset({"prose", "explain_code"})
HALF_POINT = 0.06

LUCK_IS_DIFFICULTY = 0.65  # chance that a model's luck on a task is the task's difficulty
MISSING_OUTCOME = 0.04
UNKNOWN_COST = 0.03
NOISE = 0.4  # cost and latency are up to this share above rate times length

Cell = dict[str, float | None]
Row = dict[str, object]


def score(rate: float, luck: float, graded: bool) -> float:
    """Return the score of one outcome; its expectation over uniform `luck` is `rate`.

    Args:
        rate: Stated success rate, 0..1.
        luck: Uniform draw in [0, 1); low is good.
        graded: Whether half points are given.

    Returns:
        1, 0.5 or 0; 0.5 only for graded work.
    """
    margin = HALF_POINT if graded else 0.0
    if luck < rate - margin:
        return 1
    return 0.5 if luck < rate + margin else 0


def simulate(tasks: Iterable[dict[str, str]], seed: int) -> Iterator[Row]:
    """Yield one row of the outcome table for each task, in order.

    Args:
        tasks: Objects with `task_id`, `group` and `prompt`.
        seed: Seed of all draws.

    Yields:
        Rows in the JSONL form that `hypernova fit` reads.

    Raises:
        KeyError: A task's group has no stated rates.
    """
    rng = random.Random(seed)
    for task in tasks:
        group = task["group"]
        difficulty = rng.random()
        # Four characters a token; the answer is longer for a harder task.
        kilotokens = (len(task["prompt"]) / 4 + 300 + 600 * difficulty) / 1000
        outcomes: dict[str, Cell] = {}
        for at, model in enumerate(MODELS):
            shared, own, present, priced, null, dearer, slower = [rng.random() for _ in range(7)]
            if present < MISSING_OUTCOME:
                continue
            luck = difficulty if shared < LUCK_IS_DIFFICULTY else own
            cost = USD_PER_1K_TOKENS[at] * kilotokens * (1 + NOISE * dearer)
            latency = SECONDS_PER_1K_TOKENS[at] * kilotokens * (1 + NOISE * slower)
            cell: Cell = {"score": score(STATED_RATES[group][at], luck, group in GRADED)}
            # An unknown cost is written in both ways that a table may have it: null and absent.
            if priced >= UNKNOWN_COST:
                cell["cost_usd"] = round(cost, 6)
            elif null < 0.5:
                cell["cost_usd"] = None
            cell["latency_s"] = round(latency, 2)
            outcomes[model] = cell
        yield {
            "task_id": task["task_id"],
            "prompt": task["prompt"],
            "group": group,
            "outcomes": outcomes,
        }


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the prompts, simulate, and write the outcome table.

    Args:
        arguments: Command line without the program's name; None for the process's own.
    """
    parser = argparse.ArgumentParser(description="Simulate the outcome table of the demo.")
    parser.add_argument("--prompts", type=Path, default=HERE / "prompts.jsonl")
    parser.add_argument("-o", "--out", type=Path, default=HERE / "simulated.jsonl")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args(arguments)

    # Split at line feeds only: a JSON string may hold other characters that end a line elsewhere.
    lines = options.prompts.read_text(encoding="utf-8").split("\n")
    tasks = [json.loads(line) for line in lines if line]
    rows = (json.dumps(row, ensure_ascii=False) for row in simulate(tasks, options.seed))
    # Bytes, so that no platform turns line feeds into its own line ends.
    options.out.write_bytes("".join(f"{row}\n" for row in rows).encode("utf-8"))


if __name__ == "__main__":
    main()
