"""Build HTML and SVG in which every string is escaped unless it was built here.

Not here: the content of the page.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Characters that are invalid in a document, or reverse the direction of the text around them.
_UNREADABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
# The only elements used here that have no end tag.
_VOID = frozenset({"meta", "br"})


class Markup(str):
    """Text that is HTML already; made by `el`, `join` and `trusted` only."""

    __slots__ = ()


Child: TypeAlias = "str | int | Markup | None"


def escape(text: str) -> str:
    """Escape for text and for quoted attributes; unreadable characters become U+FFFD."""
    return html.escape(_UNREADABLE.sub("\ufffd", text), quote=True)


def trusted(text: str) -> Markup:
    """Take text as HTML: for constants of this package only."""
    return Markup(text)


def join(children: Iterable[Child]) -> Markup:
    """Concatenate children; all but `Markup` is escaped, None is left out."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else escape(str(child))
            for child in children
            if child is not None
        )
    )


def el(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """Make an element.

    Args:
        name: Name of the element.
        *children: As in `join`.
        **attributes: ``class_`` is class, and an underscore within a name a hyphen;
            None and False leave the attribute out, True writes its name alone.
    """
    written = "".join(
        f" {_name(key)}" if value is True else f' {_name(key)}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(value: str | float) -> str:
    if isinstance(value, str):
        return escape(value)
    # A tenth of a pixel is enough, and NaN must never reach a drawing unseen.
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError(f"an attribute is {value}")
    return f"{value:.2f}".rstrip("0").rstrip(".")


def table(name: str, columns: Sequence[str], rows: Iterable[Sequence[Child]]) -> Markup:
    """Make a table that scrolls within its own place where the page is narrow.

    Args:
        name: Text alternative of the table.
        columns: Headings; those after the first are of numbers.
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
    """Make a smaller line under a name or a figure."""
    return el("span", text, class_="note")


def bar(share: float, kind: str = "router") -> Markup:
    """Make a bar as long as a share of its place; its number must stand beside it."""
    width = f"{100 * min(max(share, 0.0), 1.0):.2f}%"
    drawn = el("rect", class_=kind, x=0, y=2, width=width, height=8)
    return el("svg", drawn, class_="bar", width="100%", height=12, aria_hidden="true")
