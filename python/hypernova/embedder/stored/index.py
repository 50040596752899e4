"""Which row of which file may hold the vector of a key: 12 bytes in memory for each vector.

Not here: the files (see ``vector_file``), which alone say whether a row is that of a key.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hypernova.embedder.stored.vector_file import Keys, VectorFile

Ints = npt.NDArray[np.int64]

# A row is a uint32 among those of all files; more are not looked for.
_MAX_ROWS: Final = 2**32


class _Level(NamedTuple):
    """Rows of several files, sorted by the first eight bytes of their keys."""

    heads: npt.NDArray[np.uint64]
    rows: npt.NDArray[np.uint32]


class KeyIndex:
    """The rows of files by the heads of their keys; immutable, so that threads may share it.

    Levels are sorted arrays, each at least twice as long as the next, so that adding a file
    merges little, and a search looks into few.

    Attributes:
        files: The files, in the order in which they were added.
    """

    def __init__(self) -> None:
        self.files: tuple[VectorFile, ...] = ()
        self._starts: tuple[int, ...] = ()
        self._n = 0
        self._levels: tuple[_Level, ...] = ()

    def with_files(self, added: Sequence[tuple[VectorFile, npt.NDArray[np.uint64]]]) -> KeyIndex:
        """Return an index that knows further files, too.

        Args:
            added: Each file with the heads of its keys, as `heads_of` gives them.
        """
        index = KeyIndex()
        files, starts, n = list(self.files), list(self._starts), self._n
        heads = []
        for file, own in added:
            if n + file.n > _MAX_ROWS:
                continue
            files.append(file)
            starts.append(n)
            heads.append(own)
            n += file.n
        index.files, index._starts, index._n = tuple(files), tuple(starts), n
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
            read: Given numbers of keys and for each a row among all files; returns which of
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

    def by_file(self, rows: Ints) -> Iterator[tuple[VectorFile, Ints, Ints]]:
        """Divide rows among all files by their file.

        Yields:
            A file, the positions in ``rows`` that are its rows, and these as
            rows of the file, rising.
        """
        order = np.argsort(rows, kind="stable")
        numbers = np.searchsorted(self._starts, rows[order], side="right") - 1
        bounds = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(rows)]
        for first, last in pairwise(bounds):
            if first < last:
                number = int(numbers[first])
                positions = order[first:last]
                yield self.files[number], positions, rows[positions] - self._starts[number]


def heads_of(keys: Keys) -> npt.NDArray[np.uint64]:
    """Return the first eight bytes of each key as a number: uint8 (n, 32) to uint64 (n,)."""
    return np.ascontiguousarray(keys[:, :8]).view("<u8").reshape(len(keys)).astype(np.uint64)


def _sorted_level(heads: npt.NDArray[np.uint64], rows: npt.NDArray[np.uint32]) -> _Level:
    """Sort a level; ``heads`` is sorted in place, which takes a fifth less memory than a copy."""
    # Stable: of two vectors of a text, that of the first file is taken.
    order = np.argsort(heads, kind="stable")
    rows = rows[order]
    del order
    heads.sort()
    return _Level(heads, rows)
