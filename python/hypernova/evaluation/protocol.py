"""Learn on one part of a table and route another: what happens in each fold.

Not here: scores. Decisions come back, so that nothing here can look at an outcome of
the test part: it is passed vectors of the test part and outcomes of the training part.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hypernova.evaluation.baselines import Mix, cost_matched_mix
from hypernova.training.model_selection import deal_folds
from hypernova.training.trainer import learn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hypernova.numeric import Floats, Ints
    from hypernova.table import OutcomeTable


# At least so many routers learn from shuffled vectors, over all parts.
SHUFFLES = 50


@dataclass(frozen=True)
class Part:
    """One split of the tasks.

    Attributes:
        row: Of the table of decisions that it fills: the repeat.
        train: Indices of tasks.
        test: Indices of tasks; none has a prompt of ``train``.
        seed: Of learning.
        shuffle_seeds: Of the shuffled control, one for each shuffle.
    """

    row: int
    train: Ints
    test: Ints
    seed: int
    shuffle_seeds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Decided:
    """What was decided for the test part, without its outcomes.

    Attributes:
        taken: (test,) the router's models, under its default policy.
        novel: (test,) which prompts it took for novel.
        by_weight: (weights, test) its models under each cost weight.
        shuffled: (shuffles, test) models of routers that learned from shuffled vectors.
        single: The best single model of the training part.
        mix: The cost-matched mix of the training part.
        setting: Which the router chose.
    """

    taken: Ints
    novel: Ints
    by_weight: Ints
    shuffled: Ints
    single: int
    mix: Mix | None
    setting: dict[str, Any]


@dataclass(frozen=True)
class Whole:
    """What was learned from all tasks, for the figures that are in-sample.

    Attributes:
        artifact: Bytes of the artifact.
        single: The best single model.
    """

    artifact: bytes
    single: int


def seed_of(seed: int, *place: int) -> int:
    """Derive the seed of one place in the protocol, below 2**31."""
    state = np.random.SeedSequence(seed, spawn_key=place).generate_state(1)
    return int(state[0] >> np.uint32(1))


def deal_parts(prompts: Ints, folds: int, repeats: int, seed: int) -> Iterator[Part]:
    """Deal the tasks into folds, several times, equal prompts into the same fold.

    Args:
        prompts: (tasks,) the same number for tasks with the same prompt.
        folds: Number of folds.
        repeats: How often all tasks are dealt.
        seed: Same seed, same folds.
    """
    # One shuffle is a coin tossed for all tasks at once: a few parts need several each.
    shuffles = -(-SHUFFLES // (folds * repeats))
    for r in range(repeats):
        fold = deal_folds(prompts, folds, np.random.default_rng(seed_of(seed, 0, r)))
        for f in range(folds):
            yield Part(
                row=r,
                train=np.flatnonzero(fold != f),
                test=np.flatnonzero(fold == f),
                seed=seed_of(seed, 1, r, f),
                shuffle_seeds=tuple(seed_of(seed, 2, r, f, i) for i in range(shuffles)),
            )


def group_parts(prompts: Ints, groups: Ints, seed: int) -> Iterator[Part]:
    """Hold out each group in turn; a prompt that it shares is left out of training.

    Args:
        prompts: As in `deal_parts`.
        groups: (tasks,) numbers; -1 where a task has no group, which is never held out.
        seed: Of learning.
    """
    for group in range(int(groups.max()) + 1):
        test = groups == group
        train = ~np.isin(prompts, prompts[test])
        yield Part(
            row=0,
            train=np.flatnonzero(train),
            test=np.flatnonzero(test),
            seed=seed_of(seed, 4, group),
        )


def test_to_train(parts: Sequence[Part]) -> float:
    """Tasks of a test part over those of its training part, on average."""
    return float(np.mean([len(part.test) / len(part.train) for part in parts]))


def decide_part(
    table: OutcomeTable,
    vectors: Floats,
    part: Part,
    clusters: int | Literal["auto"],
    cost_weights: Sequence[float],
    cluster_vectors: Floats | None = None,
) -> Decided:
    """Learn on ``part.train`` and route ``part.test``; clusters of ``cluster_vectors``, if any."""
    train = table.subset(part.train)
    train_vectors, test_vectors = vectors[part.train], vectors[part.test]
    learned = learn(
        train, train_vectors, clusters=clusters, seed=part.seed, cluster_vectors=cluster_vectors
    )
    artifact = learned.artifact()
    decisions = artifact.decide_many(test_vectors)
    shuffled = np.empty((len(part.shuffle_seeds), len(part.test)), dtype=np.int32)
    for i, shuffle_seed in enumerate(part.shuffle_seeds):
        control = learn(
            train,
            shuffle_vectors(train_vectors, train.prompt_groups(), shuffle_seed),
            clusters=clusters,
            seed=part.seed,
            cluster_vectors=cluster_vectors,
            setting=learned.setting,
        ).artifact()
        shuffled[i] = control.decide_many(test_vectors).model_indices
    return Decided(
        taken=decisions.model_indices,
        novel=decisions.reason_codes == decisions.reasons.index("default_novel"),
        by_weight=np.array(
            [artifact.decide_many(test_vectors, cost_weight=w).model_indices for w in cost_weights],
            dtype=np.int32,
        ).reshape(len(cost_weights), len(part.test)),
        shuffled=shuffled,
        single=learned.evidence.default_model,
        mix=cost_matched_mix(train, artifact.decide_many(train_vectors).model_indices),
        setting=asdict(learned.setting),
    )


def learn_whole(
    table: OutcomeTable,
    vectors: Floats,
    clusters: int | Literal["auto"],
    seed: int,
    cluster_vectors: Floats | None = None,
) -> Whole:
    """Learn from all tasks, as ``fit`` with the same seed does."""
    learned = learn(table, vectors, clusters=clusters, seed=seed, cluster_vectors=cluster_vectors)
    return Whole(learned.artifact().to_bytes(), learned.evidence.default_model)


def shuffle_vectors(vectors: Floats, prompts: Ints, seed: int) -> Floats:
    """Give each prompt the vector of another one, equal prompts the same."""
    different, first = np.unique(prompts, return_index=True)
    given = np.random.default_rng(seed).permutation(len(different))
    return vectors[first[given][np.searchsorted(different, prompts)]]
