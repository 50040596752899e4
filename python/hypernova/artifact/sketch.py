"""Sketches: a few coordinates of a prompt's vector, from which a log can be learned.

Not here: writing them to a log (see ``hypernova.outcome_log``), or learning from them (see
``hypernova.training.online``).

A fitted artifact keeps, in its metadata, the directions in which the vectors of its table differ
most (their principal components). A sketch has the vector's coordinate in each of them, in 8 bits.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from hypernova._core import Artifact
    from hypernova.numeric import Floats

# Key of the basis in the metadata.
KEY = "sketch_basis"
# The first byte of a sketch.
VERSION = 1
# Directions of a basis. 32 and 64 learned no more from logs of 3,000 and 16,000 outcomes
# (docs/experiments.md), and say more of a prompt.
DIRECTIONS = 16
# Steps of a coordinate to a standard deviation: a byte holds up to 7.9 of them.
STEPS = 16.0


@dataclass(frozen=True)
class SketchBasis:
    """The directions of a sketch's coordinates.

    Attributes:
        directions: float32 (r, dim), of about unit length and at right angles.
        center: Coordinates of the mean of the table's vectors, float64 (r,).
        spread: Standard deviation of the table's vectors in each direction, float64 (r,), above 0.
        tasks: Number of tasks that the spread is of.
    """

    directions: Floats
    center: Floats
    spread: Floats
    tasks: float

    @classmethod
    def of_sums(
        cls, n: float, total: Floats, gram: Floats, columns: Floats | None = None
    ) -> SketchBasis | None:
        """Find the directions in which vectors differ most.

        Args:
            n: Number of vectors.
            total: Their sum, (d,).
            gram: Sum of their products, (d, d).
            columns: Orthonormal columns, (dim, d), whose coordinates the sums are of; None for
                those of the vectors themselves.

        Returns:
            Up to `DIRECTIONS` directions; None if the vectors do not differ.
        """
        mean = total / max(n, 1.0)
        values, vectors = np.linalg.eigh(gram / max(n, 1.0) - np.outer(mean, mean))
        best = [i for i in range(len(values) - 1, -1, -1) if values[i] > 1e-6][:DIRECTIONS]
        if not best:
            return None
        found = vectors[:, best].T
        if columns is not None:
            found, mean = found @ columns.T, columns @ mean
        # The sign of a direction is arbitrary: its largest entry is positive.
        largest = np.argmax(np.abs(found), axis=1)
        found = found * np.sign(found[np.arange(len(found)), largest])[:, None]
        directions = found.astype(np.float16).astype(np.float32)
        return cls(directions, directions @ mean, np.sqrt(values[best]), float(n))

    @classmethod
    def of(cls, artifact: Artifact) -> SketchBasis | None:
        """Read the basis of an artifact; None if it has none, or a damaged one."""
        return cls.parse(artifact.metadata.get(KEY), artifact.dim)

    @classmethod
    def parse(cls, stored: object, dim: int) -> SketchBasis | None:
        """Read the form of `to_dict`; None if it is not that. Any program may have written it."""
        if not isinstance(stored, dict):
            return None
        try:
            raw = base64.b64decode(stored["directions"], validate=True)
            center, spread = (np.array(stored[k], dtype=np.float64) for k in ("center", "spread"))
            tasks = float(stored["tasks"])
            rows = np.frombuffer(raw, "<f2").astype(np.float32).reshape(len(center), dim)
        except (KeyError, TypeError, ValueError, OverflowError, binascii.Error):
            return None
        basis = cls(rows, center, spread, tasks)
        r = len(center)
        whole = center.shape == spread.shape == (r,) and 1 <= r <= 255 and tasks >= 0.0
        finite = all(np.isfinite(a).all() for a in (rows, center, spread, tasks))
        return basis if whole and finite and (spread > 0.0).all() else None

    @property
    def dims(self) -> int:
        """Number of coordinates, r."""
        return len(self.center)

    def to_dict(self) -> dict[str, Any]:
        """Return the form that metadata holds: directions in 16 bits, as base64 text."""
        raw = self.directions.astype("<f2").tobytes()
        return {
            "directions": base64.b64encode(raw).decode("ascii"),
            "center": self.center.tolist(),
            "spread": self.spread.tolist(),
            "tasks": self.tasks,
        }

    def standardized(self, vectors: Floats) -> Floats:
        """Return the coordinates of vectors in standard deviations, float64 (..., r)."""
        found: Floats = (vectors @ self.directions.T - self.center) / self.spread
        return found

    def sketch(self, vector: Floats) -> bytes:
        """Return the sketch of a vector, float32 (dim,): r + 1 bytes."""
        steps = np.rint(self.standardized(vector) * STEPS)
        coordinates: bytes = np.clip(steps, -127, 127).astype(np.int8).tobytes()
        return bytes([VERSION]) + coordinates

    def coordinates(self, sketch: bytes) -> Floats | None:
        """Return the coordinates of a sketch in standard deviations, float64 (r,).

        Returns:
            None if it is of another version or length.
        """
        if len(sketch) != self.dims + 1 or sketch[0] != VERSION:
            return None
        return np.frombuffer(sketch, np.int8, offset=1).astype(np.float64) / STEPS

    def linear(self, coefficients: Floats) -> tuple[Floats, Floats]:
        """Return the slopes and offsets of functions of the coordinates, as those of the vector.

        Args:
            coefficients: Of the coordinates in standard deviations, (m, r).

        Returns:
            float64 (m, dim) and (m,).
        """
        scaled = coefficients / self.spread
        slopes: Floats = scaled @ self.directions.astype(np.float64)
        return slopes, -(scaled @ self.center)
