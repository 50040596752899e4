"""Notes, the protocol, and the settings that folds selected.

Not here: figures of the router.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.offline_page.markup import Markup, el, table
from hypernova.offline_page.numbers import count

if TYPE_CHECKING:
    from hypernova.evaluation.report_fields import ReportFields

NAMES = {
    "source": "Cells",
    "clusters": "Number of cells",
    "guard_z": "Guard, standard errors",
    "margin": "Margin",
}


def notes(report: ReportFields) -> Markup | None:
    """List the limits of the figures, and what is odd about them."""
    if not report.notes:
        return None
    return el(
        "section",
        el("h2", "Notes"),
        el("ul", *(el("li", note) for note in report.notes)),
        id="notes",
    )


def protocol(report: ReportFields) -> Markup:
    """State the protocol, so that it can be repeated."""
    facts = report.protocol
    rows = {
        "Folds": str(facts.folds),
        "Repeats": str(facts.repeats),
        "Seed": str(facts.seed),
        "Clusters": str(facts.clusters),
        "Bootstrap draws": count(facts.bootstrap),
        "Embedder": str(facts.embedder["name"]),
        "Fingerprint": str(facts.embedder["fingerprint"])[:12],
        "Version": f"hypernova {report.hypernova}",
    }
    listed = [el("div", el("dt", name), el("dd", el("bdi", value))) for name, value in rows.items()]
    return el(
        "section",
        el("h2", "Protocol"),
        el("p", facts.text),
        el("dl", *listed, class_="facts"),
        *_settings(report),
        id="protocol",
    )


def _settings(report: ReportFields) -> list[Markup]:
    settings = report.settings
    if not settings:
        return []
    keys = [key for key in settings[0] if key != "times"]
    rows = [
        [*(_setting(setting[key]) for key in keys), count(setting["times"])] for setting in settings
    ]
    names = [NAMES.get(key, key.replace("_", " ").capitalize()) for key in keys]
    return [
        el("h3", "Settings that the folds selected"),
        table("Settings that the folds selected", [*names, "Times selected"], rows),
    ]


def _setting(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
