"""Search for a line that sends as many prompts as it can to one model.

Not here: the lines of the list (see ``lines``).
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benches.robustness.measure import HeldOutRouters

ROUNDS, CANDIDATES, SCORED = 4, 200, 20


def search(routers: HeldOutRouters, vocabulary: Sequence[str], model: int) -> tuple[str, float]:
    """Add word after word to a line, each the best of some drawn from a vocabulary.

    Half of the prompts score the words, `SCORED` of them at most, and the other half test the line.

    Args:
        routers: Prompts and their routers.
        vocabulary: Words.
        model: Index of the model to which decisions shall go.

    Returns:
        The line, and by how much it raises the share of the model on the prompts of the test.
    """
    rng = random.Random(0)
    scored = np.arange(0, len(routers.prompts), 2)[:SCORED]
    tested = np.arange(1, len(routers.prompts), 2)

    def rise(line: str, rows: np.ndarray) -> float:
        now = routers.decide([f"{line}\n{routers.prompts[i]}" for i in rows], rows)
        return float(routers.rise(now, rows)[model])

    line = ""
    for _ in range(ROUNDS):
        longer = [f"{line} {word}".strip() for word in rng.sample(list(vocabulary), CANDIDATES)]
        line = max(longer, key=lambda candidate: rise(candidate, scored))
    return line, rise(line, tested)


def words_of(tokenizer_json: dict[str, object]) -> list[str]:
    """Return the whole words of three letters and more of a BERT tokenizer's vocabulary."""
    model = tokenizer_json["model"]
    assert isinstance(model, dict)
    return sorted(w for w in model["vocab"] if len(w) > 2 and w.isascii() and w.isalpha())
