"""Sums over the outcomes of a log, by cluster and model, that add up and that decay.

Not here: what they say of the estimates (see ``shift``).

Every sum is one of weights times something. The weight of an outcome is one over the
chance with which its model was taken, within a bound; with a half-life it also falls
with the age of the outcome, counted back from the latest one that was folded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hypernova.numeric import Floats, Ints

DAY_S = 86_400.0


@dataclass
class Batch:
    """Outcomes that are added together; a list entry each.

    Attributes:
        row: Cluster, or the number of clusters for a novel prompt.
        model: Index.
        time: Of the outcome, seconds.
        weight: From its propensity.
        residual: Score less what was estimated for the prompt.
        score: 0 to 1.
        cost: USD, NaN if unknown.
        latency: Seconds, NaN if unknown.
    """

    row: list[int] = field(default_factory=list)
    model: list[int] = field(default_factory=list)
    time: list[float] = field(default_factory=list)
    weight: list[float] = field(default_factory=list)
    residual: list[float] = field(default_factory=list)
    score: list[float] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    latency: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.row)


class Folded:
    """Weighted sums of outcomes; float64 (k + 1, m) each, row k for novel prompts.

    Args:
        shape: ``(k + 1, m)``.
        half_life: Of a weight, days; None: no decay.

    Attributes:
        until: Time of the latest outcome, which ages are counted back from; None if
            there is none.
        values: float64 (len(NAMES), k + 1, m), the sums in the order of ``NAMES``.
    """

    # Sums of the weights, of their squares, and of the weights times something; for costs
    # and latencies over the outcomes that have one. ``outcomes`` is a plain count.
    NAMES = (
        "outcomes", "weight", "weight2", "residual", "residual2", "score",
        "cost_weight", "cost_weight2", "cost", "latency_weight", "latency_weight2", "latency",
    )  # fmt: skip
    _SQUARED = np.array([name.endswith("weight2") for name in NAMES])
    _COUNTED = np.array([name == "outcomes" for name in NAMES])

    def __init__(self, shape: tuple[int, int], half_life: float | None = None) -> None:
        self.values: Floats = np.zeros((len(self.NAMES), *shape))
        self.until: float | None = None
        self._half_life = half_life

    def __getitem__(self, name: str) -> Floats:
        """The sums of that name, float64 (k + 1, m)."""
        sums: Floats = self.values[self.NAMES.index(name)]
        return sums

    def add(self, batch: Batch) -> None:
        """Add outcomes."""
        if not len(batch):
            return
        time = np.array(batch.time)
        self.age_to(max(float(time.max()), self.until if self.until is not None else -np.inf))
        assert self.until is not None
        weight = np.array(batch.weight)
        if self._half_life is not None:
            weight = weight * 0.5 ** ((self.until - time) / (self._half_life * DAY_S))
        score, residual = np.array(batch.score), np.array(batch.residual)
        parts = [np.ones(len(batch)), weight, weight**2]
        parts += [weight * residual, weight * residual**2, weight * score]
        for values in (np.array(batch.cost), np.array(batch.latency)):
            known = ~np.isnan(values)
            share = np.where(known, weight, 0.0)
            parts += [share, share**2, share * np.where(known, values, 0.0)]
        cells: Ints = np.array(batch.row) * self.values.shape[2] + np.array(batch.model)
        for sums, part in zip(self.values, parts, strict=True):
            added = np.bincount(cells, weights=part, minlength=sums.size)
            sums += added.reshape(sums.shape)

    def age_to(self, until: float) -> None:
        """Count ages back from ``until``, which is not before what they are counted from."""
        if self._half_life is not None and self.until is not None:
            factor = 0.5 ** ((until - self.until) / (self._half_life * DAY_S))
            self.values[~self._COUNTED & ~self._SQUARED] *= factor
            self.values[self._SQUARED] *= factor**2
        self.until = until

    def merge(self, other: Folded) -> None:
        """Add the sums of others, with ages counted back from the later of the two."""
        if other.until is None:
            return
        until = other.until if self.until is None else max(self.until, other.until)
        self._half_life = other._half_life
        self.age_to(until)
        other.age_to(until)
        self.values += other.values

    def effective(self, kind: str = "") -> Floats:
        """Effective number of outcomes, ``(sum w)^2 / sum w^2``, float64 (k + 1, m).

        As many outcomes of one and the same weight would tell as much.

        Args:
            kind: ``""``, or ``"cost_"`` or ``"latency_"`` for the outcomes that have one.
        """
        weight, squares = self[f"{kind}weight"], self[f"{kind}weight2"]
        return np.divide(weight**2, squares, out=np.zeros_like(weight), where=squares > 0.0)

    def mean(self, name: str, kind: str = "") -> Floats:
        """Weighted mean of what was summed under ``name``; 0 where there is nothing."""
        weight = self[f"{kind}weight"]
        return np.divide(self[name], weight, out=np.zeros_like(weight), where=weight > 0.0)
