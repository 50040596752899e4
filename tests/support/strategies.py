"""Strategies of hypothesis: random artifacts with queries and options, random outcome tables.

Not here: the tests that draw from them.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from hypothesis import strategies as st

from hypernova._core import is_blank
from hypernova.table.model_names import find_lookalikes, name_problem
from support.tables import Example

NAN, INF = float("nan"), float("inf")
WEIGHTS = st.sampled_from([0.0, 0.0, 0.25, 0.5, 1.0, 0.3, 7.0, 1e-3, 1e300])
LIMITS = st.sampled_from([0.0, 0.25, 0.5, 0.7, 1.0, 2.0, 1e9])
SHARES = st.sampled_from([0.0, 0.0, 0.25, 0.5, float(np.float32(0.7)), 0.7, 1.0])


def embedder(dim: int) -> str:
    return json.dumps({"name": "t", "dim": dim, "fingerprint": "ab" * 32, "kind": "vectors"})


def table(
    draw: st.DrawFn, values: list[float], rows: int, columns: int, dtype: type = np.float32
) -> np.ndarray:
    """Draw an array from few values, so that exact ties are the normal case."""
    cells = np.frombuffer(draw(st.binary(min_size=rows * columns, max_size=rows * columns)), "u1")
    return np.array(values, dtype)[cells % len(values)].reshape(rows, columns)


@st.composite
def values(draw: st.DrawFn, **fixed: Any) -> dict[str, Any]:
    """Draw the arguments of ``Artifact.build``."""
    k, d, m = draw(st.integers(1, 4)), draw(st.integers(1, 5)), draw(st.integers(1, 6))
    shape = (k + 1, m)
    counts = table(draw, [0.0, 0.0, 0.5, 1.0, 12.0], *shape, np.float64)
    mean = np.where(counts == 0, 0, table(draw, [0.0, 0.5, 1.0], *shape)).astype(np.float32)
    quantiles = draw(st.lists(st.sampled_from([0, 0.5, 1, 1.5, 2, 0.7]), min_size=2, max_size=6))
    cost = [NAN, 0.0, 0.25, 0.5, 0.7, 2.0]
    drawn = {
        "models": [f"model {i}" for i in range(m)],
        "centroids": table(draw, [0.0, 1.0, -1.0, 0.3], k, d),
        "counts": counts,
        "mean": mean,
        "success": table(draw, [0.0, 0.25, 0.5, 0.5, 0.7, 0.75, 1.0], *shape),
        "standard_error": table(draw, [0.0, 0.1], *shape),
        "gain_error": table(draw, [0.0, 0.0, 0.125, 0.25, 0.1], *shape),
        "cost": table(draw, cost, *shape),
        "latency": table(draw, cost, *shape),
        "novelty": np.array(sorted(quantiles), np.float32),
        "embedder": embedder(d),
        "metadata": "{}",
        "default_model": draw(st.integers(0, m - 1)),
        "cost_weight": draw(WEIGHTS),
        "latency_weight": draw(WEIGHTS),
        "max_cost_usd": draw(st.none() | LIMITS),
        "min_success": draw(SHARES),
        "guard_z": draw(st.sampled_from([0.0, 0.5, 1.0, 2.0, 1e6])),
        "margin": draw(st.sampled_from([0.0, 0.0, 0.125, 0.1, 1e6])),
        "novelty_limit": draw(st.sampled_from([0.0, 0.5, 0.9, 1.0, 1.0])),
        "shrinkage": 1.0,
    }
    if draw(st.booleans()):
        drawn["sharpness"] = draw(st.sampled_from([5e-324, 0.01, 0.7, 1.0, 40.0, 1e308]))
        drawn["n_nearest"] = draw(st.integers(1, 5) | st.just(16))
    if draw(st.booleans()):
        some = [0.0, 0.0, 0.125, 0.3, -0.25, -2.0, 3e38]
        drawn["offsets"] = table(draw, some, 1, m)[0]
        drawn["slopes"] = table(draw, some, m, d)
    if draw(st.booleans()):
        drawn["group_profiles"] = _group_profiles(draw, m, d)
    if draw(st.booleans()):
        n = len(drawn["group_profiles"]["names"]) if "group_profiles" in drawn else 0
        drawn["token_profiles"] = _token_profiles(draw, k, m, n)
    return {**drawn, **fixed}


GROUPS = ["sql", "model 0", "größer"]  # a group may have the name of a model


def _group_profiles(draw: st.DrawFn, m: int, d: int) -> dict[str, Any]:
    names = draw(st.permutations(GROUPS))[: draw(st.integers(1, len(GROUPS)))]
    shape = (len(names), m)
    counts = table(draw, [0.0, 0.0, 0.5, 12.0], *shape, np.float64)
    cost = [NAN, 0.0, 0.25, 0.7, 2.0]
    made = {
        "names": names,
        "tasks": table(draw, [0.0, 1.0, 2.5], 1, len(names), np.float64)[0],
        "counts": counts,
        "mean": np.where(counts == 0, 0, table(draw, [0.0, 0.5, 1.0], *shape)).astype(np.float32),
        "success": table(draw, [0.0, 0.25, 0.5, 0.5, 0.7, 1.0], *shape),
        "standard_error": table(draw, [0.0, 0.1], *shape),
        "gain_error": table(draw, [0.0, 0.0, 0.125, 0.1], *shape),
        "cost": table(draw, cost, *shape),
        "latency": table(draw, cost, *shape),
    }
    if draw(st.booleans()):
        some = [0.0, 0.0, 0.125, 0.3, -0.25, -2.0, 3e38]
        made["offsets"] = table(draw, some, *shape)
        made["slopes"] = table(draw, some, m, d)
    return made


def _token_profiles(draw: st.DrawFn, k: int, m: int, groups: int) -> dict[str, Any]:
    some = [NAN, 0.0, 256.0, 1000.0, 3.0e38]
    made = {
        "per_prompt": table(draw, [NAN, 0.0, 8.0, 0.25, 3.0e38], m, 2),
        "input": table(draw, some, k + 1, m),
        "output": table(draw, some, k + 1, m),
    }
    if groups:
        made["group_input"] = table(draw, some, groups, m)
        made["group_output"] = table(draw, some, groups, m)
    return made


def facts(draw: st.DrawFn) -> dict[str, Any]:
    """Draw what a caller states about a prompt; each is left out half of the time."""
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "group": st.sampled_from([*GROUPS, "SQL"]),
        "prompt_chars": st.sampled_from([0, 7, 1000.5, 1e300]),
        "input_tokens": st.sampled_from([0, 12, 500.25, 1e300]),
    }
    return {name: draw(kind) for name, kind in kinds.items() if draw(st.booleans())}


def options(draw: st.DrawFn, drawn: dict[str, Any]) -> dict[str, Any]:
    """Draw route options; each is left out half of the time."""
    models = drawn["models"]
    tokens = drawn.get("token_profiles")
    priced = {name: st.sampled_from([0.0, 0.25, 0.7, 3.0]) for name in models}
    pairs = st.sampled_from([(0.0, 0.0), (976.5625, 0.0), (3.0, 15.0), (0.0, 0.3), (1e290, 1e290)])
    for i, name in enumerate(models):
        if tokens and not np.isnan([tokens["input"][-1, i], tokens["output"][-1, i]]).any():
            priced[name] |= pairs
    some = st.lists(st.sampled_from(models), max_size=len(models) + 1)
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "cost_weight": WEIGHTS,
        "latency_weight": WEIGHTS,
        "max_cost_usd": LIMITS | st.just(INF),
        "min_success": SHARES,
        "allow": some,
        "deny": st.lists(st.sampled_from(models), max_size=2),
        "prices": st.fixed_dictionaries({}, optional=priced),
        "previous_model": st.sampled_from(models),
        "switch_cost": st.sampled_from([0.0, 0.25, 0.05, 1.0, 9.0]),
        "on_novel": st.sampled_from(["default", "best_overall", "error"]),
    }
    drawn_options = {name: draw(kind) for name, kind in kinds.items() if draw(st.booleans())}
    return drawn_options | facts(draw)


@st.composite
def questions(draw: st.DrawFn, **fixed: Any) -> tuple[dict[str, Any], np.ndarray, dict[str, Any]]:
    """Draw an artifact's values, a matrix of queries near and far, and a caller's options."""
    drawn = draw(values(**fixed))
    queries = table(draw, [0.0, 1.0, -1.0, 0.3, 0.5, 2.0], 3, drawn["centroids"].shape[1])
    return drawn, queries, options(draw, drawn)


# Whatever a file can hold: line breaks, quotes, commas and NUL in prompts; no control characters
# in names.
_prompts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(
    lambda text: not is_blank(text)
)
_names = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp", "Cs")),
    min_size=1,
    max_size=6,
).filter(lambda text: not text.isspace())
_amounts = st.none() | st.floats(0, 1e9, allow_nan=False)


_models = st.lists(
    _names.filter(lambda name: name_problem(name) is None), min_size=2, max_size=4, unique=True
).filter(lambda names: find_lookalikes(names) is None)


@st.composite
def examples(draw: st.DrawFn) -> Example:
    ids = draw(st.lists(_names, min_size=1, max_size=5, unique=True))
    models = draw(_models)
    # From a small pool, so that prompts repeat.
    pool = draw(st.lists(_prompts, min_size=1, max_size=3))
    # A long form cannot hold a task or a model without outcomes.
    needed = {(i, i % len(models)) for i in range(len(ids))}
    needed |= {(i % len(ids), i) for i in range(len(models))}
    cells = [
        (task, model)
        for task in range(len(ids))
        for model in range(len(models))
        if (task, model) in needed or draw(st.booleans())
    ]
    vector = st.lists(st.floats(-1e6, 1e6, width=32), min_size=3, max_size=3).filter(any)
    # Most tables know no tokens, and no outcome of theirs stands for several.
    tokens = draw(st.sampled_from([st.none(), _amounts]))
    n = draw(st.sampled_from([st.none(), st.none() | st.integers(1, 99)]))
    return Example(
        ids=ids,
        prompts=[draw(st.sampled_from(pool)) for _ in ids],
        groups=[draw(st.none() | _names) for _ in ids],
        models=models,
        outcomes=[
            (task, model, draw(st.floats(0, 1)), *map(draw, [_amounts] * 2 + [tokens] * 2 + [n]))
            for task, model in cells
        ],
        embedding=[draw(vector) for _ in ids] if draw(st.booleans()) else None,
    )
