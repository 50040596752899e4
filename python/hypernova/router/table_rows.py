"""Make rows of a Parquet file of the decisions for a chunk of prompts.

Not here: deciding, and writing the file (``table``). pyarrow is imported on first use.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from hypernova.errors import MissingExtraError
from hypernova.router.explanation import REASONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hypernova._core import Decision, Decisions
    from hypernova.table.prompts import PromptChunk

# Models that `fallbacks` names, after the chosen one.
N_FALLBACKS = 2


def decision_columns(*, with_task_ids: bool) -> Any:
    """Return the columns of a file of decisions, a pyarrow.Schema.

    Args:
        with_task_ids: Whether the prompts have ids.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    pa = import_pyarrow()
    name = pa.dictionary(pa.int32(), pa.string())
    fields = [
        ("row", pa.int64()),
        ("model", name),
        ("reason", name),
        ("cluster", pa.int32()),
        ("novelty", pa.float32()),
        ("success", pa.float64()),
        ("cost_usd", pa.float64()),
        ("latency_s", pa.float64()),
        ("propensity", pa.float64()),
        ("fallbacks", pa.list_(pa.string())),
        ("error", pa.string()),
    ]
    return pa.schema([("task_id", pa.string()), *fields] if with_task_ids else fields)


def rows_of(chunk: PromptChunk, decisions: Decisions, errors: Sequence[str | None]) -> Any:
    """Make the rows of decisions that the core gives as columns.

    Args:
        chunk: The prompts.
        decisions: A decision for each of them.
        errors: The error of each prompt that has none, and whose decision means nothing.

    Returns:
        A pyarrow.Table.
    """
    pa = import_pyarrow()
    no_decision = np.array([error is not None for error in errors], dtype=bool)
    missing = no_decision if no_decision.any() else None
    columns = decisions._columns(N_FALLBACKS)
    reasons = np.array([list(REASONS).index(reason) for reason in decisions.reasons], np.int32)
    values: dict[str, Any] = {
        "model": pa.array(decisions.model_indices, mask=missing),
        "reason": pa.array(reasons[decisions.reason_codes], mask=missing),
        "cluster": pa.array(decisions.clusters, mask=missing),
        "novelty": pa.array(decisions.novelties, mask=missing),
        "success": pa.array(columns["success"], mask=missing),
        "propensity": pa.array(columns["propensity"], mask=missing),
    }
    for name in ("cost_usd", "latency_s"):
        unknown = no_decision | np.isnan(columns[name])
        values[name] = pa.array(columns[name], mask=unknown if unknown.any() else None)
    following = columns["next"].reshape(len(chunk), N_FALLBACKS)
    is_there = (following >= 0) & ~no_decision[:, None]
    ends = np.cumsum(is_there.sum(axis=1), dtype=np.int32)
    # A list is null where its beginning is; the last number is an end.
    begins_nowhere = None if missing is None else np.append(no_decision, False)
    begins = pa.array(np.concatenate([[np.int32(0)], ends]), pa.int32(), mask=begins_nowhere)
    names = pa.array(decisions.models, pa.string()).take(pa.array(following[is_there]))
    values["fallbacks"] = pa.ListArray.from_arrays(begins, names)
    return _as_table(decisions.models, chunk, values, errors)


def rows_of_each(
    models: Sequence[str],
    chunk: PromptChunk,
    decisions: Sequence[Decision | None],
    errors: Sequence[str | None],
) -> Any:
    """Make the rows of decisions that were made one by one.

    Args:
        models: The models of the artifact.
        chunk: The prompts.
        decisions: The decision for each of them, or None.
        errors: The error of each prompt that has none.

    Returns:
        A pyarrow.Table, the same as of `rows_of`.
    """
    pa = import_pyarrow()
    model_index = {model: index for index, model in enumerate(models)}
    reason_index = {reason: index for index, reason in enumerate(REASONS)}
    rows: list[tuple[Any, ...]] = []
    for decision in decisions:
        if decision is None:
            rows.append((None,) * 9)
            continue
        ranking = decision.ranking
        first = ranking[0]
        rows.append(
            (
                model_index[first.model],
                reason_index[decision.reason],
                decision.cluster,
                decision.novelty,
                first.success,
                first.cost_usd,
                first.latency_s,
                decision.propensity,
                [entry.model for entry in islice(ranking, 1, N_FALLBACKS + 1)],
            )
        )
    names = decision_columns(with_task_ids=False).names[1:-1]
    values: dict[str, Any] = dict(zip(names, zip(*rows, strict=True), strict=True))
    for name in ("model", "reason"):
        values[name] = pa.array(values[name], pa.int32())
    return _as_table(models, chunk, values, errors)


def _as_table(
    models: Sequence[str],
    chunk: PromptChunk,
    values: Mapping[str, Any],
    errors: Sequence[str | None],
) -> Any:
    """Add what does not come from a decision, and the words of models and reasons."""
    pa = import_pyarrow()
    columns = {
        **values,
        "row": np.arange(chunk.start, chunk.start + len(chunk)),
        "error": errors,
        "task_id": chunk.task_ids,
    }
    for name, words in (("model", models), ("reason", tuple(REASONS))):
        columns[name] = pa.DictionaryArray.from_arrays(values[name], pa.array(words, pa.string()))
    schema = decision_columns(with_task_ids=chunk.task_ids is not None)
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)


def import_pyarrow() -> Any:
    """Import pyarrow.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise MissingExtraError(
            "decisions are written as Parquet, which needs pyarrow: "
            'pip install "hypernova-router[train]"'
        ) from error
    return pyarrow
