"""From an outcome table to an artifact.

Not here: whether routing is worth it on the table; an artifact fits the tasks that
it was made of, and says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from hypernova._core import __version__
from hypernova.embedder import Embedder
from hypernova.errors import EmbedderMismatchError, FitError
from hypernova.training.assemble import assemble, vectors_identity
from hypernova.training.cluster import STARTS, assign, kmeans
from hypernova.training.profile import Evidence
from hypernova.training.progress import bar
from hypernova.training.select import select, steps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hypernova._core import Artifact
    from hypernova.table import OutcomeTable
    from hypernova.training.types import Floats

LEAST_TASKS = 10


def fit(
    table: OutcomeTable,
    *,
    embedder: str | Embedder = "static",
    clusters: int | Literal["auto"] = "auto",
    seed: int = 0,
    structure: Sequence[str] | None = None,
    cost_weight: float = 0.0,
    progress: bool = False,
) -> Artifact:
    """Learn a routing artifact from an outcome table.

    Embeds the prompts, clusters them by spherical k-means, and records each
    model's outcomes per cluster. Shrinkage and guard, and the number of clusters
    if it is ``"auto"``, are those with the least regret on held-out tasks
    (`hypernova.training.select`). Same input and seed, same bytes, on one kind of
    machine and with the same versions of the libraries.

    Args:
        table: Outcomes of at least two models. If it holds vectors, nothing is
            embedded, and the artifact routes vectors only.
        embedder: ``"static"``, ``"minilm"``, a folder, or an open `Embedder`.
        clusters: How many, or ``"auto"``.
        seed: Of folds and k-means.
        structure: Prompts to fit the clusters on instead of the table's; no
            outcomes are needed for them.
        cost_weight: Default of the artifact, in success per USD.
        progress: Show a progress bar for what takes longer than a second.

    Returns:
        The artifact, in memory; ``.save(path)`` writes it.

    Raises:
        FitError: The table is too small, or has fewer prompts than clusters.
        EmbedderMismatchError: ``structure`` is given and the table holds vectors.
        MissingExtraError: The extra ``train`` is not installed.

    Example:
        >>> import hypernova
        >>> table = hypernova.OutcomeTable.read("outcomes.jsonl")  # doctest: +SKIP
        >>> hypernova.fit(table, seed=0).save("router.hnv")  # doctest: +SKIP
    """
    groups = table.prompt_groups()
    different = int(groups.max()) + 1
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
    vectors, structure_vectors, identity = _vectors(table, embedder, structure, progress)

    tried = None if clusters == "auto" else [clusters]
    total = steps(different, tried, structure_vectors is not None)
    with bar(total, "choosing on held-out tasks", progress) as tick:
        try:
            chosen = select(
                table, vectors, seed, clusters=tried, structure=structure_vectors, tick=tick
            )
        except FitError:
            # A fold has fewer prompts than the table: with about as many clusters as
            # prompts there is nothing to hold out.
            raise FitError(
                f"{clusters} clusters leave no prompt to hold out of {different}; ask for fewer"
            ) from None
    setting = chosen.setting
    with bar(STARTS, "clustering", progress) as tick:
        base = vectors if structure_vectors is None else structure_vectors
        centroids = kmeans(base, setting.clusters, seed, tick=tick)
    assigned, _ = assign(vectors, centroids)
    evidence = Evidence.of(table, assigned, len(centroids))

    metadata: dict[str, object] = {
        "hypernova": __version__,
        "table": table.name,
        "tasks": table.n_tasks,
        "different_prompts": different,
        "outcomes": int((~np.isnan(table.score)).sum()),
        "seed": seed,
        "clusters": clusters,
        "structure_prompts": None if structure is None else len(structure),
        "cluster_sizes": np.bincount(assigned, minlength=len(centroids)).tolist(),
        "selection": {
            "label": "cross-validated on the folds that chose the setting: slightly too good",
            "folds": chosen.folds,
            "repeats": chosen.repeats,
            "accuracy": round(chosen.held_out.accuracy, 6),
            "best_single": round(chosen.best_single.accuracy, 6),
            "regret": round(chosen.held_out.regret, 6),
        },
    }

    def build(metadata: Mapping[str, object]) -> Artifact:
        return assemble(
            table.models,
            centroids,
            evidence,
            shrinkage=setting.shrinkage,
            guard_z=setting.guard_z,
            cost_weight=cost_weight,
            distances=chosen.distances,
            identity=identity,
            metadata=metadata,
        )

    return build({**metadata, "in_sample": _in_sample(table, build(metadata), vectors)})


def _vectors(
    table: OutcomeTable,
    embedder: str | Embedder,
    structure: Sequence[str] | None,
    progress: bool,
) -> tuple[Floats, Floats | None, Mapping[str, object]]:
    """Vectors of the table and of the structure prompts, and who made them."""
    if table.embedding is not None:
        if structure is not None:
            raise EmbedderMismatchError(
                f"the table {table.name} brings vectors, so structure prompts cannot be embedded "
                "to match; leave structure out or drop the embedding column"
            )
        origin = table.embedding_origin or f"embedding column of {table.name}"
        return table.embedding, None, vectors_identity(origin, table.embedding.shape[1])
    if structure is not None and not len(structure):
        raise FitError("structure holds no prompts; pass at least one")
    used = embedder if isinstance(embedder, Embedder) else Embedder.load(embedder)
    texts = [*table.prompts, *(structure or ())]
    with bar(len(texts), f"embedding with {used.name}", progress) as tick:
        vectors = used.embed(texts, progress=tick)
    identity = {**used.identity, "kind": "text", "fingerprint": used.fingerprint}
    n = table.n_tasks
    return vectors[:n], None if structure is None else vectors[n:], identity


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
