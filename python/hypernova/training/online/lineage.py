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
from hypernova.errors import RecalibrateError
from hypernova.training.estimates.profile import Estimate
from hypernova.training.online.log_sums import LogSums

if TYPE_CHECKING:
    from hypernova._core import Artifact
    from hypernova.numeric import Floats

KEY = "recalibration"
VERSION = 1
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
        ancestors: By sha256 the success estimates of the artifacts between the fitted one and
            this one, the oldest first; float32 (k + 1, m).
        kept: Share of the fitted outcomes that decay has left, 0 to 1.
        since: Time of the earliest decision with an outcome, seconds since the epoch; None
            without outcomes.
        files: By the head of each segment its name and the number of bytes read.
    """

    origin: str
    base: Estimate
    sums: LogSums
    ancestors: dict[str, Floats] = field(default_factory=dict)
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
        shape = (artifact.n_clusters + 1, len(artifact.models))
        if stored is None:
            return cls(artifact.sha256, Estimate.of(artifact), LogSums(shape, half_life))
        try:
            if stored["version"] != VERSION:
                raise RecalibrateError(
                    f"the artifact was recalibrated by another hypernova, in form "
                    f"{stored['version']!r}; this one knows {VERSION}: use that one"
                )
            files = {str(h): (str(name), int(end)) for h, (name, end) in stored["files"].items()}
            if stored["profiles"] != _digest(artifact):
                lineage = cls(artifact.sha256, Estimate.of(artifact), LogSums(shape, half_life))
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
    def _stored(
        cls,
        stored: dict[str, Any],
        artifact: Artifact,
        files: dict[str, tuple[str, int]],
        half_life: float | None,
    ) -> Lineage:
        shape = (artifact.n_clusters + 1, len(artifact.models))
        sums = LogSums.of(
            _unpacked(stored["sums"], np.float64, (len(LogSums.NAMES), *shape)),
            None if stored["until"] is None else float(stored["until"]),
            half_life,
        )
        columns: dict[str, Any] = {
            name: _unpacked(text, _dtype(name), shape) for name, text in stored["base"].items()
        }
        profile = Profile(**columns, slopes=artifact.slopes, offsets=artifact.offsets)
        return cls(
            origin=str(stored["origin"]),
            base=Estimate(profile, artifact.models.index(stored["default_model"])),
            sums=sums,
            ancestors={
                str(sha256): _unpacked(text, np.float32, shape)
                for sha256, text in stored["ancestors"]
            },
            kept=float(stored["kept"]),
            since=None if stored["since"] is None else float(stored["since"]),
            files=files,
        )

    def offsets(self, artifact: Artifact) -> dict[str, Floats]:
        """Compute how far the estimates of each generation are from the fitted ones.

        Returns:
            By sha256 the success estimates less the fitted ones, float64 (k + 1, m): of the
            fitted artifact, of the ancestors and of ``artifact``.
        """
        fitted = self.base.profile.success.astype(np.float64)
        generations = {self.origin: self.base.profile.success, **self.ancestors}
        generations[artifact.sha256] = artifact.success
        return {sha256: success - fitted for sha256, success in generations.items()}

    def to_dict(self, parent: Artifact, profile: Profile) -> dict[str, object]:
        """Return the JSON form for the metadata of a child of ``parent`` with this profile."""
        ancestors = dict(self.ancestors)
        if parent.sha256 != self.origin:
            ancestors[parent.sha256] = parent.success
        kept = list(ancestors.items())[-MAX_ANCESTORS:]
        return {
            "version": VERSION,
            "origin": self.origin,
            "outcomes": int(self.sums["outcomes"].sum()),
            "since": self.since,
            "until": self.sums.until,
            "kept": self.kept,
            "files": {head: list(known) for head, known in self.files.items()},
            "ancestors": [[sha256, _packed(success)] for sha256, success in kept],
            "default_model": parent.models[self.base.default_model],
            "base": {
                name: _packed(getattr(self.base.profile, name).astype(_dtype(name)))
                for name in COLUMNS
            },
            "sums": _packed(self.sums.to_array()),
            "profiles": _digest_of(parent.models, profile.counts, profile.success),
        }


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


def _digest(artifact: Artifact) -> str:
    return _digest_of(artifact.models, artifact.counts, artifact.success)


def _digest_of(models: tuple[str, ...], counts: Floats, success: Floats) -> str:
    digest = hashlib.sha256(json.dumps(models).encode())
    digest.update(np.ascontiguousarray(counts, dtype="<f8").tobytes())
    digest.update(np.ascontiguousarray(success, dtype="<f4").tobytes())
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
