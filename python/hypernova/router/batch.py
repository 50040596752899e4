"""A batch of prompts that is decided in steps, for a thread that has other work between them.

Not here: whose turn it is between two steps; and `hypernova.Router.route_many`, which is one step.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from hypernova.embedder import CallableEmbedder, Embedder, TextEmbedder
from hypernova.embedder.base import check_has_text
from hypernova.events import Observed, tell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from hypernova import Decision, Router

# A step starts with so few texts that any model is done with them soon; the next has as many as
# the last one's speed lets hope for.
_FIRST = 4
_GROWTH = 4


class Batch:
    """Prompts under the same options, embedded in steps of a bounded time.

    All steps use the artifact and the embedder that the router had at the start. The decisions
    are those of `hypernova.Router.route_many`, whose vectors are the same up to float rounding.

    Args:
        router: What decides; its observers are told once, of all decisions.
        texts: The prompts.
        options: As `hypernova.Router.route` takes them.
        step_s: Seconds that a step should take.

    Raises:
        TextError: A text is blank; the message has its index.
    """

    def __init__(
        self,
        router: Router,
        texts: Sequence[str],
        options: Mapping[str, Any],
        *,
        step_s: float = 0.05,
    ) -> None:
        for place, text in enumerate(texts):  # before the first step, and the first one by index
            check_has_text(text, place)
        self._router = router
        self._serving = router._serving
        self._options = options
        self._texts = texts
        # The longest first: texts of similar length share a step, as they do a run of the model,
        # and a step is hardly slower than the one whose speed it was measured by.
        self._left = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        self._least = _least_of(self._serving.embedder)
        self._size = max(_FIRST, self._least)
        self._step_s = step_s
        self._vectors = np.empty((len(texts), self._serving.embedder.dim), dtype=np.float32)
        self._embed_s = 0.0
        self._started_ns = time.time_ns()

    def step(self) -> bool:
        """Embed some of the texts.

        Returns:
            Whether there are more.

        Raises:
            TextError: A text holds no token; the message has its index.
            EmbedderError: A vector is not what was promised.
        """
        start = time.perf_counter()
        places = self._left[-self._size :][::-1]
        del self._left[-self._size :]
        texts = [self._texts[i] for i in places]
        self._vectors[places] = self._serving.embedder._embed_at(texts, places, None)
        took = time.perf_counter() - start
        self._embed_s += took
        hoped = int(len(places) * self._step_s / took) if took else len(places)
        self._size = max(self._least, 1, min(hoped, _GROWTH * self._size))
        return bool(self._left)

    def decide(self) -> list[Decision]:
        """Decide, after the last step.

        Returns:
            The decisions, in the order of the texts.

        Raises:
            UnknownModelError: As in `hypernova.Router.route`, like all that it raises.
        """
        start = time.perf_counter()
        decisions = list(self._serving.artifact.decide_many(self._vectors, **self._options))
        if self._router._on_decision:
            took = time.perf_counter() - start
            told = Observed(tuple(decisions), self._started_ns, self._embed_s, took)
            tell(self._router._on_decision, told)
        return decisions


def _least_of(embedder: TextEmbedder) -> int:
    """How many texts it takes at a time for the price of one."""
    while isinstance(within := getattr(embedder, "embedder", None), TextEmbedder):
        embedder = within
    if isinstance(embedder, Embedder):
        return 1 if embedder.device == "cpu" else embedder._most_texts
    # A function may ask a service, for which a call of many texts takes as long as one of few.
    return embedder._batch if isinstance(embedder, CallableEmbedder) else 256
