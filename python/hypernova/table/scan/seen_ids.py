"""Remember the ids of millions of tasks, in 16 bytes each.

Not here: the ids' texts; two ids of one hash are compared by whoever can read them again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hypernova.table.columns import Ints


def hashes_of(ids: Iterable[str]) -> Ints:
    """Return the hash of each id, int64 (ids,); it differs between processes."""
    return np.fromiter(map(hash, ids), dtype=np.int64)


class SeenIds:
    """Hashes of ids with the places of their rows, in sorted runs.

    A new run is merged with those before it that are no longer, so that there are few runs, and
    each hash is moved a number of times that grows as the logarithm of their number.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[Ints, Ints]] = []

    def add(self, ids: Sequence[str], places: Ints) -> list[tuple[int, list[int]]]:
        """Remember ids, which are distinct among themselves.

        Returns:
            For each id whose hash was there before: its index, and the places that have the hash.
        """
        hashes = hashes_of(ids)
        again: dict[int, list[int]] = {}
        for known, at in self._runs:
            start = np.searchsorted(known, hashes, side="left")
            end = np.searchsorted(known, hashes, side="right")
            for index in np.flatnonzero(end > start).tolist():
                again.setdefault(index, []).extend(at[start[index] : end[index]].tolist())
        order = np.argsort(hashes, kind="stable")
        self._append(hashes[order], places[order])
        return sorted(again.items())

    def knows(self, ids: Iterable[str]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return whether each id's hash was added, bool (ids,); False is certain."""
        hashes = hashes_of(ids)
        found = np.zeros(len(hashes), dtype=np.bool_)
        for known, _ in self._runs:
            start = np.searchsorted(known, hashes, side="left")
            found |= known[np.minimum(start, len(known) - 1)] == hashes
        return found

    def _append(self, hashes: Ints, places: Ints) -> None:
        if not len(hashes):
            return
        self._runs.append((hashes, places))
        while len(self._runs) > 1 and len(self._runs[-2][0]) <= len(self._runs[-1][0]):
            (one, at_one), (other, at_other) = self._runs[-2:]
            hashes = np.concatenate([one, other])
            # A stable sort of two sorted runs is a merge.
            order = np.argsort(hashes, kind="stable")
            self._runs[-2:] = [(hashes[order], np.concatenate([at_one, at_other])[order])]
