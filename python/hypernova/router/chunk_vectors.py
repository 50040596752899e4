"""The vectors of a chunk of a table's prompts, of which some may not be readable.

Not here: reading the prompts (`hypernova.table.prompts`), and decisions (see ``table``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hypernova._core import is_blank
from hypernova.embedder.text.checks import empty_error
from hypernova.errors import TextError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hypernova.router.lifecycle import RouterLifecycle
    from hypernova.table.prompts import PromptChunk

# Texts that are embedded in one call: a text that cannot be embedded makes those few be embedded
# one by one. It divides a chunk, and is the number that an `Embedder` sorts by length at a time,
# so that vectors are those of `route_many`, to the bit.
_EMBED_TEXTS = 2048


def vector_dim(router: RouterLifecycle) -> int | None:
    """Return the length of the vectors that a router takes in place of text; None if it reads it.

    Args:
        router: The router; its embedder is not loaded.
    """
    serving = router._serving
    vectors_only = not serving.reads_text and serving.artifact.embedder["kind"] == "vectors"
    return serving.artifact.dim if vectors_only else None


def embed_chunk(
    router: RouterLifecycle,
    chunk: PromptChunk,
    errors: list[str | None],
    tick: Callable[[int], None] | None,
) -> NDArray[np.float32]:
    """Embed the prompts of a chunk.

    Args:
        router: A router that reads text.
        chunk: Successive prompts of a table.
        errors: One for each prompt; the error of a prompt without a vector is put there.
        tick: Called with numbers of prompts that are done, or None.

    Returns:
        float32 (prompts, dim); zeros for a prompt without a vector.

    Raises:
        EmbedderError: The embedder failed.
        EmbedderMismatchError: The router has no embedder.
    """
    embedder = router.embedder
    tick = tick or (lambda _: None)
    vectors = np.zeros((len(chunk), embedder.dim), dtype=np.float32)
    readable: list[int] = []
    for at, prompt in enumerate(chunk.prompts):
        if prompt is None:
            errors[at] = "the prompt is null: expected a text"
        elif is_blank(prompt):
            errors[at] = str(empty_error(None))
        else:
            readable.append(at)
    tick(len(chunk) - len(readable))
    for first in range(0, len(readable), _EMBED_TEXTS):
        rows = readable[first : first + _EMBED_TEXTS]
        texts = [str(chunk.prompts[at]) for at in rows]
        counted = _Counted(tick)
        try:
            vectors[rows] = embedder._embed_indexed(
                texts, [chunk.start + at for at in rows], counted
            )
        except TextError:  # a text without a token: one of few, and only they are embedded again
            for at, text in zip(rows, texts, strict=True):
                try:
                    vectors[at] = embedder.embed_one(text)
                except TextError as error:
                    errors[at] = str(error)
        counted.up_to(len(rows))
    return vectors


class _Counted:
    """Counts texts for a bar, and each once, however often it is embedded."""

    def __init__(self, tick: Callable[[int], None]) -> None:
        self._tick = tick
        self._done = 0

    def __call__(self, count: int) -> None:
        self._done += count
        self._tick(count)

    def up_to(self, total: int) -> None:
        """Count those that were not counted."""
        self._tick(total - self._done)
