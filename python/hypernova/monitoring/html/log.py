"""The section on the log: lines that count, lines that do not, and notes.

Not here: the figures of the lines that count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.monitoring.observations import PAIR_REASONS
from hypernova.offline_page.markup import Markup, el, table
from hypernova.offline_page.numbers import count, plural
from hypernova.outcome_log.join import REASONS

if TYPE_CHECKING:
    from hypernova.monitoring.report_fields import MonitorFields

ALL_REASONS = {**REASONS, **PAIR_REASONS}


def log(report: MonitorFields) -> Markup:
    """Show the lines of the log by what became of them, and the notes."""
    found = report.log
    rows = [
        ["outcomes that count", count(found.outcomes + found.ancestor_outcomes)],
        ["decisions without an outcome so far", count(found.open)],
        *(
            [f"decisions by the artifact with sha256 {sha256[:12]}", count(n)]
            for sha256, n in found.strangers.items()
        ),
        *([f"failed requests of {model}", count(n)] for model, n in found.failed.items()),
    ]
    if found.answered_by_other:
        rows.append(
            ["outcomes of another model than the chosen one", count(found.answered_by_other)]
        )
    rows += [[ALL_REASONS.get(reason, reason), count(n)] for reason, n in found.skipped.items()]
    return el(
        "section",
        el("h2", "The log"),
        el("ul", *(el("li", text) for text in report.notes)) if report.notes else None,
        table("Lines of the log", [f"Of {plural(found.lines, 'line')}", "Number"], rows),
        id="log",
    )
