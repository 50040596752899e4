"""Queries: which are refused and in what words, and that each kernel finds the same centroid.

Not here: what is decided once the cluster is known (test_rule.py).
"""

from __future__ import annotations

import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from golden.make_golden import decision_values
from hypernova import Artifact, errors
from support.commands import run_python
from support.paths import GOLDEN
from support.reference_reader import decide, read

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

DIM = 5
NAN, INF = float("nan"), float("inf")
VECTOR = np.array([0.25, 2.0, -0.5, 0.0, 1.0], np.float32)
MATRIX = np.array([VECTOR, VECTOR + 1, VECTOR * 2], np.float32)
LEVELS = ("scalar", "avx2", "avx512", "avx512vnni", "neon")


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return Artifact.open(GOLDEN / "v1_0_small.hnv")


def with_centroids(centroids: np.ndarray, **added: Any) -> Artifact:
    """Build an artifact of one model around centroids; it succeeds the more the later they are."""
    k, d = centroids.shape
    ones = np.ones((k + 1, 1), np.float32)
    identity = {"name": "t", "dim": d, "fingerprint": "cd" * 32, "kind": "vectors"}
    return Artifact.build(
        models=["only"],
        centroids=centroids,
        counts=ones.astype(np.float64),
        mean=ones,
        success=np.linspace(0, 1, k + 1, dtype=np.float32)[:, None],
        standard_error=ones,
        gain_error=ones,
        cost=ones,
        latency=ones,
        novelty=np.array([0.0, 1.0], np.float32),
        embedder=json.dumps(identity),
        metadata="{}",
        default_model=0,
        **added,
    )


# --- what is refused ---


@pytest.mark.parametrize(
    ("vector", "came"),
    [
        (VECTOR.astype(np.float64), "float64"),
        (VECTOR.astype(np.float16), "float16"),
        (VECTOR.astype(np.int32), "int32"),
        (VECTOR.astype(np.int64), "int64"),
        (VECTOR.astype(np.uint8), "uint8"),
        (VECTOR > 0, "bool"),
        (VECTOR.astype(np.complex64), "complex64"),
        (VECTOR.astype(object), "object"),
        (VECTOR.astype("U8"), "<U8|str"),
        (VECTOR.view("V4"), "V4|void"),
        (list(map(float, VECTOR)), "list"),
        (tuple(map(float, VECTOR)), "tuple"),
        (VECTOR.tobytes(), "bytes"),
        ("text", "str"),
        (None, "NoneType"),
        (1.0, "float"),
    ],
    ids=lambda v: getattr(getattr(v, "dtype", None), "name", type(v).__name__),
)
def test_wrong_type(artifact: Artifact, vector: Any, came: str) -> None:
    """What is not float32 is named and refused, never read as if it were."""
    for ask in (artifact.decide, artifact.decide_many):
        with pytest.raises(errors.VectorError) as caught:
            ask(vector)
        assert "float32" in str(caught.value)
        assert re.search(came, str(caught.value)), str(caught.value)


def test_distances_of_another_type_are_refused(artifact: Artifact) -> None:
    assert not artifact.is_novel(np.zeros(3, np.float32)).any()
    with pytest.raises(errors.VectorError, match=r"distances: expected .*float32.*float64"):
        artifact.is_novel(np.zeros(3))


def test_big_endian_is_refused(artifact: Artifact) -> None:
    """Float32 of the other byte order would be read as other numbers."""
    swapped = VECTOR.astype(">f4")
    assert np.array_equal(swapped, VECTOR)
    with pytest.raises(errors.VectorError, match=r"float32.*(>f4|big|byte)"):
        artifact.decide(swapped)
    with pytest.raises(errors.VectorError, match=r"float32.*(>f4|big|byte)"):
        artifact.decide_many(MATRIX.astype(">f4"))
    with pytest.raises(errors.VectorError, match=r"centroids.*float32.*(>f4|big|byte)"):
        with_centroids(MATRIX.astype(">f4"))


