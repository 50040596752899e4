"""Make the words half of ``static``: a vector of each token alone, weighted by its rarity.

Not here: training. MiniLM embeds each token by itself. No text takes part, so rare names keep
vectors of their own; training would move them to those of similar meaning.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from build_minilm import build
from hypernova.embedder.onnx.runtime import import_onnxruntime
from pack import stateless_tokenizer

if TYPE_CHECKING:
    from hypernova.export.graph import Array

BATCH = 256
A = 1e-4  # constant of the smooth inverse frequency


def teacher_vectors(vocabulary: list[str]) -> Array:
    """Embed each token, between [CLS] and [SEP], with float32 MiniLM: (len(vocabulary), 384)."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a fixed order of summation: the same bytes each time
    session = onnxruntime.InferenceSession(
        build(int8=False), options, providers=["CPUExecutionProvider"]
    )
    cls, sep = vocabulary.index("[CLS]"), vocabulary.index("[SEP]")
    ids = np.array([[cls, token, sep] for token in range(len(vocabulary))], dtype=np.int64)
    parts = []
    for at in range(0, len(ids), BATCH):
        batch = ids[at : at + BATCH]
        feeds = {"input_ids": batch, "attention_mask": np.ones_like(batch)}
        parts.append(session.run(None, feeds)[0])
    return np.concatenate(parts)


def token_weights(vocabulary: list[str]) -> Array:
    """Weight each token by its rarity: rarer tokens say more about a text.

    The weight is the smooth inverse frequency a / (a + p), with p from Zipf's law by rank. The
    vocabulary of BERT is ordered: special tokens, then single characters by code point, then words
    and word parts by falling frequency. Special tokens and ASCII characters count as the most
    frequent rank, and other characters as the ranks in their order, for lack of counts.
    """
    first_character, first_word = vocabulary.index("!"), vocabulary.index("the")
    rank = np.arange(len(vocabulary), dtype=np.float64) - first_word + 1
    for i in range(first_word):
        character = len(vocabulary[i]) == 1 and not vocabulary[i].isascii()
        rank[i] = i - first_character + 1 if character else 1
    frequency = 1 / (rank * (1 / np.arange(1, len(vocabulary) - first_word + 1)).sum())
    weights: Array = A / (A + frequency)
    return weights


def reduce_dim(vectors: Array, sample: Array, dim: int) -> Array:
    """Apply the PCA of the sample's rows to all: (n, 384) -> (n, dim), float64.

    Each component is divided by the square root of its standard deviation. Half whitened, the
    few largest components, in which all tokens are alike, no longer decide every average.
    """
    centre = vectors[sample].mean(0, dtype=np.float64)
    centred = vectors[sample] - centre
    variance, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    variance, axes = variance[::-1][:dim], axes[:, ::-1][:, :dim]
    # An eigenvector's sign is arbitrary: its largest entry is made positive.
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(dim)])
    reduced: Array = (vectors - centre) @ axes / variance**0.25
    return reduced


def word_rows(dim: int) -> Array:
    """Make the weighted vector of every token: (vocabulary, dim), float64."""
    ids = json.loads(stateless_tokenizer())["model"]["vocab"]
    vocabulary = sorted(ids, key=ids.__getitem__)
    # Special and unused tokens do not take part in the PCA: no text is about them.
    bracketed = [len(token) > 1 and token[0] + token[-1] == "[]" for token in vocabulary]
    vectors = reduce_dim(teacher_vectors(vocabulary), ~np.array(bracketed), dim)
    weighted: Array = vectors * token_weights(vocabulary)[:, None]
    return weighted
