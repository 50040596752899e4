"""Build an ONNX graph with onnxruntime's fused operators, in float32 or int8.

Not here: what the graph computes (`bert`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

CONTRIB = "com.microsoft"  # onnxruntime's own operators: fused attention, layer norm and gelu
# CPUs with AVX2 but without VNNI sum pairs of products in saturating 16 bits. 2 * 255 * 64 = 32640
# is the largest sum that fits, so weights within +-64 give the same integers on every CPU.
WEIGHT_MAX = 64
GELU_MIN = np.float32(0.17)  # gelu(x) > -0.17 everywhere, so gelu(x) + 0.17 needs no sign bit
Array = npt.NDArray[Any]


class Graph:
    """Nodes and initialisers under construction; each method returns the name of a value."""

    def __init__(self, *, int8: bool) -> None:
        self.int8 = int8
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {}

    def const(self, name: str, value: Array | np.generic) -> str:
        """Add a constant; equal names mean the same constant."""
        self.constants[name] = numpy_helper.from_array(np.array(value, order="C"), name)
        return name

    def op(self, kind: str, inputs: list[str], out: str, domain: str = "", **attrs: object) -> str:
        """Add a node, named after its one output."""
        self.nodes.append(helper.make_node(kind, inputs, [out], out, domain=domain, **attrs))
        return out

    def linear(
        self, x: str, weight: Array, bias: Array, out: str, *, gelu: bool = False
    ) -> tuple[str, Array]:
        """Add ``x @ weight.T``, and return it with the bias that the next, fused operator must add.

        In int8 each token's activations have a scale of their own, and not one for the tensor as in
        onnxruntime's dynamic quantisation: a vector then depends neither on padding nor on the
        other texts of its batch, and is closer to float32.

        Args:
            x: value of shape (batch, seq, k).
            weight: shape (n, k); quantised with one scale for each of the n outputs.
            bias: shape (n,).
            out: prefix of the names.
            gelu: x comes from a gelu, so that 8 bits unsigned resolve it twice as finely.
        """
        if not self.int8:
            return self.op("MatMul", [x, self.const(f"{out}.w", weight.T)], out), bias
        scale = _scale(np.abs(weight).max(1), WEIGHT_MAX)
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
        # Integer product and scaling in one operator, which takes no scale for each token.
        factors = [x, self.const(f"{out}.q", q.T), one, self.const(f"{out}.scale", scale), zero]
        y = self.op("MatMulIntegerToFloat", factors, f"{out}.by_row", CONTRIB)
        return self.op("Mul", [y, token], out), bias

    def rows(self, table: Array, ids: str) -> str:
        """Add a look-up of rows in an embedding table; in int8 with one scale for each row."""
        if not self.int8:
            return self.op("Gather", [self.const("words", table), ids], "word")
        scale = _scale(np.abs(table).max(1, keepdims=True), 127)
        q = self.const("words", np.rint(table / scale).astype(np.int8))
        x = self.op("Cast", [self.op("Gather", [q, ids], "word.q")], "word.f", to=TensorProto.FLOAT)
        scales = self.op("Gather", [self.const("words.scale", scale), ids], "word.scale")
        return self.op("Mul", [x, scales], "word")

    def finish(self, total: str, dim: int, title: str, *, unit: bool = True) -> bytes:
        """Normalise ``total`` (batch, dim), never dividing by zero, and serialise the graph.

        Without ``unit``, ``total`` is the embedding as it stands; the last node computes it.
        """
        if unit:
            axis = self.const("last_axis", np.array([-1]))
            length = self.op("ReduceL2", [total, axis], "length", keepdims=1)
            length = self.op("Max", [length, self.const("least", np.float32(1e-12))], "divisor")
            self.op("Div", [total, length], "embedding")
        else:
            self.nodes[-1].name = self.nodes[-1].output[0] = "embedding"
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "seq"])
            for name in ("input_ids", "attention_mask")
        ]
        output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", dim])
        constants = list(self.constants.values())
        graph = helper.make_graph(self.nodes, "embedder", inputs, [output], constants)
        model: ModelProto = helper.make_model(
            graph,
            ir_version=10,
            producer_name="hypernova",
            doc_string=title,
            opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid(CONTRIB, 1)],
        )
        checker.check_model(model)
        return bytes(model.SerializeToString(deterministic=True))


def _scale(largest: Array, steps: int) -> Array:
    """Return the step of each row; 1 for a row of zeros, which some tables hold."""
    scale: Array = (largest / steps).astype(np.float32)
    return np.where(scale > 0, scale, np.float32(1))
