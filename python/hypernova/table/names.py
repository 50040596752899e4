"""The rules on the names of models: one line that reads as it is, and no two that look alike.

Not here: the names of tasks and groups, which nobody types and no service looks up.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from hypernova.table.source import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# These break one-line output, terminals and logs. What str.isprintable would refuse besides is
# too much: a non-breaking space is harmless.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Characters without ink that change no letter beside them, and those that change the direction of
# writing: Unicode's Default_Ignorable_Code_Point but for variation selectors, which emoji have.
_INVISIBLE = re.compile(
    "[\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u2800\u3164\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
)
_SELECTOR = re.compile("[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_SHOWN = 120
_BLANKS = re.compile(r"\s+")


def fault_of_name(name: str) -> tuple[str, str] | None:
    """Return what is wrong with one model's name and what to do about it; None for a good name."""
    if not name or name.isspace():
        return f"found {shown(name)}, an empty name", "fill it in"
    if CONTROL.search(name):
        return (
            f"found {shown(name)}, which holds a control character",
            "remove line breaks, tabs and the like from it",
        )
    half = next((place for place, c in enumerate(name) if "\ud800" <= c <= "\udfff"), None)
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
            "remove it: nobody can type or tell apart such a name",
        )
    if name != name.strip():
        return f"found {shown(name)}, with a blank before or after it", "remove the blank"
    return None


def alike(names: Iterable[str], known: Iterable[str] = ()) -> tuple[str, str] | None:
    """Find two names that are spelled otherwise and look the same.

    They are compared in Unicode's composed form (NFC), with every run of blanks as one space and
    without variation selectors. Upper and lower case, and letters of two scripts that resemble
    each other, remain different.

    Args:
        names: To look at, in order.
        known: Names to compare with as well.

    Returns:
        The later name and the earlier one, or None.
    """
    seen = {_plain(name): name for name in known}
    for name in names:
        earlier = seen.setdefault(_plain(name), name)
        if earlier != name:
            return name, earlier
    return None


def _plain(name: str) -> str:
    if name.isascii() and "  " not in name:
        return name
    return _BLANKS.sub(" ", unicodedata.normalize("NFC", _SELECTOR.sub("", name)))


def spellings(first: str, second: str, at: Mapping[str, str] | None = None) -> str:
    """Say that two names look the same, with what sets them apart in escapes.

    Args:
        first: The one that was found.
        second: The one that was there before.
        at: Where each of them stands, if that is known.
    """
    where = f" of {at[second]}" if at and second in at else ""
    return f"found {_escapes(first)}, another spelling of {_escapes(second)}{where}"


def _escapes(name: str) -> str:
    text = ascii(name)  # repr would show both spellings alike
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
