"""Learn from vectors and outcomes, for `fit` and in each split of an evaluation.

Not here: embedding prompts, and the metadata of an artifact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hypernova.errors import FitError
from hypernova.parallel import HERE
from hypernova.progress import progress_bar
from hypernova.training.clustering.kmeans import count_starts
from hypernova.training.cross_validation import held_in
from hypernova.training.margin import UNSEEN
from hypernova.training.model_selection import count_ticks, select_setting
from hypernova.training.partition import find_partition
from hypernova.training.placed_tasks import PlacedTasks
from hypernova.training.sample import SAMPLE_TASKS, hash_prompts, sample_rows
from hypernova.training.training_part import TrainingPart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hypernova._core import Artifact
    from hypernova.numeric import Floats
    from hypernova.parallel import Mapper
    from hypernova.table import OutcomeTable
    from hypernova.training.model_selection import Selection
    from hypernova.training.partition import Partition
    from hypernova.training.training_part import Setting

MIN_TASKS = 10


@dataclass(frozen=True)
class TrainingResult:
    """Sums, clusters and setting learned from a table.

    Attributes:
        part: Sums, clusters and estimates.
        partition: Cells of the tasks.
        setting: Setting that was selected or given.
        selection: How the setting was selected; None if it was given.
        placed: The tasks with their places; None if they were summed up in pieces.
    """

    part: TrainingPart
    partition: Partition
    setting: Setting
    selection: Selection | None = None
    placed: PlacedTasks | None = None

    def artifact(
        self,
        *,
        cost_weight: float = 0.0,
        identity: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> Artifact:
        """Assemble the artifact; arguments as in `assemble`."""
        return self.part.artifact(
            self.setting,
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
    unseen: float = UNSEEN,
    cluster_vectors: Floats | None = None,
    setting: Setting | None = None,
    mapper: Mapper = HERE,
    progress: bool = False,
) -> TrainingResult:
    """Learn from all tasks of a table, with a setting that is selected on held-out ones.

    Of a table with more than `SAMPLE_TASKS` tasks, a seeded sample selects the setting and gives
    the clusters.

    Args:
        table: Outcomes of at least two models.
        vectors: float32 (tasks, dim), rows of unit length.
        clusters: Number of clusters of prompts, or ``"auto"``.
        seed: Seed of the folds, and of the sample of a large table.
        unseen: Share of prompts that are expected to be of kinds that the table lacks.
        cluster_vectors: float32 (prompts, dim), to find the clusters on instead.
        setting: Setting to learn with instead of a selected one; no task is held out then,
            and no prompt is novel to the artifact.
        mapper: Where the folds of a larger table are learned from.
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
    selects = setting is None and cluster_vectors is None
    if selects and clusters != "auto" and clusters > held_in(different):
        raise FitError(
            f"{clusters} clusters leave no prompt to hold out of {different}; ask for fewer"
        )
    found_on = points if cluster_vectors is None else cluster_vectors
    with progress_bar(count_starts(len(found_on)), "clustering", progress) as tick:
        partition = find_partition(
            sampled.groups,
            points,
            different,
            None if clusters == "auto" else clusters,
            cluster_vectors=cluster_vectors,
            tick=tick,
        )
    placed = PlacedTasks.of(table, vectors, partition)
    selection = None
    if setting is None:
        selection = select_with_progress(
            sampled,
            points,
            partition,
            of_table=cluster_vectors is None,
            placed=placed if sampled is table else None,
            seed=seed,
            unseen=unseen,
            mapper=mapper,
            progress=progress,
        )
        setting = selection.setting
    part = TrainingPart.of(table.models, placed.sums(None), partition, placed.coordinates.basis)
    return TrainingResult(part, partition, setting, selection, placed)


def select_with_progress(
    table: OutcomeTable,
    vectors: Floats,
    partition: Partition,
    *,
    of_table: bool,
    placed: PlacedTasks | None = None,
    seed: int,
    unseen: float = UNSEEN,
    mapper: Mapper = HERE,
    progress: bool,
) -> Selection:
    """Select a setting with `select_setting` under a progress bar."""
    steps = count_ticks(table, partition.cells(table.groups, vectors))
    with progress_bar(steps, "choosing on held-out tasks", progress) as tick:
        return select_setting(
            table,
            vectors,
            partition,
            seed,
            unseen=unseen,
            of_table=of_table,
            placed=placed,
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
            f"the table {table.name} has {different} different "
            f"prompt{'' if different == 1 else 's'}; fitting holds some out and needs at least "
            f"{MIN_TASKS}; add tasks"
        )
    return different
