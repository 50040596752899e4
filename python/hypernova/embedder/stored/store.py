"""The vectors of one embedder in its folder: found, added, and given up where the disk is full.

Not here: texts and embedders (see ``embedder``), and the layout of a file (see ``vector_file``).

There are no locks, in the folder or in memory. A file is written under another name, renamed
when it is whole, and never changed: two processes that embed the same texts write two files. The
state in memory is replaced and never changed; of two threads that replace it at once, one may
lose what it has added, which costs a second look or a second embedding, never a wrong vector.
"""

from __future__ import annotations

import logging
import os
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from hypernova.embedder.stored.index import Ints, KeyIndex, heads_of
from hypernova.embedder.stored.vector_file import (
    KEY_BYTES,
    Keys,
    VectorFile,
    read_keys,
    read_rows,
    write_vector_file,
)
from hypernova.errors import WriteError
from hypernova.paths import path_label

if TYPE_CHECKING:
    from pathlib import Path

    from hypernova.embedder.base import Vectors

_SUFFIX: Final = ".vectors"
# Of a process that was killed while it wrote; see `hypernova.paths.replacing`.
_ABANDONED: Final = re.compile(r"\.hypernova-[0-9a-f]+\.part")
_ABANDONED_AFTER_S: Final = 24 * 3600.0
# Between two looks for files of other processes: a look lists a folder.
_LOOK_AGAIN_S: Final = 1.0
# After a write that failed, as where the disk is full.
_WRITE_AGAIN_S: Final = 60.0
# A call that embeds fewer texts soon after a file was written leaves them to the next file, so
# that many small calls do not make as many files.
_MIN_ROWS: Final = 256
_WRITE_AFTER_S: Final = 10.0

_log = logging.getLogger("hypernova")


