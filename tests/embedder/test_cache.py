"""The cache from text to vector gives what the embedder gives, and cannot be made to lie."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hypernova
from hypernova import errors
from hypernova.embedder import CachedEmbedder, CacheInfo, Embedder

STATIC = Embedder.load("static")
TEXTS = [f"Sort list {i} by {'name ' * i}" for i in range(12)]
VECTORS = {text: STATIC.embed_one(text) for text in TEXTS}


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 8),
    calls=st.lists(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=6), max_size=20),
)
def test_vectors_are_those_of_the_embedder(size: int, calls: list[list[str]]) -> None:
    cached = CachedEmbedder(STATIC, size)
    for texts in calls:
        one = len(texts) == 1
        found = cached.embed_one(texts[0])[None] if one else cached.embed(texts)
        np.testing.assert_allclose(found, [VECTORS[t] for t in texts], atol=1e-6)
    info = cached.cache_info()
    assert info.currsize == min(size, len({text for texts in calls for text in texts}))
    assert info.hits + info.misses == sum(map(len, calls))


def test_the_least_recently_used_vector_makes_room() -> None:
    cached = CachedEmbedder(STATIC, 2)
    for text, expected in [("a b", 0), ("c d", 0), ("a b", 1), ("e f", 1), ("a b", 2), ("c d", 2)]:
        cached.embed_one(text)
        assert cached.cache_info().hits == expected, text
    assert cached.cache_info() == CacheInfo(hits=2, misses=4, maxsize=2, currsize=2)


def test_a_kept_vector_cannot_be_changed() -> None:
    cached = CachedEmbedder(STATIC, 10)
    for text in TEXTS[:2]:
        first = cached.embed_one(text)
        if first.flags.writeable:  # the one that was just made
            first[:] = 7
        again = cached.embed_one(text)
        np.testing.assert_array_equal(again, VECTORS[text])
        with pytest.raises(ValueError, match="read-only"):
            again[0] = 7
        with pytest.raises(ValueError, match="WRITEABLE"):
            again.setflags(write=True)
    batch = cached.embed(TEXTS[:2])
    batch[:] = 7
    np.testing.assert_array_equal(cached.embed_one(TEXTS[0]), VECTORS[TEXTS[0]])


def test_a_text_that_fails_is_not_kept() -> None:
    cached = CachedEmbedder(STATIC, 10)
    for _ in range(2):
        with pytest.raises(errors.TextError):
            cached.embed_one("  ")
        with pytest.raises(errors.TextError, match="text 1"):
            cached.embed(["fine", " "])
    assert cached.cache_info().currsize == 0


def test_texts_alike_after_the_cut_share_an_entry() -> None:
    cached = CachedEmbedder(STATIC, 10)
    head, tail = "Fix this. " * 200, " The end." * 100
    a, b = head + "one" * 500 + tail, head + "two" * 900 + tail
    np.testing.assert_array_equal(cached.embed_one(a), cached.embed_one(b))
    np.testing.assert_array_equal(cached.embed_one(b), STATIC.embed_one(b))
    assert cached.cache_info().currsize == 1


def test_sixteen_threads() -> None:
    cached = CachedEmbedder(STATIC, 5)

    def work(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        for i in rng.integers(0, len(TEXTS), 100):
            if not np.allclose(cached.embed_one(TEXTS[i]), VECTORS[TEXTS[i]], atol=1e-6):
                return False
        return True

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(16) as pool:
            assert all(pool.map(work, range(16)))
    finally:
        sys.setswitchinterval(interval)
    info = cached.cache_info()
    assert info.hits + info.misses == 1_600
    assert info.currsize == 5


def test_a_router_has_no_cache_unless_asked() -> None:
    plain = hypernova.Router.open()
    plain.route("Sort a list")
    assert plain.cache_info() is None
    router = hypernova.Router.open(cache=3)
    assert router.cache_info() == CacheInfo(0, 0, 3, 0)
    decisions = {router.route(text).distance for text in ["Sort a list"] * 3}
    assert decisions == {plain.route("Sort a list").distance}
    assert router.cache_info() == CacheInfo(2, 1, 3, 1)


@pytest.mark.parametrize("size", [0, -1, 1.5, "9", True])
def test_a_size_that_is_no_whole_number_from_1_is_refused(size: object) -> None:
    with pytest.raises(ValueError, match="expected a whole number from 1"):
        hypernova.Router.open(cache=size)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="has a cache already"):
        CachedEmbedder(CachedEmbedder(STATIC, 2), 2)
