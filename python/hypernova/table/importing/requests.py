"""Fill unknown costs, latencies and tokens from logs of requests, which hold no scores.

A request belongs to the outcomes of its model on tasks of its prompt, whatever their group: such
logs know neither tasks nor groups. Not here: reading those logs.
"""

from __future__ import annotations

import dataclasses
from array import array
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from hypernova.table.columns import MAX_NUMBER, OPTIONAL_NUMBERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.table.columns import Floats, OutcomeColumns

KEY_BYTES = 16


@dataclass(slots=True)
class Requests:
    """The numbers of requests, by a digest of model and prompt.

    Attributes:
        keys: The digests, one after another.
        values: The numbers of `OPTIONAL_NUMBERS` of each request, one after another; NaN where
            unknown.
    """

    keys: bytearray = field(default_factory=bytearray)
    values: array[float] = field(default_factory=lambda: array("d"))

    def __len__(self) -> int:
        """Return the number of requests."""
        return len(self.keys) // KEY_BYTES

    def add(self, model: str, prompt: str, numbers: Sequence[float]) -> None:
        """Add a request."""
        self.keys += _key(model, prompt)
        self.values.extend(numbers)

    def extend(self, others: Requests) -> None:
        """Add the requests of another log."""
        self.keys += others.keys
        self.values.extend(others.values)

    def means(self) -> dict[bytes, Floats]:
        """Return the mean of each number by digest (numbers,), NaN where all are unknown."""
        numbers: dict[bytes, int] = {}
        rows = np.array(
            [
                numbers.setdefault(bytes(self.keys[at : at + KEY_BYTES]), len(numbers))
                for at in range(0, len(self.keys), KEY_BYTES)
            ],
            dtype=np.int64,
        )
        values = np.array(self.values).reshape(-1, len(OPTIONAL_NUMBERS))
        known = (values >= 0.0) & (values <= MAX_NUMBER)
        sums, counts = np.zeros((2, len(numbers), len(OPTIONAL_NUMBERS)))
        np.add.at(sums, rows, np.where(known, values, 0.0))
        np.add.at(counts, rows, known)
        with np.errstate(invalid="ignore"):
            means = sums / counts
        return dict(zip(numbers, means, strict=True))


def fill_from_requests(
    outcomes: OutcomeColumns, prompts: Sequence[str], requests: Requests
) -> tuple[OutcomeColumns, str]:
    """Return outcomes with unknown numbers filled, and a sentence on them.

    Args:
        outcomes: The outcomes.
        prompts: The prompt of each task.
        requests: The requests.

    Returns:
        The outcomes with each number that they lack and requests have, and the sentence.
    """
    means = requests.means()
    columns = np.stack([getattr(outcomes, name) for name in OPTIONAL_NUMBERS], axis=1)
    lacking = np.isnan(columns)
    of_pair: dict[tuple[int, int], bytes] = {}
    matched: set[bytes] = set()
    for row, pair in enumerate(zip(outcomes.task.tolist(), outcomes.model.tolist(), strict=True)):
        key = of_pair.get(pair)
        if key is None:
            key = of_pair[pair] = _key(outcomes.models[pair[1]], prompts[pair[0]])
        mean = means.get(key)
        if mean is not None:
            matched.add(key)
            columns[row, lacking[row]] = mean[lacking[row]]
    filled = lacking & ~np.isnan(columns)
    # Of a column without anything to fill, one that takes no memory stays so.
    cost_usd, latency_s, input_tokens, output_tokens = (
        columns[:, at].copy() if filled[:, at].any() else getattr(outcomes, name)
        for at, name in enumerate(OPTIONAL_NUMBERS)
    )
    found = dataclasses.replace(
        outcomes,
        cost_usd=cost_usd,
        latency_s=latency_s,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
    )
    used = sum(
        bytes(requests.keys[at : at + KEY_BYTES]) in matched
        for at in range(0, len(requests.keys), KEY_BYTES)
    )
    n_filled = int(np.count_nonzero(filled.any(axis=1)))
    return found, (
        f"{used} of {len(requests)} requests in logs without scores have the model and the prompt "
        f"of an outcome; costs, latencies or tokens of {n_filled} outcomes are the means of theirs"
    )


def _key(model: str, prompt: str) -> bytes:
    # Of a prompt, blanks around it depend on the tool.
    return pair_key(model, prompt.strip())


def pair_key(first: str, second: str) -> bytes:
    """Return a digest of two texts, of `KEY_BYTES` bytes: there may be millions of them."""
    # The length keeps ("a", "bc") and ("ab", "c") apart.
    text = f"{len(first)} {first}{second}"
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()
