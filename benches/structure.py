"""Compare clusters of general text with clusters of the table's own prompts, on held-out tasks.

Not here: what is chosen by itself; `hypernova evaluate DATA --cluster-prompts PROMPTS` judges that.
Each setting is fixed here (k-means, rates pulled to the overall ones with the weight of 30
outcomes, no linear correction, no guard), so that nothing but where the clusters come from
is different, and both see the same folds.

    python -m benches.structure PROMPTS DATA... [--embedder static] [--repeats 4]
"""

from __future__ import annotations

import argparse

import numpy as np

import hypernova
from hypernova.embedder import Embedder
from hypernova.evaluation.protocol import fold_splits
from hypernova.table import read_prompts
from hypernova.training.assemble import assemble
from hypernova.training.clustering.clusters import Clusters
from hypernova.training.clustering.kmeans import assign, kmeans
from hypernova.training.estimates.profile import Evidence, estimate

CLUSTERS = (8, 16, 32, 64)
SHRINKAGE = 30.0


def held_out(table, vectors, cluster_vectors, clusters: int, repeats: int) -> tuple:
    """Scores of the models taken, and of the best single model: (repeats, tasks) each."""
    taken = np.empty((repeats, table.n_tasks))
    single = np.empty_like(taken)
    for part in fold_splits(table.prompt_groups(), 5, repeats, 0):
        train = table.subset(part.train)
        on = vectors[part.train] if cluster_vectors is None else cluster_vectors
        found = Clusters(kmeans(on, clusters, part.seed))
        cells = assign(vectors[part.train], found.centroids)[0]
        estimated = estimate(Evidence.of(train, cells, found.k), SHRINKAGE)
        artifact = assemble(train.models, found, estimated, shrinkage=SHRINKAGE, guard_z=0.0)
        models = artifact.decide_many(vectors[part.test]).model_indices
        taken[part.repeat, part.test] = table.score[part.test, models]
        single[part.repeat, part.test] = table.score[part.test, estimated.default_model]
    return taken, single


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prompts", metavar="PROMPTS")
    parser.add_argument("data", nargs="+", metavar="DATA")
    parser.add_argument("--embedder", default="static")
    parser.add_argument("--repeats", type=int, default=4)
    arguments = parser.parse_args()
    embedder = Embedder.load(arguments.embedder)
    prompts = read_prompts(arguments.prompts)
    cluster_vectors = embedder.embed(prompts)
    print(f"{len(prompts):,} prompts of {arguments.prompts}, {embedder.name}")
    for path in arguments.data:
        table = hypernova.OutcomeTable.read(path)
        vectors = embedder.embed(list(table.prompts))
        print(f"\n{table.name}\n\n| clusters | own | general | difference | best single |")
        print("| --- | --- | --- | --- | --- |")
        for clusters in CLUSTERS:
            own, single = held_out(table, vectors, None, clusters, arguments.repeats)
            general, _ = held_out(table, vectors, cluster_vectors, clusters, arguments.repeats)
            # Tasks are drawn again, not repeats: a task dealt twice is no second task.
            change = np.nanmean(general - own, axis=0)
            draws = np.random.default_rng(0).integers(0, len(change), (2000, len(change)))
            low, high = np.quantile(np.nanmean(change[draws], axis=1), [0.025, 0.975])
            print(
                f"| {clusters} | {np.nanmean(own):.4f} | {np.nanmean(general):.4f} | "
                f"{np.nanmean(change):+.4f} ({low:+.4f} to {high:+.4f}) | "
                f"{np.nanmean(single):.4f} |"
            )


if __name__ == "__main__":
    main()
