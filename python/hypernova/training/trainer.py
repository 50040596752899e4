"""Learn clusters and estimates from vectors and outcomes, for `fit` and in each fold.

Not here: embedding prompts, and the metadata of an artifact.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from hypernova.errors import FitError
from hypernova.parallel import HERE
from hypernova.progress import progress_bar
from hypernova.training.assemble import assemble
from hypernova.training.clustering.clusters import find_clusters
from hypernova.training.clustering.kmeans import count_starts
from hypernova.training.cross_validation import held_in
from hypernova.training.estimates.linear_correction import Ridge
from hypernova.training.estimates.profile import Evidence, estimate
from hypernova.training.model_selection import count_ticks, select_setting
from hypernova.training.placed_tasks import PlacedTasks
from hypernova.training.sample import SAMPLE_TASKS, hash_prompts, sample_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hypernova._core import Artifact
    from hypernova.numeric import Floats
    from hypernova.parallel import Mapper
    from hypernova.table import OutcomeTable
    from hypernova.training.clustering.clusters import Clusters
    from hypernova.training.cross_validation import Setting
    from hypernova.training.estimates.linear_correction import LinearCorrection
    from hypernova.training.estimates.profile import Estimate
    from hypernova.training.estimates.sums import Sums
    from hypernova.training.model_selection import Selection

MIN_TASKS = 10


@dataclass(frozen=True)
class TrainingResult:
    """Clusters and sums learned from a table; estimates and artifact are functions of them.

    Attributes:
        models: Names of the models.
        found: Clusters of the table's vectors, or of other prompts.
        sums: Sums of outcomes and pairs in the clusters and, for a setting with a linear
            correction, of products and shares.
        setting: Setting that was selected or given.
        basis: Basis of the `Coordinates` whose products were summed.
        selection: How the setting was selected; None if it was given.
        placed: The tasks with their places; None if they were summed up in pieces.
    """

    models: Sequence[str]
    found: Clusters
    sums: Sums
    setting: Setting
    basis: Floats | None = None
    selection: Selection | None = None
    placed: PlacedTasks | None = None

    @cached_property
    def estimated(self) -> Estimate:
        """Estimates of the clusters, with the default model."""
        return estimate(Evidence(self.sums, self.found.groups), self.setting.shrinkage)

    @cached_property
    def correction(self) -> LinearCorrection | None:
        """Linear corrections, or None."""
        if self.setting.ridge is None:
            return None
        ridge = Ridge(self.sums, self.setting.ridge, self.basis)
        return ridge.fit([(self.sums, self.estimated.cluster_success)])[0]

    def artifact(
        self,
        *,
        cost_weight: float = 0.0,
        identity: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> Artifact:
        """Assemble the artifact; arguments as in `assemble`."""
        return assemble(
            self.models,
            self.found.centroids,
            self.estimated,
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
    mapper: Mapper = HERE,
    progress: bool = False,
) -> TrainingResult:
    """Select a setting on held-out tasks of a table, and learn from all its tasks with it.

    Of a table with more than `SAMPLE_TASKS` tasks, a seeded sample selects the setting and gives
    the clusters.

    Args:
        table: Outcomes of at least two models.
        vectors: float32 (tasks, dim), rows of unit length.
        clusters: Number of clusters, or ``"auto"``.
        seed: Seed of folds and k-means.
        cluster_vectors: float32 (prompts, dim), to find the clusters on instead.
        setting: Setting to learn with instead of a selected one; no task is held out then,
            and no prompt is novel to the artifact.
        mapper: Where the folds of a larger table are learned and routed.
        progress: Show a progress bar for steps longer than a second.

    Raises:
        FitError: The table is too small, or has fewer prompts than clusters.
        MissingExtraError: The extra ``train`` is not installed.
    """
    different = check_learnable(table, clusters)
    sampled, points = table, vectors
    if table.n_tasks > SAMPLE_TASKS:
        rows = sample_rows(hash_prompts(table.prompts, seed), SAMPLE_TASKS)
        sampled, points = table.subset(rows), vectors[rows]
    selection = None
    if setting is None:
        if cluster_vectors is None and clusters != "auto" and clusters > held_in(different):
            raise FitError(
                f"{clusters} clusters leave no prompt to hold out of {different}; ask for fewer"
            )
        selection = select_with_progress(
            sampled,
            points,
            cluster_vectors,
            clusters=clusters,
            seed=seed,
            mapper=mapper,
            progress=progress,
        )
        setting = selection.setting
    found_on = points if cluster_vectors is None else cluster_vectors
    with progress_bar(count_starts(len(found_on)), "clustering", progress) as tick:
        found = find_clusters(
            found_on,
            setting.source,
            setting.clusters,
            seed,
            groups=sampled.groups,
            start=selection.start if selection else None,
            tick=tick,
        )
    placed = PlacedTasks.of(table, vectors, found)
    return TrainingResult(
        models=table.models,
        found=found,
        sums=placed.sums(None, corrected=setting.ridge is not None),
        setting=setting,
        basis=placed.coordinates.basis,
        selection=selection,
        placed=placed,
    )


def select_with_progress(
    table: OutcomeTable,
    vectors: Floats,
    cluster_vectors: Floats | None = None,
    *,
    clusters: int | Literal["auto"],
    seed: int,
    mapper: Mapper = HERE,
    progress: bool,
) -> Selection:
    """Select a setting with `select_setting` under a progress bar; arguments as in `learn`."""
    given = None if clusters == "auto" else clusters
    total = count_ticks(table, given, cluster_vectors is not None)
    with progress_bar(total, "choosing on held-out tasks", progress) as tick:
        return select_setting(
            table,
            vectors,
            seed,
            clusters=given,
            cluster_vectors=cluster_vectors,
            mapper=mapper,
            tick=tick,
        )


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
