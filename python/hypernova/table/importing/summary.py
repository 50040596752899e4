"""The summary of an import: its samples, those left out, and its means beside those of the logs.

Not here: printing it (`hypernova.cli.import_logs`).
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FigureAgreement:
    """The mean score of a model beside the figure that its log states.

    Attributes:
        log: The log.
        model: The model.
        group: The group, or None for all of the log's.
        metric: The metric.
        name: The tool's name of its figure.
        reported: The figure that the log states, on the scale of the table, 0..1.
        mean: The mean score of the outcomes that were read, 0..1.
        outcomes: Number of these outcomes.
        reason: Why the two differ, or None if they agree or nothing explains it.
        tolerance: How far the two may lie apart, by the digits of the stated figure.
    """

    log: str
    model: str
    group: str | None
    metric: str
    name: str
    reported: float
    mean: float
    outcomes: int
    reason: str | None = None
    tolerance: float = 1e-9

    @property
    def agrees(self) -> bool:
        """Whether the two are the same, up to rounding of the stated figure."""
        return abs(self.reported - self.mean) <= self.tolerance


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """The summary of an import.

    Attributes:
        logs: Number of logs that were read, by the title of their tool.
        samples: Number of samples in them.
        tasks: Number of tasks.
        groups: Number of tasks of each group, by its name; an empty name for tasks without one.
        models: By model, its number of outcomes, and its mean score.
        filled: Share of (task, model) with an outcome, 0..1.
        repeats: Number of outcomes that are means of several samples.
        left_out: Number of samples left out, by reason.
        broken: By log that was left out, the reason.
        unknown_files: Files of no known tool.
        agreement: The figures of the logs beside those of the table.
        metrics: The metric of each group, by its name as in `groups`.
        similar_models: Names that look like one model under several spellings.
        notes: Further sentences.
    """

    logs: dict[str, int]
    samples: int
    tasks: int
    groups: dict[str, int]
    models: dict[str, tuple[int, float]]
    filled: float
    repeats: int
    left_out: dict[str, int]
    broken: dict[str, str]
    unknown_files: tuple[str, ...]
    agreement: tuple[FigureAgreement, ...]
    metrics: dict[str, str]
    similar_models: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as values that JSON has; a number that is none is null.

        Models are objects with ``outcomes`` and ``mean``, and an agreement has ``agrees``.
        """
        values: dict[str, Any] = {
            field.name: getattr(self, field.name) for field in dataclasses.fields(self)
        }
        values["models"] = {
            model: {"outcomes": n, "mean": _finite(mean)}
            for model, (n, mean) in self.models.items()
        }
        values["agreement"] = [
            {**dataclasses.asdict(one), "agrees": one.agrees} for one in self.agreement
        ]
        values["similar_models"] = [list(names) for names in self.similar_models]
        values["unknown_files"] = list(self.unknown_files)
        values["notes"] = list(self.notes)
        values["filled"] = _finite(self.filled)
        return values


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
