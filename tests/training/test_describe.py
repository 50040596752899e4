"""Telling words and typical prompts: against a plain reading of the formula, and on odd text.

Not here: how they are printed (test_inspect.py) or drawn (test_html.py).
"""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hypernova
from hypernova.training.clustering.describe import LINE_CHARS, describe, one_line
from hypernova.training.clustering.kmeans import assign, kmeans


def of(prompts: list[str], clusters: list[int], vectors: np.ndarray | None = None):
    k = max(clusters) + 1
    centroids = np.eye(k, 8, dtype=np.float32)
    if vectors is None:
        vectors = centroids[clusters]
    return describe(prompts, vectors, centroids, np.array(clusters))


def distinctive(prompts: list[str], clusters: list[int]) -> list[list[str]]:
    return [description.words for description in of(prompts, clusters)]


COOKING = [f"bake the bread number {i} in a hot oven" for i in range(6)]
SAILING = [f"hoist the sail number {i} in a stiff breeze" for i in range(6)]


class TestWords:
    def test_words_of_one_cluster_and_not_of_the_other(self) -> None:
        cooking, sailing = distinctive(COOKING + SAILING, [0] * 6 + [1] * 6)
        assert set(cooking) == {"bake", "bread", "hot", "oven"}
        assert set(sailing) == {"hoist", "sail", "stiff", "breeze"}

    def test_the_formula_word_by_word(self) -> None:
        """Monroe, Colaresi and Quinn (2008), equations 15, 18, 19 and 22, in plain sums."""
        rng = np.random.default_rng(3)
        vocabulary = [f"word{letter}" for letter in "abcdefghij"]
        rates = [rng.dirichlet(np.ones(10) * 2) for _ in range(2)]
        clusters = [0] * 150 + [1] * 90
        prompts = [
            " ".join({vocabulary[w] for w in rng.choice(10, 4, p=rates[c])}) + f" {i}"
            for i, c in enumerate(clusters)
        ]
        count = np.zeros((2, 10))
        for prompt, cluster in zip(prompts, clusters, strict=True):
            for word in prompt.split()[:-1]:
                count[cluster, vocabulary.index(word)] += 1
        n = count.sum(axis=1)
        weight = 0.1 * n.sum()  # below 500
        prior = weight * count.sum(axis=0) / n.sum()
        z = {}
        for w, word in enumerate(vocabulary):
            odds = [
                (count[c, w] + prior[w]) / (n[c] + weight - count[c, w] - prior[w]) for c in (0, 1)
            ]
            variance = sum(1 / (count[c, w] + prior[w]) for c in (0, 1))
            z[word] = (math.log(odds[0]) - math.log(odds[1])) / math.sqrt(variance)
        expected = sorted((word for word in z if z[word] > 1.645), key=lambda word: -z[word])
        assert distinctive(prompts, clusters)[0] == expected
        assert len(expected) >= 2

    def test_a_word_of_two_prompts_is_never_kept(self) -> None:
        elsewhere = [f"{prompt} round {i}" for prompt in SAILING for i in range(4)]
        prompts = [*COOKING[:4], "xylograph oven one", "xylograph oven two", *elsewhere]
        clusters = [0] * 6 + [1] * 24
        assert "xylograph" not in str(distinctive(prompts, clusters))
        prompts[0] = "xylograph oven three"
        assert "xylograph" in distinctive(prompts, clusters)[0]

    def test_a_repeated_prompt_counts_once(self) -> None:
        prompts = ["secret code word"] * 50 + COOKING + SAILING
        words = distinctive(prompts, [0] * 56 + [1] * 6)
        assert "secret" not in str(words)

    def test_numbers_addresses_and_single_letters_are_no_words(self) -> None:
        noise = "the 12345 ____ https://example.org/oven/breeze a x ''"
        prompts = [f"{prompt} {noise}" for prompt in COOKING]
        assert set(distinctive(prompts + SAILING, [0] * 6 + [1] * 6)[0]) == {
            "bake", "bread", "hot", "oven",
        }  # fmt: skip

    def test_identifiers_and_other_scripts(self) -> None:
        here = [f"QuerySet.union_all() हिन्दी ошибка 数据库 naïve {i}" for i in range(5)]
        words = distinctive(here + SAILING, [0] * 5 + [1] * 6)[0]
        assert set(words) == {"queryset", "union_all", "हिन्दी", "ошибка", "数据库", "naïve"}

    @pytest.mark.parametrize(
        "prompts",
        [["one"], ["same"] * 9, ["same words here"] * 3, ["?!"] * 4, ["oven", "oven"], [""]],
    )
    def test_prompts_without_words_of_their_own_have_none(self, prompts) -> None:
        assert distinctive(prompts, [0] * len(prompts)) == [[]]
        if len(prompts) > 1:
            distinctive(prompts, [0] + [1] * (len(prompts) - 1))

    def test_a_cluster_without_tasks(self) -> None:
        empty = describe(["a b"], np.eye(1, 4), np.eye(3, 4), np.array([2]))
        assert [(d.words, d.prompts) for d in empty] == [([], []), ([], []), ([], ["a b"])]

    def test_the_same_in_any_order_of_tasks(self) -> None:
        prompts, clusters = COOKING + SAILING, [0] * 6 + [1] * 6
        assert distinctive(prompts[::-1], clusters[::-1]) == distinctive(prompts, clusters)

    @pytest.mark.slow
    @given(st.lists(st.text(max_size=60), min_size=1, max_size=12))
    def test_any_prompts_have_a_printable_description(self, prompts) -> None:
        for description in of(prompts, [i % 2 for i in range(len(prompts))]):
            assert len(description.words) <= 8
            assert len(description.prompts) <= 3
            assert all(line.isprintable() and line.strip() for line in description.prompts)


