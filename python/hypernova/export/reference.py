"""Compute the model of ``bert`` in plain numpy and float64, to check an exported graph against.

Written from the definition of the architecture (Devlin et al., arXiv 1810.04805), one text at a
time, without fused operators: it shares nothing with the graph but the weights. Not here: speed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hypernova.export.bert import Bert
    from hypernova.export.graph import Array


def forward(bert: Bert, ids: list[int]) -> Array:
    """Return the vector of one text's token ids: float64 (dim,) of unit length."""
    x = bert.weights["embeddings.word_embeddings.weight"][ids].astype(np.float64)
    x = _norm(x + bert.position_embeddings[: len(ids)], bert, "embeddings.LayerNorm")
    for i in range(bert.layers):
        layer = f"encoder.layer.{i}"
        attended = _attention(bert, f"{layer}.attention.self", x)
        y = _linear(bert, f"{layer}.attention.output.dense", attended)
        x = _norm(x + y, bert, f"{layer}.attention.output.LayerNorm")
        y = _linear(bert, f"{layer}.intermediate.dense", x)
        # gelu(y) = y * Phi(y), with the exact error function.
        y *= 0.5 * (1 + np.vectorize(math.erf)(y / math.sqrt(2)))
        x = _norm(x + _linear(bert, f"{layer}.output.dense", y), bert, f"{layer}.output.LayerNorm")
    vector = x[0] if bert.pooling == "cls" else x.mean(0)
    for dense in bert.dense:
        vector = dense.weight @ vector + dense.bias
        vector = np.tanh(vector) if dense.tanh else vector
    unit: Array = vector / np.linalg.norm(vector)
    return unit


def _linear(bert: Bert, name: str, x: Array) -> Array:
    weight, bias = bert.weight_and_bias(name)
    product: Array = x @ weight.T.astype(np.float64) + bias
    return product


def _norm(x: Array, bert: Bert, name: str) -> Array:
    weight, bias = bert.weight_and_bias(name)
    centred = x - x.mean(-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + bert.epsilon)
    normed: Array = centred / deviation * weight + bias
    return normed


def _attention(bert: Bert, name: str, x: Array) -> Array:
    def heads(part: str) -> Array:
        y = _linear(bert, f"{name}.{part}", x)
        return y.reshape(len(y), bert.heads, -1).swapaxes(0, 1)  # (heads, seq, width)

    query, key, value = heads("query"), heads("key"), heads("value")
    score = query @ key.swapaxes(1, 2) / math.sqrt(query.shape[-1])
    share = np.exp(score - score.max(-1, keepdims=True))
    share /= share.sum(-1, keepdims=True)
    attended: Array = (share @ value).swapaxes(0, 1).reshape(x.shape)
    return attended
