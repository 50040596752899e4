"""The report as one page that needs no other file.

Not here: computing figures; `render` writes those of the report, and names the missing ones. The
frame of the page is ``hypernova.offline_page``.

- ``number_format``: the figures of a report as text
- ``summary``, ``accuracies``, ``frontier``, ``calls``, ``models``, ``clusters``, ``groups``,
  ``learning_curve``, ``calibration``, ``protocol``: the sections
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.evaluation.html.accuracies import accuracies
from hypernova.evaluation.html.calibration import calibration
from hypernova.evaluation.html.calls import calls
from hypernova.evaluation.html.clusters import descriptions, heat_map
from hypernova.evaluation.html.frontier import frontier
from hypernova.evaluation.html.groups import groups, leave_one_group_out, unseen_kinds
from hypernova.evaluation.html.learning_curve import learning_curve
from hypernova.evaluation.html.models import complementarity, models
from hypernova.evaluation.html.number_format import NumberFormat
from hypernova.evaluation.html.protocol import notes, protocol
from hypernova.evaluation.html.summary import summary
from hypernova.offline_page.document import document
from hypernova.offline_page.markup import el

if TYPE_CHECKING:
    from hypernova.evaluation.report_fields import ReportFields


def render(report: ReportFields) -> str:
    """Write a report as an HTML page.

    Args:
        report: The report.

    Returns:
        The page; it loads nothing, runs nothing, and reads well without colour.
    """
    numbers = NumberFormat.of(report)
    return document(
        f"Is routing worth it on {report.dataset.name}?",
        summary(report, numbers),
        el(
            "main",
            accuracies(report, numbers),
            frontier(report, numbers),
            calls(report, numbers),
            learning_curve(report, numbers),
            complementarity(report, numbers),
            heat_map(report, numbers),
            descriptions(report, numbers),
            models(report, numbers),
            groups(report, numbers),
            unseen_kinds(report, numbers),
            leave_one_group_out(report, numbers),
            calibration(report),
            notes(report),
            protocol(report),
        ),
        el("footer", f"hypernova {report.hypernova}"),
    )
