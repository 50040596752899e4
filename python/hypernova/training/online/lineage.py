"""Record of earlier recalibrations: fitted estimates, sums of the log, ancestors.

Not here: the update of the estimates (see ``update``). The record is part of the artifact's
metadata, which routing never reads.

The estimates of a recalibrated artifact are those of the fitted one, updated by the sums of
all outcomes since. So the number of recalibrations makes no difference, and the residual of a
decision by an ancestor is the score less that ancestor's estimate.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hypernova.artifact.metadata import is_object
from hypernova.artifact.profile import Profile
from hypernova.artifact.sketch import SketchBasis
from hypernova.errors import RecalibrateError
from hypernova.training.estimates.profile import Estimate
from hypernova.training.online.generation import Generation
from hypernova.training.online.log_sums import LogSums

if TYPE_CHECKING:
    from hypernova._core import Artifact
    from hypernova.numeric import Floats

KEY = "recalibration"
# Version 1, of hypernova 0.1, has no sums of products, and its generations differ in cells alone.
VERSIONS = (1, 2)
# Ancestors whose estimates are kept; decisions by older ones are skipped. The estimates of
# the fitted artifact are always kept.
MAX_ANCESTORS = 32
# The columns of the fitted profile that the record holds, by its keys.
COLUMNS = ("counts", "mean", "success", "standard_error", "gain_error", "cost", "latency")


@dataclass
class Lineage:
    """The history of an artifact.

    Attributes:
        origin: sha256 of the fitted artifact.
        base: Its estimates.
        sums: Sums of all outcomes logged since.
        current: How the artifact's estimates differ from the fitted ones.
        margin: The margin of the fitted artifact.
        basis: Of the coordinates of sketches; None if the artifact has none.
        ancestors: By sha256 the generations between the fitted artifact and this one, the oldest
            first.
        kept: Share of the fitted outcomes that decay has left, 0 to 1.
        since: Time of the earliest decision with an outcome, seconds since the epoch; None
            without outcomes.
        files: By the head of each segment its name and the number of bytes read.
    """

    origin: str
    base: Estimate
    sums: LogSums
    current: Generation
    margin: float
    basis: SketchBasis | None = None
    ancestors: dict[str, Generation] = field(default_factory=dict)
    kept: float = 1.0
    since: float | None = None
    files: dict[str, tuple[str, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, artifact: Artifact, half_life: float | None = None) -> Lineage:
        """Read the history of an artifact.

        An artifact that was never recalibrated, or whose estimates or models were changed
        otherwise since, counts as fitted.

        Args:
            artifact: Fitted or recalibrated.
            half_life: Of the sums, days; None for no decay.

        Raises:
            RecalibrateError: The artifact's metadata is damaged.
        """
        stored = checked_metadata(artifact).get(KEY)
        if stored is None:
            return cls._fitted(artifact, half_life)
        try:
            if stored["version"] not in VERSIONS:
                raise RecalibrateError(
                    f"the artifact was recalibrated by another hypernova, in form "
                    f"{stored['version']!r}; this one knows {VERSIONS[-1]}: use that one"
                )
            files = {str(h): (str(name), int(end)) for h, (name, end) in stored["files"].items()}
            basis = SketchBasis.of(artifact)
            digest = _digest(artifact, basis if stored["version"] > 1 else None)
            if stored["profiles"] != digest:
                lineage = cls._fitted(artifact, half_life)
                lineage.files = files
                return lineage
            return cls._stored(stored, artifact, files, half_life)
        except (KeyError, TypeError, ValueError, AttributeError, zlib.error) as error:
            if isinstance(error, RecalibrateError):
                raise
            raise RecalibrateError(
                f"the artifact's record of earlier recalibrations is damaged ({error!r}); "
                "start from the fitted artifact, and give the whole log"
            ) from None

    @classmethod
    def _fitted(cls, artifact: Artifact, half_life: float | None) -> Lineage:
        shape = (artifact.n_clusters + 1, len(artifact.models))
        basis = SketchBasis.of(artifact)
        dims = 0 if basis is None else basis.dims
        none = np.zeros((len(artifact.models), dims), np.float32)
        return cls(
            artifact.sha256,
            Estimate.of(artifact),
            LogSums(shape, half_life, dims),
            Generation(artifact.success, 0.0, none),
            artifact.margin,
            basis,
        )

    @classmethod
    def _stored(
        cls,
        stored: dict[str, Any],
        artifact: Artifact,
        files: dict[str, tuple[str, int]],
        half_life: float | None,
    ) -> Lineage:
        k, m = artifact.n_clusters + 1, len(artifact.models)
        fitted = cls._fitted(artifact, half_life)
        r = 0 if fitted.basis is None else fitted.basis.dims
        values = _unpacked(stored["sums"], np.float64, (len(LogSums.NAMES), k, m))
        if stored["version"] == 1:
            design = _design_of(dict(zip(LogSums.NAMES, values, strict=True)), r)
            current, margin = fitted.current, artifact.margin
            ancestors = {
                str(sha256): Generation(
                    _unpacked(text, np.float32, (k, m)), 0.0, current.coefficients
                )
                for sha256, text in stored["ancestors"]
            }
        else:
            cells = _unpacked(stored["cells"], np.float32, (k, m, r + 3))
            products = _unpacked(stored["products"], np.float32, (m, r + 2, r + 2))
            design = (cells.astype(np.float64), products.astype(np.float64))
            current, margin = _correction(stored, artifact.success, r), float(stored["margin"])
            ancestors = {
                str(sha256): _correction(
                    generation, _unpacked(generation["success"], np.float32, (k, m)), r
                )
                for sha256, generation in stored["ancestors"]
            }
        until = None if stored["until"] is None else float(stored["until"])
        columns: dict[str, Any] = {
            name: _unpacked(text, _dtype(name), (k, m)) for name, text in stored["base"].items()
        }
        profile = Profile(**columns, slopes=artifact.slopes, offsets=artifact.offsets)
        return cls(
            origin=str(stored["origin"]),
            base=Estimate(profile, artifact.models.index(stored["default_model"])),
            sums=LogSums.of(values, design, until, half_life),
            current=current,
            margin=margin,
            basis=fitted.basis,
            ancestors=ancestors,
            kept=float(stored["kept"]),
            since=None if stored["since"] is None else float(stored["since"]),
            files=files,
        )

    def generations(self, artifact: Artifact) -> dict[str, Generation]:
        """Return the generations by sha256: the fitted one, the ancestors, and ``artifact``."""
        none = np.zeros_like(self.current.coefficients)
        fitted = Generation(self.base.profile.success, 0.0, none)
        return {self.origin: fitted, **self.ancestors, artifact.sha256: self.current}

    def to_dict(
        self, parent: Artifact, profile: Profile, generation: Generation
    ) -> dict[str, object]:
        """Return the JSON form for the metadata of a child of ``parent``.

        Args:
            parent: The artifact whose history this is.
            profile: Of the child.
            generation: How that differs from the fitted one.
        """
        ancestors = dict(self.ancestors)
        if parent.sha256 != self.origin:
            ancestors[parent.sha256] = self.current
        kept = list(ancestors.items())[-MAX_ANCESTORS:]
        cells, products = self.sums.design
        return {
            "version": VERSIONS[-1],
            "origin": self.origin,
            "outcomes": int(self.sums["outcomes"].sum()),
            "since": self.since,
            "until": self.sums.until,
            "kept": self.kept,
            "margin": self.margin,
            "files": {head: list(known) for head, known in self.files.items()},
            "ancestors": [
                [sha256, {"success": _packed(of.success), **_correction_dict(of)}]
                for sha256, of in kept
            ],
            "default_model": parent.models[self.base.default_model],
            "base": {
                name: _packed(getattr(self.base.profile, name).astype(_dtype(name)))
                for name in COLUMNS
            },
            "sums": _packed(self.sums.to_array()),
            "cells": _packed(cells.astype(np.float32)),
            "products": _packed(products.astype(np.float32)),
            **_correction_dict(generation),
            "profiles": _digest_of(parent.models, profile.counts, profile.success, self.basis),
        }


def _design_of(sums: dict[str, Floats], dims: int) -> tuple[Floats, Floats]:
    """Return the sums of products of a log that was summed by cells alone."""
    weight, residual = sums["weight"], sums["residual"]
    cells = np.zeros((*weight.shape, dims + 3))
    cells[..., 0], cells[..., -1] = weight, residual
    return cells, np.zeros((weight.shape[1], dims + 2, dims + 2))


def _correction(stored: dict[str, Any], success: Floats, dims: int) -> Generation:
    scale = float(stored["scale"])
    if not -1.0 < scale < np.inf:
        raise ValueError(f"a scale of {scale}")
    coefficients = _unpacked(stored["coefficients"], np.float32, (success.shape[1], dims))
    return Generation(success, scale, coefficients)


def _correction_dict(generation: Generation) -> dict[str, object]:
    return {"scale": generation.scale, "coefficients": _packed(generation.coefficients)}


def checked_metadata(artifact: Artifact) -> dict[str, Any]:
    """Read the metadata of an artifact.

    Raises:
        RecalibrateError: The metadata is not a JSON object.
    """
    if not is_object(artifact):
        raise RecalibrateError(
            "the artifact's metadata is not a JSON object, so nothing can be added to it; "
            "write it with hypernova fit"
        )
    return artifact.metadata


def _digest(artifact: Artifact, basis: SketchBasis | None) -> str:
    return _digest_of(artifact.models, artifact.counts, artifact.success, basis)


def _digest_of(
    models: tuple[str, ...], counts: Floats, success: Floats, basis: SketchBasis | None
) -> str:
    digest = hashlib.sha256(json.dumps(models).encode())
    digest.update(np.ascontiguousarray(counts, dtype="<f8").tobytes())
    digest.update(np.ascontiguousarray(success, dtype="<f4").tobytes())
    if basis is not None:
        digest.update(json.dumps(basis.to_dict(), sort_keys=True).encode())
    return digest.hexdigest()


def _dtype(name: str) -> type[np.float64 | np.float32]:
    return np.float64 if name == "counts" else np.float32


def _packed(values: Floats) -> str:
    little = values.astype(values.dtype.newbyteorder("<"))
    return base64.b64encode(zlib.compress(little.tobytes(), 9)).decode("ascii")


def _unpacked(text: str, dtype: type[Any], shape: tuple[int, ...]) -> Floats:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    # Any program may have written the metadata: no more than the expected size is unpacked.
    raw = zlib.decompressobj().decompress(base64.b64decode(text), size + 1)
    if len(raw) != size:
        raise ValueError(f"an array of {len(raw)} bytes instead of {size}")
    values: Floats = np.frombuffer(raw, np.dtype(dtype).newbyteorder("<")).astype(dtype)
    return values.reshape(shape)
