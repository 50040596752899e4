"""Build the ``minilm`` embedder: all-MiniLM-L6-v2 as one int8 ONNX file.

Not a general exporter: it knows this one architecture, and writes its graph node by node, so
that no deep-learning framework is needed and the same input gives the same bytes.

    python models/build_minilm.py                      # the shipped int8 embedder
    python models/build_minilm.py --float32 build/f32  # the same graph unquantised, for parity
"""

from __future__ import annotations

import argparse
import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

from pack import BUNDLED, source_file, write_embedder, write_sums

LAYERS, HEADS, DIM, EPSILON = 6, 12, 384, 1e-12
CONTRIB = "com.microsoft"  # onnxruntime's own operators: fused attention, layer norm and gelu
# Pairs of products are summed in saturating 16 bits by CPUs with AVX2 but without VNNI.
# 2 * 255 * 64 = 32640 is the largest sum that fits, so that weights within +-64 give the same
# integers on every CPU, and a vector made on one machine is valid on another.
WEIGHT_MAX = 64
GELU_MIN = np.float32(0.17)  # gelu(x) > -0.17 everywhere, so gelu(x) + 0.17 needs no sign bit
SETTINGS: dict[str, Any] = {
    "name": "minilm",
    "dim": DIM,
    "pooling": "model",
    "normalize": True,
    "max_tokens": 256,
    "head_chars": 8192,
    "tail_chars": 0,
    "special_tokens": True,
    "lead_chars": 200,
    "lead_weight": 2,
}
Array = np.ndarray[Any, Any]


def read_weights() -> dict[str, Array]:
    """The float32 tensors of model.safetensors, by name."""
    data = source_file("model.safetensors")
    (length,) = struct.unpack("<Q", data[:8])
    weights = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            count, at = math.prod(entry["shape"]), 8 + length + entry["data_offsets"][0]
            weights[name] = np.frombuffer(data, "<f4", count, at).reshape(entry["shape"])
    return weights


class Graph:
    """Nodes and initialisers under construction; each method returns the name of a value."""

    def __init__(self, *, int8: bool) -> None:
        self.int8 = int8
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {}

    def const(self, name: str, value: Array | np.generic) -> str:
        """Add a constant; one of the same name is the same constant."""
        self.constants[name] = numpy_helper.from_array(np.array(value, order="C"), name)
        return name

    def op(self, kind: str, inputs: list[str], out: str, domain: str = "", **attrs: object) -> str:
        """Add a node, named after its one output."""
        self.nodes.append(helper.make_node(kind, inputs, [out], out, domain=domain, **attrs))
        return out

    def linear(
        self, x: str, weight: Array, bias: Array, out: str, *, gelu: bool = False
    ) -> tuple[str, Array]:
        """``x @ weight.T`` and the bias that the next, fused operator has to add.

        As int8, each token's activations get a scale of their own, not the whole tensor as in
        onnxruntime's dynamic quantisation: then a vector does not depend on the padding or on
        the other texts of its batch, and it is closer to float32.

        Args:
            x: value of shape (batch, seq, k).
            weight: shape (n, k); quantised with one scale for each of the n outputs.
            bias: shape (n,).
            out: prefix of the names.
            gelu: x comes from a gelu, so that 8 bits unsigned resolve it twice as finely.
        """
        if not self.int8:
            return self.op("MatMul", [x, self.const(f"{out}.w", weight.T)], out), bias
        scale = (np.abs(weight).max(1) / WEIGHT_MAX).astype(np.float32)
        q = np.rint(weight / scale[:, None]).clip(-WEIGHT_MAX, WEIGHT_MAX).astype(np.int8)
        axis, one = self.const("last_axis", np.array([-1])), self.const("one", np.float32(1))
        if gelu:
            zero, step = self.const("zero_gelu", np.uint8(0)), np.float32(1 / 255)
            size = x = self.op("Add", [x, self.const("gelu_min", GELU_MIN)], f"{out}.shifted")
            bias = bias - GELU_MIN * scale * q.sum(1, dtype=np.float32)
        else:
            zero, step = self.const("zero", np.uint8(128)), np.float32(1 / 127)
            size = self.op("Abs", [x], f"{out}.abs")
        largest = self.op("ReduceMax", [size, axis], f"{out}.max", keepdims=1)
        token = self.op("Mul", [largest, self.const(f"step_{zero}", step)], f"{out}.token_scale")
        x = self.op("Div", [x, token], f"{out}.scaled")
        x = self.op("QuantizeLinear", [x, one, zero], f"{out}.x")  # round, offset and clip in one
        y = self.op("MatMulInteger", [x, self.const(f"{out}.q", q.T), zero], f"{out}.int32")
        y = self.op("Cast", [y], f"{out}.float", to=TensorProto.FLOAT)
        y = self.op("Mul", [y, token], f"{out}.by_token")
        return self.op("Mul", [y, self.const(f"{out}.scale", scale)], out), bias

    def rows(self, table: Array, ids: str) -> str:
        """Rows of an embedding table; as int8, with one scale for each row."""
        if not self.int8:
            return self.op("Gather", [self.const("words", table), ids], "word")
        scale = (np.abs(table).max(1, keepdims=True) / 127).astype(np.float32)
        q = self.const("words", np.rint(table / scale).astype(np.int8))
        x = self.op("Cast", [self.op("Gather", [q, ids], "word.q")], "word.f", to=TensorProto.FLOAT)
        scales = self.op("Gather", [self.const("words.scale", scale), ids], "word.scale")
        return self.op("Mul", [x, scales], "word")


