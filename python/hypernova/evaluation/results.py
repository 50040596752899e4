"""Build the report of an evaluation from the decisions of all splits.

Not here: how a figure or an interval is computed (see ``figures``), or sentences about
them (see ``verdict``).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hypernova._core import Artifact, __version__
from hypernova.artifact.decisions import success_at_centroids
from hypernova.evaluation.baselines import (
    StrategyOutcomes,
    best_of_groups,
    oracle,
    well_tried,
)
from hypernova.evaluation.estimated_table import EstimatedTable, averaged
from hypernova.evaluation.figure_fields import GainOverShuffled, HindsightFigure, LabelledFigure
from hypernova.evaluation.figures import PairedFigures, complementarity
from hypernova.evaluation.frontier_fields import FrontierPoint
from hypernova.evaluation.frontiers import (
    add_calls,
    add_gap,
    add_mean,
    calibration,
    call_frontier,
    gap_recovered,
    quality_area,
)
from hypernova.evaluation.group_figures import ROUTER as GROUP_GIVEN
from hypernova.evaluation.group_figures import add_group_given, group_given
from hypernova.evaluation.intervals import DRAWS
from hypernova.evaluation.learning_curve import learning_curve
from hypernova.evaluation.protocol import seed_of, test_to_train
from hypernova.evaluation.report import Report
from hypernova.evaluation.report_fields import (
    BASELINES,
    VERSION,
    ClusterCell,
    ClusterFigures,
    Dataset,
    EvaluationProtocol,
    LeaveOneGroupOut,
    SingleModel,
    UnseenGroupFigures,
)
from hypernova.evaluation.unseen_kinds import BEST_SINGLE as UNSEEN_SINGLE
from hypernova.evaluation.unseen_kinds import ROUTER as UNSEEN_ROUTER
from hypernova.evaluation.unseen_kinds import unseen_kinds
from hypernova.evaluation.verdict import WeightedResult, notes, verdict
from hypernova.report_values import Interval
from hypernova.training.clustering.describe import describe
from hypernova.training.estimates.sums import mean_known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.evaluation.areas import CallOrder
    from hypernova.evaluation.evaluation_run import EvaluationRun
    from hypernova.evaluation.missing_cells import MissingCells
    from hypernova.evaluation.protocol import SplitDecisions
    from hypernova.numeric import Ints

IN_SAMPLE = "in-sample: rates and test are the same tasks; says nothing about new ones"
# Standard errors to either side of an estimate, for 95%.
NORMAL_95 = 1.96
# Runs that a note advises.
RUNS = 3


def build_report(run: EvaluationRun) -> Report:
    """Compute all figures, and the sentences about them."""
    table, models = run.table, run.table.models
    artifact = Artifact.from_bytes(run.in_sample.artifact)
    hindsight = run.in_sample.single
    chosen = run.by_task([d.chosen for d in run.decisions])
    estimated = EstimatedTable.by_kind(table, lambda: artifact.decide_many(run.vectors).clusters)
    figures, order = _figures(run, estimated, artifact, chosen)
    overlap = test_to_train(run.splits)

    gain = figures.gain("held_out", "best_single")
    over_shuffled = figures.gain("held_out", "shuffled_clusters")
    by_prompts = GainOverShuffled(
        mean=over_shuffled.mean,
        ci95=over_shuffled.ci95,
        tasks=over_shuffled.tasks,
        estimated=over_shuffled.estimated,
    )
    frontier = [
        WeightedResult(
            weight,
            figures.figure(f"weight {i}"),
            figures.gain(f"weight {i}", "best_single"),
            figures.gain(f"weight {i}", f"mix {i}") if f"mix {i}" in figures else None,
        )
        for i, weight in enumerate(run.cost_weights)
    ]
    rows = _models(figures, models, chosen)
    singles = Counter(decisions.single for decisions in run.decisions)
    single = min(singles, key=lambda m: (-singles[m], m))
    baselines: dict[str, Any] = {
        name: figures.figure(name) if name in figures else None for name in BASELINES
    }
    report = Report(
        version=VERSION,
        hypernova=__version__,
        dataset=_dataset(run),
        protocol=_protocol(run),
        in_sample=LabelledFigure(**vars(figures.figure("in_sample")), label=IN_SAMPLE),
        held_out=figures.figure("held_out"),
        best_single=figures.figure("best_single"),
        best_single_hindsight=HindsightFigure(
            **vars(figures.figure(f"model {hindsight}")), model=models[hindsight]
        ),
        **baselines,
        gain=gain,
        shared_text=run.shared_text,
        alike_prompts=run.alike_prompts,
        gain_over_shuffled=by_prompts,
        pareto=tuple(
            FrontierPoint(
                cost_weight=result.cost_weight,
                accuracy=result.figure.accuracy,
                ci95=result.figure.ci95,
                cost_usd=result.figure.cost_usd,
                over_mix=result.over_mix,
                estimated=result.figure.estimated,
            )
            for result in frontier
        ),
        frontier_gain=figures.gain("frontier", "hull") if "hull" in figures else None,
        aiq=quality_area(frontier, rows, well_tried(table)),
        call_frontier=call_frontier(run, figures) if run.call_weights else None,
        gap_recovered=gap_recovered(run, figures, order, overlap) if order else None,
        calibration=calibration(run),
        learning_curve=learning_curve(run, estimated),
        unseen_kinds=unseen_kinds(run, figures, gain),
        models=rows,
        groups=tuple(figures.by_group("held_out", "best_single")),
        group_given=group_given(figures),
        leave_one_group_out=_leave_one_group_out(run, figures) if run.group_splits else None,
        complementarity=complementarity(table.score, models, hindsight),
        settings=tuple(_settings(run.decisions)),
        clusters=_clusters(run, artifact),
        verdict=verdict(
            gain,
            by_prompts,
            models[single],
            frontier,
            rows,
            figures.figure("held_out").accuracy,
        ),
        notes=(),
    )
    found = notes(
        report,
        table.score,
        singles,
        figures.unscored("held_out"),
        _wanted(run, figures.missing("held_out", "best_single")),
    )
    # Sentences are written from full precision; a report holds the figures that its JSON has.
    return Report.from_dict(replace(report, notes=(*run.notes, *found)).to_dict())


def _wanted(run: EvaluationRun, cells: MissingCells) -> list[str]:
    """Name the runs that would replace most of the estimates in the gain, the largest first."""
    weights: dict[tuple[int, int], float] = {}
    for task, model, weight in zip(cells.tasks, cells.models, cells.weights, strict=True):
        run_of = int(model), int(run.groups[task])
        weights[run_of] = weights.get(run_of, 0.0) + abs(float(weight))
    named = []
    for model, group in sorted(weights, key=lambda key: (-weights[key], key))[:RUNS]:
        where = "" if group < 0 else f" on {run.group_names[group]}"
        lacks = np.isnan(run.table.score[run.groups == group, model]).sum()
        tasks = "1 task" if lacks == 1 else f"{lacks:,} tasks"
        named.append(f"{run.table.models[model]}{where} ({tasks})")
    return named


def _shuffled(run: EvaluationRun, table: EstimatedTable) -> StrategyOutcomes:
    """Compute the expectation over the shuffles of each split."""
    return averaged(
        [
            table.chosen(run.by_task([d.shuffled[i] for d in run.decisions]))
            for i in range(len(run.decisions[0].shuffled))
        ]
    )


def _mixed(run: EvaluationRun, table: EstimatedTable, chosen: Sequence[Ints]) -> StrategyOutcomes:
    """Compute the expectation of the mix that costs what the choices of each split do.

    Args:
        run: The evaluation.
        table: The table and its estimates.
        chosen: Models chosen for the test part of each split.
    """
    mixes = []
    for split, decisions, models in zip(run.splits, run.decisions, chosen, strict=True):
        cost = float(mean_known(table.filled.cost_usd[split.test, models]))
        mixes.append(None if decisions.hull is None else decisions.hull.mix(cost))
    return table.mixed(
        run.by_task([-1 if mix is None else mix.cheap for mix in mixes]),
        run.by_task([-1 if mix is None else mix.dear for mix in mixes]),
        run.by_task([0.0 if mix is None else mix.share for mix in mixes], 0.0),
    )


def _add_mixes(
    run: EvaluationRun, table: EstimatedTable, figures: PairedFigures, test_to_train: float
) -> None:
    """Add the mix at the router's cost for each cost weight, and the mean over all weights."""
    pairs, with_groups = [], []
    for i in range(len(run.cost_weights)):
        chosen = [d.by_weight[i] for d in run.decisions]
        mixed = _mixed(run, table, chosen)
        figures.add(f"mix {i}", mixed, alone=False)
        figures.pair(f"weight {i}", f"mix {i}", test_to_train)
        pairs.append((table.chosen(run.by_task(chosen)), mixed))
        if GROUP_GIVEN in figures:
            chosen = [d.group_given.by_weight[i] for d in run.decisions if d.group_given]
            outcomes = table.chosen(run.by_task(chosen))
            with_groups.append((outcomes, _mixed(run, table, chosen)))
    add_mean(figures, ("frontier", "hull"), pairs, test_to_train)
    if with_groups:
        add_mean(figures, ("group frontier", "group hull"), with_groups, test_to_train)


