"""Run an evaluation: check the table, split it, learn and route each split, report.

Not here: learning (see ``hypernova.training``), or figures (see ``results``).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hypernova.embedder import store_vectors
from hypernova.errors import EvaluationError, FitError
from hypernova.evaluation.curve_parts import PartDecisions, curve_splits
from hypernova.evaluation.evaluation_run import EvaluationRun
from hypernova.evaluation.protocol import decide_split, fit_in_sample, fold_splits, group_splits
from hypernova.evaluation.results import build_report
from hypernova.evaluation.shared_text import alike_field, shared_field, vectors_unseen
from hypernova.evaluation.unseen_kinds import kind_splits
from hypernova.parallel import Mapper
from hypernova.progress import progress_bar
from hypernova.training.checks import (
    check_cluster_prompts,
    check_clusters,
    check_count,
    check_number,
    check_table,
)
from hypernova.training.clustering.kmeans import import_faiss
from hypernova.training.embedding import embed_table, embed_without, open_for, texts_read
from hypernova.training.estimates.sums import mean_known
from hypernova.training.frontier import call_weights, cost_weights
from hypernova.training.margin import UNSEEN
from hypernova.training.sample import draw_sample
from hypernova.training.trainer import MIN_TASKS, check_learnable

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from hypernova.embedder import Device, TextEmbedder
    from hypernova.evaluation.protocol import Split
    from hypernova.evaluation.report import Report
    from hypernova.numeric import Ints
    from hypernova.parallel import Engine
    from hypernova.table import OutcomeTable, ScannedTable

# The decisions of all repeats are held in memory; figures settle long before this.
MAX_REPEATS = 10_000
# The tasks of an evaluation are held in memory. The standard error of a gain is a sixth of a
# point on so many.
MAX_TASKS = 131_072


def evaluate(
    table: OutcomeTable | ScannedTable,
    *,
    folds: int = 5,
    repeats: int = 10,
    seed: int = 0,
    embedder: str | os.PathLike[str] | TextEmbedder = "static",
    clusters: int | Literal["auto"] = "auto",
    cluster_prompts: Sequence[str] | None = None,
    device: Device = "cpu",
    unseen: float = UNSEEN,
    leave_one_group_out: bool = False,
    learning_curve: bool = True,
    skip_shared: bool = False,
    max_tasks: int = MAX_TASKS,
    vectors: str | os.PathLike[str] | None = None,
    engine: Engine = "local",
    jobs: int | None = None,
    progress: bool = False,
) -> Report:
    """Evaluate on held-out tasks whether routing is worth it on a table.

    Tasks are dealt into folds, equal prompts together, and each fold is routed by an
    artifact that `fit` learns from the other folds: clusters, rates, settings and the best
    single model are chosen inside the training part. docs/evaluation.md states the protocol,
    the baselines and the rule of the verdict.

    Args:
        table: Outcomes of at least two models.
        folds: Number of folds, at least 2.
        repeats: Number of times that the tasks are dealt into folds, 1 to 10,000.
        seed: The same table, options and seed give the same report.
        embedder: As in `fit`; not used if the table holds vectors. Prompts are embedded
            once.
        clusters: As in `fit`.
        cluster_prompts: As in `fit`: the same ones in every fold, none of them
            with an outcome.
        device: As in `fit`.
        unseen: As in `fit`: the share of prompts that are expected to be of kinds that the table
            lacks. What routing gains on such prompts is measured whatever it is, by leaving out
            each kind in turn.
        leave_one_group_out: Leave out each named group as well, to measure routing on a
            kind of task never seen.
        learning_curve: Learn from a quarter and a half of the training parts of one repeat as
            well, to tell how many tasks are enough. With ten repeats that takes a twentieth of
            the time, with one a third.
        skip_shared: As in `fit`. Shared text is found once, in the texts of all prompts; a
            group that is left out takes no part in that. By default shared text is kept, and
            where many prompts share some, the first repeat is run without it as well.
        max_tasks: Number of tasks to evaluate on; of a larger table, a seeded sample of so many,
            whole prompts at a time, which the report says. All of them are held in memory.
        vectors: As in `fit`.
        engine: Where the splits are learned and routed: ``"local"``, in processes of this
            machine, or ``"ray"``, on a Ray cluster. The report does not depend on it.
        jobs: Number of splits at a time; by default the cores that this process may use, or all
            of the Ray cluster. The report does not depend on it.
        progress: Show a progress bar after a second.

    Returns:
        All figures, with a verdict in one sentence.

    Raises:
        EvaluationError: The table is too small to hold anything out, or an option is out of
            range.
        FitError: ``clusters`` is out of range, or ``cluster_prompts`` is empty.
        EmbedderMismatchError: As in `fit`.
        ValueError: As in `fit`.
        MissingExtraError: As in `fit`; the extra ``train`` is always needed.
        DeviceError: As in `fit`.
        WorkerError: Something else ended one of the processes, as when memory runs out.

    Example:
        >>> import hypernova
        >>> table = hypernova.OutcomeTable.read("outcomes.jsonl")  # doctest: +SKIP
        >>> print(hypernova.evaluate(table).verdict)  # doctest: +SKIP
    """
    check_table(table, EvaluationError, scanned=True)
    folds = check_count("folds", folds, 2, EvaluationError)
    repeats = check_count("repeats", repeats, 1, EvaluationError, MAX_REPEATS)
    seed = check_count("seed", seed, 0, EvaluationError)
    clusters = check_clusters(clusters, FitError)
    check_cluster_prompts(cluster_prompts, FitError)
    unseen = check_number("unseen", unseen, EvaluationError, maximum=1.0)
    max_tasks = check_count("max_tasks", max_tasks, 1, EvaluationError)
    import_faiss()  # now: some part of a table that has groups may lack them, late in the work
    mapper = Mapper.of(engine, jobs, EvaluationError)
    notes: list[str] = []
    table = _with_outcomes(_sample(table, max_tasks, seed, notes, progress), notes)
    notes += table.notes()
    prompts = table.prompt_groups()
    _check_size(table, int(prompts.max()) + 1, folds, clusters)
    groups, names = _groups(table)
    left_out: list[Split] = []
    if leave_one_group_out:
        left_out = _group_splits(prompts, groups, names, clusters, seed, notes)
    used, shared = open_for(table, embedder, skip_shared=skip_shared, device=device)
    if used is not None and vectors is not None:
        used = store_vectors(used, vectors)
    embedded = embed_table(table, used, cluster_prompts, progress, mapper=mapper)
    points, cluster_vectors = embedded.vectors, embedded.cluster_vectors
    if cluster_prompts is not None:
        notes.append(f"Clusters are found on {len(cluster_prompts):,} other prompts.")
    splits = list(fold_splits(prompts, folds, repeats, seed))
    parts: dict[float, list[Split]] = {}
    if learning_curve:
        parts = curve_splits(
            splits, prompts, groups, repeats=repeats, clusters=clusters, seed=seed, notes=notes
        )
    kinds = kind_splits(table, points, prompts, clusters, seed)
    weights = cost_weights(table)
    weights_of_calls = [] if weights else call_weights()
    calls: list[partial[Any]] = [
        # First, because it takes longest.
        partial(fit_in_sample, table, points, clusters, seed, cluster_vectors, unseen=unseen),
        *(
            partial(
                decide_split,
                table,
                points,
                split,
                clusters,
                weights,
                cluster_vectors,
                weights_of_calls,
                unseen=unseen,
                # Each task is held out once in a repeat.
                estimates=split.repeat == 0,
                margins=True,
            )
            for split in splits
        ),
        *(
            partial(
                decide_split,
                table,
                vectors_unseen(table, used, points, split),
                split,
                clusters,
                (),
                cluster_vectors,
                unseen=unseen,
            )
            for split in (*left_out, *kinds.splits)
        ),
        *(
            partial(
                decide_split,
                table,
                points,
                split,
                clusters,
                weights,
                cluster_vectors,
                unseen=unseen,
            )
            for of_share in parts.values()
            for split in of_share
        ),
    ]
    shared_arguments = [table, points, cluster_vectors]
    first_repeat = [replace(split, shuffle_seeds=()) for split in splits if split.repeat == 0]
    if used is not None and not skip_shared and shared.notable_parts is not None:
        left = embed_without(table, used, shared.notable_parts, cluster_prompts, embedded, progress)
        calls += [
            partial(
                decide_split,
                table,
                left.vectors,
                split,
                clusters,
                (),
                left.cluster_vectors,
                unseen=unseen,
            )
            for split in first_repeat
        ]
        shared_arguments += [left.vectors, left.cluster_vectors]
    in_sample, *decisions = mapper.map(
        calls,
        total=len(calls),
        description="evaluating",
        progress=progress,
        shared=shared_arguments,
    )
    notes += in_sample.uncomparable
    texts = texts_read(table, used)
    # In the order of the calls.
    rest = iter(decisions[len(splits) :])
    of_groups = [next(rest) for _ in left_out]
    of_kinds = [next(rest) for _ in kinds.splits]
    curve_parts = [
        PartDecisions(share, of_share, [next(rest) for _ in of_share])
        for share, of_share in parts.items()
    ]
    run = EvaluationRun(
        table=table,
        vectors=points,
        prompts=prompts,
        groups=groups,
        group_names=names,
        folds=folds,
        repeats=repeats,
        seed=seed,
        clusters=clusters,
        embedder=embedded.identity,
        cost_weights=weights,
        call_weights=weights_of_calls,
        in_sample=in_sample,
        splits=splits,
        decisions=decisions[: len(splits)],
        group_splits=left_out,
        group_decisions=of_groups,
        unseen=unseen,
        kinds=kinds,
        kind_decisions=of_kinds,
        curve_parts=curve_parts,
        notes=notes,
        texts=texts,
        shared_text=shared_field(
            table,
            shared,
            first_repeat,
            decisions[: len(first_repeat)],
            list(rest),
            skipped=skip_shared,
        ),
        alike_prompts=None if used is None else alike_field(table, texts, points),
    )
    return build_report(run)


def _sample(
    table: OutcomeTable | ScannedTable, size: int, seed: int, notes: list[str], progress: bool
) -> OutcomeTable:
    """Draw the tasks to evaluate on; a note says that they are a sample."""
    with progress_bar(table.n_chunks, f"reading {table.n_tasks:,} tasks", progress) as tick:
        sample = draw_sample(table, seed, size, tick)
    if not sample.whole:
        notes.append(
            f"Evaluated on a sample of {sample.table.n_tasks:,} of the table's {table.n_tasks:,} "
            "tasks, drawn by their prompts."
        )
    return sample.table


def _with_outcomes(table: OutcomeTable, notes: list[str]) -> OutcomeTable:
    """Leave out tasks without any outcome: they can be neither learned from nor scored."""
    there = ~np.isnan(table.score).all(axis=1)
    if there.all():
        return table
    notes.append(f"{int((~there).sum())} tasks without any outcome were left out.")
    return table.subset(np.flatnonzero(there))


def _check_size(
    table: OutcomeTable, different: int, folds: int, clusters: int | Literal["auto"]
) -> None:
    """Refuse a table that is too small, before the work, with its best mean score."""
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
        raise EvaluationError(
            f"the table {table.name} has {different} different "
            f"prompt{'' if different == 1 else 's'} with outcomes; {folds} "
            f"folds need at least {least} to learn from some and test on others, so add tasks"
            f"{' or ask for fewer folds' if folds > 2 else ''} (its best mean score, "
            f"{rates[best]:.3f} of {table.models[best]}, says nothing about new tasks)"
        )
    check_learnable(table, clusters)
    if clusters != "auto" and clusters > training:
        raise EvaluationError(
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


def _group_splits(
    prompts: Ints,
    groups: Ints,
    names: list[str],
    clusters: int | Literal["auto"],
    seed: int,
    notes: list[str],
) -> list[Split]:
    """Split off the groups that can be left out; the others are named in the notes."""
    if len(names) < 2:
        found = f"one, {names[0]}" if names else "none"
        notes.append(f"Leave-one-group-out needs at least two named groups; the table has {found}.")
        return []
    least = MIN_TASKS if clusters == "auto" else max(MIN_TASKS, clusters + 1)
    kept = []
    for split, name in zip(group_splits(prompts, groups, seed), names, strict=True):
        there = len(np.unique(prompts[split.train]))
        if there < least:
            notes.append(
                f"The group {name} could not be left out: without it {there} different prompts "
                f"remain, and learning needs at least {least}."
            )
        else:
            kept.append(split)
    return kept