def build(*, int8: bool) -> bytes:
    """The whole model: ids and mask (batch, seq) in, ``embedding`` (batch, 384) out."""
    w, g = read_weights(), Graph(int8=int8)
    x = g.rows(w["embeddings.word_embeddings.weight"], "input_ids")
    # Token type 0 is the only one that a single text has: added to the positions here.
    positions = w["embeddings.position_embeddings.weight"][: SETTINGS["max_tokens"]]
    positions = positions + w["embeddings.token_type_embeddings.weight"][0]
    start, seq = g.const("start", np.array([0])), g.op("Shape", ["input_ids"], "seq", start=1)
    x = g.op("Add", [x, g.op("Slice", [g.const("positions", positions), start, seq], "pos")], "sum")
    norm = [g.const(f"ln.{k}", w[f"embeddings.LayerNorm.{k}"]) for k in ("weight", "bias")]
    x = g.op("LayerNormalization", [x, *norm], "hidden", epsilon=EPSILON)
    mask = g.op("Cast", ["attention_mask"], "mask", to=TensorProto.INT32)
    for i in range(LAYERS):

        def part(name: str, i: int = i) -> tuple[Array, Array]:
            name = f"encoder.layer.{i}.{name}"
            return w[f"{name}.weight"], w[f"{name}.bias"]

        def add_and_norm(x: str, y: str, bias: Array, name: str, out: str) -> str:
            gain, shift = part(f"{name}.LayerNorm")
            extra = [g.const(f"{out}.{k}", v) for k, v in (("g", gain), ("b", shift), ("y", bias))]
            return g.op("SkipLayerNormalization", [x, y, *extra], out, CONTRIB, epsilon=EPSILON)

        qkv = [part(f"attention.self.{k}") for k in ("query", "key", "value")]
        weight, bias = (np.concatenate(parts) for parts in zip(*qkv, strict=True))
        y, bias = g.linear(x, weight, bias, f"{i}.qkv")
        heads = [f"{i}.query", f"{i}.key", f"{i}.value"]
        g.nodes.append(helper.make_node("Split", [y], heads, f"{i}.split", axis=-1, num_outputs=3))
        heads += [g.const(f"{i}.qkv.bias", bias), "mask"]
        y = g.op("MultiHeadAttention", heads, f"{i}.attention", CONTRIB, num_heads=HEADS)
        y, bias = g.linear(y, *part("attention.output.dense"), f"{i}.out")
        x = add_and_norm(x, y, bias, "attention.output", f"{i}.mid")
        y, bias = g.linear(x, *part("intermediate.dense"), f"{i}.up")
        y = g.op("BiasGelu", [y, g.const(f"{i}.up.bias", bias)], f"{i}.gelu", CONTRIB)
        y, bias = g.linear(y, *part("output.dense"), f"{i}.down", gelu=True)
        x = add_and_norm(x, y, bias, "output", f"{i}.hidden")
    # The mean's divisor cancels in the normalisation: a masked sum is enough.
    column = g.op("Cast", [mask], "mask.float", to=TensorProto.FLOAT)
    column = g.op("Unsqueeze", [column, g.const("last_axis", np.array([-1]))], "mask.column")
    total = g.op("Mul", [x, column], "masked")
    total = g.op("ReduceSum", [total, g.const("seq_axis", np.array([1]))], "total", keepdims=0)
    return finish(g, total, DIM, "all-MiniLM-L6-v2, " + ("int8" if int8 else "float32"))


def finish(g: Graph, total: str, dim: int, title: str) -> bytes:
    """Normalise ``total`` (batch, dim), never dividing by zero, and serialise the graph."""
    axis = g.const("last_axis", np.array([-1]))
    length = g.op("ReduceL2", [total, axis], "length", keepdims=1)
    length = g.op("Max", [length, g.const("least", np.float32(1e-12))], "divisor")
    g.op("Div", [total, length], "embedding")
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "seq"])
        for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", dim])
    constants = list(g.constants.values())
    graph = helper.make_graph(g.nodes, "embedder", inputs, [output], constants)
    model: ModelProto = helper.make_model(
        graph,
        ir_version=10,
        producer_name="hypernova",
        doc_string=f"{title}; Apache-2.0; see models/README.md of hypernova",
        opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid(CONTRIB, 1)],
    )
    checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def main() -> None:
    """Write the shipped folder, or with ``--float32`` the unquantised one elsewhere."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--float32", type=Path, metavar="FOLDER")
    folder = parser.parse_args().float32
    if folder is not None:
        write_embedder(folder, build(int8=False), **{**SETTINGS, "name": "minilm-float32"})
    else:
        write_embedder(BUNDLED / "minilm", build(int8=True), **SETTINGS)
        write_sums()


if __name__ == "__main__":
    main()