def _figures(
    run: EvaluationRun, table: EstimatedTable, artifact: Artifact, chosen: Ints
) -> tuple[PairedFigures, CallOrder | None]:
    decisions = run.decisions
    figures = PairedFigures(run.prompts, run.groups, run.group_names, seed_of(run.seed, 3), table)

    def add(name: str, models: Ints) -> None:
        figures.add(name, table.chosen(models))

    add("held_out", chosen)
    add("best_single", run.by_task([d.single for d in decisions]))
    figures.add("shuffled_clusters", _shuffled(run, table))
    add("in_sample", artifact.decide_many(run.vectors).model_indices[None])
    overlap = test_to_train(run.splits)
    figures.pair("held_out", "best_single", overlap)
    figures.pair("held_out", "shuffled_clusters", overlap)
    add_group_given(run, table, figures, overlap)
    figures.add("random", table.random_choice())
    figures.add("oracle", oracle(run.table))
    if run.group_names:
        add("group_oracle", best_of_groups(run.table, run.groups, table.filled))
    if any(d.hull for d in decisions):
        figures.add("cost_matched_mix", _mixed(run, table, [d.chosen for d in decisions]))
    for m in range(run.table.n_models):
        add(f"model {m}", np.full((1, run.table.n_tasks), m))
    for i in range(len(run.cost_weights)):
        add(f"weight {i}", run.by_task([d.by_weight[i] for d in decisions]))
        figures.pair(f"weight {i}", "best_single", overlap)
    if run.cost_weights and all(d.hull for d in decisions):
        _add_mixes(run, table, figures, overlap)
    if run.group_splits:
        decisions, splits = run.group_decisions, run.group_splits
        add("left out", run.by_task([d.chosen for d in decisions], splits=splits))
        add("left out, best single", run.by_task([d.single for d in decisions], splits=splits))
        figures.pair("left out", "left out, best single", test_to_train(splits))
    if run.kinds.splits:
        decisions, splits = run.kind_decisions, run.kinds.splits
        add(UNSEEN_ROUTER, run.by_task([d.chosen for d in decisions], splits=splits))
        add(UNSEEN_SINGLE, run.by_task([d.single for d in decisions], splits=splits))
        figures.pair(UNSEEN_ROUTER, UNSEEN_SINGLE, test_to_train(splits))
    if run.call_weights:
        add_calls(run, table, figures, overlap)
    order = add_gap(run, figures)
    figures.draw()
    return figures, order


