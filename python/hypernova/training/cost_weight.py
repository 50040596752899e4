"""Find the cost weight that meets a target of cost or accuracy on held-out tasks.

Not here: prices. Costs are those of the table, and an unknown cost never counts as zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from hypernova.errors import FitError
from hypernova.training.checks import check_number
from hypernova.training.cross_validation import CrossValidation
from hypernova.training.frontier import cost_weights
from hypernova.training.held_out_scores import HeldOutScores

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypernova.numeric import Floats
    from hypernova.table import OutcomeTable
    from hypernova.training.held_out_scores import Ratio
    from hypernova.training.partition import Partition
    from hypernova.training.training_part import Setting

Kind: TypeAlias = Literal["cost_usd", "accuracy", "quality", "savings"]
LABEL = "held-out, on the folds that chose the cost weight: slightly too good"
# A router may be better than the best single model, so more than all of its accuracy may be
# asked for. Twice as much is a slip, such as a per cent.
MAX_QUALITY = 2.0
# Weights to choose among, for each step of the frontier: what is met is met more closely.
FINER = 4
# Equal sums that were added up in another order.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Target:
    """A limit that held-out tasks must meet under a cost weight.

    Attributes:
        kind: ``"cost_usd"``, the highest cost of a task; ``"accuracy"``, the lowest accuracy;
            ``"quality"``, the lowest accuracy over that of the best single model;
            ``"savings"``, the lowest saving, over the cost of the best single model.
        value: The number.
    """

    kind: Kind
    value: float

    @classmethod
    def of(
        cls,
        *,
        cost_weight: float,
        target_cost: object,
        target_accuracy: object,
        quality: object,
        savings: object,
    ) -> Target | None:
        """Check the options of `fit` that set the cost weight.

        Returns:
            The target; None without one.

        Raises:
            FitError: An option is out of range, or more than one is given.
        """
        given: list[Target] = []
        if target_cost is not None:
            given.append(cls("cost_usd", check_number("target_cost", target_cost, FitError)))
        if target_accuracy is not None:
            number = check_number("target_accuracy", target_accuracy, FitError, maximum=1.0)
            given.append(cls("accuracy", number))
        if quality is not None:
            number = check_number("quality", quality, FitError, maximum=MAX_QUALITY)
            if number == 0.0:
                raise FitError(
                    "quality is 0; expected a share of the best single model's accuracy, such as "
                    "0.98"
                )
            given.append(cls("quality", number))
        if savings is not None:
            number = check_number("savings", savings, FitError, maximum=1.0)
            if number == 1.0:
                raise FitError(
                    "savings is 1; expected a share of the best single model's cost below 1, such "
                    "as 0.4"
                )
            given.append(cls("savings", number))
        if len(given) + (cost_weight != 0.0) > 1:
            raise FitError(
                "give one of cost_weight, target_cost, target_accuracy, quality and savings: each "
                "sets the first"
            )
        return given[0] if given else None

    @property
    def caps_cost(self) -> bool:
        """Whether it limits cost, and accuracy is to be as high as it can be."""
        return self.kind in {"cost_usd", "savings"}

    def is_met(self, point: CostWeightScore) -> bool:
        """Whether a cost weight meets it on held-out tasks; what is unknown does not."""
        if self.kind == "cost_usd":
            return point.cost_usd <= self.value
        if self.kind == "accuracy":
            return point.accuracy >= self.value
        reached = point.kept.value if self.kind == "quality" and point.kept else np.nan
        if self.kind == "savings" and point.cost_share:
            reached = 1.0 - point.cost_share.value
        return reached >= self.value - ROUNDING

    def __str__(self) -> str:
        return {
            "cost_usd": f"costs at most ${self.value:g} a task",
            "accuracy": f"reaches an accuracy of {self.value:g}",
            "quality": f"keeps {self.value:g} of the best single model's accuracy",
            "savings": f"saves {self.value:g} of the best single model's cost",
        }[self.kind]


@dataclass(frozen=True)
class CostWeightScore:
    """A cost weight, and accuracy and cost under it on held-out tasks.

    The same folds selected the weight, so the figures are slightly too good.

    Attributes:
        cost_weight: Success per USD.
        accuracy: Held-out accuracy, 0 to 1.
        cost_usd: Held-out cost of a task, USD.
        kept: Accuracy over that of the best single model of each fold; None if unknown.
        cost_share: Cost over that of the best single model of each fold; None if unknown.
    """

    cost_weight: float
    accuracy: float
    cost_usd: float
    kept: Ratio | None = None
    cost_share: Ratio | None = None

    def to_dict(self, target: Target) -> dict[str, object]:
        """Return the target and what was reached, as metadata of an artifact have it."""
        return {
            "label": LABEL,
            "asked": {"cost_usd": None, "accuracy": None, target.kind: target.value},
            "cost_weight": self.cost_weight,
            "accuracy": round(self.accuracy, 6),
            "cost_usd": round(self.cost_usd, 6),
            "accuracy_kept": _share(self.kept),
            "cost_saved": _share(self.cost_share, rest=True),
        }


def find_cost_weight(
    table: OutcomeTable,
    vectors: Floats,
    seed: int,
    partition: Partition,
    setting: Setting,
    target: Target,
    *,
    tick: Callable[[int], None] | None = None,
) -> CostWeightScore:
    """Find the most accurate weight within a cost, or the cheapest that reaches an accuracy.

    Args:
        table: Outcomes, with some cost known (`cost_weights` is not empty).
        vectors: float32 (tasks, dim).
        seed: Seed of the folds, as for `select_setting`.
        partition: Cells of the tasks.
        setting: Setting of `select_setting`.
        target: What is asked for.
        tick: Called with 1 after each fold.

    Raises:
        FitError: No weight meets the target, or no cost that it needs is known.
    """
    weights = cost_weights(table, FINER)
    scores = [HeldOutScores(table.n_tasks) for _ in weights]
    single = HeldOutScores(table.n_tasks)
    folds = CrossValidation(table, vectors, partition, seed)
    for fold in folds.folds():
        part = folds.training(fold)
        artifact = part.artifact(setting)
        for weight, score in zip(weights, scores, strict=True):
            chosen = artifact.decide_many(vectors[fold.test], cost_weight=weight).model_indices
            score.add(table, fold.test, chosen)
        single.add(table, fold.test, np.full(len(fold.test), part.by_cell.default_model))
        if tick:
            tick(1)
    prompts = table.prompt_groups()
    points = [
        CostWeightScore(
            weight,
            score.accuracy,
            score.cost_usd,
            score.score_ratio(single, prompts),
            score.cost_ratio(single, prompts),
        )
        for weight, score in zip(weights, scores, strict=True)
        if score.cost_n.any()
    ]
    if not points:
        raise FitError(
            f"the table {table.name} knows no cost of the models that are chosen on held-out "
            "tasks, so no cost weight can be found; add their cost_usd, or leave the target out"
        )
    if target.kind == "savings" and not any(point.cost_share for point in points):
        raise FitError(
            f"the table {table.name} knows no cost of its best single model, so nothing can be "
            "saved of it; add its cost_usd, or give target_cost"
        )
    meeting = [point for point in points if target.is_met(point)]
    if target.caps_cost:
        if meeting:
            return max(meeting, key=lambda point: (point.accuracy, -point.cost_usd))
        best = min(points, key=lambda point: (point.cost_usd, -point.accuracy))
    else:
        if meeting:
            return min(meeting, key=lambda point: (point.cost_usd, -point.accuracy))
        best = max(points, key=lambda point: (point.accuracy, -point.cost_usd))
    reached = ""
    if target.kind == "quality" and best.kept:
        reached = f" ({best.kept.value:.4f} of the best single model's)"
    if target.kind == "savings" and best.cost_share:
        reached = f" (saves {1.0 - best.cost_share.value:.4f})"
    raise FitError(
        f"no cost weight {target} on held-out tasks of {table.name}: the nearest is an accuracy of "
        f"{best.accuracy:.4f} at ${best.cost_usd:.4f}{reached}; choose a target that this meets"
    )


def _share(ratio: Ratio | None, *, rest: bool = False) -> dict[str, object] | None:
    """Return a ratio, or the rest to 1, with its interval; an infinite one is None."""
    if ratio is None:
        return None
    ends = [1.0 - end if rest else end for end in ratio.interval()]
    return {
        "share": round(1.0 - ratio.value if rest else ratio.value, 6),
        "ci95": [round(end, 6) for end in sorted(ends)] if np.isfinite(ends).all() else None,
    }
