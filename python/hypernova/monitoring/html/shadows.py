"""The section on shadow artifacts: agreement, and what they would have gained.

Not here: how they decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.monitoring.html.figures import percent, points, points_interval
from hypernova.offline_page.markup import Markup, el
from hypernova.offline_page.numbers import plural, relative

if TYPE_CHECKING:
    from hypernova.monitoring.report_fields import MonitorFields, ShadowComparison


def shadows(report: MonitorFields) -> Markup | None:
    """Show each shadow of the log; nothing without any."""
    if not report.shadows:
        return None
    return el(
        "section",
        el("h2", "Shadow"),
        *(_shadow(shadow) for shadow in report.shadows),
        id="shadow",
    )


def _shadow(shadow: ShadowComparison) -> Markup:
    sentences = [
        f"Of {plural(shadow.decisions, 'decision')} it chose the same model for "
        f"{percent(shadow.same)}."
    ]
    if shadow.expected_gain is not None:
        cost = (
            ""
            if shadow.expected_cost is None
            else f", at a cost of {relative(shadow.expected_cost)}"
        )
        sentences.append(
            f"By the estimates of each it gains {points(shadow.expected_gain)} points{cost}."
        )
    if shadow.same_score is not None:
        sentences.append(
            f"Where both chose the same, success is {percent(shadow.same_score)}, over "
            f"{plural(shadow.same_n, 'outcome')}."
        )
    if shadow.known:
        sentences.append(
            f"Measured, its choices gain {points(shadow.gain)} points "
            f"({points_interval(shadow.ci)}), over {plural(shadow.n, 'decision')}."
        )
    else:
        sentences.append("Its gain is unknown: exploration never took its choice.")
    if shadow.unknown_models:
        sentences.append(
            f"{plural(shadow.unknown_models, 'outcome')} are left out of that: it chose a model "
            "that the router does not have."
        )
    if shadow.failed:
        sentences.append(f"It failed to decide {plural(shadow.failed, 'time')}.")
    return el("div", el("h3", f"sha256 {shadow.sha256[:12]}"), el("p", " ".join(sentences)))
