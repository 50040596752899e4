"""Single models: each one alone, and the failures of the best one that others solve.

Not here: models by cluster (see ``clusters``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.evaluation.html.number_format import NumberFormat, share_estimated
from hypernova.offline_page.markup import Markup, bar, el, join, note, table
from hypernova.offline_page.numbers import count, known, plural, usd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.evaluation.figure_fields import Estimated
    from hypernova.evaluation.report_fields import ReportFields, Rescuer

RESCUERS = 10


def models(report: ReportFields, numbers: NumberFormat) -> Markup:
    """List the single models in hindsight, the best first."""
    rows = sorted(
        report.models,
        key=lambda m: -1.0 if m.accuracy is None else m.accuracy,
        reverse=True,
    )
    priced = any(row.cost_usd is not None for row in rows)
    return el(
        "section",
        el("h2", "Models"),
        el(
            "p",
            "Each model alone on all tasks, in hindsight. ",
            "Where outcomes are missing they are estimated, so that models are compared on the "
            "same tasks; the plain mean over a model's own outcomes stands below. "
            if any(row.estimated for row in rows)
            else None,
            el("b", "Chosen"),
            " is the share of held-out decisions that chose it.",
        ),
        table(
            "Models",
            [
                "Model",
                "Accuracy, 95% interval",
                *(["Cost a task"] * priced),
                "n",
                "Chosen",
            ],
            (
                [
                    el("bdi", row.model),
                    join(
                        [
                            known(numbers.percent(row.accuracy)),
                            note(numbers.interval(row.ci95) or "no interval"),
                            _plain(row.estimated, numbers),
                        ]
                    ),
                    *([known(usd(row.cost_usd))] * priced),
                    count(row.n),
                    _chosen(row.taken),
                ]
                for row in rows
            ),
        ),
        id="models",
    )


def _plain(part: Estimated | None, numbers: NumberFormat) -> Markup | None:
    """Write the plain mean of a model that lacks outcomes."""
    if part is None:
        return None
    return note(f"{share_estimated(part)}; plain mean {numbers.percent(part.measured)}")


def _chosen(share: float) -> Markup:
    if not share:
        return known("never")
    return el("span", bar(share), f"{100 * share:.1f}%", class_="barred")


def complementarity(report: ReportFields, numbers: NumberFormat) -> Markup:
    """Show the failures of the best model, and the other models that solve them."""
    facts, n = report.complementarity, report.best_single_hindsight.n
    failed, rescued = facts.failed, facts.solved_by_another
    parts = (
        ("solved", "solved by it", n - failed),
        ("rescued", "failed, some other model solves it", rescued),
        ("lost", "failed by all", failed - rescued),
    )
    return el(
        "section",
        el("h2", "Complementarity"),
        el(
            "p",
            el("bdi", facts.model, class_="strong"),
            f" fails {count(failed)} of {plural(n, 'task')}; {count(rescued)} of those some other "
            "model solves. Only those can a router win, and only if the prompts tell which.",
            class_="lead",
        ),
        el("figure", _stack(parts), _shares(parts, n, numbers)),
        _rescuers(facts.rescuers, failed),
        el("p", "A task is solved at a score of 0.5 or more.", class_="note"),
        id="complementarity",
    )


def _stack(parts: Sequence[tuple[str, str, int]]) -> Markup:
    total = sum(part[2] for part in parts) or 1
    drawn, start = [], 0.0
    for kind, meaning, size in parts:
        width = 100 * size / total
        drawn.append(
            el("rect", el("title", f"{meaning}: {count(size)}"), class_=kind, x=f"{start:.3f}%",
               y=0, width=f"{width:.3f}%", height=34)
        )  # fmt: skip
        start += width
    text = "; ".join(f"{meaning}: {count(size)}" for _, meaning, size in parts)
    return el("svg", *drawn, class_="stack", width="100%", height=34, role="img", aria_label=text)


def _shares(parts: Sequence[tuple[str, str, int]], n: int, numbers: NumberFormat) -> Markup:
    return el(
        "figcaption",
        *(
            el(
                "span",
                el("i", class_=f"swatch {kind}"),
                el("b", count(size)),
                f" {meaning}" + (f" ({numbers.percent(size / n)})" if n else ""),
            )
            for kind, meaning, size in parts
        ),
        class_="legend",
    )


def _rescuers(rescuers: Sequence[Rescuer], failed: int) -> Markup:
    helpful = [row for row in rescuers if row.solves]
    if not helpful:
        return el("p", "No other model solves any of them.")

    def listed(rows: Sequence[Rescuer]) -> Markup:
        return el(
            "ol",
            *(
                el(
                    "li",
                    el("bdi", row.model),
                    el("b", count(row.solves)),
                    bar(row.solves / failed, "rescued"),
                )
                for row in rows
            ),
            class_="rescuers",
        )

    first, rest = helpful[:RESCUERS], helpful[RESCUERS:]
    return el(
        "div",
        el("h3", f"Who solves the {count(failed)}"),
        listed(first),
        el("details", el("summary", f"{len(rest)} more"), listed(rest)) if rest else None,
    )
