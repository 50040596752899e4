"""Split a table's tasks, learn from each training part, and route its test part.

Not here: scores. The result is decisions, made from vectors of the test part and outcomes
of the training part, so that no outcome of the test part can enter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hypernova.artifact.decisions import NO_LIMITS, estimates_of
from hypernova.evaluation.baselines import Hull, well_tried
from hypernova.evaluation.estimated_table import EstimatedTable
from hypernova.evaluation.group_given import decide_with_groups
from hypernova.training.cross_validation import deal_folds
from hypernova.training.estimates.overlap import uncomparable
from hypernova.training.estimates.sums import mean_known
from hypernova.training.margin import UNSEEN
from hypernova.training.trainer import learn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hypernova._core import Artifact
    from hypernova.evaluation.group_given import GroupDecisions
    from hypernova.numeric import Floats, Ints
    from hypernova.route_options import RouteOptions
    from hypernova.table import OutcomeTable


# Number of routers that learn from shuffled prompts, at least, over all splits.
MIN_SHUFFLES = 50


@dataclass(frozen=True)
class Split:
    """A training part and a test part of the tasks.

    Attributes:
        repeat: Index of the repeat, from 0.
        train: Indices of tasks.
        test: Indices of tasks; none has a prompt of ``train``.
        seed: Seed of learning.
        shuffle_seeds: One for each router that learns from shuffled vectors.
    """

    repeat: int
    train: Ints
    test: Ints
    seed: int
    shuffle_seeds: tuple[int, ...] = ()


@dataclass(frozen=True)
class KindSplits:
    """Splits whose test parts are whole kinds of task.

    Attributes:
        source: Whether kinds are groups or clusters of prompts.
        kinds: Kind of each task, (tasks,).
        splits: The splits; none where too little would be left.
    """

    source: Literal["groups", "clusters"]
    kinds: Ints
    splits: Sequence[Split]


@dataclass(frozen=True)
class SplitDecisions:
    """Decisions for the test part of a split, without its outcomes.

    Attributes:
        chosen: (test,) the models that the router chose, under its default policy.
        novel: (test,) whether the router took the prompt for novel.
        by_weight: (weights, test) the models that it chose under each cost weight.
        shuffled: (shuffles, test) models of the routers that learned from shuffled prompts.
        single: The best single model of the training part.
        hull: Single models of the training part to mix; None where costs are unknown.
        setting: The setting that was selected in the training part.
        rates: (models,) plain mean scores of the training part; NaN without an outcome.
        estimates: (test, models) float32, the router's success estimates; None if not asked for.
        by_calls: (weights, test) the models that it chose where a call to ``single`` has a price;
            empty if not asked for.
        other: The best other single model of the training part; -1 without one.
        pair: The weaker and the stronger of the two models that the table or the hull is made of;
            None if there are others.
        margins: (test,) success estimate of the stronger less the weaker one's; None without a
            pair.
        group_given: Decisions for prompts whose group is named; None where groups are not known.
    """

    chosen: Ints
    novel: Ints
    by_weight: Ints
    shuffled: Ints
    single: int
    hull: Hull | None
    setting: dict[str, Any]
    rates: Floats
    estimates: Floats | None
    by_calls: Ints
    other: int
    pair: tuple[int, int] | None
    margins: Floats | None
    group_given: GroupDecisions | None


@dataclass(frozen=True)
class InSampleFit:
    """The artifact of all tasks, for the figures that are in-sample.

    Attributes:
        artifact: Bytes of the artifact.
        single: The best single model of the table.
        uncomparable: A sentence for each model that only its holes keep from being that one.
    """

    artifact: bytes
    single: int
    uncomparable: tuple[str, ...] = ()


def seed_of(seed: int, *place: int) -> int:
    """Derive the seed of one place in the protocol, below 2**31."""
    state = np.random.SeedSequence(seed, spawn_key=place).generate_state(1)
    return int(state[0] >> np.uint32(1))


def fold_splits(prompts: Ints, folds: int, repeats: int, seed: int) -> Iterator[Split]:
    """Deal the tasks into folds, several times, equal prompts into the same fold.

    Args:
        prompts: (tasks,) the same number for tasks with the same prompt.
        folds: Number of folds.
        repeats: Number of times that all tasks are dealt.
        seed: The same seed gives the same folds.
    """
    # One shuffle is a coin tossed for all tasks at once: a few splits need several each.
    shuffles = -(-MIN_SHUFFLES // (folds * repeats))
    for r in range(repeats):
        fold = deal_folds(prompts, folds, np.random.default_rng(seed_of(seed, 0, r)))
        for f in range(folds):
            yield Split(
                repeat=r,
                train=np.flatnonzero(fold != f),
                test=np.flatnonzero(fold == f),
                seed=seed_of(seed, 1, r, f),
                shuffle_seeds=tuple(seed_of(seed, 2, r, f, i) for i in range(shuffles)),
            )


def group_splits(prompts: Ints, groups: Ints, seed: int) -> Iterator[Split]:
    """Leave out each group in turn, and its prompts wherever else they occur.

    Args:
        prompts: As in `fold_splits`.
        groups: (tasks,) numbers; tasks with -1 have no group and are never left out.
        seed: Seed of learning.
    """
    for group in range(int(groups.max()) + 1):
        test = groups == group
        train = ~np.isin(prompts, prompts[test])
        yield Split(
            repeat=0,
            train=np.flatnonzero(train),
            test=np.flatnonzero(test),
            seed=seed_of(seed, 4, group),
        )


def test_to_train(splits: Sequence[Split]) -> float:
    """Compute the number of tasks of a test part over that of its training part, on average."""
    return float(np.mean([len(split.test) / len(split.train) for split in splits]))


def decide_split(
    table: OutcomeTable,
    vectors: Floats,
    split: Split,
    clusters: int | Literal["auto"],
    cost_weights: Sequence[float],
    cluster_vectors: Floats | None = None,
    call_weights: Sequence[float] = (),
    *,
    unseen: float = UNSEEN,
    estimates: bool = False,
    margins: bool = False,
) -> SplitDecisions:
    """Learn from the training part of a split, and route its test part.

    Args:
        table: Outcomes; those of the test part are not read.
        vectors: float32 (tasks, dim).
        split: The two parts.
        clusters: As in `fit`.
        cost_weights: Cost weights to route under, besides the default policy.
        cluster_vectors: Vectors of the cluster prompts, if clusters are found on those.
        call_weights: Weights of a call to the best single model to route under.
        unseen: As in `fit`.
        estimates: Whether to give the success estimates.
        margins: Whether to compare two models' estimates, if two span the table.
    """
    train = table.subset(split.train)
    train_vectors, test_vectors = vectors[split.train], vectors[split.test]
    learned = learn(
        train,
        train_vectors,
        clusters=clusters,
        seed=split.seed,
        unseen=unseen,
        cluster_vectors=cluster_vectors,
    )
    artifact = learned.artifact()
    decisions = artifact.decide_many(test_vectors)
    shuffled = np.empty((len(split.shuffle_seeds), len(split.test)), dtype=np.int32)
    prompts = train.prompt_groups()
    assert learned.placed is not None
    for i, shuffle_seed in enumerate(split.shuffle_seeds):
        given = shuffle_tasks(prompts, shuffle_seed)
        sums = learned.placed.exchanged(given, learned.part.sums)
        baseline = replace(learned.part, sums=sums).artifact(learned.setting)
        shuffled[i] = baseline.decide_many(test_vectors).model_indices

    def under(weights: Sequence[float], prices: Mapping[str, float] | None = None) -> Ints:
        routed = (
            artifact.decide_many(test_vectors, cost_weight=weight, prices=prices)
            for weight in weights
        )
        shape = len(weights), len(split.test)
        return np.array([d.model_indices for d in routed], dtype=np.int32).reshape(shape)

    # Single models are compared on the same tasks.
    filled = EstimatedTable.by_kind(
        train, lambda: artifact.decide_many(train_vectors).clusters
    ).filled
    single, hull = learned.part.by_cell.default_model, Hull.of(train, filled)
    rates, tried = mean_known(filled.score), well_tried(train)
    others = np.where(tried & (np.arange(len(rates)) != single), rates, np.nan)
    pair = _spanning_pair(rates, hull) if margins else None
    found = None
    if estimates:
        found = estimates_of(artifact.decide_many(test_vectors, **NO_LIMITS)).astype(np.float32)
    return SplitDecisions(
        chosen=decisions.model_indices,
        novel=decisions.reason_codes == decisions.reasons.index("default_novel"),
        by_weight=under(cost_weights),
        shuffled=shuffled,
        single=single,
        hull=hull,
        setting={
            "source": learned.setting.source,
            "clusters": learned.setting.clusters,
            "guard_z": learned.setting.guard_z,
            "margin": learned.setting.margin,
        },
        rates=mean_known(train.score),
        estimates=found,
        by_calls=under(
            call_weights, {model: float(m == single) for m, model in enumerate(table.models)}
        ),
        other=-1 if np.isnan(others).all() else int(np.nanargmax(others)),
        pair=pair,
        margins=None if pair is None else _margins(artifact, test_vectors, pair),
        group_given=decide_with_groups(
            artifact,
            train,
            [table.groups[task] for task in split.test],
            test_vectors,
            cost_weights,
            single,
        ),
    )


def _spanning_pair(rates: Floats, hull: Hull | None) -> tuple[int, int] | None:
    """Find the weaker and the stronger of two models that the table or the hull is made of."""
    if len(rates) == 2 and not np.isnan(rates).any():
        return (1, 0) if rates[0] >= rates[1] else (0, 1)
    if hull is not None and len(hull.models) == 2:
        return hull.models[0], hull.models[1]
    return None


def _margins(artifact: Artifact, vectors: Floats, pair: tuple[int, int]) -> Floats:
    """Compare the success estimates with which an artifact serves two models, (n,)."""
    options: RouteOptions = {**NO_LIMITS, "allow": [artifact.models[m] for m in pair]}
    found = estimates_of(artifact.decide_many(vectors, **options))
    margins: Floats = found[:, pair[1]] - found[:, pair[0]]
    return margins


def fit_in_sample(
    table: OutcomeTable,
    vectors: Floats,
    clusters: int | Literal["auto"],
    seed: int,
    cluster_vectors: Floats | None = None,
    *,
    unseen: float = UNSEEN,
) -> InSampleFit:
    """Learn from all tasks, as `fit` with the same options does."""
    learned = learn(
        table,
        vectors,
        clusters=clusters,
        seed=seed,
        unseen=unseen,
        cluster_vectors=cluster_vectors,
    )
    part = learned.part
    found = tuple(str(model) for model in uncomparable(part.evidence, table.models))
    return InSampleFit(learned.artifact().to_bytes(), part.by_cell.default_model, found)


def shuffle_tasks(prompts: Ints, seed: int) -> Ints:
    """Give each prompt the place of a random one that occurs as often.

    So a router can learn the same clusters with as many tasks in each, and nothing of use in
    them; tasks with equal prompts get equal places.

    Args:
        prompts: (tasks,) the same number for tasks with the same prompt.
        seed: The same seed gives the same order.

    Returns:
        The task whose vector each task gets, (tasks,), a permutation.
    """
    rng = np.random.default_rng(seed)
    # Tasks by prompt, and prompts by the number of their tasks.
    order = np.argsort(prompts, kind="stable")
    _, first, sizes = np.unique(prompts[order], return_index=True, return_counts=True)
    given = np.empty(len(prompts), dtype=np.int64)
    for size in np.unique(sizes):
        members = order[first[sizes == size][:, None] + np.arange(size)]
        given[members] = rng.permutation(members)
    return given
