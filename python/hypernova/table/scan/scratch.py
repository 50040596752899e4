"""Keep joined outcomes in files of their own while a table is in use.

Not here: what is written, and by whom.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hypernova.errors import HypernovaError, NotFoundError, TableWriteError
from hypernova.paths import path_label

if TYPE_CHECKING:
    from collections.abc import Iterator


class Scratch:
    """A folder that is removed with this object, or when the process that made it ends.

    Attributes:
        path: The folder.
    """

    def __init__(self, above: str | os.PathLike[str] | None) -> None:
        """Make the folder.

        Args:
            above: Folder to make it in; None is the system's for temporary files.

        Raises:
            TableWriteError: the folder cannot be made.
        """
        place = tempfile.gettempdir() if above is None else above
        with writing_scratch(place):
            self.path = Path(tempfile.mkdtemp(prefix="hypernova-scan-", dir=place)).absolute()
        self._finalizer = weakref.finalize(self, _remove, self.path, os.getpid())

    def remove(self) -> None:
        """Remove the folder now."""
        self._finalizer()


def check_above(above: str | os.PathLike[str] | None) -> None:
    """Raise unless the folder to make scratch folders in exists, before the work.

    Raises:
        NotFoundError: it does not.
    """
    if above is not None and not Path(above).is_dir():
        raise NotFoundError(f"{path_label(above)}: no such folder; make it first")


@contextmanager
def writing_scratch(place: str | os.PathLike[str]) -> Iterator[None]:
    """Raise errors of the system inside as those of writing scratch files.

    Raises:
        TableWriteError: a file cannot be written, as on a full disk.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, HypernovaError):
            raise
        raise cannot_write_scratch(place, error.strerror or str(error)) from error


def cannot_write_scratch(place: str | os.PathLike[str], reason: str) -> TableWriteError:
    """Return the error for scratch files that cannot be written."""
    return TableWriteError(
        f"{path_label(place)}: the joined outcomes cannot be written ({reason}); make space there, "
        "or name another folder by scratch= or TMPDIR"
    )


def _remove(path: Path, owner: int) -> None:
    # A process that was forked inherits the finalizer, and must leave the files alone.
    if os.getpid() == owner:
        try:
            shutil.rmtree(path, ignore_errors=True)
        except BaseException:  # of a signal, whose handler raises wherever it arrives
            shutil.rmtree(path, ignore_errors=True)
            raise