@pytest.mark.parametrize("dim", [0, 1, 4, 6, 10, 384])
def test_wrong_dimension(artifact: Artifact, dim: int) -> None:
    with pytest.raises(errors.VectorError, match=rf"\b{dim}\b.*\b5\b|\b5\b.*\b{dim}\b"):
        artifact.decide(np.zeros(dim, np.float32))
    with pytest.raises(errors.VectorError, match=rf"\b{dim}\b.*\b5\b|\b5\b.*\b{dim}\b"):
        artifact.decide_many(np.zeros((3, dim), np.float32))


@pytest.mark.parametrize("shape", [(), (1, 5), (5, 1), (1, 1, 5)])
def test_wrong_number_of_axes_for_one(artifact: Artifact, shape: tuple[int, ...]) -> None:
    with pytest.raises(errors.VectorError) as caught:
        artifact.decide(np.zeros(shape, np.float32))
    assert "(5,)" in str(caught.value)
    assert str(shape).replace(" ", "") in str(caught.value).replace(" ", "")


@pytest.mark.parametrize("shape", [(), (5,), (1, 1, 5)])
def test_wrong_number_of_axes_for_many(artifact: Artifact, shape: tuple[int, ...]) -> None:
    with pytest.raises(errors.VectorError) as caught:
        artifact.decide_many(np.zeros(shape, np.float32))
    assert "(n, 5)" in str(caught.value)
    assert str(shape).replace(" ", "") in str(caught.value).replace(" ", "")


def views() -> Iterator[tuple[str, np.ndarray]]:
    wide = np.arange(40, dtype=np.float32).reshape(4, 10)
    yield "every second", np.arange(10, dtype=np.float32)[::2]
    yield "backwards", np.arange(5, dtype=np.float32)[::-1]
    yield "column", np.zeros((5, 3), np.float32)[:, 1]
    yield "broadcast", np.broadcast_to(np.float32(1), (5,))
    yield "columns of a matrix", wide[:, ::2]
    yield "half of a matrix", wide[:, :5]
    yield "rows backwards", wide[::-1, :5]
    yield "Fortran order", np.asfortranarray(wide[:, :5])
    yield "transposed", np.zeros((5, 4), np.float32).T
    yield "broadcast rows", np.broadcast_to(VECTOR, (3, 5))


@pytest.mark.parametrize(("kind", "view"), list(views()), ids=[kind for kind, _ in views()])
def test_a_strided_view_is_refused_and_its_copy_decides(
    artifact: Artifact, kind: str, view: np.ndarray
) -> None:
    """A view with other strides is refused in words, and its copy is read right."""
    ask = artifact.decide if view.ndim == 1 else artifact.decide_many
    with pytest.raises(errors.VectorError, match=r"strides.*ascontiguousarray"):
        ask(view)
    reference = read(artifact.to_bytes())
    copied = np.ascontiguousarray(view)
    rows = copied.reshape(-1, 5)
    decisions = [artifact.decide(copied)] if view.ndim == 1 else artifact.decide_many(copied)
    for row, decision in zip(rows, decisions, strict=True):
        assert decision_values(decision) == decision_values(decide(reference, row))


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("position", range(DIM))
def test_nan_and_infinity_are_refused_by_position(
    artifact: Artifact, value: float, position: int
) -> None:
    """NaN and infinity are refused by position, and in a matrix by row."""
    vector, matrix = VECTOR.copy(), np.tile(VECTOR, (7, 1))
    vector[position] = value
    matrix[5, position] = value
    said = "NaN" if value != value else f"{'-' if value < 0 else ''}inf"
    with pytest.raises(errors.VectorError, match=rf"{said}.* position {position}\b"):
        artifact.decide(vector)
    with pytest.raises(errors.VectorError, match=rf"vector 5\b.*{said}.* position {position}\b"):
        artifact.decide_many(matrix)


