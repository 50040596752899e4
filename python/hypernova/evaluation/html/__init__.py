"""The report as one HTML file that needs nothing else: no network, no script, no font.

Not here: any figure; `render` writes what the report holds, and says what it lacks.

- ``markup``: elements, every string escaped
- ``figures``, ``tables``, ``plot``: numbers, tables, scales and labels
- ``accuracies``, ``frontier``, ``models``, ``clusters``, ``groups``, ``protocol``: the sections
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypernova.evaluation.html.accuracies import against, overview
from hypernova.evaluation.html.clusters import descriptions, heat_map
from hypernova.evaluation.html.figures import Figures
from hypernova.evaluation.html.frontier import frontier
from hypernova.evaluation.html.groups import groups, leave_one_group_out
from hypernova.evaluation.html.markup import el, trusted
from hypernova.evaluation.html.models import complementarity, models
from hypernova.evaluation.html.protocol import notes, protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

# Prompts and names come from anywhere. They are escaped; this is the second lock.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def render(report: Mapping[str, Any]) -> str:
    """Write a report as an HTML page.

    Args:
        report: Of ``Report.to_dict``.

    Returns:
        The page; it loads nothing, runs nothing, and reads well without colour.
    """
    figures = Figures.of(report)
    style = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=POLICY),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("meta", name="referrer", content="no-referrer"),
        el("title", f"Is routing worth it on {report['dataset']['name']}?"),
        el("style", trusted(style)),
    )
    body = el(
        "body",
        overview(report, figures),
        el(
            "main",
            against(report, figures),
            frontier(report, figures),
            complementarity(report, figures),
            heat_map(report, figures),
            descriptions(report, figures),
            models(report, figures),
            groups(report, figures),
            leave_one_group_out(report, figures),
            notes(report),
            protocol(report),
        ),
        el("footer", f"hypernova {report['hypernova']}"),
    )
    return f"<!DOCTYPE html>\n{el('html', head, body, lang='en')}\n"
