"""Build the ``static`` embedder: vectors of tokens and of pairs, looked up and added.

Not here: the corpus and the training.

    python models/corpus.py build/corpus        # text of pinned packages, 5 minutes
    python models/teach.py build/corpus         # MiniLM's vectors of it, 40 minutes
    python models/build_static.py build/corpus  # train, and write the model, 5 minutes
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hypernova.export.lookup import LookupPart, TokenPairs, lookup_graph
from pack import BUNDLED, write_embedder, write_sums
from train_static import PRIMES, Settings, read, train
from words import word_rows

if TYPE_CHECKING:
    from hypernova.export.graph import Array

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
    """Build the model of two halves, of which the first has pairs.

    Args:
        trained: (vocabulary + buckets, half): rows of tokens, then of each bucket's pair.
        keys: (buckets,): first * vocabulary + second of the pair that has the bucket, or -1.
        words: (vocabulary, half): rows of tokens alone.
    """
    pairs = TokenPairs(keys=keys, primes=PRIMES, vocabulary=len(words))
    halves = [LookupPart.int8("trained", trained, pairs=pairs), LookupPart.int8("words", words)]
    return lookup_graph(halves, TITLE)


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
