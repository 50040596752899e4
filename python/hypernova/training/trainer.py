"""Learn clusters and estimates from vectors and outcomes, for `fit` and in each fold.

Not here: embedding prompts, and the metadata of an artifact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from hypernova.errors import FitError
from hypernova.progress import progress_bar
from hypernova.training.assemble import assemble
from hypernova.training.clustering.clusters import find_clusters
from hypernova.training.clustering.kmeans import STARTS, assign
from hypernova.training.estimates.linear_correction import Ridge, unexplained
from hypernova.training.estimates.profile import Evidence
from hypernova.training.model_selection import count_ticks, select_setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hypernova._core import Artifact
    from hypernova.numeric import Floats, Ints
    from hypernova.table import OutcomeTable
    from hypernova.training.clustering.clusters import Clusters
    from hypernova.training.estimates.linear_correction import LinearCorrection
    from hypernova.training.model_selection import Selection, Setting

MIN_TASKS = 10


@dataclass(frozen=True)
class TrainingResult:
    """Clusters, sums and linear corrections learned from a table, ready to assemble.

    Attributes:
        table: Outcomes that were learned from.
        clusters: Clusters of the table's vectors, or of other prompts.
        assignments: Nearest cluster of each task, (tasks,).
        evidence: Sums over the clusters.
        correction: Linear corrections, or None.
        setting: Setting that was selected or given.
        selection: How the setting was selected; None if it was given.
    """

    table: OutcomeTable
    clusters: Clusters
    assignments: Ints
    evidence: Evidence
    correction: LinearCorrection | None
    setting: Setting
    selection: Selection | None

    def artifact(
        self,
        *,
        cost_weight: float = 0.0,
        identity: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> Artifact:
        """Assemble the artifact; arguments as in `assemble`."""
        return assemble(
            self.table.models,
            self.clusters.centroids,
            self.evidence,
            shrinkage=self.setting.shrinkage,
            guard_z=self.setting.guard_z,
            correction=self.correction,
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
    cluster_vectors: Floats | None = None,
    setting: Setting | None = None,
    progress: bool = False,
) -> TrainingResult:
    """Select a setting on held-out tasks of a table, and learn from all its tasks with it.

    Args:
        table: Outcomes of at least two models.
        vectors: float32 (tasks, dim), rows of unit length.
        clusters: Number of clusters, or ``"auto"``.
        seed: Seed of folds and k-means.
        cluster_vectors: float32 (prompts, dim), to find the clusters on instead.
        setting: Setting to learn with instead of a selected one; no task is held out then,
            and no prompt is novel to the artifact.
        progress: Show a progress bar for steps longer than a second.

    Raises:
        FitError: The table is too small, or has fewer prompts than clusters.
        MissingExtraError: The extra ``train`` is not installed.
    """
    different = check_learnable(table, clusters)
    selection = None
    if setting is None:
        try:
            selection = select_with_progress(
                table, vectors, cluster_vectors, clusters=clusters, seed=seed, progress=progress
            )
        except FitError:
            # The training part of a fold has fewer prompts than the table: too few for about as
            # many clusters as prompts.
            raise FitError(
                f"{clusters} clusters leave no prompt to hold out of {different}; ask for fewer"
            ) from None
        setting = selection.setting
    with progress_bar(STARTS, "clustering", progress) as tick:
        found = find_clusters(
            vectors if cluster_vectors is None else cluster_vectors,
            setting.source,
            setting.clusters,
            seed,
            groups=table.groups,
            tick=tick,
        )
    assigned, _ = assign(vectors, found.centroids)
    evidence = Evidence.of(table, assigned, found.k, found.groups)
    return TrainingResult(
        table=table,
        clusters=found,
        assignments=assigned,
        evidence=evidence,
        correction=_fit_correction(table, vectors, found, evidence, setting),
        setting=setting,
        selection=selection,
    )


def select_with_progress(
    table: OutcomeTable,
    vectors: Floats,
    cluster_vectors: Floats | None = None,
    *,
    clusters: int | Literal["auto"],
    seed: int,
    progress: bool,
) -> Selection:
    """Select a setting with `select_setting` under a progress bar; arguments as in `learn`."""
    given = None if clusters == "auto" else clusters
    total = count_ticks(table, given, cluster_vectors is not None)
    with progress_bar(total, "choosing on held-out tasks", progress) as tick:
        return select_setting(
            table, vectors, seed, clusters=given, cluster_vectors=cluster_vectors, tick=tick
        )


def _fit_correction(
    table: OutcomeTable,
    vectors: Floats,
    clusters: Clusters,
    evidence: Evidence,
    setting: Setting,
) -> LinearCorrection | None:
    if setting.ridge is None:
        return None
    left = unexplained(table.score, clusters.shares(vectors), evidence, setting.shrinkage)
    return Ridge(vectors, ~np.isnan(table.score)).fit(left, setting.ridge)


def check_learnable(table: OutcomeTable, clusters: int | Literal["auto"]) -> int:
    """Check that a table has enough different prompts, and return their number.

    Raises:
        FitError: The table is too small, or has fewer prompts than clusters.
    """
    different = int(table.prompt_groups().max()) + 1
    if isinstance(clusters, str) and clusters != "auto":
        raise FitError(f'clusters is {clusters!r}; expected a whole number or "auto"')
    if clusters != "auto" and not 1 <= clusters <= different:
        raise FitError(
            f"{clusters} clusters were asked for; the table {table.name} has {different} different "
            f"prompts, so ask for 1 to {different}"
        )
    if different < MIN_TASKS:
        raise FitError(
            f"the table {table.name} has {different} different prompts; fitting holds some of "
            f"them out and needs at least {MIN_TASKS}"
        )
    return different
