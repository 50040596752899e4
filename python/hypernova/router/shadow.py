"""Decide with a second artifact beside the first, for the log alone.

Not here: the log's record of both (see ``hypernova.outcome_log``), and a comparison of the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

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
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from hypernova._core import Artifact, Decision

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


def check_shadow(artifact: Artifact, shadow: Artifact) -> None:
    """Refuse a shadow of another embedder: to embed each text twice would slow every answer.

    Raises:
        EmbedderMismatchError: The two artifacts decide from different vectors.
    """
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
        self._matches = takes_vectors_of(artifact, shadow)

    def decide(self, vector: NDArray[np.float32], **options: Any) -> Decision:
        """Decide with both for one vector; raises as `Artifact.decide` does of the first."""
        _keep(options)
        decision = self._artifact.decide(vector, **options)
        if not self._matches:
            return decision.with_failed_shadow(self._shadow.sha256, MISMATCH)
        try:
            other = self._shadow.decide(vector, **_without_exploration(options))
        except Exception as error:
            return decision.with_failed_shadow(self._shadow.sha256, _code(error))
        return decision.with_shadow(other)

    def decide_many(self, vectors: NDArray[np.float32], **options: Any) -> list[Decision]:
        """Decide with both for each row; raises as `Artifact.decide_many` does of the first."""
        _keep(options)
        decisions = list(self._artifact.decide_many(vectors, **options))
        return [
            decision.with_failed_shadow(self._shadow.sha256, other)
            if isinstance(other, str)
            else decision.with_shadow(other)
            for decision, other in zip(
                decisions, self._shadows(vectors, _without_exploration(options)), strict=True
            )
        ]

    def _shadows(
        self, vectors: NDArray[np.float32], options: dict[str, Any]
    ) -> Iterable[Decision | str]:
        """Return the shadow's decision for each row, or the code of its error."""
        if not self._matches:
            return [MISMATCH] * len(vectors)
        try:
            return list(self._shadow.decide_many(vectors, **options))
        except (NoCandidateError, NovelPromptError):  # of some row
            return [self._one(vector, _of_row(options, row)) for row, vector in enumerate(vectors)]
        except Exception as error:
            return [_code(error)] * len(vectors)

    def _one(self, vector: NDArray[np.float32], options: dict[str, Any]) -> Decision | str:
        try:
            return self._shadow.decide(vector, **options)
        except Exception as error:
            return _code(error)


def _keep(options: dict[str, Any]) -> None:
    """Replace iterators, which only the first artifact could read."""
    for name, value in options.items():
        if isinstance(value, Iterator):
            options[name] = tuple(value)


def _without_exploration(options: Mapping[str, Any]) -> dict[str, Any]:
    return {**options, "explore": None, "explore_seed": None}


def _of_row(options: Mapping[str, Any], row: int) -> dict[str, Any]:
    """Return the options of a batch for one of its rows."""
    return {
        name: value[row]
        if name in _BY_ROW and hasattr(value, "__getitem__") and not isinstance(value, str)
        else value
        for name, value in options.items()
    }


def _code(error: Exception) -> str:
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    logger().error("the shadow failed, and the decision stands", exc_info=error)
    return "internal"
