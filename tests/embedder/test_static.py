"""How `static` is made: its graph against the definition, and a training run in small.

Not here: the files that ship (test_models.py), and the text that they were trained on.
"""

from __future__ import annotations

import itertools
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypernova.embedder.onnx.runtime import import_onnxruntime
from support.paths import MODELS

if str(MODELS) not in sys.path:
    sys.path.insert(0, str(MODELS))

import build_static
import compose
import train_static

VOCABULARY, BUCKETS, HALF = 30, 16, 8
# Whole multiples of a step, so that storing them in 8 bits loses nothing.
rng = np.random.default_rng(5)
TRAINED = rng.integers(-127, 128, (VOCABULARY + BUCKETS, HALF)).astype(np.float32)
WORDS = rng.integers(-127, 128, (VOCABULARY, HALF)).astype(np.float32)
TRAINED[:, 0] = WORDS[:, 0] = 127
TRAINED[3] = WORDS[3] = 0  # a token that says nothing
KNOWN = [(1, 2), (2, 1), (7, 7), (29, 0), (4, 5)]


def known_keys() -> np.ndarray:
    keys = np.full(BUCKETS, -1, np.int64)
    for a, b in KNOWN:
        keys[train_static.bucket_of(np.array(a), np.array(b), BUCKETS)] = a * VOCABULARY + b
    return keys


KEYS = known_keys()


def definition(ids: list[int]) -> np.ndarray:
    """Sums of rows, one text at a time."""
    rows = [TRAINED[i] for i in ids]
    for a, b in itertools.pairwise(ids):
        bucket = (a * train_static.PRIMES[0] + b * train_static.PRIMES[1]) % BUCKETS
        if KEYS[bucket] == a * VOCABULARY + b:
            rows.append(TRAINED[VOCABULARY + bucket])
    halves = [np.sum(rows, 0, dtype=np.float64), np.sum([WORDS[i] for i in ids], 0)]
    whole = np.concatenate([half / max(np.linalg.norm(half), 1e-12) for half in halves])
    return whole / max(np.linalg.norm(whole), 1e-12)


@pytest.fixture(scope="module")
def session() -> Any:
    model = build_static.build(TRAINED, KEYS, WORDS)
    return import_onnxruntime().InferenceSession(model, providers=["CPUExecutionProvider"])


def test_buckets_collide_here() -> None:
    """Else that a pair without a bucket adds nothing would not show."""
    a, b = np.divmod(np.arange(VOCABULARY**2), VOCABULARY)
    buckets = train_static.bucket_of(a, b, BUCKETS)
    assert np.bincount(buckets, minlength=BUCKETS).min() > 10
    assert 2 <= (KEYS >= 0).sum() <= len(KNOWN)


@given(
    st.lists(
        st.lists(st.integers(0, VOCABULARY - 1) | st.sampled_from([1, 2, 7]), min_size=1),
        min_size=1,
        max_size=4,
    )
)
def test_the_graph_is_the_definition(session, texts: list[list[int]]) -> None:
    longest = max(map(len, texts))
    ids = np.full((len(texts), longest), 2, np.int64)  # padding that would make pairs
    mask = np.zeros_like(ids)
    for row, text in enumerate(texts):
        ids[row, : len(text)], mask[row, : len(text)] = text, 1
    [found] = session.run(None, {"input_ids": ids, "attention_mask": mask})
    expected = np.array([definition(text) for text in texts])
    assert np.allclose(found, expected, atol=2e-6)


def small_corpus() -> train_static.Corpus:
    """Texts of two topics; what a text is about is what the teacher says."""
    rng = np.random.default_rng(0)
    topic = np.arange(6000) % 2
    ids = [rng.integers(0, 12, 6) + 12 * t for t in topic]
    teacher = rng.normal(0, 0.05, (6000, 20)).astype(np.float32)
    teacher[np.arange(6000), topic] += 1
    return train_static.Corpus(
        np.concatenate(ids),
        np.arange(0, 6 * 6001, 6),
        np.array(["text"] * 6000),
        train_static.unit(teacher),
        24,
    )


@pytest.mark.slow
def test_training_finds_what_texts_are_about() -> None:
    settings = train_static.Settings(dim=4, pairs=8, epochs=40, batch=100)
    tokens = np.random.default_rng(1).normal(size=(24, 20)).astype(np.float32)
    trained = train_static.train(small_corpus(), tokens, settings)
    again = train_static.train(small_corpus(), tokens, settings)
    assert np.array_equal(trained.rows, again.rows)
    assert trained.rows.shape == (32, 4)
    assert trained.figures["cosine"] > 0.97
    rows = train_static.unit(trained.rows[:24])
    cosine = rows @ rows.T
    assert cosine[:12, :12].mean() > 0.8
    assert cosine[:12, 12:].mean() < 0.3


def test_pairs_that_chance_explains_have_no_bucket() -> None:
    rng = np.random.default_rng(2)
    ids = rng.integers(0, 20, 30_000)
    ids[::10], ids[1::10] = 20, 21  # always together
    corpus = train_static.Corpus(ids, np.array([0, 30_000]), np.array(["x"]), np.eye(1), 22)
    settings = train_static.Settings(pairs=64, min_count=5)
    keys = train_static.choose_pairs(corpus, settings)
    assert 20 * 22 + 21 in keys
    first, second, _ = train_static.neighbours(corpus)
    pairs, count = np.unique(first * 22 + second, return_counts=True)
    share = np.bincount(ids) / len(ids)
    for key in keys[keys >= 0]:
        observed = count[pairs == key][0]
        assert observed >= 5
        assert observed / len(first) > share[key // 22] * share[key % 22]
        bucket = train_static.bucket_of(key // 22, key % 22, 64)
        assert keys[bucket] == key


def test_composed_prompts_are_the_same_ones_each_time() -> None:
    kinds = ("wordnet", "paragraph", "section", "fortune", "docstring", "code", "dictionary")
    text = "def count(x): return x. Another sentence about {}. A third one."
    texts = [(kind, "source", f"word {i}: {text.format(i)}") for kind in kinds for i in range(20)]
    first, again = compose.compose(texts, each=50), compose.compose(texts, each=50)
    assert first == again
    assert {form for _, form, _ in first} == {
        "choice", "reading", "ending", "story", "formula", "program", "issue", "order", "pair",
    }  # fmt: skip
    assert len({text for _, _, text in first}) == len(first) > 300
    assert compose.compose(texts, each=50, seed=1) != first
