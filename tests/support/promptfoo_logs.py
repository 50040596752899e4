"""Write evaluations as promptfoo exports them, after its published types, with its own totals.

No package that this project can install runs promptfoo. Run as a script, it writes
``examples/logs/promptfoo/capitals.json``. Not here: reading them.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

TEMPLATE = "Answer with one word. {{question}}"
MODELS = ("example:small", "example:large")
CAPITALS = {
    "What is the capital of Mali?": "Bamako",
    "What is the capital of Peru?": "Lima",
    "What is the capital of Oman?": "Muscat",
    "What is the capital of Fiji?": "Suva",
    "What is the capital of Cuba?": "Havana",
    "What is the capital of Chad?": "N'Djamena",
}
KNOWN = {MODELS[0]: {"Lima", "Havana"}, MODELS[1]: {"Lima", "Havana", "Muscat", "Bamako"}}


def rendered(template: str, variables: dict[str, Any]) -> str:
    """Return a template with its variables in it."""
    for name, value in variables.items():
        template = template.replace("{{" + name + "}}", str(value))
    return template


def result(
    number: int,
    variables: dict[str, Any],
    *,
    model: str = MODELS[0],
    label: str = "",
    template: str = TEMPLATE,
    prompt_number: int = 0,
    expected: str = "Lima",
    score: float = 1.0,
    success: bool | None = None,
    named: dict[str, float] | None = None,
    output: str = "",
    error: str | None = None,
    cached: bool = False,
    metadata: dict[str, Any] | None = None,
    **changed: Any,
) -> dict[str, Any]:
    """Return a result in the layout of version 3; `changed` replaces its parts."""
    success = score == 1.0 if success is None else success
    reason = "Assertion passed" if success else f'Expected output to contain "{expected}"'
    assertion = {"type": "icontains", "value": expected}
    judged = {
        "pass": success,
        "score": score,
        "reason": reason,
        "namedScores": named or {},
        "componentResults": [
            {"pass": success, "score": score, "reason": reason, "assertion": assertion}
        ],
        "assertion": None,
    }
    usage = {"total": 21, "prompt": 18, "completion": 3}
    answer = {
        "output": output,
        "tokenUsage": {"cached": 21, "total": 21} if cached else usage,
        "cached": cached,
        "cost": 0.00004,
    }
    seed = json.dumps([number, model, template, changed.get("promptIdx"), variables], default=str)
    found: dict[str, Any] = {
        "cost": 0 if error else 0.00004,
        "gradingResult": None if error else judged,
        "id": str(uuid.UUID(hashlib.sha256(seed.encode()).hexdigest()[:32])),
        "latencyMs": 0 if error else 3 if cached else 812,
        "namedScores": named or {},
        "prompt": {"raw": rendered(template, variables), "label": template},
        "promptId": hashlib.sha256(template.encode()).hexdigest(),
        "promptIdx": prompt_number,
        "provider": {"id": model, "label": label},
        "score": 0 if error else score,
        "success": False if error else success,
        "testCase": {
            "vars": variables,
            "assert": [assertion],
            "options": {},
            "metadata": metadata or {},
        },
        "testIdx": number,
        "vars": variables,
        "metadata": {"_promptfooFileMetadata": {}},
        "failureReason": 2 if error else int(not success),
    }
    if error:
        found["error"] = error
    else:
        found["response"] = answer
    return {**found, **changed}


def prompts_of(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the prompts of an evaluation, with the totals that promptfoo sums up."""
    prompts: dict[int, dict[str, Any]] = {}
    for row in results:
        prompt = prompts.setdefault(
            row["promptIdx"],
            {
                "raw": row["prompt"]["label"],
                "label": row["prompt"]["label"],
                "id": row["promptId"],
                "provider": row["provider"]["label"] or row["provider"]["id"],
                "metrics": {
                    **dict.fromkeys(("score", "testPassCount", "testFailCount"), 0),
                    **dict.fromkeys(("testErrorCount", "totalLatencyMs", "cost"), 0),
                    "namedScores": {},
                    "namedScoresCount": {},
                    "namedScoreWeights": {},
                },
            },
        )
        metrics = prompt["metrics"]
        errored = row["failureReason"] == 2
        count = "Error" if errored else "Pass" if row["success"] else "Fail"
        metrics[f"test{count}Count"] += 1
        metrics["score"] += row["score"]
        metrics["cost"] += row["cost"]
        metrics["totalLatencyMs"] += row["latencyMs"]
        for name, value in row["namedScores"].items():
            for key, amount in (
                ("namedScores", value),
                ("namedScoresCount", 1),
                ("namedScoreWeights", 1),
            ):
                metrics[key][name] = metrics[key].get(name, 0) + amount
    return [prompts[number] for number in sorted(prompts)]


def export(results: list[dict[str, Any]], **changed: Any) -> dict[str, Any]:
    """Return the JSON export of an evaluation; `changed` replaces parts of its results."""
    counts = [row["failureReason"] for row in results]
    return {
        "evalId": "eval-Ab3-2026-09-01T12:00:00",
        "results": {
            "version": 3,
            "timestamp": "2026-09-01T12:00:00.000Z",
            "prompts": prompts_of(results),
            "results": results,
            "stats": {
                "successes": sum(row["success"] for row in results),
                "failures": counts.count(1),
                "errors": counts.count(2),
            },
            **changed,
        },
        "config": {
            "description": "Capitals",
            "prompts": [TEMPLATE],
            "providers": list(MODELS),
            "tests": [{"vars": row["vars"]} for row in results],
        },
        "shareableUrl": None,
        "metadata": {"promptfooVersion": "0.123.1", "exportedAt": "2026-09-01T12:00:03.000Z"},
    }


def capitals() -> list[dict[str, Any]]:
    """Return results of two models on six questions; one failed, and one is of the cache."""
    results = []
    for number, (question, capital) in enumerate(CAPITALS.items()):
        for prompt_number, model in enumerate(MODELS):
            knows = capital in KNOWN[model]
            results.append(
                result(
                    number,
                    {"question": question},
                    model=model,
                    prompt_number=prompt_number,
                    expected=capital,
                    score=1.0 if knows else 0.0,
                    output=capital if knows else "unknown",
                    error="API error: 429 Too Many Requests"
                    if (number, prompt_number) == (5, 0)
                    else None,
                    cached=(number, prompt_number) == (4, 1),
                    metadata={"category": "geography"},
                )
            )
    return results


if __name__ == "__main__":
    TARGET = Path(__file__).parents[2] / "examples" / "logs" / "promptfoo" / "capitals.json"
    TARGET.write_text(json.dumps(export(capitals()), indent=2) + "\n", encoding="utf-8")
