"""Fit an artifact to an outcome table.

Not here: whether routing is worth it on the table (see ``hypernova.evaluation``).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

import numpy as np

from hypernova._core import __version__
from hypernova.artifact.sketch import KEY as SKETCH_BASIS
from hypernova.embedder import store_vectors
from hypernova.errors import FitError
from hypernova.parallel import Mapper, compute_threads
from hypernova.progress import progress_bar
from hypernova.training.checks import (
    check_cluster_prompts,
    check_clusters,
    check_count,
    check_number,
    check_table,
)
from hypernova.training.clustering.describe import describe as describe_clusters
from hypernova.training.clustering.kmeans import assign, import_faiss
from hypernova.training.cost_weight import Target, find_cost_weight
from hypernova.training.embedding import (
    embed_table,
    embed_without,
    open_for,
    texts_read,
)
from hypernova.training.estimates.overlap import uncomparable
from hypernova.training.estimates.sums import mean_known
from hypernova.training.frontier import cost_weights
from hypernova.training.margin import UNSEEN
from hypernova.training.memory import release_memory
from hypernova.training.partition import needs_clusters
from hypernova.training.pieces import learn_in_pieces
from hypernova.training.sample import draw_sample
from hypernova.training.shared_text import (
    accuracy_at_stake,
    find_alike_prompts,
    row_digests,
)
from hypernova.training.trainer import check_learnable, learn

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from hypernova._core import Artifact
    from hypernova.embedder import Device, TextEmbedder
    from hypernova.parallel import Engine
    from hypernova.table import OutcomeTable, ScannedTable
    from hypernova.training.cost_weight import CostWeightScore
    from hypernova.training.embedding import EmbeddedTable
    from hypernova.training.shared_text import SharedText
    from hypernova.training.trainer import TrainingResult

SELECTION_LABEL = "cross-validated on the folds that chose the setting: slightly too good"
# Tasks that are decided at a time.
_PIECE = 4096


def fit(
    table: OutcomeTable | ScannedTable,
    *,
    embedder: str | os.PathLike[str] | TextEmbedder = "static",
    clusters: int | Literal["auto"] = "auto",
    seed: int = 0,
    unseen: float = UNSEEN,
    device: Device = "cpu",
    cluster_prompts: Sequence[str] | None = None,
    cost_weight: float = 0.0,
    target_cost: float | None = None,
    target_accuracy: float | None = None,
    quality: float | None = None,
    savings: float | None = None,
    describe: bool = True,
    skip_shared: bool = False,
    vectors: str | os.PathLike[str] | None = None,
    engine: Engine = "local",
    jobs: int | None = None,
    progress: bool = False,
) -> Artifact:
    """Learn a routing artifact from an outcome table.

    The prompts are embedded and clustered, and each model's success is estimated in each
    cluster. Clusters (unless their number is given), shrinkage, linear correction and guard
    are selected by least regret on held-out tasks. Same input and seed, same bytes, on one
    kind of machine with the same versions of the libraries; the number of threads or processes,
    and the engine, change nothing.

    Of more than 65,536 tasks, a seeded sample of that number selects the setting and gives the
    clusters; the estimates are learned from all tasks.

    Args:
        table: Outcomes of at least two models. If it holds vectors, nothing is
            embedded, and the artifact routes vectors only. A table of `OutcomeTable.scan` is read
            in pieces.
        embedder: ``"static"``, ``"minilm"``, a folder, or an open embedder (`Embedder`,
            `CallableEmbedder`).
        clusters: Number of clusters, or ``"auto"``.
        seed: Seed of the folds, and of the sample of a large table, from 0.
        unseen: Share of prompts, 0 to 1, that are expected to be of kinds that the table lacks. The
            more, the larger the gain that a model must have to be chosen before the default one
            (docs/fitting.md, *The margin*).
        device: Where the embedder is loaded, ``"cpu"``, ``"cuda"`` or ``"auto"``, as in
            `Embedder.load`. An open embedder has its own; vectors of the table need none.
        cluster_prompts: Prompts, without outcomes, to find the clusters on instead of the
            table's.
        cost_weight: Default cost weight of the artifact, in success per USD.
        target_cost: Use instead the cost weight with the highest accuracy on held-out tasks
            among those that cost at most this there, USD a task.
        target_accuracy: Use instead the cost weight with the lowest cost on held-out tasks
            among those that reach this accuracy there, 0 to 1.
        quality: Use instead the cost weight with the lowest cost on held-out tasks among those
            that keep this share of the best single model's accuracy there, above 0 to 2; 0.98 keeps
            98% of it.
        savings: Use instead the cost weight with the highest accuracy on held-out tasks among
            those that save this share of the best single model's cost there, from 0 to below 1.
        describe: Keep each cluster's distinctive words in the metadata. Each stands in at
            least three different prompts of its cluster; no text of a prompt is kept.
        skip_shared: Leave beginnings and ends that many prompts of the table share out of
            every prompt, here and in every request of the artifact (docs/fitting.md, *Shared
            text*). By default nothing is left out; where many prompts share text, its effect
            on accuracy is measured and kept in the metadata under ``shared_text``.
        vectors: Folder in which the prompts' vectors are kept, for the next `fit` or `evaluate`
            of the same prompts (`StoredEmbedder`). By default none are kept.
        engine: Where pieces of a table are read, embedded and summed up, and folds decided:
            ``"local"``, in processes of this machine, or ``"ray"``, on a Ray cluster.
        jobs: Number of processes at a time; by default the cores that this process may use, or
            all of the Ray cluster. With 1, all is done in this process.
        progress: Show a progress bar for steps longer than a second.

    Returns:
        The artifact, in memory; ``.save(path)`` writes it. What is odd about the table
        (`OutcomeTable.notes`) stands in its metadata under ``notes``.

    Raises:
        FitError: The table is too small, has fewer prompts than clusters, no cost weight
            meets the target, or an option is of the wrong type or out of range.
        TableError: A file of a scanned table changed, or cannot be read any more.
        WorkerError: Something else ended one of the processes, or the Ray cluster was lost.
        EmbedderMismatchError: ``cluster_prompts`` or ``skip_shared`` is given and the table
            holds vectors.
        ValueError: ``skip_shared``, and the embedder skips shared text already.
        MissingExtraError: The extra ``train`` is needed, to find clusters or read Parquet, and not
            installed; or ``onnx``, by the embedder; or ``ray``, by the engine; or ``device`` is
            ``"cuda"`` and onnxruntime has none.
        DeviceError: ``device`` is ``"cuda"``, and it cannot be used here.

    Example:
        >>> import hypernova
        >>> table = hypernova.OutcomeTable.read("outcomes.jsonl")  # doctest: +SKIP
        >>> hypernova.fit(table, seed=0).save("router.hnv")  # doctest: +SKIP
    """
    check_table(table, FitError, scanned=True)
    clusters = check_clusters(clusters, FitError)
    seed = check_count("seed", seed, 0, FitError)
    unseen = check_number("unseen", unseen, FitError, maximum=1.0)
    check_cluster_prompts(cluster_prompts, FitError)
    cost_weight = check_number("cost_weight", cost_weight, FitError)
    asked = Target.of(
        cost_weight=cost_weight,
        target_cost=target_cost,
        target_accuracy=target_accuracy,
        quality=quality,
        savings=savings,
    )
    mapper = Mapper.of(engine, jobs, FitError)
    with progress_bar(table.n_chunks, f"reading {table.n_tasks:,} tasks", progress) as tick:
        sample = draw_sample(table, seed, tick=tick)
    tasks = sample.table
    notes = tasks.notes()
    release_memory()
    if asked is not None and not cost_weights(tasks):
        raise FitError(
            f"the table {table.name} knows no cost above zero, so no cost weight can be found; "
            "add cost_usd to its outcomes, or leave the target out"
        )
    check_learnable(tasks, clusters)  # before the prompts are embedded, like the next
    if needs_clusters(tasks.groups, None if clusters == "auto" else clusters, cluster_prompts):
        import_faiss()
    used, shared = open_for(tasks, embedder, skip_shared=skip_shared, device=device)
    if used is not None and vectors is not None:
        used = store_vectors(used, vectors)
    reads_text = used is not None
    with compute_threads(1):  # the last bits of products depend on the number
        embedded = embed_table(tasks, used, cluster_prompts, progress, mapper=mapper)
        without = None
        if used is not None and not skip_shared and shared.notable_parts is not None:
            without = embed_without(
                tasks, used, shared.notable_parts, cluster_prompts, embedded, progress
            )
        texts = texts_read(tasks, used)
        if sample.whole:
            del used  # its memory is worth more to what follows
        release_memory()
        learned = learn(
            tasks,
            embedded.vectors,
            clusters=clusters,
            seed=seed,
            unseen=unseen,
            cluster_vectors=embedded.cluster_vectors,
            mapper=mapper,
            progress=progress,
        )
        release_memory()
        target = None
        if asked is not None:
            target = _find_target(tasks, embedded, learned, seed, asked, progress)
            cost_weight = target.cost_weight
        found = _describe(texts, embedded, learned) if describe else {}
        release_memory()
        if reads_text:
            found |= _alike_prompts(tasks, texts, embedded)
        if without is not None:
            other = learn(
                tasks,
                without.vectors,
                clusters=clusters,
                seed=seed,
                unseen=unseen,
                cluster_vectors=without.cluster_vectors,
                mapper=mapper,
                progress=progress,
            )
            found |= _shared_text_at_stake(shared, learned, other)
        elif skip_shared:
            found["shared_text"] = shared.to_dict(skipped=True)
        if not sample.whole:
            learned = learn_in_pieces(table, used, learned, mapper, progress=progress)
        figures = _in_sample_figures(tasks, learned.artifact(cost_weight=cost_weight), embedded)
    selection = learned.selection
    assert selection is not None  # no setting was given
    metadata: dict[str, object] = {
        "hypernova": __version__,
        "table": table.name,
        "tasks": table.n_tasks,
        "different_prompts": sample.different_prompts,
        "outcomes": table.n_outcomes,
        **_repeats_of(table),
        "seed": seed,
        "unseen": unseen,
        "clusters": clusters,
        "structure_prompts": None if cluster_prompts is None else len(cluster_prompts),
        "cluster_sizes": learned.part.evidence.sums["tasks"][:-1, 0].astype(int).tolist(),
        "setting": learned.setting.to_dict(),
        "selection": {
            "label": SELECTION_LABEL,
            "folds": selection.folds,
            "repeats": selection.repeats,
            "accuracy": round(selection.held_out.accuracy, 6),
            "best_single": round(selection.best_single.accuracy, 6),
            "regret": round(selection.held_out.mean_regret, 6),
            "gain_on_unseen_kinds": None
            if selection.unseen_gain is None
            else round(selection.unseen_gain, 6),
        },
    }
    if not sample.whole:
        metadata["sample"] = {
            "label": "setting, clusters, and figures of accuracy are of this many tasks",
            "tasks": tasks.n_tasks,
        }
    ruled_out = uncomparable(learned.part.evidence, table.models)
    if ruled_out:
        metadata["uncomparable"] = [model.to_dict() for model in ruled_out]
    if notes:
        metadata["notes"] = notes
    basis = learned.part.sketch_basis()
    if basis is not None:
        metadata[SKETCH_BASIS] = basis.to_dict()
    if asked is not None and target is not None:
        metadata["target"] = target.to_dict(asked)
    return learned.artifact(
        cost_weight=cost_weight,
        identity=embedded.identity,
        metadata={**metadata, **found, "in_sample": figures},
    )


def _repeats_of(table: OutcomeTable | ScannedTable) -> dict[str, object]:
    """Return metadata on the table's repeats, if it has any."""
    return {"repeats": asdict(table.repeats)} if table.repeats.outcomes else {}


