"""Lookup graphs in the core: vectors against onnxruntime and NumPy, and what is recognised.

Not here: the arithmetic at each SIMD level (the core's own tests), and building the graphs
(tests/export/test_lookup.py).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from hypernova._core import LookupTable
from hypernova.embedder.onnx.runtime import import_onnxruntime
from hypernova.errors import EmbedderError, NotFoundError
from support.paths import GOLDEN, PACKAGE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FOLDER = GOLDEN / "lookup"
VECTORS = json.loads((FOLDER / "vectors.json").read_text())
STATIC = PACKAGE / "bundled" / "static" / "model.onnx"
PAIRS = (FOLDER / "pairs.onnx").read_bytes()
TEXT = [7, *range(40), 1, 2, 1, 2, 39, 7]


def session(model: bytes | str) -> Any:
    options = import_onnxruntime().SessionOptions()
    options.log_severity_level = 4
    return import_onnxruntime().InferenceSession(model, options, ["CPUExecutionProvider"])


def run(opened: Any, tokens: list[int]) -> np.ndarray:
    ids = np.array([tokens], np.int64)
    return opened.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0][0]


def opened(path: Path, model: onnx.ModelProto | bytes) -> LookupTable | None:
    path = path / "model.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    return LookupTable.open(path)


def pairs_model() -> onnx.ModelProto:
    return onnx.load_from_string(PAIRS)


def node(model: onnx.ModelProto, output: str) -> onnx.NodeProto:
    return next(n for n in model.graph.node if output in n.output)


def tensor(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(t for t in model.graph.initializer if t.name == name)


def put(model: onnx.ModelProto, name: str, value: Any) -> None:
    tensor(model, name).CopyFrom(numpy_helper.from_array(np.array(value), name))


def change(model: onnx.ModelProto, name: str, index: int, value: Any) -> None:
    array = numpy_helper.to_array(tensor(model, name)).copy()
    array[index] = value
    put(model, name, array)


@pytest.mark.parametrize("name", VECTORS)
def test_golden_vectors_are_those_of_the_definition(name) -> None:
    table = LookupTable.open(FOLDER / f"{name}.onnx")
    onnxruntime = session(str(FOLDER / f"{name}.onnx"))
    for entry in VECTORS[name]:
        vector = np.array(entry["vector"], np.float32)
        found = table.embed(entry["tokens"])
        assert found.tobytes() == vector.tobytes()
        assert not found.flags.writeable
        if entry["tokens"]:
            expected = run(onnxruntime, entry["tokens"])
            assert found == pytest.approx(expected, abs=1e-6 * max(1.0, abs(expected).max().item()))


def test_the_bundled_table_gives_the_vectors_of_onnxruntime() -> None:
    table, onnxruntime = LookupTable.open(STATIC), session(str(STATIC))
    assert (table.dim, table.vocabulary, table.is_mapped) == (512, 30_522, True)
    rng = np.random.default_rng(3)
    for length in [1, 2, 3, 16, 211, *rng.integers(1, 600, 40)]:
        # Frequent tokens, of which many pairs have rows, and all others.
        limit = rng.choice([2_100, 30_522])
        tokens = rng.integers(1_996, limit, length).tolist()
        assert abs(table.embed(tokens) - run(onnxruntime, tokens)).max() < 1e-6
    assert not LookupTable.open(STATIC, mmap=False).is_mapped


def test_another_embedder_is_no_lookup(tmp_path) -> None:
    assert LookupTable.open(PACKAGE / "bundled" / "minilm" / "model.onnx") is None
    assert opened(tmp_path, b"") is None


class TestTheSameGraph:
    """Graphs that compute the same are recognised, whatever their names and order."""

    def assert_same(self, path: Path, model: onnx.ModelProto) -> None:
        table = opened(path, model)
        assert table is not None
        assert table.embed(TEXT).tobytes() == opened(path, PAIRS).embed(TEXT).tobytes()

    def test_in_another_order_of_nodes_and_tensors(self, tmp_path) -> None:
        model = pairs_model()
        for items in (model.graph.node, model.graph.initializer, model.graph.input):
            turned = list(items)[::-1]
            del items[:]
            items.extend(turned)
        self.assert_same(tmp_path, model)

    def test_with_inputs_swapped_where_their_order_means_nothing(self, tmp_path) -> None:
        model = pairs_model()
        for item in model.graph.node:
            if item.op_type in ("Add", "Mul", "Equal", "Max"):
                item.input[:] = list(item.input)[::-1]
        self.assert_same(tmp_path, model)

    def test_with_other_names(self, tmp_path) -> None:
        model = pairs_model()
        kept = {"input_ids", "attention_mask"}
        for item in model.graph.node:
            item.name = ""
            item.input[:] = [n if n in kept else f"x{n}" for n in item.input]
            item.output[:] = [f"x{n}" for n in item.output]
        for other in [*model.graph.initializer, *model.graph.output]:
            other.name = f"x{other.name}"
        self.assert_same(tmp_path, model)

    def test_with_values_in_typed_fields(self, tmp_path) -> None:
        model = pairs_model()
        for item in model.graph.initializer:
            values = numpy_helper.to_array(item).ravel()
            item.ClearField("raw_data")
            field = {1: item.float_data, 3: item.int32_data, 7: item.int64_data}
            field[item.data_type].extend(values.tolist())
        self.assert_same(tmp_path, model)

    def test_with_defaults_left_out_and_axes_from_the_end(self, tmp_path) -> None:
        model = pairs_model()
        node(model, "length").ClearField("attribute")
        node(model, "bucket").attribute.append(helper.make_attribute("fmod", 0))
        node(model, "key").attribute.append(helper.make_attribute("axis", -1))
        node(model, "total").attribute[0].i = -1
        node(model, "a").input.append("")
        node(model, "b").input.append("steps")
        model.graph.initializer.append(numpy_helper.from_array(np.array([1]), "steps"))
        put(model, "end", [2**63 - 1])
        model.opset_import[0].domain = "ai.onnx"
        model.opset_import[0].version = 18
        model.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "dim"
        model.graph.value_info.append(helper.make_tensor_value_info("ids", TensorProto.INT64, None))
        self.assert_same(tmp_path, model)


def attribute(output: str, index: int, value: int) -> Callable[[onnx.ModelProto], None]:
    return lambda m: setattr(node(m, output).attribute[index], "i", value)


def operator(output: str, kind: str) -> Callable[[onnx.ModelProto], None]:
    return lambda m: setattr(node(m, output), "op_type", kind)


def inputs(output: str, *names: str) -> Callable[[onnx.ModelProto], None]:
    return lambda m: node(m, output).input.__setitem__(slice(None), names)


def value(name: str, array: Any) -> Callable[[onnx.ModelProto], None]:
    return lambda m: put(m, name, array)


def extra_node(m: onnx.ModelProto) -> None:
    m.graph.node.append(helper.make_node("Identity", ["ids"], ["more"]))


def extra_attribute(m: onnx.ModelProto) -> None:
    node(m, "bucket").attribute.append(helper.make_attribute("fmod", 1))


def extra_input(m: onnx.ModelProto) -> None:
    m.graph.input.append(helper.make_tensor_value_info("token_type_ids", 7, ["batch", "seq"]))


def extra_output(m: onnx.ModelProto) -> None:
    m.graph.output.append(helper.make_tensor_value_info("ids", 7, ["batch", "seq"]))


def fixed_length(m: onnx.ModelProto) -> None:
    m.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 16


def function(m: onnx.ModelProto) -> None:
    m.functions.append(onnx.FunctionProto(name="Add", domain="", output=["y"], input=["x"]))


def custom_domain(m: onnx.ModelProto) -> None:
    node(m, "mixed").domain = "com.example"


def sparse(m: onnx.ModelProto) -> None:
    m.graph.sparse_initializer.append(onnx.SparseTensorProto())


def initialiser_as_input(m: onnx.ModelProto) -> None:
    m.graph.input.append(helper.make_tensor_value_info("p", 7, [1]))


def a_table_of_two_parts(m: onnx.ModelProto) -> None:
    inputs("words.q", "trained.rows", "input_ids")(m)
    inputs("words.scales", "trained.scale", "input_ids")(m)
    for name in ("words.rows", "words.scale"):
        m.graph.initializer.remove(tensor(m, name))


OTHERS = {
    "a-node-that-leads-nowhere": extra_node,
    "fmod": extra_attribute,
    "a-third-input": extra_input,
    "a-second-output": extra_output,
    "texts-of-one-length": fixed_length,
    "functions": function,
    "another-domain": custom_domain,
    "sparse-tensors": sparse,
    "a-constant-that-can-be-fed": initialiser_as_input,
    "old-operators": lambda m: setattr(m.opset_import[0], "version", 17),
    "new-operators": lambda m: setattr(m.opset_import[0], "version", 99),
    "an-old-format": lambda m: setattr(m, "ir_version", 3),
    "a-difference": operator("mixed", "Sub"),
    "another-comparison": operator("known", "Greater"),
    "the-least": operator("length", "ReduceL1"),
    "min": operator("divisor", "Min"),
    "keepdims": attribute("length", 0, 0),
    "a-cast-to-float16": attribute("words.x", 0, 10),
    "a-sum-over-the-batch": attribute("total", 0, 0),
    "a-gather-of-columns": lambda m: node(m, "words.q").attribute.append(
        helper.make_attribute("axis", 1)
    ),
    "another-start": value("second", [2]),
    "another-end": value("last", [-2]),
    "an-end-within-a-text": value("end", [100]),
    "another-axis": value("seq_axis", [0]),
    "a-list-of-two": value("first", [0, 0]),
    "no-least-length": value("least", np.float32(0)),
    "a-least-length-for-each-value": value("least", np.ones(33, np.float32)),
    "keys-of-32-bits": value("keys", np.full(16, -1, np.int32)),
    "scales-in-a-column": value("words.scale", np.ones((40, 1), np.float32)),
    "scales-of-64-bits": value("words.scale", np.ones(40)),
    "rows-of-uint8": value("words.rows", np.ones((40, 9), np.uint8)),
    "pairs-of-a-token-with-itself": inputs("pair", "a.key", "a"),
    "pairs-in-the-other-order": inputs("a.mixed", "b", "p"),
    "scales-of-other-rows": inputs("words.scales", "words.scale", "ids"),
    "the-mask-of-other-rows": inputs("words.mask", "mask"),
    "pairs-before-tokens": inputs("ids", "pair.row", "input_ids"),
    "the-mask-as-ids": inputs("a", "attention_mask", "first", "last", "seq_axis"),
    "a-length-of-other-values": inputs("length", "words.unit", "last_axis"),
    "a-product-turned": inputs("words.sum", "words.x", "words.weights"),
    "a-circle": inputs("a", "embedding", "first", "last", "seq_axis"),
    "a-table-of-two-parts": a_table_of_two_parts,
    "a-tensor-that-is-not-used": inputs("words.scales", "trained.scale", "input_ids"),
    "a-name-twice": lambda m: m.graph.initializer.append(tensor(m, "p")),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_graph_that_only_looks_like_a_lookup_is_left_to_onnxruntime(name, tmp_path) -> None:
    model = pairs_model()
    OTHERS[name](model)
    assert model.SerializeToString() != PAIRS
    assert opened(tmp_path, model) is None


def cut(name: str) -> Callable[[onnx.ModelProto], None]:
    return lambda m: setattr(tensor(m, name), "raw_data", tensor(m, name).raw_data[:-1])


def dims(name: str, *sizes: int) -> Callable[[onnx.ModelProto], None]:
    return lambda m: tensor(m, name).dims.__setitem__(slice(None), sizes)


def external(m: onnx.ModelProto) -> None:
    rows = tensor(m, "words.rows")
    rows.ClearField("raw_data")
    rows.data_location = TensorProto.EXTERNAL
    rows.external_data.add(key="location", value="/etc/passwd")


def values_twice(m: onnx.ModelProto) -> None:
    tensor(m, "words.scale").float_data.extend([1.0] * 40)


def other_type(m: onnx.ModelProto) -> None:
    tensor(m, "keys").ClearField("raw_data")
    tensor(m, "keys").float_data.extend([1.0] * 16)


def too_large_for_int8(m: onnx.ModelProto) -> None:
    tensor(m, "words.rows").ClearField("raw_data")
    tensor(m, "words.rows").int32_data.extend([128] * 360)


def wrong_output(m: onnx.ModelProto) -> None:
    m.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 34


BROKEN = {
    "rows-cut": (cut("trained.rows"), r'"trained.rows": has 1343 bytes where .*56, 24.* need 1344'),
    "scale-cut": (cut("words.scale"), r'"words.scale": has 159 bytes'),
    "keys-cut": (cut("keys"), r'"keys": has 127 bytes'),
    "constant-cut": (cut("seq_axis"), r'"seq_axis": has 7 bytes'),
    "prime-cut": (cut("p"), r'"p": has 7 bytes'),
    "least-cut": (cut("least"), r'"least": has 3 bytes'),
    "no-rows": (value("words.rows", np.zeros((0, 9), np.int8)), '"words.rows": expected at least'),
    "terabytes": (dims("words.rows", 2**40, 9), r'"words.rows": has 360 bytes where'),
    "overflow": (dims("words.rows", 2**40, 2**40), r'"words.rows": dimensions .* overflow'),
    "negative": (dims("words.rows", -1, 9), r'"words.rows": dimensions .* overflow'),
    "external": (external, r'"words.rows": its values are in another file'),
    "values-twice": (values_twice, r'"words.scale": expected its values once, as float32'),
    "values-of-another-type": (other_type, r'"keys": expected its values once, as int64'),
    "too-large-for-int8": (too_large_for_int8, r'"words.rows": a value of it is damaged'),
    "few-scales": (value("words.scale", np.ones(39, np.float32)), '"words.scale": has 39 scales'),
    "nan": (lambda m: change(m, "words.scale", 3, np.nan), 'scale": value 3 is not finite'),
    "infinity": (lambda m: change(m, "trained.scale", 41, np.inf), "value 41 is not finite"),
    "offset-beyond": (value("offset", [41]), r'"offset": is 41: with 16 buckets behind it'),
    "offset-negative": (value("offset", [-1]), r'"offset": is -1; expected 0 or more'),
    "offset-zero": (value("offset", [0]), r'"offset": is 0; expected a row among the 56'),
    "no-bucket": (value("buckets", [0]), r'"buckets": is 0; expected at least 1'),
    "more-buckets": (value("buckets", [17]), r'"buckets": is 17; .* number of keys, 16'),
    "prime-negative": (value("p", [-5]), r'"p": is -5; expected 0 or more'),
    "prime-large": (value("q", [2**62]), r'"q": is \d+: with tokens up to 39 the products exceed'),
    "key-large": (value("vocabulary", [2**60]), r'"vocabulary": is \d+: with tokens up to 39'),
    "key-beyond": (lambda m: change(m, "keys", 5, 1600), r'"keys": value 5 is 1600; expected -1'),
    "key-negative": (lambda m: change(m, "keys", 5, -2), r'"keys": value 5 is -2; expected -1'),
    "output": (wrong_output, r'"embedding": its dimensions are not those of the parts'),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_lookup_is_refused_by_the_tensor(name, tmp_path) -> None:
    edit, match = BROKEN[name]
    model = pairs_model()
    edit(model)
    with pytest.raises(EmbedderError, match=match) as raised:
        opened(tmp_path, model)
    message = str(raised.value)
    assert message.startswith(f"{tmp_path / 'model.onnx'}: tensor ")
    assert "\n" not in message


def test_a_file_that_is_cut_short_is_refused(tmp_path) -> None:
    for length in range(1, len(PAIRS), 97):
        with pytest.raises(EmbedderError, match=r"not a whole ONNX file: what stands at byte \d+"):
            opened(tmp_path, PAIRS[:length])


def test_a_file_that_cannot_be_read_or_is_another_is_refused(tmp_path) -> None:
    with pytest.raises(NotFoundError, match="there is no such file"):
        LookupTable.open(tmp_path / "none.onnx")
    with pytest.raises(EmbedderError, match="is a folder; name a file"):
        LookupTable.open(tmp_path)
    for mmap in (True, False):
        with pytest.raises(EmbedderError, match=r"its sha256 is [0-9a-f]{64}, not 0000"):
            LookupTable.open(STATIC, sha256="0" * 64, mmap=mmap)
        described = json.loads((STATIC.parent / "embedder.json").read_text())
        table = LookupTable.open(STATIC, sha256=described["model_sha256"].upper(), mmap=mmap)
        assert table.is_mapped == mmap


def test_tokens_that_the_table_lacks_are_refused() -> None:
    table = LookupTable.open(FOLDER / "pairs.onnx")
    with pytest.raises(EmbedderError, match="token 40 at position 1 is not one of the 40"):
        table.embed([0, 40])
    for wrong, error in ((-1, OverflowError), (2**32, OverflowError), (1.5, TypeError)):
        with pytest.raises(error):
            table.embed([wrong])


def test_rows_that_are_not_finite_are_refused_where_they_are_used(tmp_path) -> None:
    for name in ("plain", "weighted"):
        model = onnx.load(FOLDER / f"{name}.onnx")
        change(model, "t.rows", 3, np.nan)
        table = opened(tmp_path, model)
        assert np.isfinite(table.embed([2])).all()
        with pytest.raises(EmbedderError, match="not finite"):
            table.embed([2, 3])


@st.composite
def edits(draw) -> onnx.ModelProto:
    """The graph with one to three edits, of which some leave it a model."""
    model = pairs_model()
    for _ in range(draw(st.integers(1, 3))):
        item = draw(st.sampled_from(model.graph.node))
        names = [t.name for t in model.graph.initializer] + [n.output[0] for n in model.graph.node]
        names += ["input_ids", "attention_mask"]
        kind = draw(st.sampled_from(["input", "operator", "attribute", "constant", "dims"]))
        if kind == "input":
            item.input[draw(st.integers(0, len(item.input) - 1))] = draw(st.sampled_from(names))
        elif kind == "operator":
            kinds = ["Add", "Mul", "Sub", "Max", "Min", "Div", "Equal", "Mod", "Concat"]
            item.op_type = draw(st.sampled_from(kinds))
        elif kind == "attribute" and item.attribute:
            item.attribute[0].i = draw(st.integers(-3, 3))
        elif kind == "constant":
            small = [t for t in model.graph.initializer if t.data_type == 7]
            name = draw(st.sampled_from(small)).name
            put(model, name, [draw(st.integers(-2, 60))] * (16 if name == "keys" else 1))
        else:
            some = draw(st.sampled_from(model.graph.initializer))
            some.dims[:] = draw(st.permutations(list(some.dims)))
    return model


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(model=edits())
def test_whatever_is_recognised_is_what_onnxruntime_computes(model, tmp_path) -> None:
    try:
        table = opened(tmp_path, model)
    except EmbedderError:
        return
    if table is None:
        return
    onnxruntime = session(model.SerializeToString())
    for tokens in ([3], [1, 2], TEXT):
        if max(tokens) < table.vocabulary:
            assert table.embed(tokens) == pytest.approx(run(onnxruntime, tokens), abs=1e-6)
