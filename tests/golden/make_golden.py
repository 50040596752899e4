"""Make the golden artifacts of each format version and the .json files that state what is in them.

Not for daily use: a golden file is never rewritten. Run from ``tests/``, with the package
installed: ``python -m golden.make_golden``. It writes what is missing and stops where a file
stands that holds something else. The decisions in the .json are the reference reader's, and are
written only if the Rust core decides the same.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

from hypernova import Artifact, errors
from support.paths import GOLDEN
from support.reference_reader import NoCandidate, Novel, ReferenceArtifact, decide, read

NAMES = tuple(f"v1_{minor}_{name}" for minor in range(4) for name in ("small", "text"))
F32_TABLES = ("mean", "success", "standard_error", "gain_error", "cost", "latency")
NAN = float("nan")


def arguments(values: dict[str, Any]) -> dict[str, Any]:
    """Turn the ``values`` of a golden .json into the arguments of ``Artifact.build``.

    Args:
        values: As in the file; null in an array is NaN.
    """
    arrays = {name: np.array(values[name], np.float32) for name in (*F32_TABLES, "centroids")}
    arrays["counts"] = np.array(values["counts"], np.float64)
    flat = [name for name in ("novelty", "slopes", "offsets") if name in values]
    arrays |= {name: np.array(values[name], np.float32) for name in flat}
    for name in ("group_profiles", "token_profiles"):
        if name in values:
            arrays[name] = {
                key: value
                if key == "names"
                else np.array(value, np.float64 if key in ("tasks", "counts") else np.float32)
                for key, value in values[name].items()
            }
    given = {**values, **arrays}
    if "nearest" in given:
        given["n_nearest"] = given.pop("nearest")
    return given


def decision_values(decision: Any) -> dict[str, Any]:
    """Give a decision, of either reader, as it stands in a golden .json."""
    return {
        "model": decision.model,
        "cluster": int(decision.cluster),
        "distance": float(decision.distance),
        "novelty": float(decision.novelty),
        "reason": decision.reason,
        "ranking": [
            [e.model, e.success, e.cost_usd, e.latency_s, e.n, e.utility] for e in decision.ranking
        ],
        "group": decision.group,
        "unknown_group": decision.unknown_group,
    }


def plain(value: Any) -> Any:
    """Give a value as JSON holds it: float32 by its shortest digits, NaN as null."""
    if isinstance(value, np.ndarray):
        return [plain(v) for v in value]
    if isinstance(value, np.floating):
        number = float(str(value))
        if np.isnan(number):
            return None
        assert value.dtype.type(number) == value, "the digits do not give the value back"
        return number
    return value


def small() -> tuple[dict[str, Any], list[tuple[list[float], dict[str, Any]]]]:
    """Give the handmade values: binary fractions, so that a person can check each decision."""
    values = {
        "models": ["alpha", "béta/大-mini", "gamma", "delta"],
        "default_model": 1,
        "cost_weight": 0.0,
        "latency_weight": 0.0,
        "max_cost_usd": None,
        "min_success": 0.0,
        "guard_z": 1.0,
        "novelty_limit": 0.75,
        "shrinkage": 2.0,
        "centroids": [[0.0, 0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0], [0.0, 2, 0, 0, 0]],
        "counts": [[8.0, 8.0, 4.0, 0.0], [2, 2, 2, 2], [0.5, 4, 0, 1], [10.5, 14, 6, 3]],
        "mean": [[0.5, 0.75, 1.0, 0.0], [1, 1, 0.5, 1], [1, 0.5, 0, 0], [0.75, 0.75, 0.75, 0.5]],
        "success": [
            [0.5, 0.75, 0.875, 0.5],
            [0.75, 0.75, 0.75, 0.75],
            [1.0, 0.5, 1.0, 0.25],
            [0.625, 0.75, 0.75, 0.5],
        ],
        "standard_error": [[0.125, 0.125, 0.25, 0.5], [0.25] * 4, [0, 0.25, 0.5, 0.5], [0.125] * 4],
        "gain_error": [
            [0.125, 0.0, 0.0625, 0.25],
            [0.0, 0.0, 0.0, 0.0],
            [0.25, 0.0, 0.5, 0.5],
            [0.25, 0.0, 0.25, 0.25],
        ],
        "cost": [[0.5, 1.0, 2.0, NAN], [NAN] * 4, [0.25, 0.5, NAN, 0.0], [0.5, 1.0, 2.0, NAN]],
        "latency": [[1.0, 2.0, NAN, 0.5], [NAN] * 4, [1.0] * 4, [1.0, 2.0, 3.0, 4.0]],
        "novelty": [0.25, 0.5, 1.0, 2.0],
        "embedder": json.dumps(
            {"name": "by hand", "dim": 5, "fingerprint": "0123456789abcdef" * 4, "kind": "vectors"}
        ),
        "metadata": '{"made": "by hand"}',
    }
    at_0, at_1, at_2 = [0.0] * 5, [1.0, 0, 0, 0, 0], [0.0, 2, 0, 0, 0]
    between_0_and_1, beyond_2 = [0.5, 0, 0, 0, 0], [0.0, 2, 1.5, 0, 0]
    queries: list[tuple[list[float], dict[str, Any]]] = [
        (at_0, {}),
        (between_0_and_1, {}),
        (at_1, {}),
        (at_2, {}),
        (beyond_2, {}),
        (at_0, {"cost_weight": 0.25}),
        (at_0, {"max_cost_usd": 1.0}),
        (at_0, {"cost_weight": 0.5, "prices": {"gamma": 0.25, "delta": 0.0}}),
        (at_0, {"deny": ["gamma"]}),
        (at_0, {"allow": ["delta", "alpha"]}),
        (at_1, {"latency_weight": 0.5}),
        (at_2, {"min_success": 0.5}),
        (beyond_2, {"allow": ["alpha"]}),
        (between_0_and_1, {"latency_weight": 0.125}),
        (at_1, {"max_cost_usd": 100.0}),
    ]
    return values, queries


def text() -> tuple[dict[str, Any], list[tuple[list[float], dict[str, Any]]]]:
    """Give random values of a realistic shape, with every policy default set."""
    random = np.random.default_rng(20_26)
    k, d, m = 20, 48, 7
    shape = (k + 1, m)
    centroids = random.normal(size=(k, d)).astype(np.float32)
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    counts = random.integers(0, 30, shape) * (random.random(shape) < 0.85) / 2.0
    mean = np.where(counts > 0, random.integers(0, 9, shape) / 8.0, 0.0)
    prior = random.random(m) * 0.6 + 0.2
    success = ((counts * mean + 4 * prior) / (counts + 4)).astype(np.float32)
    spread = np.sqrt(success * (1 - success) / (counts + 4)).astype(np.float32)
    cost = (random.random(shape) * np.geomspace(0.001, 0.5, m)).astype(np.float32)
    cost[random.random(shape) < 0.2] = NAN
    latency = (random.random(shape) * 20).astype(np.float32)
    latency[random.random(shape) < 0.3] = NAN
    values = {
        "models": ["nano", "mini", "small", "medium", "large", "größer", "次世代 (preview)"],
        "default_model": 4,
        "cost_weight": 0.2,
        "latency_weight": 0.004,
        "max_cost_usd": 0.4375,
        "min_success": 0.125,
        "guard_z": 0.75,
        "novelty_limit": 0.9,
        "shrinkage": 4.0,
        "centroids": plain(centroids),
        "counts": counts.tolist(),
        "mean": mean.tolist(),
        "success": plain(success),
        "standard_error": plain(spread),
        "gain_error": plain(spread * np.float32(0.75)),
        "cost": plain(cost),
        "latency": plain(latency),
        "novelty": plain(np.sort(random.random(21) * 0.8).astype(np.float32)),
        "embedder": json.dumps(
            {
                "name": "static",
                "dim": d,
                "fingerprint": "f0" * 32,
                "kind": "text",
                "pooling": "mean",
                "origin": "made up for this test",
            }
        ),
        "metadata": json.dumps({"seed": 2026, "note": "random values: no data, no model"}),
    }
    options: list[dict[str, Any]] = [
        {},
        {},
        {},
        {"cost_weight": 0.0, "latency_weight": 0.0},
        {"cost_weight": 3.0},
        {"latency_weight": 0.05},
        {"max_cost_usd": 0.01},
        {"min_success": 0.5, "max_cost_usd": 10.0},
        {"allow": ["nano", "größer", "次世代 (preview)"], "max_cost_usd": 10.0},
        {"deny": ["large", "medium"]},
        {"prices": {"nano": 0.3, "large": 0.0}, "cost_weight": 1.0},
        {"cost_weight": 0.5, "latency_weight": 0.01, "max_cost_usd": 0.1, "min_success": 0.25},
        {},
    ]
    queries = []
    for i, one in enumerate(options):
        near = centroids[i % k] + random.normal(size=d) * (0.02, 0.05, 0.07, 0.3)[i % 4]
        vector = centroids[i] if i == 2 else near.astype(np.float32)
        queries.append((plain(vector), one))
    return values, queries


def small_blended() -> tuple[dict[str, Any], list[tuple[list[float], dict[str, Any]]]]:
    """Give the handmade values with blended clusters and linear corrections of binary fractions."""
    values, queries = small()
    slopes = [[0.25, 0, 0, 0, 0], [0.0] * 5, [0, 0.125, 0, 0, -0.5], [2.0, 2, 2, 2, 2]]
    values |= {
        "sharpness": 2.0,
        "nearest": 2,
        "slopes": slopes,
        "offsets": [0.0, 0.0625, 0.0, -0.25],
    }
    between_1_and_2, high = [0.5, 1.0, 0, 0, 0], [0.5, 0, 0, 0, -0.25]
    more: list[tuple[list[float], dict[str, Any]]] = [
        (between_1_and_2, {}),
        (between_1_and_2, {"cost_weight": 0.125, "latency_weight": 0.0625}),
        (high, {"min_success": 0.75}),
    ]
    return values, queries + more


def text_blended() -> tuple[dict[str, Any], list[tuple[list[float], dict[str, Any]]]]:
    """Give the random values with blended clusters and random linear corrections."""
    values, queries = text()
    random = np.random.default_rng(11)
    k, d, m = 20, 48, 7
    slopes = (random.normal(size=(m, d)) * 0.1).astype(np.float32)
    offsets = (random.normal(size=m) * 0.05).astype(np.float32)
    values |= {
        "sharpness": 6.5,
        "nearest": 8,
        "slopes": plain(slopes),
        "offsets": plain(offsets),
    }
    centroids = np.array(values["centroids"], np.float32)
    more: list[tuple[list[float], dict[str, Any]]] = []
    for i in range(4):
        middle = (centroids[i] + centroids[(3 * i + 5) % k]) / np.float32(2)
        more.append((plain(middle), {"max_cost_usd": 10.0} if i % 2 else {}))
    return values, queries + more


# By this price for tokens a model costs as many USD as it reads or writes 1,024 tokens.
EACH_1024 = 1e6 / 1024


def small_grouped() -> tuple[dict[str, Any], list[tuple[list[float], dict[str, Any]]]]:
    """Give the handmade values with groups and tokens of binary fractions, too."""
    values, queries = small_blended()
    values |= {
        "group_profiles": {
            "names": ["sql", "übersetzen/大", "alpha"],
            "tasks": [8.0, 2.5, 0.0],
            "counts": [[8.0, 8.0, 4.0, 0.0], [2.0, 2.5, 2.0, 1.0], [0.0] * 4],
            "mean": [[0.5, 0.75, 0.25, 0.0], [1.0, 0.5, 0.0, 1.0], [0.0] * 4],
            "success": [[0.5, 0.75, 0.25, 0.5], [1.0, 0.5, 0.25, 0.875], [0.625, 0.75, 0.75, 0.5]],
            "standard_error": [[0.125] * 4, [0.25] * 4, [0.5] * 4],
            "gain_error": [[0.125, 0.0, 0.0625, 0.25], [0.25, 0, 0.5, 0.125], [0.25, 0, 0.25, 0]],
            "cost": [[0.5, 1.0, 2.0, NAN], [0.25, 0.5, 1.0, 0.0], [NAN] * 4],
            "latency": [[1.0, 2.0, NAN, 0.5], [1.0] * 4, [NAN] * 4],
            "offsets": [[0.0, 0.0, 0.0, 0.0], [0.0, 0.0625, -0.25, 0.0], [0.0, 0.0, 0.0, 0.5]],
            "slopes": [[0.25, 0, 0, 0, 0], [0.0] * 5, [0, 0.5, 0, 0, 0], [0, 0, 0, 0, -1.0]],
        },
        "token_profiles": {
            "per_prompt": [[8.0, 0.25], [16.0, 0.25], [NAN, 0.25], [4.0, NAN]],
            "input": [
                [1024.0, 1024.0, 2048.0, NAN],
                [512.0, NAN, 512.0, 512.0],
                [NAN, 256.0, 256.0, 256.0],
                [1024.0, 1024.0, 1024.0, NAN],
            ],
            "output": [
                [256.0, 512.0, 1024.0, 128.0],
                [64.0, 64.0, NAN, 64.0],
                [128.0, 128.0, 128.0, NAN],
                [256.0, 256.0, 512.0, 64.0],
            ],
            "group_input": [
                [2048.0, 1024.0, 4096.0, NAN],
                [512.0, 512.0, NAN, 512.0],
                [1024.0] * 4,
            ],
            "group_output": [[512.0, 256.0, 1024.0, 64.0], [128.0] * 4, [NAN, 64.0, 64.0, 64.0]],
        },
    }
    at_0, at_2, beyond_2 = [0.0] * 5, [0.0, 2, 0, 0, 0], [0.0, 2, 1.5, 0, 0]
    between_0_and_1, below = [0.5, 0, 0, 0, 0], [0.0, 0, 0, 0, 0.5]
    sql, translate = {"group": "sql"}, {"group": "übersetzen/大"}
    prices = {name: [EACH_1024, 2 * EACH_1024] for name in ("alpha", "béta/大-mini", "gamma")}
    priced = {"prices": prices, "cost_weight": 0.125}
    more: list[tuple[list[float], dict[str, Any]]] = [
        (at_0, sql),
        (at_2, sql),
        (at_2, translate),
        (beyond_2, translate),
        (beyond_2, {"group": "alpha"}),
        (beyond_2, {"group": "gamma"}),
        (beyond_2, {"group": "alpha", "on_novel": "error"}),
        (beyond_2, {"group": "SQL", "on_novel": "best_overall"}),
        (between_0_and_1, {"group": ""}),
        (below, {"group": "alpha"}),
        (at_0, {**translate, "cost_weight": 0.25, "latency_weight": 0.125}),
        (at_0, {**sql, "max_cost_usd": 1.0}),
        (at_0, {"group": "alpha", "max_cost_usd": 100.0}),
        (at_0, priced),
        (at_2, {**priced, "prompt_chars": 2048}),
        (at_2, {**priced, "input_tokens": 512}),
        (at_2, {**priced, "input_tokens": 512, "prompt_chars": 2048}),
        (beyond_2, {**priced, "prompt_chars": 0}),
        (at_0, {**priced, **sql}),
        (at_0, {**priced, **sql, "prompt_chars": 992.0}),
        (at_0, {**priced, **translate, "max_cost_usd": 0.75, "input_tokens": 0.0}),
        (at_0, {**priced, "group": "alpha", "prompt_chars": 96}),
        (at_0, {**priced, **sql, "prices": {**prices, "delta": 0.5}}),
        (at_0, {**sql, "previous_model": "alpha", "switch_cost": 0.25}),
        (at_0, {**translate, "deny": ["alpha"], "min_success": 0.5, "prompt_chars": 7}),
        (at_0, {"prompt_chars": 100, "input_tokens": 25, "cost_weight": 0.25}),
    ]
    return values, queries + more


def text_grouped() -> tuple[dict[str, Any], list[tuple[list[float], dict[str, Any]]]]:
    """Give the random values, not blended, with random groups and tokens."""
    values, queries = text()
    random = np.random.default_rng(12)
    d, m, rows = 48, 7, 21
    groups = ["code", "sql", "翻訳", "summaries", "maths, hard"]
    shape = (len(groups), m)
    counts = random.integers(0, 60, shape) * (random.random(shape) < 0.85) / 2.0
    mean = np.where(counts > 0, random.integers(0, 9, shape) / 8.0, 0.0)
    success = ((counts * mean + 2.0) / (counts + 4)).astype(np.float32)
    spread = np.sqrt(success * (1 - success) / (counts + 4)).astype(np.float32)

    def amounts(high: float, unknown: float, *shape: int) -> Any:
        drawn = (random.random(shape) * high).astype(np.float32)
        drawn[random.random(shape) < unknown] = NAN
        return drawn

    per_prompt = (random.random((m, 2)) * [40, 0.5]).astype(np.float32)
    per_prompt[2, 0] = per_prompt[3, 1] = NAN
    tokens = {
        "per_prompt": per_prompt,
        "input": amounts(3000, 0.2, rows, m),
        "output": amounts(900, 0.2, rows, m),
        "group_input": amounts(3000, 0.2, *shape),
        "group_output": amounts(900, 0.2, *shape),
    }
    # Known over the whole table, so that these models can have a price for tokens.
    tokens["input"][-1, :5] = tokens["output"][-1, :5] = 512
    values |= {
        "group_profiles": {
            "names": groups,
            "tasks": counts.max(axis=1).tolist(),
            "counts": counts.tolist(),
            "mean": mean.tolist(),
            "success": plain(success),
            "standard_error": plain(spread),
            "gain_error": plain(spread * np.float32(0.75)),
            "cost": plain(amounts(0.1, 0.2, *shape)),
            "latency": plain(amounts(20, 0.3, *shape)),
            "offsets": plain((random.normal(size=shape) * 0.05).astype(np.float32)),
            "slopes": plain((random.normal(size=(m, d)) * 0.1).astype(np.float32)),
        },
        "token_profiles": {name: plain(value) for name, value in tokens.items()},
    }
    prices = {name: [0.5 * 4**i, 2.0 * 4**i] for i, name in enumerate(values["models"][:5])}
    options: list[dict[str, Any]] = [
        {"group": "code"},
        {"group": "sql", "max_cost_usd": 10.0},
        {"group": "翻訳", "cost_weight": 0.0, "latency_weight": 0.0},
        {"group": "maths, easy"},
        {"group": "maths, hard", "latency_weight": 0.05},
        {"prices": prices, "cost_weight": 20.0},
        {"prices": prices, "prompt_chars": 12_345, "max_cost_usd": 1.0},
        {"prices": prices, "input_tokens": 77, "max_cost_usd": 0.01},
        {"prices": {**prices, "größer": 0.125}, "group": "summaries"},
        {"prices": prices, "group": "sql", "prompt_chars": 400, "cost_weight": 30.0},
        {"prices": prices, "group": "code", "input_tokens": 9_000.0, "deny": ["nano"]},
        {"group": "summaries", "previous_model": "mini", "switch_cost": 0.5},
        {"on_novel": "best_overall", "prices": prices},
        {"on_novel": "error", "group": "code"},
    ]
    centroids = np.array(values["centroids"], np.float32)
    more = []
    for i, one in enumerate(options):
        near = centroids[i] + random.normal(size=d) * (0.02, 0.3)[i % 2]
        more.append((plain(near.astype(np.float32)), one))
    return values, queries + more


def small_with_margin() -> tuple[dict[str, Any], list[tuple[list[float], dict[str, Any]]]]:
    """Give the handmade values with groups and tokens, not blended, and with a margin.

    In cluster 2, alpha gains as much as margin and guard together, and no more.
    """
    values, queries = small_grouped()
    for name in ("sharpness", "nearest", "slopes", "offsets"):
        del values[name]
    values["margin"] = 0.25
    at_2, beyond_2 = [0.0, 2, 0, 0, 0], [0.0, 2, 1.5, 0, 0]
    translate, sure = {"group": "übersetzen/大"}, {"cost_weight": 2.0}
    more: list[tuple[list[float], dict[str, Any]]] = [
        (at_2, {"cost_weight": 0.5}),
        (at_2, {"deny": ["béta/大-mini"]}),
        (at_2, {"previous_model": "alpha", "switch_cost": 0.0}),
        (at_2, {**translate, "deny": ["alpha"]}),
        (at_2, {"group": "Übersetzen"}),
        (beyond_2, {"cost_weight": 1.0}),
        (beyond_2, sure),
        (beyond_2, {**sure, **translate}),
        (beyond_2, {"cost_weight": 1.0, "on_novel": "best_overall"}),
    ]
    return values, queries + more


def text_with_margin() -> tuple[dict[str, Any], list[tuple[list[float], dict[str, Any]]]]:
    """Give the random values with all sections that there are."""
    values, queries = text_grouped()
    blended, more = text_blended()
    values |= {name: blended[name] for name in ("sharpness", "nearest", "slopes", "offsets")}
    values["margin"] = 0.05
    return values, queries + more[-4:]  # the others are among those already


def stated(reference: ReferenceArtifact, vector: list[float], options: dict[str, Any]) -> Any:
    """Give what the reference reader decides, or ``"no candidate"`` or ``"novel"``."""
    try:
        return decision_values(decide(reference, np.array(vector, np.float32), **options))
    except NoCandidate:
        return "no candidate"
    except Novel:
        return "novel"


def decided(artifact: Artifact, vector: list[float], options: dict[str, Any]) -> Any:
    """Give what the Rust core decides, or ``"no candidate"`` or ``"novel"``."""
    try:
        return decision_values(artifact.decide(np.array(vector, np.float32), **options))
    except errors.NoCandidateError:
        return "no candidate"
    except errors.NovelPromptError:
        return "novel"


def dump(document: dict[str, Any]) -> str:
    """Write a golden .json: one line for each row of an array and for each query."""

    def one(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)

    def rows(items: list[Any], indent: int) -> str:
        space = " " * indent
        return f"[\n{space}  " + f",\n{space}  ".join(map(one, items)) + f"\n{space}]"

    def clean(value: Any) -> Any:
        if isinstance(value, list):
            return [clean(v) for v in value]
        return None if isinstance(value, float) and np.isnan(value) else value

    def block(values: dict[str, Any], indent: int) -> str:
        lines = []
        for name, value in values.items():
            if isinstance(value, dict):
                text = block(value, indent + 2)
            elif isinstance(value, list) and isinstance(value[0], list):
                text = rows(clean(value), indent + 2)
            else:
                text = one(clean(value))
            lines.append(f"{' ' * indent}  {one(name)}: {text}")
        return "{\n" + ",\n".join(lines) + f"\n{' ' * indent}}}"

    head = "".join(f"  {one(k)}: {one(document[k])},\n" for k in ("version", "bytes", "sha256"))
    body, queries = block(document["values"], 2), rows(document["queries"], 4)
    return f'{{\n{head}  "values": {body},\n  "queries": {queries}\n}}\n'


# Of a decision for a prompt without a group, which the files of older versions do not state.
NO_GROUP = {"group": None, "unknown_group": False}


def main() -> None:
    """Write the golden files that are missing.

    Raises:
        SystemExit: A file holds something else, or the two readers disagree.
    """
    made = (
        *(small(), text(), small_blended(), text_blended()),
        *(small_grouped(), text_grouped()),
        *(small_with_margin(), text_with_margin()),
    )
    for name, (values, queries) in zip(NAMES, made, strict=True):
        artifact = Artifact.build(**arguments(values))
        data = artifact.to_bytes()
        reference = read(data)
        entries = []
        for vector, options in queries:
            decision = stated(reference, vector, options)
            if decided(artifact, vector, options) != decision:
                sys.exit(f"{name}: the readers disagree on {vector} with {options}")
            if "group_profiles" not in values and isinstance(decision, dict):
                decision = {k: v for k, v in decision.items() if k not in NO_GROUP}
            entries.append({"vector": vector, "wishes": options, "decision": decision})
        document = {
            "version": list(artifact.version),
            "bytes": len(data),
            "sha256": artifact.sha256,
            "values": values,
            "queries": entries,
        }
        for path, content in (
            (GOLDEN / f"{name}.hnv", data),
            (GOLDEN / f"{name}.json", dump(document).encode()),
        ):
            if not path.exists():
                path.write_bytes(content)
                print(f"{path.name}: {len(content)} bytes")
            elif path.read_bytes() != content:
                sys.exit(f"{path} holds something else; golden files are never rewritten")


if __name__ == "__main__":
    main()
