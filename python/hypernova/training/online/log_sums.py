"""Sum the outcomes of a log by cluster and model; the sums add up and decay.

Not here: the update of the estimates by these sums (see ``update``).

All sums are weighted. The weight of an outcome is 1, or the inverse of its model's propensity
within a bound; with a half-life it also decays with the outcome's age, counted back from the
latest outcome.

`DESIGN` names the sums that a posterior follows from (see ``posterior``): products of the values
of an outcome, which are 1, the coordinates of its sketch, the deviation of its estimate, and its
residual. In these an outcome counts the more the less its score varies, which is `VARIANCE` over
``p (1 - p)`` for an estimate ``p``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hypernova.training.estimates.sums import Sums, sum_by_cell

if TYPE_CHECKING:
    from hypernova.numeric import Floats, Ints

DAY_S = 86_400.0
# About the mean variance of a score around its estimate; and the estimates beyond which an outcome
# counts no more for being sure: a sure estimate may be wrong.
VARIANCE, SURE = 0.2, 0.1
# The two sums of products: by cell those of 1 with each value, and by model of each two values.
DESIGN = ("cells", "products")


@dataclass
class LoggedOutcomes:
    """Columns of logged outcomes that are added together; an entry for each outcome.

    Attributes:
        row: Cluster of the prompt, or k for a novel one.
        model: Index of the model.
        time: Time of the outcome, seconds since the epoch.
        weight: 1, or the inverse propensity within the bound.
        coordinates: Of the prompt's sketch, in standard deviations; 0 without one.
        estimate: The fitted estimate for the prompt.
        deviation: The estimate less the model's mean one (see ``generation``); 0 if the prompt is
            novel.
        residual: Score less the fitted estimate.
        score: 0 to 1.
        cost: USD, NaN if unknown.
        latency: Seconds, NaN if unknown.
    """

    row: list[int] = field(default_factory=list)
    model: list[int] = field(default_factory=list)
    time: list[float] = field(default_factory=list)
    weight: list[float] = field(default_factory=list)
    coordinates: list[Floats] = field(default_factory=list)
    estimate: list[float] = field(default_factory=list)
    deviation: list[float] = field(default_factory=list)
    residual: list[float] = field(default_factory=list)
    score: list[float] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    latency: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.row)


class LogSums:
    """Weighted sums of outcomes, and the time from which their ages are counted back.

    The sums by name are float64 (k + 1, m) each, row k for novel prompts. Those of `DESIGN` are
    ``cells``, (k + 1, m, r + 3), and ``products``, (m, r + 2, r + 2), with r coordinates.

    Args:
        shape: ``(k + 1, m)``.
        half_life: Half-life of a weight, days; None for no decay.
        dims: Number of coordinates of a sketch, r.

    Attributes:
        sums: The sums of ``NAMES`` and of `DESIGN`.
        until: Time of the latest outcome, from which ages are counted back; None without
            outcomes.
    """

    # Sums of weights, of squared weights and of weighted values; those of costs and latencies
    # are over outcomes with a known one. ``outcomes`` is a count without weights.
    NAMES = (
        "outcomes", "weight", "weight2", "residual", "residual2", "score",
        "cost_weight", "cost_weight2", "cost", "latency_weight", "latency_weight2", "latency",
    )  # fmt: skip

    def __init__(
        self, shape: tuple[int, int], half_life: float | None = None, dims: int = 0
    ) -> None:
        sums = {name: np.zeros(shape) for name in self.NAMES}
        sums["cells"] = np.zeros((*shape, dims + 3))
        sums["products"] = np.zeros((shape[1], dims + 2, dims + 2))
        self.sums = Sums(sums)
        self.until: float | None = None
        self._half_life = half_life

    @classmethod
    def of(
        cls,
        values: Floats,
        design: tuple[Floats, Floats],
        until: float | None,
        half_life: float | None,
    ) -> LogSums:
        """Return the sums of the arrays that ``to_array`` and ``design`` gave."""
        _, rows, models = values.shape
        cells, products = design
        found = cls((rows, models), half_life, cells.shape[2] - 3)
        by_name = dict(zip(cls.NAMES, values, strict=True))
        found.sums = Sums({**by_name, "cells": cells, "products": products})
        found.until = until
        return found

    def to_array(self) -> Floats:
        """Return the sums in the order of ``NAMES``, float64 (len(NAMES), k + 1, m)."""
        return np.stack([self.sums[name] for name in self.NAMES])

    @property
    def design(self) -> tuple[Floats, Floats]:
        """The sums of `DESIGN`, float64 with the digits of float32, in which they are kept.

        So what is computed of them is the same before and after they are written.
        """
        cells, products = (self.sums[name].astype(np.float32) for name in DESIGN)
        return cells.astype(np.float64), products.astype(np.float64)

    def __getitem__(self, name: str) -> Floats:
        """Return the sums of a name of ``NAMES``, float64 (k + 1, m)."""
        return self.sums[name]

    def add(self, batch: LoggedOutcomes) -> None:
        """Add outcomes; the sums decay to the latest of them."""
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
        rows, models = self["outcomes"].shape
        cells: Ints = np.array(batch.row) * models + np.array(batch.model)
        found = {
            name: sum_by_cell(part, cells, (rows, models))
            for name, part in zip(self.NAMES, parts, strict=True)
        }
        found |= self._design_of(batch, weight, cells)
        self.sums += Sums(found)

    def _design_of(self, batch: LoggedOutcomes, weight: Floats, cells: Ints) -> dict[str, Floats]:
        """Sum the products of `DESIGN`."""
        rows, models = self["outcomes"].shape
        dims = self["products"].shape[1] - 2
        estimate = np.clip(np.array(batch.estimate), SURE, 1.0 - SURE)
        weight = weight * VARIANCE / (estimate * (1.0 - estimate))
        values = np.column_stack(
            [
                np.array(batch.coordinates).reshape(len(batch), dims),
                np.array(batch.deviation),
                np.array(batch.residual),
            ]
        )
        of_cells = [weight, *(values * weight[:, None]).T]
        model, products = np.array(batch.model), np.zeros((models, dims + 2, dims + 2))
        for m in np.unique(model):
            own = values[model == m]
            products[m] = own.T @ (own * weight[model == m, None])
        summed = [sum_by_cell(part, cells, (rows, models)) for part in of_cells]
        return {"cells": np.stack(summed, axis=-1), "products": products}

    def age_to(self, until: float) -> None:
        """Count ages back from ``until``, which must not be earlier than the present ``until``."""
        if self._half_life is not None and self.until is not None:
            factor = 0.5 ** ((until - self.until) / (self._half_life * DAY_S))
            weighted = [name for name in (*self.NAMES, *DESIGN) if name != "outcomes"]
            self.sums = self.sums.scaled(
                {name: factor**2 if name.endswith("weight2") else factor for name in weighted}
            )
        self.until = until

    def merge(self, other: LogSums) -> None:
        """Add other sums, with ages counted back from the later ``until`` of the two."""
        if other.until is None:
            return
        until = other.until if self.until is None else max(self.until, other.until)
        self._half_life = other._half_life
        self.age_to(until)
        other.age_to(until)
        self.sums += other.sums

    def effective(self, kind: str = "") -> Floats:
        """Compute the effective number of outcomes, ``(sum w)**2 / sum w**2``, float64 (k + 1, m).

        This is Kish's effective sample size: the number of equally weighted outcomes whose mean
        has the same variance.

        Args:
            kind: ``""``, or ``"cost_"`` or ``"latency_"`` for outcomes with a known one.
        """
        weight, squares = self[f"{kind}weight"], self[f"{kind}weight2"]
        return np.divide(weight**2, squares, out=np.zeros_like(weight), where=squares > 0.0)

    def mean(self, name: str, kind: str = "") -> Floats:
        """Compute the weighted mean of the values summed under ``name``; 0 without outcomes."""
        weight = self[f"{kind}weight"]
        return np.divide(self[name], weight, out=np.zeros_like(weight), where=weight > 0.0)