@pytest.mark.parametrize("dim", [1, 7, 8, 15, 16, 17, 31, 33, 64, 70])
def test_not_finite_at_any_place_of_any_length(dim: int) -> None:
    artifact = with_centroids(np.zeros((2, dim), np.float32))
    for position in range(dim):
        for bits in (0x7F80_0001, 0x7FC0_0000, 0xFF80_0000, 0xFFFF_FFFF):
            vector = np.zeros(dim, np.float32)
            vector.view(np.uint32)[position] = bits
            with pytest.raises(errors.VectorError, match=rf"position {position}\b"):
                artifact.decide(vector)


# --- what is read ---


def test_an_empty_matrix_gives_an_empty_result(artifact: Artifact) -> None:
    many = artifact.decide_many(np.zeros((0, DIM), np.float32))
    assert len(many) == 0
    assert list(many) == []
    for column in (many.model_indices, many.clusters, many.distances, many.reason_codes):
        assert column.shape == (0,)
    with pytest.raises(errors.UnknownModelError):
        artifact.decide_many(np.zeros((0, DIM), np.float32), allow=["nobody"])


def test_read_only_arrays(artifact: Artifact) -> None:
    expected = decision_values(artifact.decide(VECTOR))
    frozen = VECTOR.copy()
    frozen.flags.writeable = False
    assert decision_values(artifact.decide(frozen)) == expected
    assert decision_values(artifact.decide_many(frozen.reshape(1, -1))[0]) == expected
    inside = np.frombuffer(b"\0" * 4 + VECTOR.tobytes(), np.float32)[1:]
    assert decision_values(artifact.decide(inside)) == expected


def test_an_unaligned_array_is_refused(artifact: Artifact) -> None:
    """Right dtype and shape, but at an odd address: the message says so."""
    unaligned = np.frombuffer(b"\0" + VECTOR.tobytes(), np.float32, offset=1)
    assert not unaligned.flags.aligned
    with pytest.raises(errors.VectorError, match="align"):
        artifact.decide(unaligned)


def test_one_row_in_any_memory_order(artifact: Artifact) -> None:
    """A matrix of one row is contiguous whatever its strides say."""
    one = np.asfortranarray(VECTOR.reshape(1, -1))
    assert one.flags.c_contiguous
    assert decision_values(artifact.decide_many(one)[0]) == decision_values(artifact.decide(VECTOR))


def test_a_query_is_not_kept_or_changed(artifact: Artifact) -> None:
    vector = VECTOR.copy()
    decision = artifact.decide(vector)
    before = decision_values(decision)
    assert vector.tobytes() == VECTOR.tobytes()
    vector[:] = 1e30
    assert decision_values(decision) == before


def test_the_arrays_handed_out_are_copies(artifact: Artifact) -> None:
    """Nobody gets the live array of another."""
    first, second = artifact.centroids, artifact.centroids
    assert not np.shares_memory(first, second)
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 7
    many = artifact.decide_many(MATRIX)
    assert many.clusters.tobytes() == many.clusters.tobytes()


# --- nearest centroid, for every kernel ---


