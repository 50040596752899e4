"""One file of vectors, written once: keys, vectors, and checksums of both.

Not here: which file holds a vector (see ``index``), and when files are written (see ``store``).

A file is little-endian, without padding, and exactly as long as its header says:

- header, 96 bytes: the magic ``HNVVECTS``, version (uint32), dim (uint32), number of vectors n
  (uint64), 8 zeros, the embedder's fingerprint (32 bytes), and a sha256 of all these and the keys
- keys, 32 bytes each
- rows: ``dim`` float32 numbers, and a CRC-32 of the key and these numbers

Nothing is mapped: a file that another process cuts short would end this one with a signal. A row
is read when it is asked for, and is checked each time, so that neither a file that was
damaged since nor a row that nobody asks for costs anything. CRC-32 takes 0.8 us for 512 numbers,
sha256 would take 1.7 us.
"""

from __future__ import annotations

import hashlib
import os
import struct
from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from hypernova.paths import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hypernova.embedder.base import Vectors

Keys = npt.NDArray[np.uint8]

KEY_BYTES: Final = 32
_MAGIC: Final = b"HNVVECTS"
_VERSION: Final = 1
_HEADER: Final = struct.Struct("<8sIIQ8x32s")
_HEADER_BYTES: Final = _HEADER.size + 32
# No file that hypernova writes has as many; it bounds what a forged one takes in memory.
_MAX_ROWS: Final = 2**20
# Rows that are read at a time, and unwanted ones that are read along rather than skipped.
_MAX_READ: Final = 1024
_MAX_GAP: Final = 8


class Segment(NamedTuple):
    """The place and the shape of a file of vectors.

    Attributes:
        path: The file.
        n: Number of vectors.
        dim: Length of a vector.
    """

    path: Path
    n: int
    dim: int


def write_segment(path: Path, fingerprint: bytes, keys: Keys, vectors: Vectors) -> Segment:
    """Write a file of vectors whole or not at all.

    Args:
        path: The file, which does not exist yet.
        fingerprint: Of the embedder, 32 bytes.
        keys: uint8 (n, 32).
        vectors: float32 (n, dim).

    Raises:
        WriteError: The file cannot be written.
    """
    n, dim = vectors.shape
    rows = np.empty((n, dim + 1), dtype="<f4")
    rows[:, :dim] = vectors
    rows.view("<u4")[:, dim] = _checksums(keys, rows)
    start = _HEADER.pack(_MAGIC, _VERSION, dim, n, fingerprint)
    with replacing(path) as temporary, temporary.open("xb") as file:
        file.write(start + _digest(start, keys.tobytes()))
        file.write(keys.tobytes())
        file.write(memoryview(rows).cast("B"))
        file.flush()
        os.fsync(file.fileno())
    return Segment(path, n, dim)


def read_keys(path: Path, fingerprint: bytes, dim: int) -> tuple[Segment, Keys] | None:
    """Read the keys of a file; None if it is not whole, or of another embedder.

    Args:
        path: The file.
        fingerprint: Of the embedder, 32 bytes.
        dim: Length of its vectors.

    Returns:
        The segment, and its keys: uint8 (n, 32).

    Raises:
        OSError: The file cannot be read, or is gone.
    """
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
        if len(header) < _HEADER_BYTES:
            return None
        start, digest = header[: _HEADER.size], header[_HEADER.size :]
        magic, version, found_dim, n, found = _HEADER.unpack(start)
        if (magic, version, found_dim, found) != (_MAGIC, _VERSION, dim, fingerprint):
            return None
        size = _HEADER_BYTES + n * (KEY_BYTES + 4 * (dim + 1))
        if n > _MAX_ROWS or os.fstat(file.fileno()).st_size != size:
            return None
        keys = file.read(n * KEY_BYTES)
    if len(keys) < n * KEY_BYTES or _digest(start, keys) != digest:
        return None
    return Segment(path, n, dim), np.frombuffer(keys, dtype=np.uint8).reshape(n, KEY_BYTES)


def read_rows(
    segment: Segment, rows: npt.NDArray[np.int64], keys: Keys, vectors: Vectors
) -> tuple[npt.NDArray[np.bool_], bool]:
    """Read vectors of a file, as far as they are those of the keys.

    Args:
        segment: The file.
        rows: Rows to read, rising; shape (m,).
        keys: The keys that the rows should have, uint8 (m, 32).
        vectors: Takes the vectors, float32 (m, dim); a row that is not found is undefined.

    Returns:
        Which rows were found, shape (m,); and whether the file was whole as far as it was read.

    Raises:
        OSError: The file cannot be read, or is gone.
    """
    found = np.zeros(len(rows), dtype=bool)
    is_whole = True
    row_bytes = 4 * (segment.dim + 1)
    vectors_at = _HEADER_BYTES + segment.n * KEY_BYTES
    with segment.path.open("rb", buffering=0) as file:
        for first, last in _reads(rows):
            start, n = int(rows[first]), int(rows[last - 1] - rows[first] + 1)
            their_keys = _read(file.fileno(), n * KEY_BYTES, _HEADER_BYTES + start * KEY_BYTES)
            there = _read(file.fileno(), n * row_bytes, vectors_at + start * row_bytes)
            if their_keys is None or there is None:
                is_whole = False
                continue
            wanted = rows[first:last] - start
            words = np.frombuffer(there, dtype="<f4").reshape(n, segment.dim + 1)[wanted]
            of_file = np.frombuffer(their_keys, dtype=np.uint8).reshape(n, KEY_BYTES)[wanted]
            good = words.view("<u4")[:, segment.dim] == _checksums(of_file, words)
            is_whole = is_whole and bool(good.all())
            vectors[first:last] = words[:, : segment.dim]
            # Equal keys: the index knows a key by eight of its bytes.
            found[first:last] = good & (of_file == keys[first:last]).all(axis=1)
    return found, is_whole


def _reads(rows: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Divide rising rows into ranges that are each read at once."""
    ends = [*(np.flatnonzero(np.diff(rows) > _MAX_GAP) + 1).tolist(), len(rows)]
    first = 0
    for end in ends:
        while first < end:
            # At least one row; with repeats, more than the file has in that range.
            beyond = int(np.searchsorted(rows[first:end], rows[first] + _MAX_READ))
            yield first, first + beyond
            first += beyond


def _read(descriptor: int, size: int, offset: int) -> bytes | None:
    """Read exactly ``size`` bytes; None if the file ends before."""
    data = os.pread(descriptor, size, offset)
    while 0 < len(data) < size:  # a signal, or a network file system
        more = os.pread(descriptor, size - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data if len(data) == size else None


def _checksums(keys: Keys, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    """Return the CRC-32 of each key and of its vector, the row without the last number."""
    n, width = rows.shape
    key_bytes, row_bytes = memoryview(keys.tobytes()), memoryview(rows).cast("B")
    size = 4 * width
    starts = zip(range(0, n * KEY_BYTES, KEY_BYTES), range(0, n * size, size), strict=True)
    found = [
        crc32(row_bytes[at : at + size - 4], crc32(key_bytes[key : key + KEY_BYTES]))
        for key, at in starts
    ]
    return np.array(found, dtype=np.uint32)


def _digest(start: bytes, keys: bytes) -> bytes:
    return hashlib.sha256(start + keys).digest()
