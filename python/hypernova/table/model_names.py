"""Check the names of models: one visible line each, and no two that look the same.

Not here: ids of tasks and names of groups, which nobody types and no service looks up.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from hypernova.table.source import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# These break one-line output, terminals and logs. str.isprintable refuses more than that: a
# non-breaking space is harmless.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Characters without ink that change no neighbour, and those that change the direction of writing:
# Unicode's Default_Ignorable_Code_Point except variation selectors, which emoji use.
_INVISIBLE = re.compile(
    "[\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u2800\u3164\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
)
_SELECTOR = re.compile("[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_MAX_CHARS = 120
_BLANKS = re.compile(r"\s+")


def name_problem(name: str) -> tuple[str, str] | None:
    """Return what is wrong with a model's name and what to do, or None for a valid name."""
    if not name or name.isspace():
        return f"found {quoted(name)}, an empty name", "fill it in"
    if CONTROL.search(name):
        return (
            f"found {quoted(name)}, which holds a control character",
            "remove line breaks, tabs and the like from it",
        )
    half = next((index for index, c in enumerate(name) if "\ud800" <= c <= "\udfff"), None)
    if half is not None:
        return (
            f"found half of a surrogate pair at character {half}",
            "write the text as UTF-8 or with both halves of the escape",
        )
    hidden = _INVISIBLE.search(name)
    if hidden:
        return (
            f"found {_escapes(name)}, which holds the invisible character "
            f"U+{ord(hidden[0]):04X} at character {hidden.start()}",
            "remove it: nobody can type or distinguish such a name",
        )
    if name != name.strip():
        return f"found {quoted(name)}, with a blank before or after it", "remove the blank"
    return None


def find_lookalikes(names: Iterable[str], known: Iterable[str] = ()) -> tuple[str, str] | None:
    """Find two names that are spelled differently and look the same.

    Names are compared in Unicode's composed form (NFC), with every run of blanks as one space and
    without variation selectors. Upper and lower case differ, and so do similar letters of two
    scripts.

    Args:
        names: Names to check, in order.
        known: Further names to compare with.

    Returns:
        The later and the earlier of the two names, or None.
    """
    seen = {_normalized(name): name for name in known}
    for name in names:
        earlier = seen.setdefault(_normalized(name), name)
        if earlier != name:
            return name, earlier
    return None


def _normalized(name: str) -> str:
    if name.isascii() and "  " not in name:
        return name
    return _BLANKS.sub(" ", unicodedata.normalize("NFC", _SELECTOR.sub("", name)))


def describe_lookalikes(first: str, second: str, at: Mapping[str, str] | None = None) -> str:
    """Return a message that two names look the same, with their difference in escapes.

    Args:
        first: The name that was found.
        second: The name that it looks like.
        at: Row of each name, if known.
    """
    where = f" of {at[second]}" if at and second in at else ""
    return f"found {_escapes(first)}, another spelling of {_escapes(second)}{where}"


def _escapes(name: str) -> str:
    text = ascii(name)  # repr would show both describe_lookalikes find_lookalikes
    return text if len(text) <= _MAX_CHARS else f"{text[:_MAX_CHARS]}..."
