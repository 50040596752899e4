"""The monitoring report as one page that needs no other file.

Not here: computing figures; `render` writes those of the report, and names the missing ones. The
frame of the page is ``hypernova.offline_page``.

- ``figures``: the figures of a report as text, and intervals as drawings
- ``summary``: the verdict and what it rests on
- ``success``, ``prompts``, ``amounts``, ``shadows``, ``log``: the sections
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.monitoring.html.amounts import amounts
from hypernova.monitoring.html.log import log
from hypernova.monitoring.html.prompts import prompts
from hypernova.monitoring.html.shadows import shadows
from hypernova.monitoring.html.success import changes, gain, success
from hypernova.monitoring.html.summary import summary
from hypernova.offline_page.document import document
from hypernova.offline_page.markup import el

if TYPE_CHECKING:
    from hypernova.monitoring.report_fields import MonitorFields


def render(report: MonitorFields) -> str:
    """Write a report as an HTML page.

    Args:
        report: The report.

    Returns:
        The page; it loads nothing, runs nothing, and reads well without colour.
    """
    return document(
        f"Is the router still right? {report.verdict.partition(':')[0]}",
        summary(report),
        el(
            "main",
            gain(report),
            changes(report),
            success(report),
            prompts(report),
            amounts(report),
            shadows(report),
            log(report),
        ),
        el("footer", f"hypernova {report.hypernova}"),
    )
