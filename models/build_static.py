"""Build the ``static`` embedder: token vectors distilled from MiniLM, looked up and averaged.

Not a training run: no text corpus and no outcome table takes part, only the model's vocabulary.

    python models/build_static.py
"""

from __future__ import annotations

import json

import numpy as np
import onnxruntime
from onnx import TensorProto

from build_minilm import SETTINGS as MINILM
from build_minilm import build
from hypernova.export.graph import Array, Graph
from pack import BUNDLED, stateless_tokenizer, write_embedder, write_sums

DIM = 256
SETTINGS = {
    **MINILM,
    "name": "static",
    "dim": DIM,
    "max_tokens": None,
    "head_chars": 1536,
    "tail_chars": 512,
    "special_tokens": False,
    "lead_chars": 200,
    "lead_weight": 2,
}
BATCH = 256
A = 1e-4  # of the smooth inverse frequency


def teacher_vectors(vocabulary: list[str]) -> Array:
    """Each token, between [CLS] and [SEP], through float32 MiniLM: (len(vocabulary), 384)."""
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
    """How much each token counts in an average: rarer tokens say more about a text.

    The smooth inverse frequency a / (a + p), with p from Zipf's law by rank. The vocabulary of
    BERT is ordered: special tokens, then single characters by code point, then words and word
    parts by falling frequency. Special tokens and ASCII characters count as the most frequent
    rank, and other characters as the ranks in their order, for want of anything better.
    """
    first_character, first_word = vocabulary.index("!"), vocabulary.index("the")
    rank = np.arange(len(vocabulary), dtype=np.float64) - first_word + 1
    for i in range(first_word):
        character = len(vocabulary[i]) == 1 and not vocabulary[i].isascii()
        rank[i] = i - first_character + 1 if character else 1
    frequency = 1 / (rank * (1 / np.arange(1, len(vocabulary) - first_word + 1)).sum())
    weights: Array = A / (A + frequency)
    return weights


def reduce_dim(vectors: Array, sample: Array) -> Array:
    """PCA of the sample's rows applied to all: (n, 384) -> (n, DIM), float64.

    Each component is divided by the square root of its standard deviation. Half whitened, the
    few largest components, in which all tokens are alike, no longer decide every average.
    """
    centre = vectors[sample].mean(0, dtype=np.float64)
    centred = vectors[sample] - centre
    variance, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    variance, axes = variance[::-1][:DIM], axes[:, ::-1][:, :DIM]
    # An eigenvector's sign is arbitrary: its largest entry is made positive.
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(DIM)])
    reduced: Array = (vectors - centre) @ axes / variance**0.25
    return reduced


def table() -> Array:
    """The weighted vector of every token: (vocabulary, DIM), float64."""
    ids = json.loads(stateless_tokenizer())["model"]["vocab"]
    vocabulary = sorted(ids, key=ids.__getitem__)
    # Special and unused tokens do not take part in the PCA: no text is about them.
    bracketed = [len(token) > 1 and token[0] + token[-1] == "[]" for token in vocabulary]
    vectors = reduce_dim(teacher_vectors(vocabulary), ~np.array(bracketed))
    weighted: Array = vectors * token_weights(vocabulary)[:, None]
    return weighted


def build_static() -> bytes:
    """The model: ids and mask (batch, seq) in, ``embedding`` (batch, DIM) out."""
    rows, g = table(), Graph(int8=True)
    scale = (np.abs(rows).max(1) / 127).astype(np.float32)
    q = g.const("tokens", np.rint(rows / scale[:, None]).astype(np.int8))
    x = g.op("Cast", [g.op("Gather", [q, "input_ids"], "rows.q")], "rows", to=TensorProto.FLOAT)
    # The rows' scales and the mask are the weights of one product, which sums in one pass.
    mask = g.op("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    scales = g.op("Gather", [g.const("scale", scale), "input_ids"], "scales")
    seq = g.const("seq_axis", np.array([1]))
    weights = g.op("Unsqueeze", [g.op("Mul", [scales, mask], "masked"), seq], "weights")
    total = g.op("Squeeze", [g.op("MatMul", [weights, x], "sum"), seq], "total")
    # The mean's divisor cancels in the normalisation, as in MiniLM's graph.
    title = "token vectors distilled from all-MiniLM-L6-v2, int8; Apache-2.0"
    return g.finish(total, DIM, f"{title}; see models/README.md of hypernova")


if __name__ == "__main__":
    write_embedder(BUNDLED / "static", build_static(), **SETTINGS)
    write_sums()
