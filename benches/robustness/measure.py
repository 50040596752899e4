"""Ask routers about prompts that they were not fitted on, before and after a change of each.

Not here: the changes (see ``lines``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.errors import TextError
from hypernova.training.trainer import learn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benches.robustness.lines import Change

    import hypernova
    from hypernova.embedder import Embedder

# The router of a prompt is fitted without it, and without at most this share of the table.
MAX_HELD_OUT = 5
# Prompts with more lines are long ones.
LONG_LINES = 10


@dataclass(frozen=True)
class Moved:
    """What a change does to the decisions for some prompts.

    Attributes:
        change: The change.
        changed: Share of the prompts for which another model is chosen.
        changed_long: The same among prompts of more than `LONG_LINES` lines; NaN without any.
        to_one: Rise of the share of one model, the largest.
        to_dearest: Rise of the share of the dearest model; NaN where no cost is known.
    """

    change: Change
    changed: float
    changed_long: float
    to_one: float
    to_dearest: float


class HeldOutRouters:
    """Prompts of a table, drawn with a seed, and for each an artifact fitted without it.

    Args:
        table: Outcomes.
        embedder: A bundled embedder.
        n: Number of prompts.
        seed: Of the draw.

    Attributes:
        prompts: Those drawn.
        decided: The model that is chosen for each, (n,).
        n_models: Number of models.
        dearest: Index of the model with the highest mean cost; None where no cost is known.
    """

    def __init__(
        self, table: hypernova.OutcomeTable, embedder: Embedder, n: int, seed: int = 0
    ) -> None:
        self._embedder = embedder
        prompts = list(table.prompts)
        vectors = embedder.embed(prompts)
        drawn = np.random.default_rng(seed).permutation(len(prompts))[:n]
        parts = -(-len(drawn) * MAX_HELD_OUT // len(prompts))
        self.prompts = [prompts[i] for i in drawn]
        self._artifacts, self._part = [], np.arange(len(drawn)) % parts
        same = table.prompt_groups()
        for part in range(parts):
            rows = np.flatnonzero(~np.isin(same, same[drawn[self._part == part]]))
            learned = learn(table.subset(rows), vectors[rows], seed=0)
            self._artifacts.append(learned.artifact())
        self.n_models = len(table.models)
        self.dearest = None
        known = ~np.isnan(table.cost_usd)
        if known.any():
            costs = np.where(known, table.cost_usd, 0.0).sum(axis=0) / np.maximum(
                known.sum(axis=0), 1
            )
            self.dearest = int(costs.argmax())
        self._keys = [embedder.key_of(prompt) for prompt in self.prompts]
        self.decided = self._decide(vectors[drawn], np.arange(len(drawn)))
        self._lines = np.array([len(prompt.splitlines()) for prompt in self.prompts])

    def _decide(self, vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
        chosen = np.empty(len(rows), dtype=np.int64)
        for part, artifact in enumerate(self._artifacts):
            of_part = np.flatnonzero(self._part[rows] == part)
            if len(of_part):
                decisions = artifact.decide_many(np.ascontiguousarray(vectors[of_part]))
                chosen[of_part] = decisions.model_indices
        return chosen

    def decide(self, texts: Sequence[str], rows: np.ndarray) -> np.ndarray:
        """Choose a model for changed prompts; ``rows`` has their places among the prompts."""
        chosen = self.decided[rows].copy()
        other = []
        for i, text in enumerate(texts):
            try:
                if self._embedder.key_of(text) != self._keys[rows[i]]:
                    other.append(i)
            except TextError:  # nothing left to read: the caller would see an error
                continue
        if other:
            vectors = self._embedder.embed([texts[i] for i in other])
            chosen[other] = self._decide(vectors, rows[other])
        return chosen

    def move(self, change: Change, every: int = 1) -> Moved:
        """Compare the decisions for each ``every``-th prompt with those for the changed one."""
        rows = np.arange(0, len(self.prompts), every)
        now = self.decide([change.apply(self.prompts[i]) for i in rows], rows)
        other, long = now != self.decided[rows], self._lines[rows] > LONG_LINES
        rise = self.rise(now, rows)
        return Moved(
            change,
            float(other.mean()),
            float(other[long].mean()) if long.any() else np.nan,
            float(rise.max()),
            np.nan if self.dearest is None else float(rise[self.dearest]),
        )

    def rise(self, now: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return by how much the share of each model in the decisions has risen, (models,)."""
        shares = [np.bincount(x, minlength=self.n_models) for x in (now, self.decided[rows])]
        return (shares[0] - shares[1]) / len(rows)
