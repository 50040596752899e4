"""Values that the reports of evaluations and of monitoring share: intervals, and rounded JSON.

Not here: the fields of a report.
"""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple


class Interval(NamedTuple):
    """The ends of an interval; 95% in an evaluation."""

    low: float
    high: float


def rounded(value: Any) -> Any:
    """Make a value JSON-able: dataclasses as dicts, floats with 6 digits, NaN as None."""
    if is_dataclass(value):
        return {field.name: rounded(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    if hasattr(value, "tolist"):  # an array or a number of NumPy
        return rounded(value.tolist())
    if isinstance(value, float):
        return round(value, 6) + 0.0 if math.isfinite(value) else None
    return value
