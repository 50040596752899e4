"""A user's own function as an embedder: fitted, saved, routed, refused where it does not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import hypernova
from hypernova import errors
from support.paths import TABLE

if TYPE_CHECKING:
    from pathlib import Path

DIM = 32


def hashed(texts: list[str]) -> np.ndarray:
    """Count letters; what a user might have, but for its quality."""
    found = np.zeros((len(texts), DIM))
    for row, text in enumerate(texts):
        for letter in text.lower():
            found[row, ord(letter) % DIM] += 1
    return found


def ours(name: str = "ours-1", **options: Any) -> hypernova.CallableEmbedder:
    return hypernova.CallableEmbedder(hashed, name=name, dim=DIM, **options)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    table = hypernova.OutcomeTable.read(TABLE)
    artifact = hypernova.fit(table, embedder=ours(), clusters=4)
    path = tmp_path_factory.mktemp("callable") / "router.hnv"
    artifact.save(path)
    return path


@pytest.mark.slow
def test_what_was_fitted_is_routed(path: Path) -> None:
    router = hypernova.Router.open(path, embedder=ours())
    texts = ["Sort a list of names", "Join two tables", "Why is the sky blue?"]
    many = router.route_many(texts)
    for text, decision in zip(texts, many, strict=True):
        vector = hashed([text])[0]
        unit = (vector / np.linalg.norm(vector)).astype(np.float32)
        assert router.route(text).cluster == decision.cluster == router.decide(unit).cluster


def test_an_artifact_says_which_function_it_needs(path: Path) -> None:
    router = hypernova.Router.open(path)
    with pytest.raises(errors.EmbedderMismatchError, match=r"CallableEmbedder.*'ours-1', dim=32"):
        router.route("Sort a list")


@pytest.mark.parametrize(("other", "named"), [("static", "static"), (ours("ours-2"), "ours-2")])
def test_another_embedder_is_refused_with_both_names(path: Path, other: Any, named: str) -> None:
    with pytest.raises(errors.EmbedderMismatchError, match=rf"ours-1 .*{named} "):
        hypernova.Router.open(path, embedder=other)
    with pytest.raises(errors.EmbedderMismatchError, match=r"static .*ours-1 "):
        hypernova.Router.open(embedder=ours())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.ones((2, DIM + 1)), r"shape \(2, 33\) for 2 texts \(0 to 1\), expected \(2, 32\)"),
        (np.ones(DIM), r"shape \(32,\)"),
        (np.ones((3, DIM)), r"shape \(3, 32\)"),
        (np.zeros((2, DIM)), "only zeros for text 0"),
        (np.array([[1.0] * DIM, [np.nan] * DIM]), "not finite for text 1"),
        (np.array([[1.0] * DIM, [np.inf] + [0.0] * (DIM - 1)]), "not finite for text 1"),
        (np.full((2, DIM), "a"), "expected numbers"),
        (None, "expected numbers"),
        ([[1.0], [1.0, 2.0]], "no array"),
    ],
)
def test_results_that_are_no_vectors_are_refused(given: object, said: str) -> None:
    embedder = hypernova.CallableEmbedder(lambda _: given, name="bad", dim=DIM)  # type: ignore[arg-type, return-value]
    with pytest.raises(errors.EmbedderError, match=f"'bad'.*{said}"):
        embedder.embed(["one", "two"])


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1.0, 1e30, 1e300])
def test_any_length_becomes_one(scale: float) -> None:
    embedder = hypernova.CallableEmbedder(lambda t: hashed(t) * scale, name="long", dim=DIM)
    vectors = embedder.embed(["one", "two"])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors, ours().embed(["one", "two"]), atol=1e-6)


def test_batches_are_of_the_stated_size() -> None:
    sizes: list[int] = []

    def count(texts: list[str]) -> np.ndarray:
        sizes.append(len(texts))
        return hashed(texts)

    done: list[int] = []
    embedder = hypernova.CallableEmbedder(count, name="counted", dim=DIM, batch=4)
    vectors = embedder.embed([f"text {i}" for i in range(10)], progress=done.append)
    assert sizes == done == [4, 4, 2]
    np.testing.assert_allclose(vectors[7], embedder.embed_one("text 7"), atol=1e-7)


def test_exceptions_of_the_function_pass_through() -> None:
    class ServiceDownError(Exception):
        pass

    def down(texts: list[str]) -> np.ndarray:
        raise ServiceDownError(texts)

    with pytest.raises(ServiceDownError):
        hypernova.CallableEmbedder(down, name="down", dim=2).embed_one("text")


def test_blank_texts_never_reach_it() -> None:
    embedder = hypernova.CallableEmbedder(lambda _: 1 / 0, name="never", dim=2)  # type: ignore[arg-type, return-value]
    with pytest.raises(errors.TextError, match="text 1 is empty"):
        embedder.embed(["a", " \n"])


def test_a_function_that_is_not_wrapped_is_told_how() -> None:
    table = hypernova.OutcomeTable.read(TABLE)
    with pytest.raises(TypeError, match=r"hypernova\.CallableEmbedder\(function, name="):
        hypernova.fit(table, embedder=hashed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options", [{"name": ""}, {"dim": 0}, {"dim": 2.0}, {"batch": 0}, {"name": "\ud800"}]
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(errors.EmbedderError):
        hypernova.CallableEmbedder(hashed, **({"name": "a", "dim": 2} | options))
