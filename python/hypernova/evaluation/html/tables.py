"""Tables of figures: the first column names a row, the others are numbers.

Not here: what they show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.evaluation.html.markup import Markup, el

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hypernova.evaluation.html.markup import Child


def table(name: str, columns: Sequence[str], rows: Iterable[Sequence[Child]]) -> Markup:
    """Make a table that scrolls within its own place where the page is narrow.

    Args:
        name: What it shows, for those who do not see it.
        columns: Their headings.
        rows: Cells; the first one names the row.
    """
    first, *others = columns
    head = [el("th", first, scope="col")]
    head += [el("th", column, scope="col", class_="number") for column in others]
    body = [
        el(
            "tr",
            el("th", row[0], scope="row"),
            *(el("td", cell, class_="number") for cell in row[1:]),
        )
        for row in rows
    ]
    return scrolled(name, el("table", el("thead", el("tr", *head)), el("tbody", *body)))


def scrolled(name: str, content: Markup) -> Markup:
    """Let wide content scroll within its own place, by keyboard too."""
    return el("div", content, class_="scroll", tabindex=0, role="region", aria_label=name)


def note(text: Child) -> Markup:
    """A smaller line under a name or a figure."""
    return el("span", text, class_="note")


def bar(share: float, kind: str = "router") -> Markup:
    """A bar as long as a share of its place; its number stands beside it."""
    width = f"{100 * min(max(share, 0.0), 1.0):.2f}%"
    drawn = el("rect", class_=kind, x=0, y=2, width=width, height=8)
    return el("svg", drawn, class_="bar", width="100%", height=12, aria_hidden="true")
