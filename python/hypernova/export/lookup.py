"""Build a lookup graph: rows of tokens, and of pairs of tokens, that are looked up and added.

The core reads such a graph from its file and computes it without onnxruntime
(``rust/hypernova-core/src/text/onnx``): it recognises the nodes that this module writes.

Not here: where the rows come from (``models/build_static.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from hypernova.export.graph import Graph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.export.graph import Array


@dataclass(frozen=True, kw_only=True)
class TokenPairs:
    """The pairs of neighbouring tokens that have a row of their own, found by a hash.

    The pair (a, b) hashes to the bucket ``(a * primes[0] + b * primes[1]) % len(keys)``.

    Attributes:
        keys: int64 (buckets,): ``first * vocabulary + second`` of the pair that has the bucket's
            row, or -1 for a bucket without a pair.
        primes: mix the ids of a pair.
        vocabulary: number of tokens; bucket i has row ``vocabulary + i`` of the part.
    """

    keys: Array
    primes: tuple[int, int]
    vocabulary: int


@dataclass(frozen=True, kw_only=True)
class LookupPart:
    """A table whose rows are added up over the tokens of a text.

    Attributes:
        name: prefix of the names in the graph.
        rows: int8 or float32 (tokens [+ buckets], dim).
        scale: float32, one for each row, which it is multiplied by; None for 1.
        pairs: pairs whose rows stand behind those of the tokens; None for tokens alone.
        unit: bring the sum to length 1.
    """

    name: str
    rows: Array
    scale: Array | None = None
    pairs: TokenPairs | None = None
    unit: bool = True

    @staticmethod
    def int8(
        name: str, rows: Array, *, pairs: TokenPairs | None = None, unit: bool = True
    ) -> LookupPart:
        """Round rows of floats to 8 bits, with a scale for each row.

        Args:
            name: prefix of the names in the graph.
            rows: (tokens [+ buckets], dim), finite.
            pairs: as the attribute.
            unit: as the attribute.
        """
        largest = np.abs(rows).max(1)
        scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
        q = np.rint(rows / scale[:, None]).astype(np.int8)
        return LookupPart(name=name, rows=q, scale=scale, pairs=pairs, unit=unit)


def lookup_graph(parts: Sequence[LookupPart], title: str, *, unit: bool = True) -> bytes:
    """Build the model: ids and mask (batch, seq) in, ``embedding`` (batch, sum of dims) out.

    The parts stand side by side. Where each has length 1, the cosine of two texts is the mean of
    the cosines of their parts.

    Args:
        parts: at least one; at most one has pairs, and their names differ.
        title: description in the file.
        unit: bring the whole vector to length 1.

    Returns:
        The bytes of an ONNX file, the same for the same arrays.

    Raises:
        ValueError: There is no part, two have pairs or the same name, or the arrays of a part do
            not fit one another.

    Example:
        >>> import numpy as np
        >>> part = LookupPart.int8("tokens", np.eye(3, 8))
        >>> len(lookup_graph([part], "three tokens")) < 2_000
        True
    """
    if not parts or len({part.name for part in parts}) < len(parts):
        raise ValueError("expected at least one part, each with a name of its own")
    if sum(part.pairs is not None for part in parts) > 1:
        raise ValueError("expected pairs in at most one part")
    g = Graph(int8=True)
    sums = []
    for part in parts:
        _check(part)
        ids, mask = "input_ids", "attention_mask"
        if part.pairs is not None:
            ids, mask = _with_pairs(g, part.pairs)
        total = _sum(g, part, ids, mask)
        sums.append(_unit(g, total, part.name) if part.unit else total)
    total = g.op("Concat", sums, "total", axis=1) if len(sums) > 1 else sums[0]
    return g.finish(total, sum(part.rows.shape[1] for part in parts), title, unit=unit)


def _check(part: LookupPart) -> None:
    """Refuse arrays that do not fit one another."""
    if part.rows.dtype not in (np.int8, np.float32) or part.rows.ndim != 2 or not part.rows.size:
        raise ValueError(f"{part.name}: expected rows of int8 or float32, (tokens, dim)")
    scale, pairs = part.scale, part.pairs
    if scale is not None and not (scale.dtype == np.float32 and scale.shape == (len(part.rows),)):
        raise ValueError(f"{part.name}: expected a float32 scale for each of {len(part.rows)} rows")
    if pairs is not None and len(part.rows) != pairs.vocabulary + len(pairs.keys):
        expected = f"{pairs.vocabulary} tokens and {len(pairs.keys)} pairs"
        raise ValueError(f"{part.name}: expected rows for {expected}, got {len(part.rows)}")


def _with_pairs(g: Graph, pairs: TokenPairs) -> tuple[str, str]:
    """Append the rows of the known pairs to the ids, and whether they count to the mask."""

    def whole(name: str, *value: int) -> str:
        return g.const(name, np.array(value, np.int64))

    seq = whole("seq_axis", 1)
    ends = whole("first", 0), whole("second", 1), whole("last", -1), whole("end", 2**31)
    a = g.op("Slice", ["input_ids", ends[0], ends[2], seq], "a")
    b = g.op("Slice", ["input_ids", ends[1], ends[3], seq], "b")
    mixed = [g.op("Mul", [a, whole("p", pairs.primes[0])], "a.mixed")]
    mixed += [g.op("Mul", [b, whole("q", pairs.primes[1])], "b.mixed")]
    buckets = whole("buckets", len(pairs.keys))
    bucket = g.op("Mod", [g.op("Add", mixed, "mixed"), buckets], "bucket")
    first = g.op("Mul", [a, whole("vocabulary", pairs.vocabulary)], "a.key")
    pair = g.op("Add", [first, b], "pair")
    key = g.op("Gather", [g.const("keys", pairs.keys), bucket], "key")
    known = g.op("Equal", [key, pair], "known")
    counts = g.op("Slice", ["attention_mask", ends[1], ends[3], seq], "b.mask")
    known = g.op("Cast", [known], "k", to=TensorProto.INT64)
    counts = g.op("Mul", [counts, known], "pair.mask")
    row = g.op("Add", [bucket, whole("offset", pairs.vocabulary)], "pair.row")
    ids = g.op("Concat", ["input_ids", row], "ids", axis=1)
    return ids, g.op("Concat", ["attention_mask", counts], "mask", axis=1)


def _sum(g: Graph, part: LookupPart, ids: str, mask: str) -> str:
    """Add the rows that ``ids`` and ``mask`` select."""
    name = part.name
    x = g.op("Gather", [g.const(f"{name}.rows", part.rows), ids], f"{name}.q")
    if part.rows.dtype == np.int8:
        x = g.op("Cast", [x], f"{name}.x", to=TensorProto.FLOAT)
    # The rows' scales and the mask are the weights of one product, which sums in one pass.
    weights = g.op("Cast", [mask], f"{name}.mask", to=TensorProto.FLOAT)
    if part.scale is not None:
        scales = g.op("Gather", [g.const(f"{name}.scale", part.scale), ids], f"{name}.scales")
        weights = g.op("Mul", [scales, weights], f"{name}.w")
    seq = g.const("seq_axis", np.array([1]))
    weights = g.op("Unsqueeze", [weights, seq], f"{name}.weights")
    return g.op("Squeeze", [g.op("MatMul", [weights, x], f"{name}.sum"), seq], f"{name}.total")


def _unit(g: Graph, x: str, name: str) -> str:
    """Scale ``x`` to length 1, never dividing by zero."""
    axis = g.const("last_axis", np.array([-1]))
    length = g.op("ReduceL2", [x, axis], f"{name}.length", keepdims=1)
    length = g.op("Max", [length, g.const("least", np.float32(1e-12))], f"{name}.divisor")
    return g.op("Div", [x, length], f"{name}.unit")
