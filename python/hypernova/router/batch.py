"""Decide for a batch of prompts in steps, in a thread that has other work between them.

Not here: whose turn it is between two steps; and `hypernova.Router.route_many`, which is one step.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from hypernova.embedder.text.checks import check_has_text
from hypernova.events import DecisionEvent, notify
from hypernova.router.lengths import with_lengths

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from hypernova._core import Decision
    from hypernova.route_options import BatchRouteOptions
    from hypernova.router.router import Router

# Texts of the first step, so few that any model is done with them soon; the size of the next step
# follows from the speed of the last, and grows by this factor at most.
_FIRST_SIZE = 4
_GROWTH = 4


class StepwiseBatch:
    """Prompts under the same options, embedded in steps of a bounded time.

    All steps use the artifact and the embedder that the router had at the start. The decisions
    are those of `hypernova.Router.route_many`, whose vectors are the same up to float rounding.

    Args:
        router: The router; its observers receive one event, of all decisions.
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
        import numpy as np

        for index, text in enumerate(texts):  # before the first step, and the first one by index
            check_has_text(text, index)
        self._observers = router._observers
        self._serving = router._serving
        self._options = options
        self._texts = texts
        # Steps take from the end, the longest first: texts of similar length share a step, as
        # they do a run of the model, and a step is hardly slower than the one that timed it.
        self._rest = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        self._min_size = self._serving.embedder._min_batch()
        self._size = max(_FIRST_SIZE, self._min_size)
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
            EmbedderError: A vector has a wrong shape or no direction.
        """
        start = time.perf_counter()
        indices = self._rest[-self._size :][::-1]
        del self._rest[-self._size :]
        texts = [self._texts[i] for i in indices]
        self._vectors[indices] = self._serving.embedder._embed_indexed(texts, indices, None)
        took = time.perf_counter() - start
        self._embed_s += took
        in_time = int(len(indices) * self._step_s / took) if took else len(indices)
        self._size = max(self._min_size, 1, min(in_time, _GROWTH * self._size))
        return bool(self._rest)

    def decide(self) -> list[Decision]:
        """Decide, after the last step.

        Returns:
            The decisions, in the order of the texts.

        Raises:
            UnknownModelError: As in `hypernova.Router.route`, like all that it raises.
        """
        start = time.perf_counter()
        options = with_lengths(cast("BatchRouteOptions", self._options), self._texts)
        decisions = self._serving.decide_each(self._vectors, options)
        if self._observers.on_decision:
            took = time.perf_counter() - start
            event = DecisionEvent(tuple(decisions), self._started_ns, self._embed_s, took)
            notify(self._observers.on_decision, event)
        return decisions