def _find_target(
    table: OutcomeTable,
    embedded: EmbeddedTable,
    learned: TrainingResult,
    seed: int,
    target: Target,
    progress: bool,
) -> CostWeightScore:
    """Find the cost weight that meets a target on held-out tasks."""
    selection = learned.selection
    assert selection is not None
    total = selection.folds * selection.repeats
    with progress_bar(total, "looking for the cost weight", progress) as tick:
        return find_cost_weight(
            table,
            embedded.vectors,
            seed,
            learned.partition,
            learned.setting,
            target,
            tick=tick,
        )


def _describe(
    texts: Sequence[str], embedded: EmbeddedTable, learned: TrainingResult
) -> dict[str, object]:
    """Return the metadata of the clusters' distinctive words."""
    centroids = learned.part.found.centroids
    described = describe_clusters(
        texts, embedded.vectors, centroids, assign(embedded.vectors, centroids)[0]
    )
    return {"words": [cluster.words for cluster in described]}


def _alike_prompts(
    table: OutcomeTable, texts: Sequence[str], embedded: EmbeddedTable
) -> dict[str, object]:
    """Return the metadata of prompts that have one vector; empty if they are few."""
    alike = find_alike_prompts(table, texts, row_digests(embedded.vectors))
    return {} if alike is None else {"alike_prompts": alike}


