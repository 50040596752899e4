"""Read the rows of a long form without their texts: digests tell whether two rows agree.

Not here: rows that are read as chunks (`cursors`).
"""

from __future__ import annotations

from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hypernova.table.columns import EncodedColumn, Ints, OutcomeBuilder, OutcomeColumns
from hypernova.table.formats.csv import columns_of_rows, unlimited_cell_size
from hypernova.table.formats.parquet import (
    columns_of_long_format,
    import_pyarrow,
    outcomes_of_columns,
)
from hypernova.table.scan.cursors import columns_of
from hypernova.table.scan.parquet_stream import ParquetStream
from hypernova.table.scan.places import file_and_row
from hypernova.table.scan.text_stream import CsvStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hypernova.table.scan.forms import TableForm

_ROWS = 8192


class LongPart(NamedTuple):
    """Some rows of a long form.

    Attributes:
        ids: Their task ids.
        digests: 128 bits of the prompt, the group and the vector of each, int64 (rows, 2).
        outcomes: Their outcomes.
    """

    ids: EncodedColumn
    digests: Ints
    outcomes: OutcomeColumns


def long_rows(form: TableForm) -> Iterator[LongPart]:
    """Yield all rows of a long form, in order.

    Raises:
        TableError: a row is malformed, or a file is unreadable.
    """
    return _of_csv(form) if form.layout is None else _of_parquet(form)


def refuse_clash(form: TableForm, first: int, place: int) -> None:
    """Raise for two rows of one task that differ in more than the outcome.

    Args:
        form: The files.
        first: Place of the earlier row.
        place: Place of the later one.

    Raises:
        TableError: it names both rows.
    """
    source = form.files.tasks.source
    if form.layout is None:
        lines = CsvStream(form.files.tasks)
        try:
            with unlimited_cell_size():
                rows = [row for at, row in lines if at in (first, place)]
        finally:
            lines.close()
        columns_of_rows(rows, source)
        return
    with ParquetStream(form.files.tasks, form.layout.columns) as stream:
        parts = []
        for at in (first, place):
            number, row = file_and_row(at)
            stream.go_to(number, row - 1)
            parts += stream.take(1)
    file = columns_of(import_pyarrow(source), parts, source, form.layout.kinds)
    columns_of_long_format(file)


def _of_parquet(form: TableForm) -> Iterator[LongPart]:
    files, layout = form.files.tasks, form.layout
    assert layout is not None
    pa = import_pyarrow(files.source)
    with ParquetStream(files, layout.columns) as stream:
        while parts := stream.take(_ROWS):
            file = columns_of(pa, parts, files.source, layout.kinds)
            ids = file.texts("task_id", integers=True)
            digests = _digests(file.texts("prompt"), b"prompt")
            if "group" in layout.kinds:
                # A group that is absent from a file is none, as null and "" are.
                absent = EncodedColumn(np.zeros(file.length, dtype=np.int64), [""])
                groups = file.texts("group", null="") if file.has("group") else absent
                digests += 3 * _digests(groups, b"group")
            if "embedding" in layout.kinds:
                vectors = file.vector_bytes()
                digests += 5 * _digests_of(vectors, b"vector")
            yield LongPart(ids, digests, outcomes_of_columns(file, ids.codes))


def _of_csv(form: TableForm) -> Iterator[LongPart]:
    source = form.files.tasks.source
    lines = CsvStream(form.files.tasks)
    try:
        while True:
            with unlimited_cell_size():
                rows = [row for _, row in islice(lines, _ROWS)]
            if not rows:
                return
            columns = [
                _encoded([row.task_id for row in rows]),
                _encoded([row.prompt for row in rows]),
                _encoded([row.group for row in rows]),
            ]
            outcomes = OutcomeBuilder()
            for row, task in zip(rows, columns[0].codes.tolist(), strict=True):
                outcomes.add(row.line, task, row.model, row.numbers)
            digests = _digests(columns[1], b"prompt") + 3 * _digests(columns[2], b"group")
            yield LongPart(columns[0], digests, outcomes.build(source))
    finally:
        lines.close()


def _encoded(texts: Sequence[str]) -> EncodedColumn:
    known: dict[str, int] = {}
    codes = [known.setdefault(text, len(known)) for text in texts]
    return EncodedColumn(np.array(codes, dtype=np.int64), list(known))


def _digests(encoded: EncodedColumn, person: bytes) -> Ints:
    distinct = _digests_of([text.encode("utf-8") for text in encoded.values], person)
    return distinct[encoded.codes]


def _digests_of(contents: Sequence[Any], person: bytes) -> Ints:
    """Return 128 bits of each content, int64 (contents, 2)."""
    joined = b"".join(
        blake2b(content, digest_size=16, person=person).digest() for content in contents
    )
    return np.frombuffer(joined, dtype=np.int64).reshape(-1, 2)
