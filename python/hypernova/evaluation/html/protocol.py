"""How the report was made: protocol, chosen settings, notes.

Not here: figures of the router.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypernova.evaluation.html.figures import count
from hypernova.evaluation.html.markup import Markup, el
from hypernova.evaluation.html.tables import table

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = {"clusters": "Clusters", "shrinkage": "Shrinkage", "guard_z": "Guard, standard errors"}


def notes(report: Mapping[str, Any]) -> Markup | None:
    """What could not be said, and what is odd."""
    if not report["notes"]:
        return None
    return el(
        "section",
        el("h2", "Notes"),
        el("ul", *(el("li", note) for note in report["notes"])),
        id="notes",
    )


def protocol(report: Mapping[str, Any]) -> Markup:
    """State the protocol, so that it can be repeated."""
    facts = report["protocol"]
    embedder = facts["embedder"]
    rows = {
        "Folds": str(facts["folds"]),
        "Repeats": str(facts["repeats"]),
        "Seed": str(facts["seed"]),
        "Clusters": str(facts["clusters"]),
        "Bootstrap draws": count(facts["bootstrap"]),
        "Embedder": str(embedder["name"]),
        "Fingerprint": str(embedder["fingerprint"])[:12],
        "Version": f"hypernova {report['hypernova']}",
    }
    listed = [el("div", el("dt", name), el("dd", el("bdi", value))) for name, value in rows.items()]
    return el(
        "section",
        el("h2", "Protocol"),
        el("p", facts["text"]),
        el("dl", *listed, class_="facts"),
        *_settings(report),
        id="protocol",
    )


def _settings(report: Mapping[str, Any]) -> list[Markup]:
    settings = report["settings"]
    if not settings:
        return []
    keys = [key for key in settings[0] if key != "times"]
    rows = [
        [*(_setting(setting[key]) for key in keys), count(setting["times"])] for setting in settings
    ]
    names = [NAMES.get(key, key.replace("_", " ").capitalize()) for key in keys]
    return [
        el("h3", "Settings that the folds chose"),
        table("Settings that the folds chose", [*names, "Times chosen"], rows),
    ]


def _setting(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
