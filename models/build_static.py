"""Build the ``static`` embedder: vectors of tokens and of pairs, looked up and added.

Not here: the corpus and the training.

    python models/corpus.py build/corpus        # text of pinned packages, 5 minutes
    python models/teach.py build/corpus         # MiniLM's vectors of it, 40 minutes
    python models/build_static.py build/corpus  # train, and write the model, 5 minutes
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from onnx import TensorProto

from hypernova.export.graph import Array, Graph
from pack import BUNDLED, write_embedder, write_sums
from train_static import PRIMES, Settings, read, train
from words import word_rows

HALF = 256  # dimensions of the words half; the trained half has Settings.dim
SETTINGS = {
    "name": "static",
    "dim": Settings.dim + HALF,
    "pooling": "model",
    "normalize": True,
    "max_tokens": None,
    "head_chars": 1536,
    "tail_chars": 512,
    "special_tokens": False,
    "lead_chars": 200,
    "lead_weight": 0,
    "skip_courtesy": 1,
}
TITLE = (
    "vectors of tokens and pairs, from all-MiniLM-L6-v2, int8; Apache-2.0; "
    "see models/README.md of hypernova"
)


def build(trained: Array, keys: Array, words: Array) -> bytes:
    """Build the model: ids and mask (batch, seq) in, ``embedding`` (batch, 2 * half) out.

    The two halves stand side by side, each of length 1 and then both together, so that the cosine
    of two texts is the mean of the cosines of their halves.

    Args:
        trained: (vocabulary + buckets, half): rows of tokens, then of each bucket's pair.
        keys: (buckets,): first * vocabulary + second of the pair that has the bucket, or -1.
        words: (vocabulary, half): rows of tokens alone.
    """
    g, vocabulary = Graph(int8=True), len(words)

    def whole(name: str, *value: int) -> str:
        return g.const(name, np.array(value, np.int64))

    seq = whole("seq_axis", 1)
    ends = whole("first", 0), whole("second", 1), whole("last", -1), whole("end", 2**31)
    a = g.op("Slice", ["input_ids", ends[0], ends[2], seq], "a")
    b = g.op("Slice", ["input_ids", ends[1], ends[3], seq], "b")
    mixed = [g.op("Mul", [a, whole("p", PRIMES[0])], "a.mixed")]
    mixed += [g.op("Mul", [b, whole("q", PRIMES[1])], "b.mixed")]
    bucket = g.op("Mod", [g.op("Add", mixed, "mixed"), whole("buckets", len(keys))], "bucket")
    pair = g.op("Add", [g.op("Mul", [a, whole("vocabulary", vocabulary)], "a.key"), b], "pair")
    known = g.op("Equal", [g.op("Gather", [g.const("keys", keys), bucket], "key"), pair], "known")
    pairs = g.op("Slice", ["attention_mask", ends[1], ends[3], seq], "b.mask")
    pairs = g.op("Mul", [pairs, g.op("Cast", [known], "k", to=TensorProto.INT64)], "pair.mask")
    row = g.op("Add", [bucket, whole("offset", vocabulary)], "pair.row")
    ids = g.op("Concat", ["input_ids", row], "ids", axis=1)
    mask = g.op("Concat", ["attention_mask", pairs], "mask", axis=1)

    halves = [
        _unit(g, _sum(g, trained, ids, mask, "trained"), "trained"),
        _unit(g, _sum(g, words, "input_ids", "attention_mask", "words"), "words"),
    ]
    total = g.op("Concat", halves, "total", axis=1)
    return g.finish(total, trained.shape[1] + words.shape[1], TITLE)


def _sum(g: Graph, rows: Array, ids: str, mask: str, name: str) -> str:
    """Add the rows that ``ids`` and ``mask`` select, from int8 with a scale for each row."""
    largest = np.abs(rows).max(1)
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    q = g.const(f"{name}.rows", np.rint(rows / scale[:, None]).astype(np.int8))
    x = g.op("Gather", [q, ids], f"{name}.q")
    x = g.op("Cast", [x], f"{name}.x", to=TensorProto.FLOAT)
    # The rows' scales and the mask are the weights of one product, which sums in one pass.
    mask = g.op("Cast", [mask], f"{name}.mask", to=TensorProto.FLOAT)
    scales = g.op("Gather", [g.const(f"{name}.scale", scale), ids], f"{name}.scales")
    seq = g.const("seq_axis", np.array([1]))
    weights = g.op("Unsqueeze", [g.op("Mul", [scales, mask], f"{name}.w"), seq], f"{name}.weights")
    return g.op("Squeeze", [g.op("MatMul", [weights, x], f"{name}.sum"), seq], f"{name}.total")


def _unit(g: Graph, x: str, name: str) -> str:
    """Scale ``x`` to length 1, never dividing by zero."""
    axis = g.const("last_axis", np.array([-1]))
    length = g.op("ReduceL2", [x, axis], f"{name}.length", keepdims=1)
    length = g.op("Max", [length, g.const("least", np.float32(1e-12))], f"{name}.divisor")
    return g.op("Div", [x, length], f"{name}.unit")


def main() -> None:
    """Train on the folder's texts and write the shipped folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="with texts.jsonl, teacher.npy and tokens.npy")
    folder = parser.parse_args().folder
    trained = train(read(folder), np.load(folder / "tokens.npy"), Settings())
    print(", ".join(f"{name} {value:.4f}" for name, value in trained.figures.items()))
    model = build(trained.rows, trained.keys, word_rows(HALF))
    write_embedder(BUNDLED / "static", model, **SETTINGS)
    write_sums()


if __name__ == "__main__":
    main()
