"""Scales, ticks, and labels that do not collide.

Not here: what is drawn (see ``frontier`` and ``accuracies``).
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hypernova.numeric import Floats

# Width of a character in a system font, in ems: a little wider than the mean, since
# the font is the reader's and a label that is too long must still fit.
CHARACTER = 0.62
# Search for the place of a label: a grid around its mark, in pixels.
REACH = 170
STEP = 6
# What a label costs where it must be: pixels of distance for a mark that it covers, for a
# piece of a line, for a label under its leader, and for being nearer to another mark.
COVERED_MARK, COVERED_LINE, CROSSED_LABEL, AMBIGUOUS = 60.0, 9.0, 60.0, 180.0


@dataclass(frozen=True)
class Scale:
    """From values to pixels, linear or logarithmic.

    Attributes:
        low: Value at ``start``.
        high: Value at ``end``.
        start: First pixel.
        end: Last pixel.
        log: Equal ratios are equal distances; ``low`` is above 0 then.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float, *, log: bool = False) -> Scale:
        """Span the values with a margin at both ends."""
        low, high = min(values), max(values)
        if log:
            margin = max(0.04 * math.log(high / low), 0.05)
            return cls(low / math.exp(margin), high * math.exp(margin), start, end, log)
        margin = 0.04 * (high - low) or 0.05 * abs(high) or 1.0
        return cls(low - margin, high + margin, start, end)

    def __call__(self, value: float) -> float:
        """Give the pixel of a value."""
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """Round values within the scale, at most about so many."""
        if self.log:
            return self._log_ticks(most)
        step = 10.0 ** math.floor(math.log10((self.high - self.low) / most))
        step *= next(f for f in (1, 2, 5, 10) if (self.high - self.low) / (f * step) <= most)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        # Rounded, or 0.7000000000000001 would be written so.
        return [round(i * step, 12) for i in range(first, last + 1)]

    def _log_ticks(self, most: int) -> list[float]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for factors in ((1, 2, 5), (1, 3), (1,)):
            ticks = [float(f"{factor}e{decade}") for decade in decades for factor in factors]
            ticks = [tick for tick in ticks if self.low <= tick <= self.high]
            if len(ticks) <= most:
                break
        return ticks


@dataclass(frozen=True)
class Label:
    """Text beside a mark at (x, y); ``placed`` makes it one with a box."""

    text: str
    x: float
    y: float
    kind: str


@dataclass(frozen=True)
class Placed:
    """A label and its box in pixels: left, top, right, bottom."""

    label: Label
    box: tuple[float, float, float, float]

    @property
    def far(self) -> bool:
        """Whether it needs a line to its mark."""
        return math.dist(self.anchor, (self.label.x, self.label.y)) > 12

    @property
    def anchor(self) -> tuple[float, float]:
        """The point of its box that is nearest to its mark."""
        left, top, right, bottom = self.box
        x = min(max(self.label.x, left), right)
        return x, min(max(self.label.y, top), bottom)


def text_width(text: str, size: float) -> float:
    """Pixels that a line of text takes, on the safe side; East Asian characters are wide."""
    ems = sum(1.0 if unicodedata.east_asian_width(c) in "WF" else CHARACTER for c in text)
    return ems * size


def shorten(text: str, characters: int) -> str:
    """Cut a name for a drawing."""
    return text if len(text) <= characters else text[: characters - 1].rstrip() + "…"


def place(
    labels: Sequence[Label],
    marks: Sequence[tuple[float, float]],
    strokes: Sequence[tuple[float, float]],
    frame: tuple[float, float, float, float],
    size: float,
) -> list[Placed]:
    """Find a place for each label, near its mark and over no other label.

    The first labels choose first. One that finds no place is left out: the table under
    the drawing has it.

    Args:
        labels: In the order of their importance.
        marks: All marks, also those without a label. If it can, a label keeps clear of
            them, and is nearer to its own than to any other.
        strokes: Points of lines to keep clear of.
        frame: Left, top, right and bottom that they must stay within.
        size: Of the font, in pixels.
    """
    offsets = np.array(
        [
            (dx, dy)
            for dx in range(-REACH, REACH + 1, STEP)
            for dy in range(-REACH, REACH + 1, STEP)
        ],
        dtype=np.float64,
    )
    height = size * 1.25
    spots = np.array(marks, dtype=np.float64).reshape(-1, 2)
    points = np.array(strokes, dtype=np.float64).reshape(-1, 2)
    taken = np.empty((0, 4))
    placed: list[Placed] = []
    for label in labels:
        width = text_width(label.text, size)
        # A grid point is the middle of the box's left side, of its right side, or of the box.
        homes = [offsets, offsets - np.array([width, 0]), offsets - np.array([width / 2, 0])]
        starts = np.concatenate(homes) + np.array([label.x, label.y - height / 2])
        boxes = np.hstack([starts, starts + np.array([width, height])])
        near = np.clip((label.x, label.y), boxes[:, :2], boxes[:, 2:])
        distance = np.hypot(near[:, 0] - label.x, near[:, 1] - label.y)
        fits = (
            (boxes[:, 0] >= frame[0])
            & (boxes[:, 1] >= frame[1])
            & (boxes[:, 2] <= frame[2])
            & (boxes[:, 3] <= frame[3])
            & (distance >= 7)
            & (distance <= REACH)
        )
        if len(taken):
            fits &= ~_overlaps(boxes, taken, 2.0).any(axis=1)
        if not fits.any():
            continue
        cost = distance + COVERED_MARK * _overlaps(boxes, _as_boxes(spots), 5.0).sum(axis=1)
        cost += COVERED_LINE * _overlaps(boxes, _as_boxes(points), 3.0).sum(axis=1)
        for share in (0.25, 0.5, 0.75):  # of the way from the mark to the label
            between = np.array([label.x, label.y]) * (1 - share) + near * share
            cost += CROSSED_LABEL * _overlaps(_as_boxes(between), taken, 1.0).sum(axis=1)
        others = spots[np.abs(spots - (label.x, label.y)).max(axis=1) > 1e-6]
        if len(others):
            reach = np.clip(others, boxes[:, None, :2], boxes[:, None, 2:]) - others
            cost += AMBIGUOUS * (np.hypot(reach[..., 0], reach[..., 1]).min(axis=1) < distance)
        # To the right of its mark a label is read first.
        cost += 0.02 * np.maximum(label.x - boxes[:, 0], 0)
        box = boxes[int(np.argmin(np.where(fits, cost, np.inf)))]
        taken = np.vstack([taken, box])
        placed.append(Placed(label, (box[0], box[1], box[2], box[3])))
    return placed


def _as_boxes(points: Floats) -> Floats:
    return np.hstack([points, points])


def _overlaps(boxes: Floats, others: Floats, margin: float) -> NDArray[np.bool_]:
    """Whether each box, (n, 4), comes within the margin of each other one, (m, 4)."""
    a, b = boxes[:, None], others[None]
    overlaps: NDArray[np.bool_] = (
        (a[..., 0] < b[..., 2] + margin)
        & (b[..., 0] < a[..., 2] + margin)
        & (a[..., 1] < b[..., 3] + margin)
        & (b[..., 1] < a[..., 3] + margin)
    )
    return overlaps