def _dataset(run: EvaluationRun) -> Dataset:
    table = run.table
    outcomes = int((~np.isnan(table.score)).sum())
    return Dataset(
        name=table.name,
        tasks=table.n_tasks,
        different_prompts=int(run.prompts.max()) + 1,
        models=table.models,
        groups=len(run.group_names),
        outcomes=outcomes,
        density=outcomes / table.score.size,
        costs=int((~np.isnan(table.cost_usd)).sum()) / outcomes,
        repeats=table.repeats if table.has_repeats else None,
    )


def _protocol(run: EvaluationRun) -> EvaluationProtocol:
    dealt = "once" if run.repeats == 1 else f"{run.repeats} times"
    return EvaluationProtocol(
        folds=run.folds,
        repeats=run.repeats,
        seed=run.seed,
        embedder=dict(run.embedder),
        clusters=run.clusters,
        bootstrap=DRAWS,
        unseen=run.unseen,
        text=(
            f"{run.folds} folds, dealt {dealt}, equal prompts in one fold; "
            "clusters, rates, settings and the best single model are chosen inside the training "
            "part of each fold; intervals are 95% percentile intervals of a bootstrap over "
            f"prompts and repeats with {DRAWS:,} draws, those of gains widened for the training "
            "parts that folds share."
        ),
    )


