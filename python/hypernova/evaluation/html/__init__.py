"""The report as one HTML file that needs nothing else: no network, no script, no font.

Not here: computing figures; `render` writes those of the report, and names the missing ones.

- ``markup``: elements and tables, every string escaped
- ``number_format``, ``scale``: numbers as text, and as positions in a drawing
- ``summary``, ``accuracies``, ``frontier``, ``calls``, ``models``, ``clusters``, ``groups``,
  ``learning_curve``, ``calibration``, ``protocol``: the sections
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hypernova.evaluation.html.accuracies import accuracies
from hypernova.evaluation.html.calibration import calibration
from hypernova.evaluation.html.calls import calls
from hypernova.evaluation.html.clusters import descriptions, heat_map
from hypernova.evaluation.html.frontier import frontier
from hypernova.evaluation.html.groups import groups, leave_one_group_out, unseen_kinds
from hypernova.evaluation.html.learning_curve import learning_curve
from hypernova.evaluation.html.markup import el, trusted
from hypernova.evaluation.html.models import complementarity, models
from hypernova.evaluation.html.number_format import NumberFormat
from hypernova.evaluation.html.protocol import notes, protocol
from hypernova.evaluation.html.summary import summary

if TYPE_CHECKING:
    from hypernova.evaluation.report_fields import ReportFields

# Prompts and names come from anywhere. They are escaped; this is the second lock.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def render(report: ReportFields) -> str:
    """Write a report as an HTML page.

    Args:
        report: The report.

    Returns:
        The page; it loads nothing, runs nothing, and reads well without colour.
    """
    numbers = NumberFormat.of(report)
    style = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=POLICY),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("meta", name="referrer", content="no-referrer"),
        el("title", f"Is routing worth it on {report.dataset.name}?"),
        el("style", trusted(style)),
    )
    body = el(
        "body",
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
    return f"<!DOCTYPE html>\n{el('html', head, body, lang='en')}\n"
