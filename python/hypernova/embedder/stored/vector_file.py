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
import stat
import struct
from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from hypernova.paths import replacing
from hypernova.system import read_at

if TYPE_CHECKING:
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
# Rows that are wanted at a time; a gap of more rows between two wanted ones is not read.
_MAX_READ: Final = 1024
_MAX_GAP: Final = 4


class VectorFile(NamedTuple):
    """The place and the shape of a file of vectors.

    Attributes:
        path: The file.
        n: Number of vectors.
        dim: Length of a vector.
    """

    path: Path
    n: int
    dim: int


def write_vector_file(path: Path, fingerprint: bytes, keys: Keys, vectors: Vectors) -> VectorFile:
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
        file.write(rows.data.cast("B"))
        file.flush()
        os.fsync(file.fileno())
    return VectorFile(path, n, dim)


def read_keys(path: Path, fingerprint: bytes, dim: int) -> tuple[VectorFile, Keys] | None:
    """Read the keys of a file; None if it is not whole, or of another embedder.

    Args:
        path: The file.
        fingerprint: Of the embedder, 32 bytes.
        dim: Length of its vectors.

    Returns:
        The file, and its keys: uint8 (n, 32).

    Raises:
        OSError: The file cannot be read, or is gone.
    """
    if not stat.S_ISREG(path.stat().st_mode):  # a pipe of that name would keep the reader waiting
        return None
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
    return VectorFile(path, n, dim), np.frombuffer(keys, dtype=np.uint8).reshape(n, KEY_BYTES)


def read_rows(
    file: VectorFile, rows: npt.NDArray[np.int64], keys: Keys, vectors: Vectors
) -> tuple[npt.NDArray[np.bool_], bool]:
    """Read vectors of a file, as far as they are those of the keys.

    Args:
        file: The file.
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
    with file.path.open("rb", buffering=0) as opened:
        for start in range(0, len(rows), _MAX_READ):
            part = slice(start, start + _MAX_READ)
            read = _read_part(opened.fileno(), file, rows[part])
            if read is None:
                is_whole = False
                continue
            their_keys, words = read
            good = words.view("<u4")[:, file.dim] == _checksums(their_keys, words)
            is_whole = is_whole and bool(good.all())
            vectors[part] = words[:, : file.dim]
            # Equal keys: the index knows a key by eight of its bytes.
            found[part] = good & (their_keys == keys[part]).all(axis=1)
    return found, is_whole


def _read_part(
    descriptor: int, file: VectorFile, rows: npt.NDArray[np.int64]
) -> tuple[Keys, npt.NDArray[np.float32]] | None:
    """Read rising rows with their keys and checksums; None if the file ends before."""
    width = file.dim + 1
    at = _HEADER_BYTES + file.n * KEY_BYTES
    first, n = int(rows[0]), int(rows[-1] - rows[0]) + 1
    keys = np.empty((n, KEY_BYTES), dtype=np.uint8)
    if not _fill(descriptor, keys, _HEADER_BYTES + first * KEY_BYTES):
        return None
    # Ranges of rows, in which no two that follow each other are far apart.
    steps = np.diff(rows)
    begins = np.concatenate([[0], np.flatnonzero(steps > _MAX_GAP) + 1])
    ends = np.append(begins[1:], len(rows))
    starts, stops = rows[begins], rows[ends - 1] + 1
    offsets = np.cumsum(stops - starts) - (stops - starts)
    words = np.empty((int((stops - starts).sum()), width), dtype="<f4")
    for start, stop, offset in zip(starts.tolist(), stops.tolist(), offsets.tolist(), strict=True):
        into = words[offset : offset + stop - start]
        if not _fill(descriptor, into, at + start * 4 * width):
            return None
    if (steps == 1).all():
        return keys, words
    return keys[rows - first], words[rows - np.repeat(starts - offsets, ends - begins)]


def _fill(descriptor: int, array: npt.NDArray[np.generic], offset: int) -> bool:
    """Fill an array from a place of a file; False if the file ends before."""
    into = array.data.cast("B")
    while into:
        n = read_at(descriptor, into, offset)
        if not n:
            return False
        into, offset = into[n:], offset + n  # less than all: a network file system
    return True


def _checksums(keys: Keys, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    """Return the CRC-32 of each key and of its vector, the row without the last number."""
    n, width = rows.shape
    key_bytes, row_bytes = memoryview(keys.tobytes()), rows.data.cast("B")
    size = 4 * width
    starts = zip(range(0, n * KEY_BYTES, KEY_BYTES), range(0, n * size, size), strict=True)
    found = [
        crc32(row_bytes[at : at + size - 4], crc32(key_bytes[key : key + KEY_BYTES]))
        for key, at in starts
    ]
    return np.array(found, dtype=np.uint32)


def _digest(start: bytes, keys: bytes) -> bytes:
    return hashlib.sha256(start + keys).digest()
