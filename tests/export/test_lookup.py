"""Lookup graphs: the shipped one built again, each form against sums in NumPy, and refusals.

Not here: the graph of `static` against its definition (tests/embedder/test_static.py).
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from hypernova.embedder.onnx.runtime import import_onnxruntime
from hypernova.export.lookup import LookupPart, TokenPairs, lookup_graph
from support.paths import PACKAGE

rng = np.random.default_rng(11)
SHIPPED = PACKAGE / "bundled" / "static" / "model.onnx"
TOKENS, BUCKETS, DIM = 20, 8, 24
ROWS = rng.normal(size=(TOKENS, DIM)).astype(np.float32)
SCALE = rng.uniform(0.5, 2, TOKENS).astype(np.float32)
PAIRS = TokenPairs(keys=np.full(BUCKETS, -1, np.int64), primes=(31, 7), vocabulary=TOKENS)
INT8 = LookupPart.int8("t", ROWS)


def run(model: bytes, ids: list[int]) -> np.ndarray:
    session = import_onnxruntime().InferenceSession(model, providers=["CPUExecutionProvider"])
    ids = np.array([ids])
    feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    (found,) = session.run(None, feeds)
    return found[0]


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x)


def test_the_shipped_model_is_built_again_from_its_arrays() -> None:
    model = onnx.load(SHIPPED)
    arrays = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    pairs = TokenPairs(
        keys=arrays["keys"],
        primes=(int(arrays["p"][0]), int(arrays["q"][0])),
        vocabulary=int(arrays["vocabulary"][0]),
    )
    parts = [
        LookupPart(name=n, rows=arrays[f"{n}.rows"], scale=arrays[f"{n}.scale"], pairs=p)
        for n, p in [("trained", pairs), ("words", None)]
    ]
    built = lookup_graph(parts, model.doc_string)
    assert hashlib.sha256(built).digest() == hashlib.sha256(SHIPPED.read_bytes()).digest()


@pytest.mark.parametrize(
    ("part", "rows"),
    [
        (LookupPart(name="t", rows=ROWS), ROWS),
        (LookupPart(name="t", rows=ROWS, scale=SCALE), ROWS * SCALE[:, None]),
        (INT8, INT8.rows * INT8.scale[:, None]),
    ],
    ids=["float32", "float32-scaled", "int8"],
)
@pytest.mark.parametrize("unit_part", [True, False])
@pytest.mark.parametrize("unit_whole", [True, False])
def test_each_form_adds_its_rows(part, rows, unit_part, unit_whole) -> None:
    part = dataclasses.replace(part, unit=unit_part)
    ids = [3, 0, 7, 7, 19]
    expected = rows[ids].sum(0)
    expected = unit(expected) if unit_part else expected
    alone = unit(expected) if unit_whole else expected
    assert run(lookup_graph([part], "", unit=unit_whole), ids) == pytest.approx(alone, abs=1e-5)
    other = LookupPart(name="o", rows=ROWS, unit=False)
    both = np.concatenate([expected, ROWS[ids].sum(0)])
    both = unit(both) if unit_whole else both
    model = lookup_graph([part, other], "", unit=unit_whole)
    assert run(model, ids) == pytest.approx(both, abs=1e-5)


@pytest.mark.parametrize(
    ("parts", "match"),
    [
        ([], "at least one part"),
        ([INT8, INT8], "a name of its own"),
        ([LookupPart(name="t", rows=ROWS.astype(np.float64))], "t: expected rows of int8 or"),
        ([LookupPart(name="t", rows=ROWS[0])], "t: expected rows of int8 or float32"),
        ([LookupPart(name="t", rows=ROWS, scale=SCALE[:3])], "scale for each of 20 rows"),
        ([LookupPart(name="t", rows=ROWS, pairs=PAIRS)], "20 tokens and 8 pairs, got 20"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(parts: list[Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        lookup_graph(parts, "")


def test_two_parts_with_pairs_are_refused() -> None:
    parts = [LookupPart(name=n, rows=ROWS, pairs=PAIRS) for n in "ab"]
    with pytest.raises(ValueError, match="at most one part"):
        lookup_graph(parts, "")
