"""Make the golden lookup graphs, and the vectors of some tokens by the definition.

    python -m golden.lookup_graphs

Run it from ``tests/``, with the package installed.

The definition is that of `rust/hypernova-core/src/text/sum`, in NumPy: float32, every product and
sum rounded by itself, rows in groups of 32. Both languages must give these vectors bit by bit,
onnxruntime to 1e-6.

Not here: the graphs' nodes (``hypernova.export.lookup``).
"""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np

from hypernova.export.lookup import LookupPart, TokenPairs, lookup_graph
from support.paths import GOLDEN

FOLDER = GOLDEN / "lookup"
TOKENS, BUCKETS, PRIMES = 40, 16, (31_337, 7_919)
TEXTS = [[], [0], [39], [3, 3], [1, 2], [1, 2, 3, 2, 1, 2], [7, *range(40), 39, 7], [5] * 33]
rng = np.random.default_rng(2026)


def rows(count: int, dim: int) -> np.ndarray:
    return rng.normal(size=(count, dim)).astype(np.float32)


def bucket_of(a: int, b: int) -> int:
    return (a * PRIMES[0] + b * PRIMES[1]) % BUCKETS


def some_pairs() -> TokenPairs:
    keys = np.full(BUCKETS, -1, np.int64)
    for a, b in [(1, 2), (2, 1), (3, 3), (5, 5), (39, 7), (0, 1)]:
        keys[bucket_of(a, b)] = a * TOKENS + b
    return TokenPairs(keys=keys, primes=PRIMES, vocabulary=TOKENS)


# Of dims that fill the registers of a kernel, and that leave a rest.
GRAPHS = {
    "pairs": (
        [
            LookupPart.int8("trained", rows(TOKENS + BUCKETS, 24), pairs=some_pairs()),
            LookupPart.int8("words", rows(TOKENS, 9)),
        ],
        True,
    ),
    "weighted": (
        [LookupPart(name="t", rows=rows(TOKENS, 37), scale=np.abs(rows(TOKENS, 1)[:, 0]) + 1)],
        True,
    ),
    "plain": ([LookupPart(name="t", rows=rows(TOKENS, 20), unit=False)], False),
}


def unit(x: np.ndarray) -> np.ndarray:
    partial = np.zeros(16, np.float32)
    for at in range(0, len(x), 16):
        some = x[at : at + 16]
        partial[: len(some)] += some * some
    for width in (8, 4, 2, 1):
        partial[:width] += partial[width : 2 * width]
    return x * (np.float32(1) / np.maximum(np.sqrt(partial[0]), np.float32(1e-12)))


def embed(parts: list[LookupPart], is_unit: bool, tokens: list[int]) -> np.ndarray:
    sums = []
    for part in parts:
        picks = list(tokens)
        if part.pairs is not None:
            for a, b in pairwise(tokens):
                if part.pairs.keys[bucket_of(a, b)] == a * TOKENS + b:
                    picks.append(TOKENS + bucket_of(a, b))
        total = np.zeros(part.rows.shape[1], np.float32)
        for some in (picks[at : at + 32] for at in range(0, len(picks), 32)):
            group = np.zeros_like(total)
            for i in some:
                weight = np.float32(1) if part.scale is None else part.scale[i]
                group = group + weight * part.rows[i].astype(np.float32)
            total = total + group
        sums.append(unit(total) if part.unit else total)
    vector = np.concatenate(sums)
    return unit(vector) if is_unit else vector


def main() -> None:
    vectors = {}
    for name, (parts, is_unit) in GRAPHS.items():
        (FOLDER / f"{name}.onnx").write_bytes(lookup_graph(parts, f"golden {name}", unit=is_unit))
        vectors[name] = [
            {"tokens": tokens, "vector": embed(parts, is_unit, tokens).tolist()} for tokens in TEXTS
        ]
    (FOLDER / "vectors.json").write_text(json.dumps(vectors) + "\n")


if __name__ == "__main__":
    main()
