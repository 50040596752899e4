"""Decide with a second artifact beside the first, for the log alone.

Not here: the log's record of both (see ``hypernova.outcome_log``), and a comparison of the two.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hypernova._core import Artifact
from hypernova.artifact.known_models import known_options
from hypernova.embedder.resolve import embedder_label
from hypernova.errors import (
    EmbedderMismatchError,
    HypernovaError,
    NoCandidateError,
    NovelPromptError,
    UnknownModelError,
)
from hypernova.events import logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from hypernova._core import Decision

# The codes of a shadow's errors; the first class that matches counts.
_CODES: tuple[tuple[type[Exception], str], ...] = (
    (NoCandidateError, "no_candidate"),
    (NovelPromptError, "novel_prompt"),
    (UnknownModelError, "unknown_model"),
    (HypernovaError, "refused"),
)
MISMATCH = "embedder_mismatch"
# Options of a batch that may have a value for each row.
_BY_ROW = ("group", "prompt_chars", "input_tokens")


def takes_vectors_of(artifact: Artifact, other: Artifact) -> bool:
    """Return whether two artifacts decide from the same vectors."""
    one, two = artifact.embedder, other.embedder
    return all(one[key] == two[key] for key in ("fingerprint", "kind", "dim"))


def opened_shadow(
    shadow: Artifact | str | os.PathLike[str], mmap: bool | Literal["auto"]
) -> Artifact:
    """Return an artifact as it is, and open the file of a path.

    Raises:
        TypeError: It is neither.
        NotFoundError: There is no such file.
        ArtifactError: The file is not a valid artifact.
    """
    if isinstance(shadow, Artifact):
        return shadow
    if not isinstance(shadow, str | os.PathLike):
        raise TypeError(
            f"shadow is of type {type(shadow).__name__}, expected the path of a .hnv file or an "
            "Artifact"
        )
    return Artifact.open(Path(shadow), mmap=mmap)


def check_shadow(artifact: Artifact, shadow: Artifact) -> None:
    """Refuse a shadow of another embedder: to embed each text twice would slow every answer.

    Raises:
        EmbedderMismatchError: The two artifacts decide from different vectors.
        TypeError: The shadow is no artifact.
    """
    if not isinstance(shadow, Artifact):
        raise TypeError(
            f"shadow is of type {type(shadow).__name__}, expected an Artifact; Router.open also "
            "takes the path of one"
        )
    if not takes_vectors_of(artifact, shadow):
        raise EmbedderMismatchError(
            f"the artifact takes vectors of {embedder_label(artifact.embedder)}, and the shadow "
            f"those of {embedder_label(shadow.embedder)}: a shadow decides from the same vector, "
            "so fit it with the same embedder, or compare the two offline with hypernova diff"
        )


class ShadowedArtifact:
    """An artifact whose decisions carry those of a shadow. Safe to share among threads.

    The shadow has the options of the request without exploration: what it would draw at random
    tells nothing about it, and its own choice is compared. An error of the shadow is noted in
    the decision and never raised.

    Args:
        artifact: The artifact whose decisions are returned.
        shadow: The other artifact. If it takes other vectors, each decision notes that.
    """

    def __init__(self, artifact: Artifact, shadow: Artifact) -> None:
        self._artifact = artifact
        self._shadow = shadow
        self._models = frozenset(shadow.models)
        self._matches = takes_vectors_of(artifact, shadow)

    def decide(self, vector: NDArray[np.float32], **options: Any) -> Decision:
        """Decide with both for one vector; raises as `Artifact.decide` does of the first."""
        _keep(options)
        decision = self._artifact.decide(vector, **options)
        return self._noted(decision, self._one(vector, options))

    def decide_many(self, vectors: NDArray[np.float32], **options: Any) -> list[Decision]:
        """Decide with both for each row; raises as `Artifact.decide_many` does of the first."""
        _keep(options)
        _keep_rows(options, len(vectors))
        decisions = list(self._artifact.decide_many(vectors, **options))
        others = self._each(vectors, options)
        return [self._noted(*both) for both in zip(decisions, others, strict=True)]

    def _noted(self, decision: Decision, other: Decision | str) -> Decision:
        """Return a decision with that of the shadow, or the code of its error."""
        if isinstance(other, str):
            return decision.with_failed_shadow(self._shadow.sha256, other)
        return decision.with_shadow(other)

    def _options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return a request's options without exploration and models that the shadow lacks.

        Raises:
            UnknownModelError: The shadow holds none of the allowed models.
        """
        known = known_options(self._models, options)
        if "allow" in known.dropped and not known.options["allow"]:
            raise UnknownModelError("the shadow holds none of the allowed models")
        return {**known.options, "explore": None, "explore_seed": None}

    def _one(self, vector: NDArray[np.float32], options: Mapping[str, Any]) -> Decision | str:
        """Return the shadow's decision, or the code of its error."""
        if not self._matches:
            return MISMATCH
        try:
            return self._shadow.decide(vector, **self._options(options))
        except Exception as error:
            return _code(error)

    def _each(
        self, vectors: NDArray[np.float32], options: Mapping[str, Any]
    ) -> list[Decision | str]:
        """Return the shadow's decision for each row, or the code of its error."""
        if not self._matches:
            return [MISMATCH] * len(vectors)
        try:
            try:
                return list(self._shadow.decide_many(vectors, **self._options(options)))
            except (NoCandidateError, NovelPromptError):  # of some row
                rows = _rows(options, len(vectors))
                return [self._one(*both) for both in zip(vectors, rows, strict=True)]
        except Exception as error:
            return [_code(error)] * len(vectors)


def _keep(options: dict[str, Any]) -> None:
    """Replace iterables of names that only the first artifact could read."""
    for name in ("allow", "deny"):
        value = options.get(name)
        if isinstance(value, Iterable) and not isinstance(value, Collection):
            options[name] = tuple(value)


def _keep_rows(options: dict[str, Any], n: int) -> None:
    """Replace iterables with a value for each row, up to one too many: some never end."""
    for name in _BY_ROW:
        value = options.get(name)
        if isinstance(value, Iterable) and not isinstance(value, Collection):
            options[name] = tuple(islice(value, n + 1))


def _rows(options: Mapping[str, Any], n: int) -> list[dict[str, Any]]:
    """Return the options of a batch for each of its rows."""
    by_row = {name: list(options[name]) for name in _BY_ROW if _is_by_row(options.get(name))}
    return [{**options, **{name: by_row[name][row] for name in by_row}} for row in range(n)]


def _is_by_row(value: Any) -> bool:
    """Return whether an option has a value for each row: arrays of NumPy may be one number."""
    several = hasattr(value, "__iter__") or hasattr(value, "__getitem__")
    return several and not isinstance(value, str) and getattr(value, "ndim", 1) != 0


def _code(error: Exception) -> str:
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    with suppress(Exception):  # a handler of the program's may raise
        logger().error("the shadow failed, and the decision stands", exc_info=error)
    return "internal"
