"""From an outcome table to an artifact.

Not here: whether routing is worth it on the table; an artifact fits the tasks that
it was made of, and says so.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

import numpy as np

from hypernova._core import __version__
from hypernova.errors import FitError
from hypernova.progress import bar
from hypernova.training.checks import (
    check_clusters,
    check_count,
    check_number,
    check_structure,
    check_table,
)
from hypernova.training.clustering.describe import describe as describe_clusters
from hypernova.training.cost_weight import cost_weights, find_cost_weight
from hypernova.training.embedding import embed_left, embed_table, open_for, texts_read
from hypernova.training.shared_text import (
    at_stake,
    find_alike,
    keys_of,
)
from hypernova.training.trainer import check_learnable, choose, learn

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from hypernova._core import Artifact
    from hypernova.embedder import Device, TextEmbedder
    from hypernova.numeric import Floats
    from hypernova.table import OutcomeTable

SELECTED = "cross-validated on the folds that chose the setting: slightly too good"


def fit(
    table: OutcomeTable,
    *,
    embedder: str | os.PathLike[str] | TextEmbedder = "static",
    clusters: int | Literal["auto"] = "auto",
    seed: int = 0,
    device: Device = "cpu",
    structure: Sequence[str] | None = None,
    cost_weight: float = 0.0,
    target_cost: float | None = None,
    target_accuracy: float | None = None,
    describe: bool = True,
    skip_shared: bool = False,
    progress: bool = False,
) -> Artifact:
    """Learn a routing artifact from an outcome table.

    Embeds the prompts, clusters them, and records each model's outcomes per cluster.
    Clusters (unless their number is given), shrinkage, lifts and guard are those with
    the least regret on held-out tasks (`hypernova.training.model_selection`). Same input and
    seed, same bytes, on one kind of machine, with as many threads and with the same
    versions of the libraries.

    Args:
        table: Outcomes of at least two models. If it holds vectors, nothing is
            embedded, and the artifact routes vectors only.
        embedder: ``"static"``, ``"minilm"``, a folder, or an open embedder (`Embedder`,
            `CallableEmbedder`).
        clusters: How many, or ``"auto"``.
        seed: Of folds and k-means.
        device: Where the embedder is loaded, ``"cpu"``, ``"cuda"`` or ``"auto"``, as in
            `Embedder.load`. An open embedder has its own; vectors of the table need none.
        structure: Prompts to fit the clusters on instead of the table's; no
            outcomes are needed for them.
        cost_weight: Default of the artifact, in success per USD.
        target_cost: Instead: take the weight that is most accurate on held-out tasks
            among those that cost at most so much there, USD a task.
        target_accuracy: Instead: take the weight that costs least on held-out tasks
            among those that are at least so accurate there, 0 to 1.
        describe: Keep each cluster's most telling words in the metadata, for people to
            read. Each stands in at least three different prompts of its cluster; no
            text of a prompt is kept either way.
        skip_shared: Leave beginnings and ends that many prompts of the table share out of
            every prompt, here and in every request of the artifact (docs/fitting.md, *Shared
            text*). By default nothing is left out, and where many prompts share some, what it
            would change is measured: the metadata has it under ``shared_text``.
        progress: Show a progress bar for what takes longer than a second.

    Returns:
        The artifact, in memory; ``.save(path)`` writes it.

    Raises:
        FitError: The table is too small, has fewer prompts than clusters, no cost weight
            meets the target, or an option is of the wrong type or out of range.
        EmbedderMismatchError: ``structure`` or ``skip_shared`` is given and the table holds
            vectors.
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
    check_structure(structure, FitError)
    cost_weight = check_number("cost_weight", cost_weight, FitError)
    if target_cost is not None:
        target_cost = check_number("target_cost", target_cost, FitError)
    if target_accuracy is not None:
        target_accuracy = check_number("target_accuracy", target_accuracy, FitError, most=1.0)
    if (target_cost is not None) + (target_accuracy is not None) + (cost_weight != 0.0) > 1:
        raise FitError(
            "give one of cost_weight, target_cost and target_accuracy: each sets the first"
        )
    if (target_cost is not None or target_accuracy is not None) and not cost_weights(table):
        raise FitError(
            f"the table {table.name} knows no cost above zero, so no cost weight can be found; "
            "add cost_usd to its outcomes, or leave the target out"
        )
    different = check_learnable(table, clusters)  # said before the prompts are embedded
    used, shared = open_for(table, embedder, skip_shared=skip_shared, device=device)
    vectors, structure_vectors, identity = embed_table(
        table, embedder if used is None else used, structure, progress
    )
    learned = learn(
        table,
        vectors,
        clusters=clusters,
        seed=seed,
        structure=structure_vectors,
        progress=progress,
    )
    chosen = learned.selection
    assert chosen is not None  # no setting was given
    target = None
    if target_cost is not None or target_accuracy is not None:
        with bar(chosen.folds * chosen.repeats, "looking for the cost weight", progress) as tick:
            target = find_cost_weight(
                table,
                vectors,
                seed,
                learned.setting,
                cost_usd=target_cost,
                accuracy=target_accuracy,
                structure=structure_vectors,
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
        "structure_prompts": None if structure is None else len(structure),
        "cluster_sizes": np.bincount(learned.clusters).tolist(),
        "setting": asdict(learned.setting),
        "selection": {
            "label": SELECTED,
            "folds": chosen.folds,
            "repeats": chosen.repeats,
            "accuracy": round(chosen.held_out.accuracy, 6),
            "best_single": round(chosen.best_single.accuracy, 6),
            "regret": round(chosen.held_out.mean_regret, 6),
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
    unnamed = learned.artifact(cost_weight=cost_weight)
    figures = _in_sample(table, unnamed, vectors)
    texts: Sequence[str] = table.prompts
    if used is not None:
        texts = list(map(texts_read(used), table.prompts))
        if skip_shared:
            metadata["shared_text"] = shared.facts(skipped=True)
        elif (parts := shared.to_say) is not None:
            left = embed_left(table, used, parts, structure, vectors, structure_vectors, progress)
            without = choose(table, *left, clusters=clusters, seed=seed, progress=progress)
            stake = at_stake(chosen.held_out, without.held_out, SELECTED)
            metadata["shared_text"] = {**shared.facts(skipped=False), "at_stake": stake}
        alike = find_alike(table, texts, keys_of(vectors))
        if alike is not None:
            metadata["alike_prompts"] = alike
    if describe:
        centroids = learned.structure.centroids
        described = describe_clusters(texts, vectors, centroids, learned.clusters)
        metadata["words"] = [cluster.words for cluster in described]
    return learned.artifact(
        cost_weight=cost_weight, identity=identity, metadata={**metadata, "in_sample": figures}
    )


def _in_sample(table: OutcomeTable, artifact: Artifact, vectors: Floats) -> dict[str, object]:
    """How the artifact does on the very tasks that it was made of."""
    taken = artifact.decide_many(vectors).model_indices
    score = table.score[np.arange(table.n_tasks), taken]
    # Where a model has no outcome for a task, that says nothing about the router.
    single = np.nanmean(table.score, axis=0)
    return {
        "label": "in-sample: rates and test are the same tasks; says nothing about new ones",
        "accuracy": round(float(np.nanmean(score)), 6),
        "best_single": round(float(single.max()), 6),
        "best_single_model": table.models[int(single.argmax())],
        "models_used": len(set(taken.tolist())),
    }