def _models(
    figures: PairedFigures, models: tuple[str, ...], chosen: Ints
) -> tuple[SingleModel, ...]:
    share = np.bincount(chosen.ravel(), minlength=len(models)) / chosen.size
    rows = []
    for m, model in enumerate(models):
        figure = figures.figure(f"model {m}")
        rows.append(
            SingleModel(
                model=model,
                accuracy=figure.accuracy,
                ci95=figure.ci95,
                cost_usd=figure.cost_usd,
                n=figure.n,
                estimated=figure.estimated,
                taken=float(share[m]),
            )
        )
    return tuple(rows)


def _leave_one_group_out(run: EvaluationRun, figures: PairedFigures) -> LeaveOneGroupOut:
    ours, theirs = "left out", "left out, best single"
    novel = run.by_task([d.novel for d in run.group_decisions], np.nan, run.group_splits)[0]
    # NaN for groups that could not be left out.
    shares = [mean_known(novel[run.groups == g]) for g in range(len(run.group_names))]
    return LeaveOneGroupOut(
        held_out=figures.figure(ours),
        best_single=figures.figure(theirs),
        gain=figures.gain(ours, theirs),
        novel=float(np.nanmean(novel)),
        groups=tuple(
            UnseenGroupFigures(**vars(row), novel=float(share))
            for row, share in zip(figures.by_group(ours, theirs), shares, strict=True)
            if not np.isnan(share)
        ),
    )


def _settings(decisions: Sequence[SplitDecisions]) -> list[dict[str, Any]]:
    times = Counter(tuple(d.setting.items()) for d in decisions)
    # Equal counts in the order of the settings, so that jobs and dicts change nothing.
    order = sorted(times, key=lambda setting: (-times[setting], repr(setting)))
    return [{**dict(setting), "times": times[setting]} for setting in order]


def _clusters(run: EvaluationRun, artifact: Artifact) -> tuple[ClusterFigures, ...]:
    """Describe the clusters of the artifact that was learned from all tasks: in-sample."""
    nearest = artifact.decide_many(run.vectors).clusters
    described = describe(run.texts, run.vectors, artifact.centroids, nearest)
    n, mean, cost = artifact.counts, artifact.mean, artifact.cost
    success = success_at_centroids(artifact)
    reach = NORMAL_95 * artifact.standard_error[: artifact.n_clusters]
    low, high = np.clip(success - reach, 0, 1), np.clip(success + reach, 0, 1)
    return tuple(
        ClusterFigures(
            cluster=c,
            tasks=int((nearest == c).sum()),
            words=tuple(described[c].words),
            prompts=tuple(described[c].prompts),
            decision=decision.model,
            reason=decision.reason,
            cells=tuple(
                ClusterCell(
                    model=model,
                    n=n[c, m].item(),
                    mean=mean[c, m].item() if n[c, m] else None,
                    success=success[c, m].item(),
                    ci95=Interval(low[c, m].item(), high[c, m].item()),
                    cost_usd=cost[c, m].item(),
                )
                for m, model in enumerate(artifact.models)
            ),
        )
        for c, decision in enumerate(artifact.decide_many(artifact.centroids))
    )
