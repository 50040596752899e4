"""Choose a model for each prompt of a JSONL file, one chunk in memory at a time.

Not here: calls of the models. The script prints the number of prompts of each model, and the
expected cost beside that of the default model alone:

    python examples/batch.py examples/prompts.jsonl decisions.jsonl -a router.hnv --cost-weight 1
"""

import argparse
import json
import os
from collections import Counter
from itertools import islice
from pathlib import Path

import hypernova

CHUNK = 1024


def main() -> None:
    """Route a file."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("prompts", type=Path, help="JSONL with task_id and prompt")
    parser.add_argument("decisions", type=Path, help="JSONL to write")
    parser.add_argument("-a", "--artifact", help="by default the bundled one")
    parser.add_argument("--cost-weight", type=float, help="success per USD")
    arguments = parser.parse_args()

    router = hypernova.Router.open(arguments.artifact)
    taken: Counter[str] = Counter()
    cost = default_cost = 0.0
    part = arguments.decisions.with_suffix(".part")  # a job that is ended leaves no half result
    with arguments.prompts.open(encoding="utf-8") as lines, part.open("w", encoding="utf-8") as out:
        while tasks := [json.loads(line) for line in islice(lines, CHUNK)]:
            texts = [task["prompt"] for task in tasks]
            for task, decision in zip(
                tasks, router.route_many(texts, cost_weight=arguments.cost_weight), strict=True
            ):
                costs = {entry.model: entry.cost_usd or 0.0 for entry in decision.ranking}
                cost += costs[decision.model]
                default_cost += costs[router.artifact.default_model]
                taken[decision.model] += 1
                row = {
                    "task_id": task["task_id"],
                    "model": decision.model,
                    "reason": decision.reason,
                    "then": [entry.model for entry in decision.ranking[1:3]],
                    "id": decision.id,
                }
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
        out.flush()
        os.fsync(out.fileno())
    part.replace(arguments.decisions)
    for model, count in taken.most_common():
        print(f"{count:6}  {model}")
    print(f"expected ${cost:.2f}, with {router.artifact.default_model} alone ${default_cost:.2f}")


if __name__ == "__main__":
    main()
