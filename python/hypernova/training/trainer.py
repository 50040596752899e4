"""From vectors and outcomes to an artifact: what `fit` runs, and the judge in each fold.

Not here: embedding prompts, and what an artifact says of how it was made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from hypernova.errors import FitError
from hypernova.progress import bar
from hypernova.training.assemble import assemble
from hypernova.training.clustering.clusters import find_structure
from hypernova.training.clustering.kmeans import STARTS, assign
from hypernova.training.estimates.linear_correction import Ridge, unexplained
from hypernova.training.estimates.profile import Evidence
from hypernova.training.model_selection import select, steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hypernova._core import Artifact
    from hypernova.numeric import Floats, Ints
    from hypernova.table import OutcomeTable
    from hypernova.training.clustering.clusters import Structure
    from hypernova.training.estimates.linear_correction import Lifts
    from hypernova.training.model_selection import Selection, Setting

LEAST_TASKS = 10


@dataclass(frozen=True)
class Learned:
    """Clusters and their outcomes, and how the setting was chosen.

    Attributes:
        table: What it was learned from.
        structure: The clusters.
        clusters: Nearest cluster of each task, (tasks,).
        evidence: Sums over the clusters.
        lifts: Linear corrections, or None.
        setting: What was chosen.
        selection: How the setting was chosen; None if it was given.
    """

    table: OutcomeTable
    structure: Structure
    clusters: Ints
    evidence: Evidence
    lifts: Lifts | None
    setting: Setting
    selection: Selection | None

    def artifact(
        self,
        *,
        cost_weight: float = 0.0,
        identity: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> Artifact:
        """Make the artifact; arguments as in `assemble`."""
        return assemble(
            self.table.models,
            self.structure.centroids,
            self.evidence,
            shrinkage=self.setting.shrinkage,
            guard_z=self.setting.guard_z,
            lifts=self.lifts,
            cost_weight=cost_weight,
            distances=self.selection.distances if self.selection else None,
            identity=identity,
            metadata=metadata,
        )


def learn(
    table: OutcomeTable,
    vectors: Floats,
    *,
    clusters: int | Literal["auto"] = "auto",
    seed: int = 0,
    structure: Floats | None = None,
    setting: Setting | None = None,
    progress: bool = False,
) -> Learned:
    """Choose a setting on held-out tasks of the table, and learn from all of them with it.

    Args:
        table: Outcomes of at least two models.
        vectors: float32 (tasks, dim), rows of unit length.
        clusters: How many, or ``"auto"``.
        seed: Of folds and k-means.
        structure: float32 (prompts, dim): find the clusters on these instead.
        setting: Use this one instead of choosing; nothing is held out then, and no
            prompt is novel to the artifact.
        progress: Show a progress bar for what takes longer than a second.

    Raises:
        FitError: The table is too small, or has fewer prompts than clusters.
        MissingExtraError: The extra ``train`` is not installed.
    """
    different = check_learnable(table, clusters)
    selection = None
    if setting is None:
        try:
            selection = choose(
                table, vectors, structure, clusters=clusters, seed=seed, progress=progress
            )
        except FitError:
            # A fold has fewer prompts than the table: with about as many clusters as
            # prompts there is nothing to hold out.
            raise FitError(
                f"{clusters} clusters leave no prompt to hold out of {different}; ask for fewer"
            ) from None
        setting = selection.setting
    with bar(STARTS, "clustering", progress) as tick:
        found = find_structure(
            vectors if structure is None else structure,
            setting.source,
            setting.clusters,
            seed,
            groups=table.groups,
            tick=tick,
        )
    assigned, _ = assign(vectors, found.centroids)
    evidence = Evidence.of(table, assigned, found.k, found.groups)
    return Learned(
        table=table,
        structure=found,
        clusters=assigned,
        evidence=evidence,
        lifts=_lifts(table, vectors, found, evidence, setting),
        setting=setting,
        selection=selection,
    )


def choose(
    table: OutcomeTable,
    vectors: Floats,
    structure: Floats | None = None,
    *,
    clusters: int | Literal["auto"],
    seed: int,
    progress: bool,
) -> Selection:
    """Choose a setting with `select`, and show a bar; arguments as in `learn`."""
    given = None if clusters == "auto" else clusters
    total = steps(table, given, structure is not None)
    with bar(total, "choosing on held-out tasks", progress) as tick:
        return select(table, vectors, seed, clusters=given, structure=structure, tick=tick)


def _lifts(
    table: OutcomeTable,
    vectors: Floats,
    structure: Structure,
    evidence: Evidence,
    setting: Setting,
) -> Lifts | None:
    if setting.ridge is None:
        return None
    left = unexplained(table.score, structure.shares(vectors), evidence, setting.shrinkage)
    return Ridge(vectors, ~np.isnan(table.score)).lifts(left, setting.ridge)


def check_learnable(table: OutcomeTable, clusters: int | Literal["auto"]) -> int:
    """Check that a table can be learned from, and count its different prompts.

    Raises:
        FitError: It is too small, or has fewer prompts than clusters.
    """
    different = int(table.prompt_groups().max()) + 1
    if isinstance(clusters, str) and clusters != "auto":
        raise FitError(f'clusters is {clusters!r}; expected a whole number or "auto"')
    if clusters != "auto" and not 1 <= clusters <= different:
        raise FitError(
            f"{clusters} clusters were asked for; the table {table.name} has {different} different "
            f"prompts, so ask for 1 to {different}"
        )
    if different < LEAST_TASKS:
        raise FitError(
            f"the table {table.name} has {different} different prompts; fitting holds some of "
            f"them out and needs at least {LEAST_TASKS}"
        )
    return different
