"""The section on cost and latency of each model against the profile.

Not here: success (see ``success``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.monitoring.html.figures import off_tag, strip
from hypernova.offline_page.markup import Markup, el, join, note, table
from hypernova.offline_page.numbers import count, usd
from hypernova.offline_page.scale import Scale

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hypernova.monitoring.report_fields import AmountRow, MonitorFields

# Ratios beyond this are drawn at the edge.
WIDEST = 3.0


def amounts(report: MonitorFields) -> Markup:
    """Show cost and latency, observed and expected."""
    return el(
        "section",
        el("h2", "Cost and latency against the profile"),
        el(
            "p",
            "The mean of observed over expected, each outcome up to ten times; the dashed line is "
            "at 1.",
        )
        if report.costs or report.latencies
        else None,
        _rows("Cost", report.costs, usd),
        _rows("Latency", report.latencies, _seconds),
        id="amounts",
    )


def _seconds(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g} s"


def _rows(name: str, rows: Sequence[AmountRow], write: Callable[[float], str]) -> Markup:
    if not rows:
        text = f"No {name.lower()} is known: log it with the outcome, and fit with it."
        return el("p", text, class_="missing")
    most = max(min(max(row.ci.high for row in rows), WIDEST), 1.5)
    scale = Scale(0.0, most, 0, 100)
    return table(
        f"{name} by model",
        [f"{name} of", "Outcomes", "Expected", "Observed", "Ratio", ""],
        [
            [
                el("bdi", row.model),
                count(row.n),
                write(row.expected),
                write(row.observed),
                join([
                    f"{row.ratio:.2f} ",
                    off_tag(row.off),
                    note(f"{row.ci.low:.2f} to {row.ci.high:.2f}"),
                ]),
                strip(row.ci, row.ratio, scale, (1.0,), off=row.off,
                      label=f"{row.model}: {row.ci.low:.2f} to {row.ci.high:.2f} times"),
            ]
            for row in rows
        ],
    )  # fmt: skip
