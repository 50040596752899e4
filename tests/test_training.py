"""Clusters, profiles and the choice of settings, against oracles."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans

import hypernova
from hypernova.embedder import Embedder
from hypernova.errors import EmbedderMismatchError, FitError
from hypernova.training.cluster import assign, kmeans
from hypernova.training.profile import Evidence, estimate, sum_pairs, sum_up
from hypernova.training.select import candidate_clusters, deal_folds

EXAMPLES = Path(__file__).parent.parent / "examples"


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def blobs(rng: np.random.Generator, centres: int, each: int, dim: int = 16, spread: float = 0.05):
    """Unit vectors around well separated centres, and the centre of each."""
    basis = np.eye(dim)[:centres]
    labels = np.repeat(np.arange(centres), each)
    return unit(basis[labels] + spread * rng.normal(size=(len(labels), dim))), labels


def make_table(vectors, score, **columns) -> hypernova.OutcomeTable:
    n, m = score.shape
    arguments = {
        "task_ids": [f"t{i}" for i in range(n)],
        "prompts": [f"prompt {i}" for i in range(n)],
        "models": [f"m{j}" for j in range(m)],
        "score": score,
        "embedding": vectors,
        **columns,
    }
    return hypernova.OutcomeTable.from_arrays(**arguments)


@pytest.fixture(scope="module")
def prompt_vectors() -> np.ndarray:
    """Vectors of real prompts, float32 (320, 256)."""
    table = hypernova.OutcomeTable.read(EXAMPLES / "simulated.jsonl")
    return Embedder.load("static").embed(table.prompts)


class TestClusters:
    @pytest.mark.parametrize("clusters", [4, 12, 40])
    def test_is_as_good_as_scikit_learn(self, prompt_vectors, clusters) -> None:
        ours = kmeans(prompt_vectors, clusters, seed=0)
        oracle = KMeans(clusters, n_init=4, random_state=0).fit(prompt_vectors)
        similarity = (prompt_vectors @ ours.T).max(axis=1).mean()
        expected = (prompt_vectors @ unit(oracle.cluster_centers_).T).max(axis=1).mean()
        assert similarity > expected - 0.005

    def test_finds_separate_blobs_exactly(self) -> None:
        vectors, labels = blobs(np.random.default_rng(1), centres=5, each=40)
        found, _ = assign(vectors, kmeans(vectors, 5, seed=3))
        assert len({(a, b) for a, b in zip(found, labels, strict=True)}) == 5

    def test_centroids_are_unit_and_ordered_by_size(self) -> None:
        vectors = unit(np.random.default_rng(2).normal(size=(300, 8)))
        centroids = kmeans(vectors, 7, seed=0)
        sizes = np.bincount(assign(vectors, centroids)[0], minlength=7)
        np.testing.assert_allclose(np.linalg.norm(centroids, axis=1), 1, atol=1e-5)
        assert centroids.shape == (7, 8)
        assert sizes.min() > 0
        assert np.all(np.diff(sizes) <= 0)

    def test_same_seed_same_bytes(self) -> None:
        vectors = unit(np.random.default_rng(0).normal(size=(500, 32)))
        first = kmeans(vectors, 9, seed=4)
        assert np.array_equal(first, kmeans(vectors, 9, seed=4))
        assert not np.array_equal(first, kmeans(vectors, 9, seed=5))

    def test_equal_vectors_share_a_cluster(self) -> None:
        vectors = np.repeat(np.eye(4, dtype=np.float32), 5, axis=0)
        assert len(kmeans(vectors, 4, seed=0)) == 4
        assert len(kmeans(vectors, 9, seed=0)) == 4
        with pytest.raises(FitError, match=r"21 clusters .* only 20 prompts"):
            kmeans(vectors, 21, seed=0)

    def test_assigns_as_the_definition_does(self) -> None:
        rng = np.random.default_rng(0)
        vectors, centroids = (rng.normal(size=(n, 20)).astype(np.float32) for n in (200, 11))
        clusters, distances = assign(vectors, centroids)
        exact = np.linalg.norm(vectors[:, None].astype(float) - centroids[None], axis=2)
        assert np.array_equal(clusters, exact.argmin(axis=1))
        np.testing.assert_allclose(distances, exact.min(axis=1), rtol=1e-6)


scores = st.sampled_from([0.0, 0.25, 1.0, float("nan")])


def outcomes(draw, n: int, m: int) -> np.ndarray:
    return np.array(draw(st.lists(scores, min_size=n * m, max_size=n * m))).reshape(n, m)


class TestProfiles:
    @given(st.data())
    def test_sums_equal_a_loop(self, data) -> None:
        n, m, k = data.draw(st.tuples(*[st.integers(1, 6)] * 3))
        score, cost = outcomes(data.draw, n, m), outcomes(data.draw, n, m)
        clusters = np.array(data.draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n)))
        sums = sum_up(score, cost, np.full((n, m), np.nan), clusters, k)
        pairs = sum_pairs(score, 0, clusters, k)
        for c in range(k + 1):
            rows = np.flatnonzero(clusters == c) if c < k else np.arange(n)
            for j in range(m):
                known = [score[i, j] for i in rows if not np.isnan(score[i, j])]
                assert sums.n[c, j] == len(known)
                assert sums.score[c, j] == sum(known)
                assert sums.score2[c, j] == sum(x * x for x in known)
                costs = [cost[i, j] for i in rows if not np.isnan(cost[i, j])]
                assert (sums.cost_n[c, j], sums.cost[c, j]) == (len(costs), sum(costs))
                both = [score[i, j] - score[i, 0] for i in rows]
                both = [d for d in both if not np.isnan(d)]
                assert (pairs.n[c, j], pairs.gain[c, j]) == (len(both), sum(both))
        assert not sums.latency_n.any()

    def test_sums_of_parts_add_up_to_those_of_the_whole(self) -> None:
        """DESIGN, *Scale*: training is a map and a sum."""
        rng = np.random.default_rng(0)
        score, clusters = rng.integers(0, 2, size=(90, 4)).astype(float), rng.integers(0, 5, 90)
        none = np.full_like(score, np.nan)

        def sums(rows: slice):
            return sum_up(score[rows], none[rows], none[rows], clusters[rows], 5)

        whole, added = sums(slice(None)), sums(slice(0, 37)) + sums(slice(37, None))
        assert np.array_equal(whole.n, added.n)
        assert np.array_equal(whole.score, added.score)
        pairs = [sum_pairs(score[r], 1, clusters[r], 5) for r in (slice(0, 37), slice(37, None))]
        assert np.array_equal((pairs[0] + pairs[1]).gain2, sum_pairs(score, 1, clusters, 5).gain2)

    def test_shrinks_by_the_rule_of_the_design(self) -> None:
        score = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, np.nan]])
        table = make_table(np.eye(5, dtype=np.float32), score)
        evidence = Evidence.of(table, np.array([0, 0, 1, 1, 1]), 3)
        profiles = estimate(evidence, shrinkage=10.0)
        # Overall rates lean on everyone's 4/9 with weight 20.
        prior = (np.array([2.0, 2.0]) + 20 * 4 / 9) / (np.array([5.0, 4.0]) + 20)
        expected = [
            (np.array([2, 0]) + 10 * prior) / 12,
            (np.array([0, 2]) + 10 * prior) / np.array([13, 12]),
            prior,  # nothing was seen in cluster 2
            prior,
        ]
        np.testing.assert_allclose(profiles.success, expected, rtol=1e-6)
        assert profiles.counts.tolist() == [[2, 2], [3, 2], [0, 0], [5, 4]]
        assert np.all(profiles.gain_error[:, profiles.default_model] == 0)

    def test_one_of_one_is_not_a_hundred_per_cent(self) -> None:
        """FIELD 7: a cell with few or no outcomes leans on what is known."""
        score = np.full((101, 2), np.nan)
        score[:100, 0] = np.arange(100) < 70
        score[100, 1] = 1.0
        table = make_table(unit(np.random.default_rng(0).normal(size=(101, 4))), score)
        evidence = Evidence.of(table, np.arange(101) % 2, 2)
        profiles = estimate(evidence, shrinkage=10.0)
        assert evidence.default_model == 0
        assert profiles.success[:, 1].max() < 0.75
        assert profiles.gain_error[:, 1].min() > 0.1

    def test_unknown_cost_is_not_free(self) -> None:
        score = np.ones((4, 2))
        cost = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan], [np.nan, np.nan]])
        table = make_table(np.eye(4, dtype=np.float32), score, cost_usd=cost)
        profiles = estimate(Evidence.of(table, np.array([0, 0, 1, 1]), 2), shrinkage=1.0)
        assert profiles.cost[:, 0].tolist() == [2.0, 2.0, 2.0]  # cluster 1 leans on the whole
        assert np.isnan(profiles.cost[:, 1]).all()

    def test_errors_shrink_with_evidence(self) -> None:
        rng = np.random.default_rng(0)
        errors = []
        for n in (20, 200, 2000):
            score = rng.integers(0, 2, size=(n, 2)).astype(float)
            table = make_table(unit(rng.normal(size=(n, 4))), score)
            evidence = Evidence.of(table, np.zeros(n, dtype=int), 1)
            errors.append(estimate(evidence, shrinkage=5.0).standard_error[0, 0])
        assert errors[0] > errors[1] > errors[2]
        assert errors[2] == pytest.approx(0.5 / np.sqrt(2005), rel=0.05)


class TestSelection:
    @given(st.lists(st.integers(0, 30), min_size=1, max_size=80), st.integers(0, 3))
    def test_equal_prompts_share_a_fold(self, groups, seed) -> None:
        fold = deal_folds(np.array(groups), 5, np.random.default_rng(seed))
        folds_of = {g: {f for h, f in zip(groups, fold, strict=True) if h == g} for g in groups}
        assert all(len(folds) == 1 for folds in folds_of.values())
        sizes = np.bincount([fold[groups.index(g)] for g in set(groups)], minlength=5)
        assert sizes.max() - sizes.min() <= 1

    def test_small_tables_get_few_clusters(self) -> None:
        assert candidate_clusters(12) == [1]
        assert max(candidate_clusters(100)) <= 10
        assert max(candidate_clusters(100_000)) == 96


def two_kinds(rng: np.random.Generator, n: int = 240, swap: float = 0.1):
    """Two kinds of task, and two models that are good at one each; optimum known."""
    vectors, labels = blobs(rng, centres=2, each=n // 2)
    score = np.where(labels[:, None] == np.arange(2), 1.0, 0.0)
    flip = rng.random(score.shape) < swap
    return make_table(vectors, np.where(flip, 1 - score, score)), labels


class TestFit:
    def test_finds_a_known_optimum(self) -> None:
        """FIELD 12: settings are chosen by held-out outcomes, not by the look of clusters."""
        table, labels = two_kinds(np.random.default_rng(0))
        artifact = hypernova.fit(table)
        taken = artifact.decide_many(table.embedding).model_indices
        assert np.mean(taken == labels) > 0.97
        notes = json.loads(artifact.metadata)
        assert notes["selection"]["accuracy"] > 0.85 > 0.6 > notes["selection"]["best_single"]

    def test_with_no_signal_the_default_model_takes_nearly_all(self) -> None:
        """FIELD 12: outcomes that have nothing to do with the text give no routing."""
        rng = np.random.default_rng(0)
        vectors, _ = blobs(rng, centres=8, each=50)
        score = (rng.random((400, 3)) < [0.5, 0.6, 0.5]).astype(float)
        artifact = hypernova.fit(make_table(vectors, score))
        reasons = artifact.decide_many(vectors)
        default = reasons.models.index(artifact.default_model)
        assert np.mean(reasons.model_indices == default) > 0.8

    def test_same_input_same_bytes(self) -> None:
        table, _ = two_kinds(np.random.default_rng(3), swap=0.3)
        assert hypernova.fit(table, seed=1).sha256 == hypernova.fit(table, seed=1).sha256
        assert hypernova.fit(table, seed=1).sha256 != hypernova.fit(table, seed=2).sha256

    def test_a_table_with_vectors_routes_vectors_only(self) -> None:
        table, _ = two_kinds(np.random.default_rng(0))
        router = hypernova.Router(hypernova.fit(table, clusters=2))
        assert router.decide(table.embedding[0]).model == "m0"
        with pytest.raises(EmbedderMismatchError, match=r"vectors only \(embedding of table"):
            router.route("text")
        with pytest.raises(EmbedderMismatchError, match="structure"):
            hypernova.fit(table, structure=["a prompt"])

    def test_structure_prompts_place_the_clusters(self) -> None:
        rng = np.random.default_rng(0)
        words = ["select from where join", "def return import class", "sonnet rhyme stanza verse"]
        prompts = [f"{words[i % 3]} {rng.integers(10**6)}" for i in range(60)]
        score = (rng.random((60, 2)) < 0.5).astype(float)
        table = make_table(None, score, prompts=prompts)
        structure = [f"{w} {i}" for w in words for i in range(20)]
        artifact = hypernova.fit(table, clusters=3, structure=structure)
        plain = hypernova.fit(table, clusters=3)
        assert json.loads(artifact.metadata)["structure_prompts"] == 60
        assert not np.array_equal(artifact.centroids, plain.centroids)
        # The profiles are the table's all the same.
        assert artifact.counts[-1].tolist() == [60, 60]
        # The labels do not move the clusters: other outcomes, same centroids.
        other = hypernova.fit(
            make_table(None, 1 - score, prompts=prompts), clusters=3, structure=structure
        )
        assert np.array_equal(artifact.centroids, other.centroids)

    def test_holes_and_duplicate_prompts(self) -> None:
        rng = np.random.default_rng(0)
        table, labels = two_kinds(rng)
        score = np.where(rng.random(table.score.shape) < 0.4, np.nan, table.score)
        prompts = [f"prompt {i // 2}" for i in range(table.n_tasks)]
        holes = make_table(table.embedding, score, prompts=prompts)
        taken = hypernova.fit(holes).decide_many(table.embedding).model_indices
        assert np.mean(taken == labels) > 0.9

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"clusters": 241}, "241 clusters were asked for; .* has 240 different"),
            ({"clusters": 0}, "0 clusters"),
            ({"clusters": 239}, "leave no prompt to hold out"),
            ({"clusters": "many"}, "'many'; expected a whole number"),
        ],
    )
    def test_refuses_bad_numbers_of_clusters(self, arguments, message) -> None:
        table, _ = two_kinds(np.random.default_rng(0))
        with pytest.raises(FitError, match=message):
            hypernova.fit(table, **arguments)

    def test_refuses_a_table_that_is_too_small(self) -> None:
        table = make_table(np.eye(9, dtype=np.float32), np.ones((9, 2)))
        with pytest.raises(FitError, match=r"9 different prompts; .* at least 10"):
            hypernova.fit(table)


class TestRealTable:
    def test_swebench_verified(self, shared) -> None:
        """Routing beats the best single model in-sample, and says that it is in-sample."""
        table = hypernova.OutcomeTable.read(shared / "data" / "swebench_verified")
        artifact = hypernova.fit(table)
        decisions = hypernova.Router(artifact).route_many(table.prompts)
        assert len({d.model for d in decisions}) > 1
        column = {name: j for j, name in enumerate(table.models)}
        accuracy = np.mean([table.score[i, column[d.model]] for i, d in enumerate(decisions)])
        assert accuracy > 0.744
        notes = json.loads(artifact.metadata)
        assert notes["in_sample"]["label"].startswith("in-sample")
        assert notes["in_sample"]["accuracy"] == pytest.approx(accuracy, abs=1e-6)
        assert notes["in_sample"]["best_single"] == pytest.approx(0.744)

    def test_the_bundled_artifact_is_the_one_of_that_table(self, shared) -> None:
        """Byte for byte on one kind of machine; elsewhere the same evidence."""
        table = hypernova.OutcomeTable.read(shared / "data" / "swebench_verified")
        built = hypernova.fit(table, embedder="static", seed=0)
        bundled = hypernova.Router.open().artifact
        assert built.models == bundled.models
        if built.sha256 != bundled.sha256:
            # Another CPU rounds differently; all that was counted must be the same.
            assert np.array_equal(built.counts, bundled.counts)
            np.testing.assert_allclose(built.centroids, bundled.centroids, atol=1e-5)