def cases() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give centroids and queries of many shapes: ties, duplicates, huge and tiny values."""
    random = np.random.default_rng(16)
    for dim in (*range(1, 71), 128, 255, 256, 257, 384):
        for k in {1, 2, 3, 4, 5, 7, 8, 9, 17, dim % 23 + 1}:
            centroids = random.normal(size=(k, dim)).astype(np.float32)
            queries = random.normal(size=(4, dim)).astype(np.float32)
            kind = (dim + k) % 5
            if kind == 0:  # few values: exact ties between centroids that differ
                centroids = random.integers(-1, 2, (k, dim)).astype(np.float32)
                queries = random.integers(-1, 2, (4, dim)).astype(np.float32)
            elif kind == 1:  # duplicates
                centroids = centroids[random.integers(0, (k + 1) // 2, k)]
            elif kind == 2:  # from denormal to overflow, in each vector
                spread = 10.0 ** random.integers(-44, 38, (k, dim))
                centroids = (centroids * spread).astype(np.float32)
                queries = (queries * 10.0 ** random.integers(-44, 38, (4, dim))).astype(np.float32)
            elif kind == 3:  # squares that are denormal
                centroids, queries = centroids * np.float32(1e-21), queries * np.float32(1e-21)
            queries[3] = centroids[random.integers(0, k)]
            yield np.nan_to_num(centroids), np.nan_to_num(queries)
    for scale in (1e-45, 1e-39, 1e-30, 1e19, 1e25, 3e38):  # all distances 0, or all infinite
        centroids = np.tile(np.array([[scale], [-scale], [0]], np.float32), (3, 40))
        yield centroids, -centroids[:5]
    many = random.normal(size=(1000, 48)).astype(np.float32)
    many[500:] = many[:500]
    yield many, many[::97] + np.float32(0)


CHILD = """
import sys
import numpy as np
from hypernova import Artifact
files = np.load(sys.argv[1])
found = {}
for i in range(len(files.files) // 2):
    artifact = Artifact.from_bytes(files[f"a{i}"].tobytes())
    assert artifact.level == sys.argv[3], artifact.level
    queries = files[f"q{i}"]
    many = artifact.decide_many(queries)
    for row, query in enumerate(queries):
        one = artifact.decide(query)
        assert one.cluster == many.clusters[row]
        assert np.float32(one.distance).tobytes() == many.distances[row].tobytes()
    found[f"c{i}"], found[f"d{i}"] = many.clusters, many.distances
    found[f"s{i}"] = [decision.ranking[0].success for decision in many]
    named = artifact.decide_many(queries, group=(["g", None] * len(queries))[: len(queries)])
    found[f"g{i}"] = [decision.ranking[0].success for decision in named]
np.savez(sys.argv[2], **found)
"""


def one_group(slope: np.ndarray) -> dict[str, Any]:
    """Give a group with a linear correction of its own."""
    half = np.full((1, 1), 0.5, np.float32)
    profile = ("mean", "success", "standard_error", "gain_error", "cost", "latency")
    counts = {"tasks": np.ones(1), "counts": np.ones((1, 1))}
    return {
        "names": ["g"],
        **counts,
        **dict.fromkeys(profile, half),
        "offsets": half / 8,
        "slopes": slope[None],
    }


def child(level: str, *args: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the cases in a fresh process that is told which kernel to take."""
    return run_python("-c", CHILD, *args, level, env={**os.environ, "HYPERNOVA_SIMD": level})


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[list[Any], ...]]]:
    """Give a file of all cases, and what the reference reader decides in each.

    Without a group, and with one for every other row.
    """
    path = tmp_path_factory.mktemp("nearest") / "cases.npz"
    arrays, expected = {}, []
    ties = 0
    for i, (centroids, queries) in enumerate(cases()):
        added: dict[str, Any] = {}
        if i % 2:
            added |= {"sharpness": 0.25, "n_nearest": 1 + i % 16}
        if i % 3:
            slopes = centroids[-1:] / np.float32(64)
            added |= {"slopes": slopes, "offsets": np.zeros(1, np.float32)}
        if i % 4:
            added |= {"group_profiles": one_group(centroids[0] / np.float32(32))}
        data = with_centroids(centroids, **added).to_bytes()
        reference = read(data)
        assert reference.centroids.tobytes() == centroids.tobytes()
        arrays[f"a{i}"], arrays[f"q{i}"] = np.frombuffer(data, np.uint8), queries
        named = [
            decide(reference, query, group=None if row % 2 else "g")
            for row, query in enumerate(queries)
        ]
        expected.append(([decide(reference, query) for query in queries], named))
        ties += len(np.unique(centroids, axis=0)) < len(centroids)
    assert ties > 100
    np.savez(path, **arrays)
    return path, expected


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_every_kernel_is_the_definition_bit_for_bit(
    level: str, prepared: tuple[Path, list[tuple[list[Any], ...]]], tmp_path: Path
) -> None:
    """The lower index on exact ties, from each kernel; blends and lifts follow."""
    path, expected = prepared
    done = child(level, path, tmp_path / "found.npz")
    if done.returncode != 0 and "which this CPU does not have" in done.stderr:
        assert "KernelError" in done.stderr
        assert f'HYPERNOVA_SIMD asks for "{level}"' in done.stderr
        assert level != "scalar"
        pytest.skip(f"{level} is NOT compared: this CPU does not have it")
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "found.npz")
    for i, (answers, named) in enumerate(expected):
        clusters = np.array([answer.cluster for answer in answers])
        distances = np.array([answer.distance for answer in answers])
        successes = [answer.ranking[0].success for answer in answers]
        assert np.array_equal(found[f"c{i}"], clusters), i
        assert found[f"d{i}"].tobytes() == distances.tobytes(), i
        assert found[f"s{i}"].tolist() == successes, i
        assert found[f"g{i}"].tolist() == [answer.ranking[0].success for answer in named], i


