"""Fit an artifact to an outcome table.

Not here: whether routing is worth it on the table (see ``hypernova.evaluation``).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

import numpy as np

from hypernova._core import __version__
from hypernova.errors import FitError
from hypernova.progress import progress_bar
from hypernova.training.checks import (
    check_cluster_prompts,
    check_clusters,
    check_count,
    check_number,
    check_table,
)
from hypernova.training.clustering.describe import describe as describe_clusters
from hypernova.training.cost_weight import cost_weights, find_cost_weight
from hypernova.training.embedding import embed_table, embed_without, open_for, text_reader
from hypernova.training.shared_text import (
    accuracy_at_stake,
    find_alike_prompts,
    row_digests,
)
from hypernova.training.trainer import check_learnable, learn, select_with_progress

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from hypernova._core import Artifact
    from hypernova.embedder import Device, TextEmbedder
    from hypernova.numeric import Floats
    from hypernova.table import OutcomeTable

SELECTION_LABEL = "cross-validated on the folds that chose the setting: slightly too good"


def fit(
    table: OutcomeTable,
    *,
    embedder: str | os.PathLike[str] | TextEmbedder = "static",
    clusters: int | Literal["auto"] = "auto",
    seed: int = 0,
    device: Device = "cpu",
    cluster_prompts: Sequence[str] | None = None,
    cost_weight: float = 0.0,
    target_cost: float | None = None,
    target_accuracy: float | None = None,
    describe: bool = True,
    skip_shared: bool = False,
    progress: bool = False,
) -> Artifact:
    """Learn a routing artifact from an outcome table.

    The prompts are embedded and clustered, and each model's success is estimated in each
    cluster. Clusters (unless their number is given), shrinkage, linear correction and guard
    are selected by least regret on held-out tasks. Same input and seed, same bytes, on one
    kind of machine, with the same number of threads and versions of the libraries.

    Args:
        table: Outcomes of at least two models. If it holds vectors, nothing is
            embedded, and the artifact routes vectors only.
        embedder: ``"static"``, ``"minilm"``, a folder, or an open embedder (`Embedder`,
            `CallableEmbedder`).
        clusters: Number of clusters, or ``"auto"``.
        seed: Seed of folds and k-means, from 0.
        device: Where the embedder is loaded, ``"cpu"``, ``"cuda"`` or ``"auto"``, as in
            `Embedder.load`. An open embedder has its own; vectors of the table need none.
        cluster_prompts: Prompts, without outcomes, to find the clusters on instead of the
            table's.
        cost_weight: Default cost weight of the artifact, in success per USD.
        target_cost: Use instead the cost weight with the highest accuracy on held-out tasks
            among those that cost at most this there, USD a task.
        target_accuracy: Use instead the cost weight with the lowest cost on held-out tasks
            among those that reach this accuracy there, 0 to 1.
        describe: Keep each cluster's distinctive words in the metadata. Each stands in at
            least three different prompts of its cluster; no text of a prompt is kept.
        skip_shared: Leave beginnings and ends that many prompts of the table share out of
            every prompt, here and in every request of the artifact (docs/fitting.md, *Shared
            text*). By default nothing is left out; where many prompts share text, its effect
            on accuracy is measured and kept in the metadata under ``shared_text``.
        progress: Show a progress bar for steps longer than a second.

    Returns:
        The artifact, in memory; ``.save(path)`` writes it.

    Raises:
        FitError: The table is too small, has fewer prompts than clusters, no cost weight
            meets the target, or an option is of the wrong type or out of range.
        EmbedderMismatchError: ``cluster_prompts`` or ``skip_shared`` is given and the table
            holds vectors.
        ValueError: ``skip_shared``, and the embedder skips shared text already.
        MissingExtraError: The extra ``train`` is not installed, or ``device`` is ``"cuda"`` and
            onnxruntime has none.
        DeviceError: ``device`` is ``"cuda"``, and it cannot be used here.

    Example:
        >>> import hypernova
        >>> table = hypernova.OutcomeTable.read("outcomes.jsonl")  # doctest: +SKIP
        >>> hypernova.fit(table, seed=0).save("router.hnv")  # doctest: +SKIP
    """
    check_table(table, FitError)
    clusters = check_clusters(clusters, FitError)
    seed = check_count("seed", seed, 0, FitError)
    check_cluster_prompts(cluster_prompts, FitError)
    cost_weight = check_number("cost_weight", cost_weight, FitError)
    if target_cost is not None:
        target_cost = check_number("target_cost", target_cost, FitError)
    if target_accuracy is not None:
        target_accuracy = check_number("target_accuracy", target_accuracy, FitError, maximum=1.0)
    if (target_cost is not None) + (target_accuracy is not None) + (cost_weight != 0.0) > 1:
        raise FitError(
            "give one of cost_weight, target_cost and target_accuracy: each sets the first"
        )
    if (target_cost is not None or target_accuracy is not None) and not cost_weights(table):
        raise FitError(
            f"the table {table.name} knows no cost above zero, so no cost weight can be found; "
            "add cost_usd to its outcomes, or leave the target out"
        )
    different = check_learnable(table, clusters)  # before the prompts are embedded
    used, shared = open_for(table, embedder, skip_shared=skip_shared, device=device)
    vectors, cluster_vectors, identity = embed_table(
        table, embedder if used is None else used, cluster_prompts, progress
    )
    learned = learn(
        table,
        vectors,
        clusters=clusters,
        seed=seed,
        cluster_vectors=cluster_vectors,
        progress=progress,
    )
    selection = learned.selection
    assert selection is not None  # no setting was given
    target = None
    if target_cost is not None or target_accuracy is not None:
        with progress_bar(
            selection.folds * selection.repeats, "looking for the cost weight", progress
        ) as tick:
            target = find_cost_weight(
                table,
                vectors,
                seed,
                learned.setting,
                cost_usd=target_cost,
                accuracy=target_accuracy,
                cluster_vectors=cluster_vectors,
                tick=tick,
            )
        cost_weight = target.cost_weight
    metadata: dict[str, object] = {
        "hypernova": __version__,
        "table": table.name,
        "tasks": table.n_tasks,
        "different_prompts": different,
        "outcomes": int((~np.isnan(table.score)).sum()),
        "seed": seed,
        "clusters": clusters,
        "structure_prompts": None if cluster_prompts is None else len(cluster_prompts),
        "cluster_sizes": np.bincount(learned.placed.located.assigned).tolist(),
        "setting": asdict(learned.setting),
        "selection": {
            "label": SELECTION_LABEL,
            "folds": selection.folds,
            "repeats": selection.repeats,
            "accuracy": round(selection.held_out.accuracy, 6),
            "best_single": round(selection.best_single.accuracy, 6),
            "regret": round(selection.held_out.mean_regret, 6),
        },
    }
    if target is not None:
        metadata["target"] = {
            "label": "held-out, on the folds that chose the cost weight: slightly too good",
            "asked": {"cost_usd": target_cost, "accuracy": target_accuracy},
            "cost_weight": target.cost_weight,
            "accuracy": round(target.accuracy, 6),
            "cost_usd": round(target.cost_usd, 6),
        }
    provisional = learned.artifact(cost_weight=cost_weight)
    figures = _in_sample_figures(table, provisional, vectors)
    texts: Sequence[str] = table.prompts
    if used is not None:
        texts = list(map(text_reader(used), table.prompts))
        if skip_shared:
            metadata["shared_text"] = shared.to_dict(skipped=True)
        elif (parts := shared.notable_parts) is not None:
            without = embed_without(
                table, used, parts, cluster_prompts, vectors, cluster_vectors, progress
            )
            other = select_with_progress(
                table, *without, clusters=clusters, seed=seed, progress=progress
            )
            stake = accuracy_at_stake(selection.held_out, other.held_out, SELECTION_LABEL)
            metadata["shared_text"] = {**shared.to_dict(skipped=False), "at_stake": stake}
        alike = find_alike_prompts(table, texts, row_digests(vectors))
        if alike is not None:
            metadata["alike_prompts"] = alike
    if describe:
        centroids = learned.found.centroids
        described = describe_clusters(texts, vectors, centroids, learned.placed.located.assigned)
        metadata["words"] = [cluster.words for cluster in described]
    return learned.artifact(
        cost_weight=cost_weight, identity=identity, metadata={**metadata, "in_sample": figures}
    )


def _in_sample_figures(
    table: OutcomeTable, artifact: Artifact, vectors: Floats
) -> dict[str, object]:
    """Measure the artifact on the tasks that it was fitted to."""
    chosen = artifact.decide_many(vectors).model_indices
    score = table.score[np.arange(table.n_tasks), chosen]
    # A task without an outcome of the chosen model is not scored.
    single = np.nanmean(table.score, axis=0)
    return {
        "label": "in-sample: rates and test are the same tasks; says nothing about new ones",
        "accuracy": round(float(np.nanmean(score)), 6),
        "best_single": round(float(single.max()), 6),
        "best_single_model": table.models[int(single.argmax())],
        "models_used": len(set(chosen.tolist())),
    }