def _shared_text_at_stake(
    shared: SharedText, learned: TrainingResult, without: TrainingResult
) -> dict[str, object]:
    """Return the metadata of shared text that is kept, with its effect on accuracy."""
    assert learned.selection is not None
    assert without.selection is not None
    stake = accuracy_at_stake(
        learned.selection.held_out, without.selection.held_out, SELECTION_LABEL
    )
    return {"shared_text": {**shared.to_dict(skipped=False), "at_stake": stake}}


def _in_sample_figures(
    table: OutcomeTable, artifact: Artifact, embedded: EmbeddedTable
) -> dict[str, object]:
    """Measure the artifact on tasks that it was fitted to."""
    # In pieces: the core copies the vectors that it is given.
    pieces = np.split(embedded.vectors, range(_PIECE, table.n_tasks, _PIECE))
    chosen = np.concatenate([artifact.decide_many(piece).model_indices for piece in pieces])
    score = table.score[np.arange(table.n_tasks), chosen]
    # A task without an outcome of the chosen model is not scored; a model may have none at all, and
    # one with holes may have the easy tasks alone.
    single = mean_known(table.score)
    if np.isnan(table.score).any():
        default = artifact.models.index(artifact.default_model)
        single = np.where(np.arange(len(single)) == default, single, np.nan)
    return {
        "label": "in-sample: rates and test are the same tasks; says nothing about new ones",
        "accuracy": round(float(np.nanmean(score)), 6),
        "best_single": round(float(np.nanmax(single)), 6),
        "best_single_model": table.models[int(np.nanargmax(single))],
        "models_used": len(set(chosen.tolist())),
    }