class TestPrompts:
    def test_the_nearest_different_prompts_first(self) -> None:
        vectors = np.zeros((5, 8), dtype=np.float32)
        vectors[:, 0] = [0.2, 0.9, 0.5, 0.9, 0.7]
        prompts = ["far", "near\nmore", "third", "near\nmore", "second"]
        assert of(prompts, [0] * 5, vectors)[0].prompts == ["near", "second", "third"]

    def test_the_same_first_line_once(self) -> None:
        prompts = ["Read this.\nA", "Read this.\nB", "Solve that."]
        assert of(prompts, [0, 0, 0])[0].prompts == ["Read this.", "Solve that."]

    def test_a_prompt_is_shown_as_one_printable_line(self) -> None:
        assert one_line("\n \t\r\n  first   line \nsecond") == "first line"
        assert one_line("\x1b[31mred\x07\u202etxt\u2066") == "[31mredtxt"
        cut = one_line("word " * 90)
        assert len(cut) <= LINE_CHARS
        assert cut.endswith("word…")
        assert one_line("\n\x00\n") == ""


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    prompts = [f"{p} round {i}" for i in range(4) for p in COOKING + SAILING]
    return hypernova.OutcomeTable.from_arrays(
        task_ids=[str(i) for i in range(len(prompts))],
        prompts=prompts,
        models=["a", "b"],
        score=rng.random((len(prompts), 2)),
    )


class TestFit:
    def test_the_artifact_keeps_words_and_no_prompt(self, table) -> None:
        fitted = hypernova.fit(table, clusters=2)
        words = fitted.metadata["words"]
        assert len(words) == 2
        assert {"oven", "sail"} <= {word for cluster in words for word in cluster}
        for prompt in table.prompts:
            assert prompt.encode() not in fitted.to_bytes()

    @pytest.mark.slow
    def test_without_description_nothing_else_changes(self, table) -> None:
        plain = hypernova.fit(table, clusters=2, describe=False)
        described = hypernova.fit(table, clusters=2)
        assert re.search(b"oven|bake|sail", plain.to_bytes()) is None
        notes = described.metadata
        del notes["words"]
        assert notes == plain.metadata
        assert np.array_equal(plain.centroids, described.centroids)
        assert np.array_equal(plain.success, described.success)

    def test_a_table_that_brings_vectors(self, table) -> None:
        vectors = np.repeat(np.eye(2, 6), [24, 24], axis=0)[np.argsort(np.arange(48) % 12 >= 6)]
        own = hypernova.OutcomeTable.from_arrays(
            task_ids=table.task_ids,
            prompts=table.prompts,
            models=table.models,
            score=table.score,
            embedding=vectors,
        )
        words = hypernova.fit(own, clusters=2).metadata["words"]
        assert len(words) == 2


@pytest.mark.slow
def test_real_clusters_are_told_apart(shared) -> None:
    """Repositories are the subject of an issue: words must name them."""
    pytest.importorskip("pyarrow", reason="the table is Parquet files")
    table = hypernova.OutcomeTable.read(shared / "data" / "swebench_verified")
    vectors = hypernova.Embedder.load("static").embed(list(table.prompts))
    centroids = kmeans(vectors, 4, seed=0, starts=2)
    described = describe(table.prompts, vectors, centroids, assign(vectors, centroids)[0])
    words = {word for cluster in described for word in cluster.words}
    assert {"django", "sympy"} <= words
    assert all(len(cluster.prompts) == 3 for cluster in described)
    # Told apart: few words may set two of the four apart from the others.
    assert len(words) >= 0.9 * sum(len(cluster.words) for cluster in described)
