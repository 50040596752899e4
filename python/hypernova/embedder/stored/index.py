"""Which row of which file may hold the vector of a key: 12 bytes in memory for each vector.

Not here: the files (see ``segment``), which alone say whether a row is that of a key.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hypernova.embedder.stored.segment import Keys, Segment

Ints = npt.NDArray[np.int64]

# A row is a uint32 among those of all segments; more are not looked for.
_MAX_ROWS: Final = 2**32


class _Level(NamedTuple):
    """Rows of several segments, sorted by the first eight bytes of their keys."""

    heads: npt.NDArray[np.uint64]
    rows: npt.NDArray[np.uint32]


class KeyIndex:
    """The rows of segments by the heads of their keys; immutable, so that threads may share it.

    Levels are sorted arrays, each at least twice as long as the next, so that adding a segment
    merges little, and a search looks into few.

    Attributes:
        segments: The segments, in the order in which they were added.
    """

    def __init__(self) -> None:
        self.segments: tuple[Segment, ...] = ()
        self._starts: tuple[int, ...] = ()
        self._n = 0
        self._levels: tuple[_Level, ...] = ()

    def with_segments(self, added: Sequence[tuple[Segment, npt.NDArray[np.uint64]]]) -> KeyIndex:
        """Return an index that knows further segments, too.

        Args:
            added: Each segment with the heads of its keys, as `heads_of` gives them.
        """
        index = KeyIndex()
        segments, starts, n = list(self.segments), list(self._starts), self._n
        heads = []
        for segment, own in added:
            if n + segment.n > _MAX_ROWS:
                continue
            segments.append(segment)
            starts.append(n)
            heads.append(own)
            n += segment.n
        index.segments, index._starts, index._n = tuple(segments), tuple(starts), n
        if not heads:
            index._levels = self._levels
            return index
        rows = np.arange(self._n, n, dtype=np.uint32)
        levels = [*self._levels, _sorted_level(np.concatenate(heads), rows)]
        while len(levels) > 1 and len(levels[-2].rows) < 2 * len(levels[-1].rows):
            last, before = levels.pop(), levels.pop()
            levels.append(
                _sorted_level(
                    np.concatenate([before.heads, last.heads]),
                    np.concatenate([before.rows, last.rows]),
                )
            )
        index._levels = tuple(levels)
        return index

    def find(
        self, heads: npt.NDArray[np.uint64], read: Callable[[Ints, Ints], npt.NDArray[np.bool_]]
    ) -> npt.NDArray[np.bool_]:
        """Find keys; where several rows have a key's head, they are tried in turn.

        Args:
            heads: The head of each key, shape (n,).
            read: Given numbers of keys and for each a row among all segments; returns which of
                these rows hold their key.

        Returns:
            Which keys were found, shape (n,).
        """
        found = np.zeros(len(heads), dtype=bool)
        order = np.argsort(heads)  # neighbours in an array are found in the same caches
        for level in self._levels:
            keys = order[~found[order]]
            at = np.searchsorted(level.heads, heads[keys])
            while len(keys):
                inside = at < len(level.heads)
                keys, at = keys[inside], at[inside]
                same = level.heads[at] == heads[keys]
                keys, at = keys[same], at[same]
                if len(keys):
                    good = read(keys, level.rows[at].astype(np.int64))
                    found[keys[good]] = True
                    keys, at = keys[~good], at[~good] + 1
        return found

    def by_segment(self, rows: Ints) -> Iterator[tuple[Segment, Ints, Ints]]:
        """Divide rows among all segments by their segment.

        Yields:
            A segment, the positions in ``rows`` that are its rows, and these as
            rows of the segment, rising.
        """
        order = np.argsort(rows, kind="stable")
        numbers = np.searchsorted(self._starts, rows[order], side="right") - 1
        bounds = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(rows)]
        for first, last in pairwise(bounds):
            if first < last:
                number = int(numbers[first])
                positions = order[first:last]
                yield self.segments[number], positions, rows[positions] - self._starts[number]


def heads_of(keys: Keys) -> npt.NDArray[np.uint64]:
    """Return the first eight bytes of each key as a number: uint8 (n, 32) to uint64 (n,)."""
    return np.ascontiguousarray(keys[:, :8]).view("<u8").reshape(len(keys)).astype(np.uint64)


def _sorted_level(heads: npt.NDArray[np.uint64], rows: npt.NDArray[np.uint32]) -> _Level:
    order = np.argsort(heads, kind="stable")
    return _Level(heads[order], rows[order])
