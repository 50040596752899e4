"""The frame of a page: its policy, its style, light and dark.

Not here: elements (see ``markup``), and the sections of a page.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hypernova.offline_page.markup import el, trusted

if TYPE_CHECKING:
    from hypernova.offline_page.markup import Markup

# Prompts and names come from anywhere. They are escaped; this is the second lock.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def document(title: str, *content: Markup) -> str:
    """Write a page.

    Args:
        title: Of the page, as a tab shows it.
        *content: Of the body.

    Returns:
        The page; it loads nothing, runs nothing, and reads well without colour.
    """
    style = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=POLICY),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("meta", name="referrer", content="no-referrer"),
        el("title", title),
        el("style", trusted(style)),
    )
    return f"<!DOCTYPE html>\n{el('html', head, el('body', *content), lang='en')}\n"
