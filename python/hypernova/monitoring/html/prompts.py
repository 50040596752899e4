"""The section on prompts: novelty, and the mix of clusters against training.

Not here: success on them (see ``success``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.monitoring.html.figures import off_tag, percent, percent_interval, points, words_note
from hypernova.offline_page.markup import Markup, bar, el, join, table
from hypernova.offline_page.numbers import count

if TYPE_CHECKING:
    from hypernova.monitoring.report_fields import MonitorFields


def prompts(report: MonitorFields) -> Markup:
    """Show the share of novel prompts, and each cluster's share in training and now."""
    novelty, mix = report.novelty, report.mix
    shown = mix.clusters
    most = max([each.trained for each in shown] + [each.observed or 0.0 for each in shown] + [1e-9])
    rows = [
        [
            join([f"cluster {share.cluster}", words_note(share.words)]),
            join([percent(share.trained), bar(share.trained / most, "trained")]),
            join([percent(share.observed), bar((share.observed or 0.0) / most)]),
            points(None if share.observed is None else share.observed - share.trained),
            count(share.n),
        ]
        for share in shown
    ]  # fmt: skip
    return el(
        "section",
        el("h2", "Prompts against training"),
        el(
            "p",
            f"{percent(novelty.observed)} of the prompts ({percent_interval(novelty.ci)}) are "
            f"unlike the training prompts, {percent(novelty.expected)} in training; more than "
            f"{percent(novelty.expected + novelty.tolerance)} would count as drift. ",
            off_tag(novelty.off),
        ),
        el(
            "p",
            f"{percent(mix.distance)} of the prompts would have to be of another cluster for the "
            f"mix of training; at least {percent(mix.at_least)} is proven, and up to "
            f"{percent(mix.tolerance)} counts as the same mix. ",
            off_tag(mix.off),
        ),
        table(
            "Shares of the clusters",
            ["Cluster", "In training", "Now", "Change, points", "Decisions"],
            rows,
        ),
        id="prompts",
    )