class VectorStore:
    """The vectors of one embedder in a folder that processes and machines may share.

    Args:
        folder: The folder, for this embedder alone; it is made when it is first written to.
        fingerprint: Of the embedder, 64 hex digits.
        dim: Length of a vector.
    """

    def __init__(self, folder: Path, fingerprint: str, dim: int) -> None:
        self._folder = folder
        self._fingerprint = bytes.fromhex(fingerprint)
        self._dim = dim
        self._index = KeyIndex()
        self._useless: frozenset[Path] = frozenset()  # files that cannot be read, or are damaged
        self._looked_at: float | None = None
        self._wrote_at: float | None = None
        self._write_again_at = 0.0
        self._said: frozenset[Path] = frozenset()  # places that a warning was about
        # A few vectors that no file has yet, by their keys.
        self._unwritten: dict[bytes, Vectors] = {}

    def find(self, keys: Keys, vectors: Vectors, *, look: bool) -> npt.NDArray[np.bool_]:
        """Find vectors.

        Args:
            keys: uint8 (n, 32).
            vectors: Takes the vectors that are found, float32 (n, dim).
            look: Look for new files of other processes, if some are not found.

        Returns:
            Which keys were found, shape (n,).
        """
        if self._looked_at is None:
            self._look()
        found = self._find(keys, vectors)
        if look and not found.all() and self._look():
            missing = np.flatnonzero(~found)
            others = np.empty((len(missing), self._dim), dtype=np.float32)
            there = self._find(keys[missing], others)
            vectors[missing[there]] = others[there]
            found[missing[there]] = True
        return found

    def _find(self, keys: Keys, vectors: Vectors) -> npt.NDArray[np.bool_]:
        index = self._index

        def read(numbers: Ints, rows: Ints) -> npt.NDArray[np.bool_]:
            good = np.zeros(len(numbers), dtype=bool)
            for file, at, own in index.by_file(rows):
                there, made = self._read(file, own, keys[numbers[at]])
                vectors[numbers[at[there]]] = made[there]
                good[at] = there
            return good

        found = index.find(heads_of(keys), read)
        if self._unwritten:
            for i in np.flatnonzero(~found).tolist():
                if (vector := self._unwritten.get(keys[i].tobytes())) is not None:
                    vectors[i] = vector
                    found[i] = True
        return found

    def _read(
        self, file: VectorFile, rows: Ints, keys: Keys
    ) -> tuple[npt.NDArray[np.bool_], Vectors]:
        vectors = np.empty((len(rows), self._dim), dtype=np.float32)
        found = np.zeros(len(rows), dtype=bool)
        if file.path in self._useless:
            return found, vectors
        try:
            found, is_whole = read_rows(file, rows, keys, vectors)
        except OSError as error:
            self._give_up(file.path, error)
            return found, vectors
        if not is_whole:
            self._say(file.path, "damaged; texts whose vectors it held are embedded again")
        return found, vectors

    def _look(self) -> bool:
        """Read the keys of files that are new; return whether there are any."""
        now = time.monotonic()
        if self._looked_at is not None and now < self._looked_at + _LOOK_AGAIN_S:
            return False
        if self._looked_at is None:
            self._remove_abandoned()
        self._looked_at = now
        try:
            paths = list(self._folder.iterdir())
        except OSError:  # deleted, as it may be
            return False
        index = self._index
        known = {file.path for file in index.files} | self._useless
        added = []
        # Sorted, so that of two vectors of a text every run over the same files takes one.
        for path in sorted(paths):
            if path.suffix != _SUFFIX or path in known:
                continue
            try:
                read = read_keys(path, self._fingerprint, self._dim)
            except OSError as error:
                self._give_up(path, error)
                continue
            if read is None:
                self._useless |= {path}
                self._say(path, "not used: it is damaged, or another version wrote it")
            else:
                file, keys = read
                added.append((file, heads_of(keys)))
        self._index = index.with_files(added)
        return bool(added)

    def keep(self, keys: list[bytes], vectors: Vectors, *, is_end: bool = False) -> None:
        """Keep vectors, in a new file; where that fails, say so once and go on without.

        Args:
            keys: 32 bytes each.
            vectors: float32 (len(keys), dim).
            is_end: No more vectors follow soon. A few of them wait in memory for the next call,
                or for `flush`, if a file was written seconds ago.
        """
        now = time.monotonic()
        unwritten = self._unwritten
        few = len(keys) + len(unwritten) < _MIN_ROWS
        if is_end and few and self._wrote_at is not None and now < self._wrote_at + _WRITE_AFTER_S:
            self._unwritten = {**unwritten, **dict(zip(keys, vectors.copy(), strict=True))}
            return
        self._unwritten = {}
        if unwritten:
            keys = [*unwritten, *keys]
            vectors = np.concatenate([np.stack(list(unwritten.values())), vectors])
        self._write(keys, vectors)

    def flush(self) -> None:
        """Write the few vectors that no file has yet."""
        unwritten, self._unwritten = self._unwritten, {}
        if unwritten:
            self._write(list(unwritten), np.stack(list(unwritten.values())))

    def _write(self, keys: list[bytes], vectors: Vectors) -> None:
        if not keys or time.monotonic() < self._write_again_at:
            return
        array = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, KEY_BYTES)
        name = os.urandom(16).hex() + _SUFFIX
        try:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)  # somebody may have deleted it
            except OSError as error:
                raise WriteError(error.strerror or str(error)) from error
            file = write_vector_file(self._folder / name, self._fingerprint, array, vectors)
        except WriteError as error:
            self._write_again_at = time.monotonic() + _WRITE_AGAIN_S
            reason = getattr(error.__cause__, "strerror", None) or error
            self._say(self._folder, f"vectors cannot be kept now ({reason}); embedding goes on")
            return
        self._wrote_at = time.monotonic()
        self._index = self._index.with_files([(file, heads_of(array))])

    def _give_up(self, path: Path, error: OSError) -> None:
        """Use a file no more; one that was deleted is not worth a warning."""
        self._useless |= {path}
        if not isinstance(error, FileNotFoundError):
            self._say(path, f"not used: {error.strerror or error}")

    def _say(self, path: Path, what: str) -> None:
        """Log a warning, the first one about a place."""
        if path not in self._said:
            self._said |= {path}
            _log.warning("%s: %s", path_label(path), what)

    def _remove_abandoned(self) -> None:
        """Remove unfinished files of processes that were killed a day ago or earlier."""
        with suppress(OSError):
            for path in self._folder.iterdir():
                if _ABANDONED.fullmatch(path.name):
                    with suppress(OSError):
                        if time.time() - path.stat().st_mtime > _ABANDONED_AFTER_S:
                            path.unlink()
