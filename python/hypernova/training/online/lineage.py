"""What a recalibrated artifact remembers: the fitted values, all that was folded, its ancestors.

Not here: arithmetic. It all stands in the artifact's metadata, which routing never reads.

The estimates of a recalibrated artifact are those of the fitted one moved by the sums of
everything folded since. So it makes no difference in how many steps a log was folded, and
an outcome that an ancestor decided is held against what that ancestor estimated.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from hypernova.errors import RecalibrateError
from hypernova.training.estimates.profile import Profiles
from hypernova.training.online.log_sums import Folded

if TYPE_CHECKING:
    from hypernova._core import Artifact
    from hypernova.numeric import Floats

KEY = "recalibration"
VERSION = 1
# Ancestors whose estimates are kept; decisions of older ones are skipped. The fitted
# artifact is always known.
ANCESTORS = 32


@dataclass
class Lineage:
    """The history of an artifact.

    Attributes:
        origin: sha256 of the fitted artifact.
        base: Its profiles.
        ancestors: By sha256 the success estimates of the artifacts between the two, the
            oldest first; float32 (k + 1, m).
        folded: Sums of all outcomes folded since.
        kept: What decay left of the fitted outcomes, 0 to 1.
        since: Time of the earliest decision that was folded; None if there is none.
        files: By the head of each segment its name and how many bytes were read.
    """

    origin: str
    base: Profiles
    folded: Folded
    ancestors: dict[str, Floats] = field(default_factory=dict)
    kept: float = 1.0
    since: float | None = None
    files: dict[str, tuple[str, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, artifact: Artifact, half_life: float | None = None) -> Lineage:
        """Read the history of an artifact.

        One that was never recalibrated, or that something else changed since (a model was
        added or renamed), is itself the fitted one.

        Raises:
            RecalibrateError: Its metadata is damaged.
        """
        stored = notes_of(artifact).get(KEY)
        shape = (artifact.n_clusters + 1, len(artifact.models))
        if stored is None:
            return cls(artifact.sha256, profiles_of(artifact), Folded(shape, half_life))
        try:
            if stored["version"] != VERSION:
                raise RecalibrateError(
                    f"the artifact was recalibrated by another hypernova, in form "
                    f"{stored['version']!r}; this one knows {VERSION}: use that one"
                )
            files = {str(h): (str(name), int(end)) for h, (name, end) in stored["files"].items()}
            if stored["profiles"] != _digest(artifact):
                lineage = cls(artifact.sha256, profiles_of(artifact), Folded(shape, half_life))
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
        folded = Folded(shape, half_life)
        folded.values = _unpacked(stored["sums"], np.float64, folded.values.shape)
        folded.until = None if stored["until"] is None else float(stored["until"])
        arrays = {
            name: _unpacked(text, _dtype(name), shape) for name, text in stored["base"].items()
        }
        return cls(
            origin=str(stored["origin"]),
            base=Profiles(**arrays, default_model=artifact.models.index(stored["default_model"])),
            folded=folded,
            ancestors={
                str(sha256): _unpacked(text, np.float32, shape)
                for sha256, text in stored["ancestors"]
            },
            kept=float(stored["kept"]),
            since=None if stored["since"] is None else float(stored["since"]),
            files=files,
        )

    def known(self, artifact: Artifact) -> dict[str, Floats]:
        """By sha256, how far each generation's estimates are from the fitted, (k + 1, m)."""
        fitted = self.base.success.astype(np.float64)
        generations = {self.origin: self.base.success, **self.ancestors}
        generations[artifact.sha256] = artifact.success
        return {sha256: success - fitted for sha256, success in generations.items()}

    def written(self, parent: Artifact, profiles: Profiles) -> dict[str, object]:
        """What the metadata of a child of ``parent`` with these profiles says of it all."""
        ancestors = dict(self.ancestors)
        if parent.sha256 != self.origin:
            ancestors[parent.sha256] = parent.success
        kept = list(ancestors.items())[-ANCESTORS:]
        return {
            "version": VERSION,
            "origin": self.origin,
            "outcomes": int(self.folded["outcomes"].sum()),
            "since": self.since,
            "until": self.folded.until,
            "kept": self.kept,
            "files": {head: list(known) for head, known in self.files.items()},
            "ancestors": [[sha256, _packed(success)] for sha256, success in kept],
            "default_model": parent.models[self.base.default_model],
            "base": {
                f.name: _packed(getattr(self.base, f.name).astype(_dtype(f.name)))
                for f in fields(Profiles)
                if f.name != "default_model"
            },
            "sums": _packed(self.folded.values),
            "profiles": _digest_of(parent.models, profiles.counts, profiles.success),
        }


def notes_of(artifact: Artifact) -> dict[str, Any]:
    """The metadata of an artifact.

    Raises:
        RecalibrateError: It is not a JSON object.
    """
    try:
        notes = json.loads(artifact.metadata or "{}")
    except ValueError:
        notes = None
    if not isinstance(notes, dict):
        raise RecalibrateError(
            "the artifact's metadata is not a JSON object, so nothing can be added to it; "
            "write it with hypernova fit"
        )
    return notes


def profiles_of(artifact: Artifact) -> Profiles:
    """The profiles that an artifact holds."""
    return Profiles(
        counts=artifact.counts,
        mean=artifact.mean,
        success=artifact.success,
        standard_error=artifact.standard_error,
        gain_error=artifact.gain_error,
        cost=artifact.cost,
        latency=artifact.latency,
        default_model=artifact.models.index(artifact.default_model),
    )


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
    # Metadata may be anyone's: no more than what belongs there is unpacked.
    raw = zlib.decompressobj().decompress(base64.b64decode(text), size + 1)
    if len(raw) != size:
        raise ValueError(f"an array of {len(raw)} bytes instead of {size}")
    values: Floats = np.frombuffer(raw, np.dtype(dtype).newbyteorder("<")).astype(dtype)
    return values.reshape(shape)