def test_the_kernel_of_this_machine_is_one_of_the_known(artifact: Artifact) -> None:
    assert artifact.level in LEVELS


@pytest.mark.slow
@pytest.mark.parametrize("level", ["quantum", "AVX2", "avx2 "])
def test_an_unknown_kernel_is_refused(level: str, prepared: tuple[Path, list[Any]]) -> None:
    done = child(level, prepared[0], "unused")
    assert done.returncode != 0
    assert f'HYPERNOVA_SIMD asks for "{level}"' in done.stderr
    assert "scalar" in done.stderr


# --- threads ---


@pytest.mark.parametrize("name", ["v1_0_text", "v1_1_text"])
def test_threads_on_one_artifact_agree(name: str) -> None:
    """Two threads get what one gets."""
    artifact = Artifact.open(GOLDEN / f"{name}.hnv")
    random = np.random.default_rng(8)
    matrices = [random.normal(size=(500, artifact.dim)).astype(np.float32) for _ in range(8)]

    def answers(matrix: np.ndarray) -> list[bytes]:
        many = artifact.decide_many(matrix, cost_weight=0.1, max_cost_usd=10.0)
        singles = [artifact.decide(row, max_cost_usd=10.0).distance for row in matrix[:50]]
        columns = (many.model_indices, many.clusters, many.distances, many.reason_codes)
        return [*(column.tobytes() for column in columns), np.array(singles).tobytes()]

    expected = [answers(matrix) for matrix in matrices]
    together = Barrier(2)

    def work(order: int) -> list[list[bytes]]:
        together.wait(timeout=30)
        found = [answers(matrix) for _ in range(3) for matrix in matrices[::order]]
        return found[::order]

    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(work, (1, -1)):
            assert found == expected * 3


@pytest.mark.slow
@pytest.mark.parametrize("blended", [False, True])
def test_a_matrix_that_is_written_meanwhile_gives_old_or_new_values(blended: bool) -> None:
    """Rows of one value each, so that a distance says which value was read, and whole."""
    artifact = with_centroids(
        np.zeros((2, 1), np.float32), **({"sharpness": 1.0} if blended else {})
    )
    old, new = np.float32(1.2345678), np.float32(-7.6543217)  # no byte in common
    rows = 100_003
    matrix = np.full((rows, 1), old)
    done = Event()

    def write() -> None:
        values = [np.full((rows, 1), value) for value in (new, old)]
        while not done.is_set():
            for some in values:
                np.copyto(matrix, some)  # NumPy's loop holds no lock

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        mixed, deadline = 0, time.monotonic() + 20
        while mixed < 5 and time.monotonic() < deadline:
            decided = artifact.decide_many(matrix)
            found = set(decided.distances.tolist())
            assert found <= {float(old), -float(new)}
            mixed += len(found) == 2
            assert decided[rows - 1].ranking[0].model == "only"
        done.set()
        writing.result(timeout=30)
    assert mixed, "nothing was written meanwhile"
