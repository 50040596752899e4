"""The report of an evaluation, and its forms for people.

Not here: the fields and their JSON (see ``report_fields``), how a figure is computed (see
``results``), or the layout of the forms (see ``terminal`` and ``html``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypernova.evaluation.report_fields import ReportFields
from hypernova.paths import escaped, write_file

if TYPE_CHECKING:
    import os


@dataclass(frozen=True, kw_only=True, repr=False)
class Report(ReportFields):
    """All figures of an evaluation. ``print(report)`` shows the main ones.

    Fields have the names of the JSON that ``hypernova evaluate --json`` writes;
    docs/evaluation.md defines each figure. Figures are rounded to 6 digits, and None where
    they are unknown.

    Attributes:
        version: Version of the JSON form.
        hypernova: Version of hypernova that evaluated.
        dataset: The table.
        protocol: The options.
        in_sample: The artifact of `fit` on the tasks that it was fitted to: too good.
        held_out: The router on tasks that nothing was learned from.
        best_single: The default model of each fold's training part.
        best_single_hindsight: The best model of the whole table.
        random: A model drawn evenly for each task.
        group_oracle: The best model of each group, in hindsight; None without groups.
        oracle: The best outcome of each task, in hindsight.
        shuffled_clusters: Routers that learned from shuffled prompts.
        cost_matched_mix: A random mix of two models at the router's cost; None without costs.
        gain: ``held_out`` less ``best_single``.
        shared_text: Text that many prompts share, and its effect; None if there is little.
        alike_prompts: Different prompts with one vector; None if they are few.
        gain_over_shuffled: ``held_out`` less ``shuffled_clusters``.
        pareto: The frontier: the router under rising cost weights; empty without costs.
        frontier_gain: Gain over the random mix of two models at the same cost, averaged over
            the cost weights; None without costs.
        aiq: RouterBench's mean accuracy over the range of costs, of the router and of the single
            models; None without costs.
        call_frontier: Accuracy against calls to the best single model; None where costs are known.
        gap_recovered: RouteLLM's share of the gap between two models, against calls to the
            stronger; None where other models matter, or its lead is not proven.
        group_given: Figures of the router where the caller names each prompt's group; None where
            fewer than two groups have enough tasks.
        calibration: How far held-out success estimates can be taken at their word.
        learning_curve: Gain and saving with a quarter, half and all of the training part, and
            what twice as many tasks would add; None if not asked for, or of too few tasks.
        unseen_kinds: Gain on kinds of task that were left out of learning, and the share of such
            prompts up to which routing pays; None of too few kinds or tasks.
        models: Each single model.
        groups: Each named group.
        leave_one_group_out: Figures on groups never seen; None if not asked for.
        complementarity: What other models solve where the best one fails.
        settings: The settings that folds selected, each with the number of ``times``.
        clusters: The clusters of the artifact, in-sample.
        verdict: Worth it or not, by how much, how sure: one sentence.
        notes: Limits of the figures, and what is odd about them.

    Example:
        >>> import hypernova
        >>> table = hypernova.OutcomeTable.read("outcomes.jsonl")  # doctest: +SKIP
        >>> report = hypernova.evaluate(table)  # doctest: +SKIP
        >>> report.gain.mean, report.gain.ci95  # doctest: +SKIP
        (0.025874, Interval(low=-0.018967, high=0.075532))
    """

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write one page that needs no other file and no network.

        The page appears complete or not at all; if writing fails, a file that stood there
        before is still there. A device or a pipe, such as /dev/stdout, is written to directly.

        Args:
            path: Of the page.

        Raises:
            NotFoundError: The folder does not exist.
            WriteError: The page cannot be written.
        """
        from hypernova.evaluation.html import render

        write_file(path, render(self).encode("utf-8"))

    def __repr__(self) -> str:
        return f"<Report {self.dataset.name}: {self.verdict}>"

    def __str__(self) -> str:
        from hypernova.evaluation.terminal import lines

        # Names of groups and tables are free, and this goes to a terminal.
        return "\n".join(escaped(line) for line in lines(self))
