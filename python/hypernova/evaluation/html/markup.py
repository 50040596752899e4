"""Build HTML and SVG in which every string is escaped unless it was built here.

Not here: what the page says.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

# Not characters of a document, or ones that turn the direction of writing around them.
_UNREADABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
# The only elements used here that have no end tag.
_VOID = frozenset({"meta", "br"})


class Markup(str):
    """Text that is HTML already. Only `el`, `join` and `trusted` make it."""

    __slots__ = ()


Child: TypeAlias = "str | int | Markup | None"


def escape(text: str) -> str:
    """Escape for text and for quoted attributes; unreadable characters become U+FFFD."""
    return html.escape(_UNREADABLE.sub("\ufffd", text), quote=True)


def trusted(text: str) -> Markup:
    """Take text as HTML: for constants of this package only."""
    return Markup(text)


def join(children: Iterable[Child]) -> Markup:
    """Put children one after another; what is no `Markup` is escaped, None is left out."""
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
        name: Of the element.
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
