"""Hold the scores of a Langfuse export by what they score, in few bytes each.

Ids are held as hashes of 64 bits: of ten million, two share one with a chance of 3 in a million.
Not here: which generation a score counts for (`langfuse`).
"""

from __future__ import annotations

import math
from array import array
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from hypernova.table.sources.exported_rows import (
    as_moment,
    column_names,
    exported_rows,
    number_cell,
    text_cell,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hypernova.table.sources.files import LogFile

# Texts and corrections of answers, which are no scores.
_NO_SCORES = ("TEXT", "CORRECTION")
_BOOLEANS = {"true": 1.0, "false": 0.0}
_NOTHING = -1


def is_scores(file: LogFile) -> bool:
    """Return whether a file holds scores."""
    names = column_names(file)
    return {"trace_id", "name", "value"} <= names and bool(
        names & {"data_type", "string_value", "observation_id"}
    )


def is_traces(file: LogFile) -> bool:
    """Return whether a file holds traces, which older exports keep apart."""
    names = column_names(file)
    return {"id", "name", "timestamp"} <= names and bool(
        names & {"bookmarked", "public", "user_id"}
    )


def id_hash(text: str) -> int:
    """Return 64 bits of a hash of an id."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


class Scores:
    """Scores by the observation or the trace that they are of.

    Attributes:
        count: Number of scores.
        n_files: Number of files that they were read from.
    """

    def __init__(self, files: Iterable[LogFile]) -> None:
        """Read files of scores.

        A score that stands in several files counts once, as it was changed last.

        Raises:
            TableError: a file is malformed.
            MissingExtraError: a file is Parquet, and pyarrow is not installed.
        """
        rows = _ScoreRows()
        self.n_files = 0
        for file in files:
            rows.add(file)
            self.n_files += 1
        self._texts = tuple(rows.texts)
        of, name, source, value, text, stamp, own_id = rows.columns()
        order = np.lexsort((text, value, stamp, own_id))
        # Of equal ids the last one stays; a score without an id is one of its own.
        last = np.r_[own_id[order][1:] != own_id[order][:-1], True] if len(order) else order == 0
        kept = order[last | (own_id[order] == 0)]
        kept = kept[np.lexsort((text[kept], value[kept], source[kept], name[kept], of[kept]))]
        self._of = of[kept]
        self._name, self._source = name[kept], source[kept]
        self._value, self._text = value[kept], text[kept]
        self.count = len(kept)
        pairs = np.unique(np.stack([self._name, self._source]), axis=1)
        names, sources = np.unique(pairs[0], return_counts=True)
        # A name that people and a model score under is two metrics.
        self._several = {int(one) for one in names[sources > 1]}

    def of(self, kind: str, identifier: str) -> dict[str, object]:
        """Return the scores of an observation or a trace by metric.

        The metric is the name of the score, followed by its source in brackets where a name has
        several sources. Of several numbers of one metric it is their mean; of several categories
        that are not one it is the list.

        Args:
            kind: ``observation`` or ``trace``.
            identifier: Its id.
        """
        wanted = np.uint64(id_hash(f"{kind}/{identifier}"))
        first = int(np.searchsorted(self._of, wanted))
        found: dict[str, list[object]] = {}
        for at in range(first, self.count):
            if self._of[at] != wanted:
                break
            name = self._texts[self._name[at]]
            if int(self._name[at]) in self._several:
                name = f"{name} ({self._texts[self._source[at]]})"
            text = int(self._text[at])
            value = float(self._value[at]) if text == _NOTHING else self._texts[text]
            found.setdefault(name, []).append(value)
        return {name: _one(values) for name, values in found.items()}


class TraceNames:
    """The names of traces, by id."""

    def __init__(self, files: Iterable[LogFile]) -> None:
        """Read files of traces.

        Raises:
            TableError: a file is malformed.
            MissingExtraError: a file is Parquet, and pyarrow is not installed.
        """
        texts: dict[str, int] = {}
        ids, names = array("Q"), array("l")
        for file in files:
            for _, row in exported_rows(file):
                if name := text_cell(row, "name"):
                    ids.append(id_hash(text_cell(row, "id")))
                    names.append(texts.setdefault(name, len(texts)))
        found, codes = np.array(ids, dtype=np.uint64), np.array(names, dtype=np.int64)
        every = list(texts)
        by_name = sorted(range(len(every)), key=every.__getitem__)
        rank = np.argsort(np.array(by_name, dtype=np.int64))
        # By name too, so that a trace that stands twice has one name in any order of files.
        order = np.lexsort((rank[codes], found))
        self._ids, self._codes = found[order], codes[order]
        self._texts = tuple(every)

    def of(self, trace: str) -> str:
        """Return the name of a trace, or ""."""
        wanted = np.uint64(id_hash(trace))
        at = int(np.searchsorted(self._ids, wanted))
        found = at < len(self._ids) and self._ids[at] == wanted
        return self._texts[self._codes[at]] if found else ""


class _ScoreRows:
    """The scores as they are read: numbers in arrays, texts once."""

    def __init__(self) -> None:
        self.texts: dict[str, int] = {}
        self._arrays: list[array[Any]] = [array(kind) for kind in "QlldldQ"]

    def add(self, file: LogFile) -> None:
        """Read the rows of a file."""
        for number, row in exported_rows(file):
            kind = text_cell(row, "data_type").upper()
            name = text_cell(row, "name")
            observation, trace = text_cell(row, "observation_id"), text_cell(row, "trace_id")
            if kind in _NO_SCORES or not name or not (observation or trace):
                continue  # of a session or of a run of a data set
            value, text = self._value(file, number, row, kind)
            if value is None and text == _NOTHING:
                continue
            of = f"observation/{observation}" if observation else f"trace/{trace}"
            stamp = as_moment(row.get("updated_at")) or as_moment(row.get("timestamp")) or 0.0
            own_id = text_cell(row, "id")
            values = (
                id_hash(of),
                self._code(name),
                self._code(text_cell(row, "source")),
                math.nan if value is None else value,
                text,
                stamp,
                id_hash(own_id) if own_id else 0,
            )
            for column, item in zip(self._arrays, values, strict=True):
                column.append(item)

    def columns(self) -> list[Any]:
        """Return the columns as arrays, (scores,) each."""
        kinds = (np.uint64, np.int64, np.int64, np.float64, np.int64, np.float64, np.uint64)
        return [np.array(one, dtype=kind) for one, kind in zip(self._arrays, kinds, strict=True)]

    def _code(self, text: str) -> int:
        return self.texts.setdefault(text, len(self.texts))

    def _value(
        self, file: LogFile, number: int, row: dict[str, Any], kind: str
    ) -> tuple[float | None, int]:
        # Returns the number, or the code of the text.
        text = text_cell(row, "string_value")
        if kind == "CATEGORICAL" and text:
            return None, self._code(text)
        plain = row.get("value")
        if isinstance(plain, bool):
            return float(plain), _NOTHING
        if isinstance(plain, str) and plain.lower() in _BOOLEANS:
            return _BOOLEANS[plain.lower()], _NOTHING
        if not kind and text and plain in (None, ""):
            return None, self._code(text)
        if not kind and isinstance(plain, str) and not text:
            return None, self._code(plain)
        return number_cell(row, "value", file.source, number), _NOTHING


def _one(values: list[object]) -> object:
    if len(values) == 1 or all(value == values[0] for value in values):
        return values[0]
    numbers = [value for value in values if isinstance(value, float)]
    if len(numbers) == len(values):
        return math.fsum(numbers) / len(numbers)
    return sorted(values, key=str)
