"""Numbers in memory that the processes of a server share: each writes its own, all read them all.

A number that is counted here outlives its process, also one that is killed: nothing is on its way
to another process at any time. Not here: the metrics that the numbers are (`prometheus`).
"""

from __future__ import annotations

import json
import mmap
import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Of each process; memory is taken as it is used. A counter with two labels takes about 100 bytes.
SLOT_BYTES = 4 << 20
_WORDS = SLOT_BYTES // 8
# The first words of a slot: whether its process accepts connections, and how many it holds.
_ACCEPTS, _CONNECTIONS, _FIRST_RECORD = range(3)
# Where the numbers go that have no more room; nobody reads them.
_SPARE = 64


class Record(NamedTuple):
    """Numbers of one slot.

    Attributes:
        key: The name of a metric and the values of its labels.
        numbers: As many as the metric has.
    """

    key: tuple[str, ...]
    numbers: tuple[float, ...]


class Board:
    """Slots of numbers in shared memory, one for each process.

    A slot is written by one process at a time, and read by all without a lock: a number is eight
    aligned bytes, which a processor writes at once. A record begins with its length, which is
    written last, so that a record that is being added is not seen. A process that takes the slot
    of a dead one goes on with its numbers.

    Args:
        slots: Number of slots. A process that is not forked needs one.
    """

    def __init__(self, slots: int = 1) -> None:
        self.slots = slots
        # Anonymous and shared: a forked process has the same pages, and no file is left behind.
        memory = memoryview(mmap.mmap(-1, slots * SLOT_BYTES))
        self._numbers = memory.cast("d")
        self._words = memory.cast("Q")
        self._bytes = memory
        self.attach(0)

    def attach(self, slot: int) -> None:
        """Write to another slot from now on, after its records if it has any."""
        self.slot = slot
        self._start = slot * _WORDS
        # Threads count, too, and `+=` is no single step. New in each process: it is free.
        self.lock = threading.Lock()
        self._places: dict[tuple[str, ...], int] = {}
        self._end = self._start + _FIRST_RECORD
        for key, first, end in self._walk(slot):
            self._places[key] = first
            self._end = end

    @property
    def numbers(self) -> memoryview[float]:
        """All numbers; `place` says where those of a key begin."""
        return self._numbers

    def place(self, key: tuple[str, ...], count: int) -> int:
        """Return where the numbers of a key begin in this process's slot; new ones are zero.

        If the slot is full, the numbers of all further keys share a place that is never read.

        Args:
            key: The name of a metric and the values of its labels.
            count: How many numbers it has, at most 63.
        """
        with self.lock:
            if key in self._places:
                return self._places[key]
            label = json.dumps(key).encode()
            first = self._end + 1 + -(-len(label) // 8)
            limit = self._start + _WORDS - _SPARE
            if first + count > limit:
                return limit
            byte = 8 * (self._end + 1)
            self._bytes[byte : byte + len(label)] = label
            head, self._end = self._end, first + count
            self._places[key] = first
        # Taking and leaving the lock orders what other processors see.
        with self.lock:
            self._words[head] = len(label) << 8 | count
        return first

    def records(self, slots: Sequence[int] | None = None) -> Iterator[Record]:
        """Read the records of some slots, by default of all."""
        for slot in range(self.slots) if slots is None else slots:
            for key, first, end in self._walk(slot):
                yield Record(key, tuple(self._numbers[first:end]))

    def _walk(self, slot: int) -> Iterator[tuple[tuple[str, ...], int, int]]:
        at = slot * _WORDS + _FIRST_RECORD
        limit = (slot + 1) * _WORDS - _SPARE
        while at < limit and (head := self._words[at]):
            length, count = head >> 8, head & 0xFF
            first = at + 1 + -(-length // 8)
            label = bytes(self._bytes[8 * (at + 1) : 8 * (at + 1) + length])
            yield tuple(json.loads(label)), first, first + count
            at = first + count

    def copy_from(self, other: Board) -> None:
        """Add the numbers of another board to this process's slot."""
        for key, numbers in other.records():
            at = self.place(key, len(numbers))
            with self.lock:
                for i, number in enumerate(numbers, at):
                    self._numbers[i] += number

    def zero(self, slot: int, names: Sequence[str]) -> None:
        """Set the numbers of some metrics in the slot of a process that ended to zero."""
        for key, first, end in self._walk(slot):
            if key[0] in names:
                for i in range(first, end):
                    self._numbers[i] = 0.0
        self._words[slot * _WORDS + _ACCEPTS] = self._words[slot * _WORDS + _CONNECTIONS] = 0

    def set_connections(self, count: int) -> None:
        """Say how many connections this process holds."""
        self._words[self._start + _CONNECTIONS] = count

    def set_accepting(self, accepting: bool, slot: int | None = None) -> None:
        """Say whether a process, by default this one, accepts connections."""
        start = self._start if slot is None else slot * _WORDS
        self._words[start + _ACCEPTS] = accepting

    def holds_fewest(self) -> bool:
        """Return whether no other process that accepts connections holds fewer than this one."""
        words, own = self._words, self._words[self._start + _CONNECTIONS]
        return not any(
            words[start + _ACCEPTS] and words[start + _CONNECTIONS] < own
            for start in range(0, self.slots * _WORDS, _WORDS)
        )
