"""Scan a table: find its files, look at their schemas, look through the rows, join if need be.

Not here: the steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hypernova.table.scan.cursors import OutOfOrderError
from hypernova.table.scan.files import find_files
from hypernova.table.scan.forms import TableForm
from hypernova.table.scan.join import join
from hypernova.table.scan.look_through import Contents, look_through
from hypernova.table.scan.reader import ChunkReader
from hypernova.table.scan.scratch import Scratch, check_above

if TYPE_CHECKING:
    import os


class Scan(NamedTuple):
    """A table that was looked through: its name, all but its rows, and a reader of these."""

    name: str
    contents: Contents
    reader: ChunkReader


def scan_table(
    path: str | os.PathLike[str], min_models: int, scratch: str | os.PathLike[str] | None
) -> Scan:
    """Scan a table; see `OutcomeTable.scan`."""
    check_above(scratch)
    files = find_files(path)
    form = TableForm.of(files)
    folder = None
    try:
        try:
            contents = look_through(form, min_models)
        except OutOfOrderError:
            folder = Scratch(scratch)
            form = join(form, folder.path)
            contents = look_through(form, min_models)
        files.check_unchanged()
    except BaseException:
        if folder is not None:
            folder.remove()
        raise
    return Scan(files.name, contents, ChunkReader(form, contents.marks, folder))
