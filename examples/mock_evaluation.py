"""Run mock models with Inspect AI, which writes logs as it does of real ones: no model is called.

Each group of tasks in `simulated.jsonl` becomes a task of Inspect, and each simulated model a mock
model that answers, costs and is scored as the table says; where the table has no outcome the model
fails. The logs are what `hypernova import` reads.

Not here: a measurement. The outcomes are invented (`simulate.py`).

    pip install inspect_ai
    python examples/mock_evaluation.py logs
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspect_ai import Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessage, ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer
from inspect_ai.solver import TaskState, generate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inspect_ai.model import Model

TABLE = Path(__file__).resolve().parent / "simulated.jsonl"


@scorer(metrics=[mean()])  # type: ignore[untyped-decorator]  # without its types
def stated() -> Scorer:
    """Score an answer with the number that it consists of: a mock model states its score."""

    async def score(state: TaskState, _target: Target) -> Score:
        return Score(value=float(state.output.completion), answer=state.output.completion)

    return score


def mock_model(name: str, rows: Sequence[dict[str, Any]]) -> Model:
    """Return a model that answers each prompt with its score in the table, at its cost there."""
    outcomes = {row["prompt"]: row["outcomes"].get(name) for row in rows}

    def answer(messages: list[ChatMessage], *_: object) -> ModelOutput:
        outcome = outcomes[messages[-1].text]
        if outcome is None:
            raise RuntimeError("the mock model failed, as the table has no outcome")
        output = ModelOutput.from_content(f"mockllm/{name}", str(outcome["score"]))
        output.usage = ModelUsage(total_cost=outcome.get("cost_usd"))
        return output

    return get_model(f"mockllm/{name}", custom_outputs=answer)


def main() -> None:
    """Run all tasks under all models."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("logs", help="folder for the logs")
    parser.add_argument("--models", nargs="+", metavar="M", help="only these of the table's models")
    parser.add_argument("--groups", nargs="+", metavar="G", help="only these of its groups")
    parser.add_argument("--limit", type=int, metavar="N", help="only so many tasks of each group")
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in TABLE.read_text(encoding="utf-8").splitlines()]
    models = arguments.models or sorted({name for row in rows for name in row["outcomes"]})
    groups = arguments.groups or sorted({row["group"] for row in rows})
    tasks = [
        Task(
            name=group,
            dataset=[
                Sample(id=row["task_id"], input=row["prompt"])
                for row in rows
                if row["group"] == group
            ],
            solver=generate(),
            scorer=stated(),
        )
        for group in groups
    ]
    logs = evaluate(
        tasks,
        model=[mock_model(name, rows) for name in models],
        limit=arguments.limit,
        log_dir=arguments.logs,
        fail_on_error=False,
        display="none",
    )
    print(f"{len(logs)} logs in {arguments.logs}: {len(groups)} tasks under {len(models)} models")


if __name__ == "__main__":
    main()
