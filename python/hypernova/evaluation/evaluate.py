"""Run the protocol: check the table, deal it into parts, learn and route each, report.

Not here: what is learned (see ``hypernova.training``), or how figures come of decisions
(see ``compose``).
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hypernova.errors import FitError, JudgeError
from hypernova.evaluation.processes import in_processes
from hypernova.evaluation.protocol import (
    deal_parts,
    decide_part,
    group_parts,
    learn_whole,
)
from hypernova.evaluation.report import Report
from hypernova.evaluation.results import Trial, compose
from hypernova.evaluation.shared_text import alike_field, shared_field, vectors_unseen
from hypernova.training.checks import (
    check_cluster_prompts,
    check_clusters,
    check_count,
    check_table,
)
from hypernova.training.cost_weight import cost_weights
from hypernova.training.embedding import embed_table, embed_without, open_for, text_reader
from hypernova.training.estimates.sums import mean_known
from hypernova.training.trainer import MIN_TASKS, check_learnable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.embedder import Device, TextEmbedder
    from hypernova.evaluation.protocol import Part
    from hypernova.numeric import Ints
    from hypernova.table import OutcomeTable

# What each repeat decides is kept until the end; the figures move no more long before this.
MOST_REPEATS = 10_000


def evaluate(
    table: OutcomeTable,
    *,
    folds: int = 5,
    repeats: int = 10,
    seed: int = 0,
    embedder: str | os.PathLike[str] | TextEmbedder = "static",
    clusters: int | Literal["auto"] = "auto",
    cluster_prompts: Sequence[str] | None = None,
    device: Device = "cpu",
    leave_one_group_out: bool = False,
    skip_shared: bool = False,
    jobs: int | None = None,
    progress: bool = False,
) -> Report:
    """Judge on held-out tasks whether routing is worth it on a table.

    Tasks are dealt into folds, equal prompts together, and each fold is routed by what
    `fit` learns from the others: clusters, rates, settings and the best single model are
    chosen inside the training part. docs/evaluation.md states the protocol, the controls
    and the rule of the verdict.

    Args:
        table: Outcomes of at least two models.
        folds: Number of folds, at least 2.
        repeats: How often the tasks are dealt into folds, at most 10,000 times.
        seed: Same table, options and seed, same report.
        embedder: As in `fit`; not used if the table holds vectors. Prompts are embedded
            once.
        clusters: As in `fit`.
        cluster_prompts: As in `fit`: the same prompts in every fold, none of them with an outcome.
        device: As in `fit`.
        leave_one_group_out: Hold out each named group as well: what happens on a kind of
            task never seen.
        skip_shared: As in `fit`. What is shared is found once, in the texts of all prompts;
            a group that is left out is no part of that. By default nothing is left out, and
            where many prompts share some, the first deal is run without it as well.
        jobs: Processes; by default as many as the cores this process may use. The report
            does not depend on it.
        progress: Show a progress bar for what takes longer than a second.

    Raises:
        JudgeError: The table is too small to hold anything out, or an option is out of
            range.
        FitError: ``clusters`` is out of range, or ``cluster_prompts`` is empty.
        EmbedderMismatchError: As in `fit`.
        ValueError: As in `fit`.
        MissingExtraError: As in `fit`.
        DeviceError: As in `fit`.
        WorkerError: A process of its own was ended by something else, as when memory runs out.

    Example:
        >>> import hypernova
        >>> table = hypernova.OutcomeTable.read("outcomes.jsonl")  # doctest: +SKIP
        >>> print(hypernova.evaluate(table).verdict)  # doctest: +SKIP
    """
    check_table(table, JudgeError)
    folds = check_count("folds", folds, 2, JudgeError)
    repeats = check_count("repeats", repeats, 1, JudgeError, MOST_REPEATS)
    seed = check_count("seed", seed, 0, JudgeError)
    clusters = check_clusters(clusters, FitError)
    check_cluster_prompts(cluster_prompts, FitError)
    jobs = check_count("jobs", _cores() if jobs is None else jobs, 1, JudgeError)
    notes: list[str] = []
    table = _with_outcomes(table, notes)
    prompts = table.prompt_groups()
    _check_size(table, int(prompts.max()) + 1, folds, clusters)
    groups, names = _groups(table)
    left_out: list[Part] = []
    if leave_one_group_out:
        left_out = _left_out(prompts, groups, names, clusters, seed, notes)
    used, shared = open_for(table, embedder, skip_shared=skip_shared, device=device)
    vectors, cluster_vectors, identity = embed_table(
        table, embedder if used is None else used, cluster_prompts, progress
    )
    if cluster_prompts is not None:
        notes.append(f"Clusters are found on {len(cluster_prompts):,} other prompts.")
    parts = list(deal_parts(prompts, folds, repeats, seed))
    weights = cost_weights(table)
    calls: list[partial[Any]] = [
        # First, because it takes longest.
        partial(learn_whole, table, vectors, clusters, seed, cluster_vectors),
        *(
            partial(decide_part, table, vectors, part, clusters, weights, cluster_vectors)
            for part in parts
        ),
        *(
            partial(
                decide_part,
                table,
                vectors_unseen(table, used, vectors, part),
                part,
                clusters,
                (),
                cluster_vectors,
            )
            for part in left_out
        ),
    ]
    first_deal = [replace(part, shuffle_seeds=()) for part in parts if part.row == 0]
    if used is not None and not skip_shared and shared.notable_parts is not None:
        left, cluster_left = embed_without(
            table, used, shared.notable_parts, cluster_prompts, vectors, cluster_vectors, progress
        )
        calls += [
            partial(decide_part, table, left, part, clusters, (), cluster_left)
            for part in first_deal
        ]
    whole, *decided = in_processes(calls, jobs, progress)
    texts = table.prompts if used is None else list(map(text_reader(used), table.prompts))
    trial = Trial(
        table=table,
        vectors=vectors,
        prompts=prompts,
        groups=groups,
        group_names=names,
        folds=folds,
        repeats=repeats,
        seed=seed,
        clusters=clusters,
        embedder=identity,
        cost_weights=weights,
        whole=whole,
        parts=parts,
        decided=decided[: len(parts)],
        left_out=left_out,
        left_out_decided=decided[len(parts) :][: len(left_out)],
        notes=notes,
        texts=texts,
        shared_text=shared_field(
            table,
            shared,
            first_deal,
            decided[: len(first_deal)],
            decided[len(parts) + len(left_out) :],
            skipped=skip_shared,
        ),
        alike_prompts=None if used is None else alike_field(table, texts, vectors),
    )
    return Report(compose(trial))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _with_outcomes(table: OutcomeTable, notes: list[str]) -> OutcomeTable:
    """Leave out tasks without any outcome: nothing can be learned or judged of them."""
    there = ~np.isnan(table.score).all(axis=1)
    if there.all():
        return table
    notes.append(f"{int((~there).sum())} tasks without any outcome were left out.")
    return table.subset(np.flatnonzero(there))


def _check_size(
    table: OutcomeTable, different: int, folds: int, clusters: int | Literal["auto"]
) -> None:
    """Say what is wrong before the work, and what can be said nevertheless."""
    training = different - -(-different // folds)
    if different < 2 * folds or training < MIN_TASKS:
        rates = mean_known(table.score)
        best = int(np.nanargmax(rates))
        # ceil(different / folds) prompts are held out at a time.
        least = next(
            n
            for n in range(2 * folds, 2 * MIN_TASKS + 2 * folds + 1)
            if n - -(-n // folds) >= MIN_TASKS
        )
        raise JudgeError(
            f"the table {table.name} has {different} different prompts with outcomes; {folds} "
            f"folds need at least {least} to learn from some and test on others, so add tasks"
            f"{' or ask for fewer folds' if folds > 2 else ''} (its best mean score, "
            f"{rates[best]:.3f} of {table.models[best]}, says nothing about new tasks)"
        )
    check_learnable(table, clusters)
    if clusters != "auto" and clusters > training:
        raise JudgeError(
            f"{clusters} clusters were asked for; with {folds} folds a training part has "
            f"{training} different prompts, so ask for fewer"
        )


def _groups(table: OutcomeTable) -> tuple[Ints, list[str]]:
    """Number the named groups, in the order of the table; -1 where a task has none."""
    number: dict[str, int] = {}
    groups = [
        -1 if group is None else number.setdefault(group, len(number)) for group in table.groups
    ]
    return np.array(groups, dtype=np.int64), list(number)


def _left_out(
    prompts: Ints,
    groups: Ints,
    names: list[str],
    clusters: int | Literal["auto"],
    seed: int,
    notes: list[str],
) -> list[Part]:
    """The groups that can be held out; the others are named in the notes."""
    if len(names) < 2:
        found = f"one, {names[0]}" if names else "none"
        notes.append(f"Leave-one-group-out needs at least two named groups; the table has {found}.")
        return []
    least = MIN_TASKS if clusters == "auto" else max(MIN_TASKS, clusters + 1)
    kept = []
    for part, name in zip(group_parts(prompts, groups, seed), names, strict=True):
        there = len(np.unique(prompts[part.train]))
        if there < least:
            notes.append(
                f"The group {name} could not be left out: without it {there} different prompts "
                f"remain, and learning needs at least {least}."
            )
        else:
            kept.append(part)
    return kept
