"""The ids of the decisions that have an outcome, in little memory.

Not here: decisions that have none yet, which the reader keeps whole.
"""

from __future__ import annotations

from collections import OrderedDict

# The ids of a process begin alike and count up, so a page of consecutive ids is a bit each. A log
# of a service takes some 400 bytes for a thousand ids; ids that were made up, as much for each.
_PAGE_BITS = 10
_PAGE_BYTES = (1 << _PAGE_BITS) // 8
MAX_PAGES = 100_000
MAX_KEYS = 100_000


class ScoredIds:
    """A set of ids with the keys of their outcomes. Beyond its bounds it forgets the oldest."""

    def __init__(self) -> None:
        self._pages: OrderedDict[int, bytearray] = OrderedDict()
        self._keys: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def add(self, id_: str, *keys: str | None) -> None:
        """Add the id of a decision, 32 hexadecimal digits, and the keys of its outcomes."""
        page, byte, bit = _place(id_)
        bits = self._pages.get(page)
        if bits is None:
            bits = self._pages[page] = bytearray(_PAGE_BYTES)
            if len(self._pages) > MAX_PAGES:
                self._pages.popitem(last=False)
        bits[byte] |= bit
        known = tuple(key for key in keys if key is not None)
        if known:
            self._keys[id_] = known
            if len(self._keys) > MAX_KEYS:
                self._keys.popitem(last=False)

    def __contains__(self, id_: str) -> bool:
        page, byte, bit = _place(id_)
        bits = self._pages.get(page)
        return bits is not None and bool(bits[byte] & bit)

    def has_key(self, id_: str, key: str | None) -> bool:
        """Return whether an outcome of an id had a key; False also if that was long ago."""
        return key is not None and key in self._keys.get(id_, ())


def _place(id_: str) -> tuple[int, int, int]:
    number = int(id_, 16)
    within = number & ((1 << _PAGE_BITS) - 1)
    return number >> _PAGE_BITS, within >> 3, 1 << (within & 7)
