"""Sums over tasks, the sufficient statistics of learning: they add, subtract and serialise.

Not here: the sums that learning takes (see ``outcome_sums`` and ``hypernova.training.online``).
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from hypernova.numeric import Floats, Ints

# Sums with a row for each cell and a last one for all.
_BY_CELL = frozenset(
    (
        "n",
        "score",
        "score2",
        "cost_n",
        "cost",
        "latency_n",
        "latency",
        "tasks",
        "tried",
        "shared",
        "shared_score",
        "shared_score2",
        "pair_n",
        "pair_gain",
        "pair_gain2",
        "input_tokens_n",
        "input_tokens",
        "output_tokens_n",
        "output_tokens",
        "repeat_n",
        "repeat_saved",
        "repeat_within",
    )
)
# Sums of tokens, which only tables with tokens have: those by cell, and those of prompts' lengths.
TOKEN_SUMS = ("input_tokens_n", "input_tokens", "output_tokens_n", "output_tokens")
PROMPT_SUMS = ("chars", "chars2", "chars_tokens")
# Sums of repeats, which only tables with repeated outcomes have.
REPEAT_SUMS = ("repeat_n", "repeat_saved", "repeat_within")
_OPTIONAL = frozenset((*TOKEN_SUMS, *PROMPT_SUMS, *REPEAT_SUMS))
# Key of the description in a serialised archive; no sum has this name.
_ABOUT = "about"


@dataclass(frozen=True)
class Sums:
    """Named sums over a set of tasks.

    The sums of two disjoint sets of tasks add up to those of their union, and the union less one
    of them gives the other.

    Attributes:
        values: Sums by name, float64; the same names and shapes in all that are added. Sums of
            tokens and repeats (`TOKEN_SUMS`, `PROMPT_SUMS` and `REPEAT_SUMS`) may be absent from
            some, and are 0 there.
        references: Models that the paired sums are about, along their first axis.
        classes: Models that have outcomes for exactly the same tasks, a tuple of indices for each
            such class. Sums named ``class_...`` have an entry for each class along their first
            axis: models of a class share what depends on the tasks alone.
    """

    values: Mapping[str, Floats]
    references: tuple[int, ...] = ()
    classes: tuple[tuple[int, ...], ...] = ()

    def __getitem__(self, name: str) -> Floats:
        """Return the sums of a name."""
        return self.values[name]

    def __contains__(self, name: object) -> bool:
        return name in self.values

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def __add__(self, other: Sums) -> Sums:
        """Add the sums of other tasks."""
        return self._combined(other, np.add)

    def __sub__(self, other: Sums) -> Sums:
        """Subtract the sums of some of the tasks."""
        return self._combined(other, np.subtract)

    def _combined(self, other: Sums, operation: Callable[[Floats, Floats], Floats]) -> Sums:
        differing = self.values.keys() ^ other.values.keys()
        if differing - _OPTIONAL or self.references != other.references:
            raise ValueError("sums of different names or references have no sum")
        classes = self.classes
        if classes != other.classes:
            classes = _common_classes(self.classes, other.classes)
        ours, theirs = self._in_classes(classes), other._in_classes(classes)
        values = {name: operation(ours[name], theirs[name]) for name in ours if name in theirs}
        values |= {name: ours[name] for name in ours if name not in theirs}
        values |= {
            name: operation(np.zeros_like(theirs[name]), theirs[name])
            for name in theirs
            if name not in ours
        }
        return Sums(values, self.references, classes)

    def _in_classes(self, classes: tuple[tuple[int, ...], ...]) -> Mapping[str, Floats]:
        """Return the sums with an entry for each of some finer classes."""
        if classes == self.classes:
            return self.values
        place = {model: i for i, models in enumerate(self.classes) for model in models}
        rows = [place[models[0]] for models in classes]
        return {
            name: values[rows] if name.startswith("class_") else values
            for name, values in self.values.items()
        }

    def scaled(self, factors: Mapping[str, float]) -> Sums:
        """Return the sums with those of some names multiplied by a factor."""
        values = {name: sums * factors.get(name, 1.0) for name, sums in self.values.items()}
        return Sums(values, self.references, self.classes)

    def with_sums(self, *others: Sums) -> Sums:
        """Return these sums and others of the same tasks under other names."""
        values, references, classes = dict(self.values), self.references, self.classes
        for other in others:
            if values.keys() & other.values.keys():
                raise ValueError("two sums of the same tasks share a name")
            values |= other.values
            if (references and other.references and references != other.references) or (
                classes and other.classes and classes != other.classes
            ):
                raise ValueError("sums of different references or classes are of other tasks")
            references = references or other.references
            classes = classes or other.classes
        return Sums(values, references, classes)

    def of_cells(self, cells: Ints) -> Sums:
        """Return the sums of outcomes and pairs in some cells, (k,), and over all of them."""
        rows = np.append(cells, -1)
        values = {
            name: sums[..., rows, :] if name in _BY_CELL else sums
            for name, sums in self.values.items()
        }
        return Sums(values, self.references, self.classes)

    def to_bytes(self) -> bytes:
        """Serialise the sums as a NumPy archive (``.npz``); equal sums give equal bytes."""
        about = {"references": self.references, "classes": self.classes}
        arrays = {_ABOUT: np.frombuffer(json.dumps(about).encode(), dtype=np.uint8), **self.values}
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **arrays)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Sums:
        """Read what `to_bytes` wrote; nothing is unpickled."""
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            values = {name: archive[name] for name in archive.files}
        about = json.loads(values.pop(_ABOUT).tobytes())
        return cls(values, tuple(about["references"]), tuple(map(tuple, about["classes"])))


def total(parts: Iterable[Sums]) -> Sums:
    """Add sums up, in the order given: in float64 another order may round otherwise."""
    remaining = iter(parts)
    whole = next(remaining)
    for part in remaining:
        whole = whole + part
    return whole


def sum_by_cell(values: Floats, cells: Ints, shape: tuple[int, ...]) -> Floats:
    """Sum values by cell, float64 of a shape.

    Args:
        values: Without NaN, of any shape.
        cells: The cell of each, as an index into the flat result; of the shape of ``values``.
        shape: Of the result.
    """
    size = int(np.prod(shape))
    found = np.bincount(cells.ravel(), weights=values.ravel(), minlength=size)
    return np.asarray(found, dtype=np.float64).reshape(shape)


def _common_classes(
    first: tuple[tuple[int, ...], ...], second: tuple[tuple[int, ...], ...]
) -> tuple[tuple[int, ...], ...]:
    """Return the coarsest classes that are finer than both, by their first model."""
    place = {model: i for i, models in enumerate(second) for model in models}
    finer: dict[tuple[int, int], list[int]] = {}
    for i, models in enumerate(first):
        for model in models:
            finer.setdefault((i, place[model]), []).append(model)
    return tuple(sorted(tuple(sorted(models)) for models in finer.values()))


def mean_known(values: Floats, axis: int = 0) -> Floats:
    """Average the values along an axis that are not NaN; NaN where all are."""
    known = ~np.isnan(values)
    total_known = np.where(known, values, 0.0).sum(axis=axis)
    with np.errstate(invalid="ignore"):
        mean: Floats = total_known / known.sum(axis=axis)
    return mean


def mean_by_cell(totals: Floats, n: Floats) -> Floats:
    """Average by cell what few outcomes have, as a cost, float32 (k + 1, m).

    Args:
        totals: Sums by cell and, in the last row, of all tasks, (k + 1, m).
        n: Number of known values, (k + 1, m).

    Returns:
        Means. A cell without a known value has the model's overall mean, NaN where there is none.
    """
    overall = ratio(totals[-1], n[-1], np.nan)
    return ratio(totals, n, overall).astype(np.float32)


def ratio(numerator: Floats, n: Floats, otherwise: Floats | float) -> Floats:
    """Divide totals by counts; ``otherwise`` where the count is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n > 0, numerator / n, otherwise)
