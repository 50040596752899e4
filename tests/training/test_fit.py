"""k-means, and `fit` from a table to an artifact.

Not here: profiles, linear corrections, centroids of groups, the choice of a setting, targets
(test_profile_estimates, test_linear_correction, test_discriminant, test_model_selection,
test_cost_weight).
"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans

import hypernova
from hypernova.embedder import Embedder
from hypernova.errors import EmbedderMismatchError, FitError
from hypernova.training.clustering.kmeans import assign, kmeans
from hypernova.training.training_part import ESTIMATES
from support.factories import blobs, interleaved, make_table, two_kinds, unit
from support.paths import EXAMPLES


@pytest.fixture(scope="module")
def prompt_vectors() -> np.ndarray:
    """Vectors of real prompts, float32 (320, 256)."""
    table = hypernova.OutcomeTable.read(EXAMPLES / "simulated.jsonl")
    return Embedder.load("static").embed(table.prompts)


class TestClusters:
    @pytest.mark.slow
    @pytest.mark.parametrize("clusters", [4, 12, 40])
    def test_is_as_good_as_scikit_learn(self, prompt_vectors, clusters) -> None:
        """Over three seeds: with eight prompts a cluster one seed is luckier than another."""

        def similarity(centroids) -> float:
            return float((prompt_vectors @ centroids.T).max(axis=1).mean())

        ours, oracle = [], []
        for seed in range(3):
            ours.append(similarity(kmeans(prompt_vectors, clusters, seed=seed)))
            found = KMeans(clusters, n_init=4, random_state=seed).fit(prompt_vectors)
            oracle.append(similarity(unit(found.cluster_centers_)))
        assert np.mean(ours) > np.mean(oracle) - 0.005

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


class TestFit:
    def test_finds_a_known_optimum(self) -> None:
        """Settings are chosen by held-out outcomes, not by the look of clusters."""
        table, labels = two_kinds(np.random.default_rng(0))
        artifact = hypernova.fit(table)
        taken = artifact.decide_many(table.embedding).model_indices
        assert np.mean(taken == labels) > 0.97
        notes = artifact.metadata
        assert notes["selection"]["accuracy"] > 0.85 > 0.6 > notes["selection"]["best_single"]

    def test_with_no_signal_the_default_model_takes_all(self) -> None:
        """Outcomes that have nothing to do with the text give no routing."""
        rng = np.random.default_rng(0)
        vectors, _ = blobs(rng, centres=8, each=50)
        score = (rng.random((400, 3)) < [0.5, 0.7, 0.5]).astype(float)
        artifact = hypernova.fit(make_table(vectors, score))
        assert set(artifact.decide_many(vectors).model_indices) == {1}
        notes = artifact.metadata
        assert notes["selection"]["accuracy"] == notes["selection"]["best_single"]
        assert notes["in_sample"]["accuracy"] == notes["in_sample"]["best_single"]
        assert notes["in_sample"]["models_used"] == 1

    @pytest.mark.slow
    def test_same_input_same_bytes(self) -> None:
        table, _ = two_kinds(np.random.default_rng(3), swap=0.3)
        assert hypernova.fit(table, seed=1).sha256 == hypernova.fit(table, seed=1).sha256
        assert hypernova.fit(table, seed=1).sha256 != hypernova.fit(table, seed=2).sha256

    @pytest.mark.slow
    def test_same_input_same_bytes_with_groups_holes_and_a_target(self) -> None:
        rng = np.random.default_rng(0)
        vectors, place, group = interleaved(rng)
        score = ((place + group)[:, None] % 2 == np.arange(2)).astype(float)
        score[rng.random(score.shape) < 0.1] = np.nan
        score[np.isnan(score).all(axis=1)] = 1.0
        table = make_table(
            vectors,
            score,
            cost_usd=np.where(np.isnan(score), np.nan, [1.0, 0.2]),
            groups=[f"{p}{g}" for p, g in zip(place, group, strict=True)],
        )
        first, second = (hypernova.fit(table, target_cost=0.7).to_bytes() for _ in range(2))
        assert first == second
        notes = hypernova.Artifact.from_bytes(first).metadata
        assert notes["setting"]["source"] == "groups"

    @pytest.mark.slow
    def test_metadata_holds_the_setting(self) -> None:
        table, _ = two_kinds(np.random.default_rng(0))
        routed = hypernova.fit(table, seed=4).metadata
        assert routed["setting"].keys() == {
            "source",
            "clusters",
            "guard_z",
            "margin",
            "weights",
            "group_weights",
        }
        assert (routed["seed"], routed["tasks"], routed["outcomes"]) == (4, 240, 480)
        assert sum(routed["cluster_sizes"]) == 240
        assert "target" not in routed
        rng = np.random.default_rng(0)
        plain = make_table(table.embedding, (rng.random((240, 2)) < [0.9, 0.3]).astype(float))
        artifact = hypernova.fit(plain, clusters=3)
        setting = artifact.metadata["setting"]
        assert (setting["source"], setting["clusters"]) == ("prompts", 3)
        assert setting["weights"]["contrast"].keys() == set(ESTIMATES)
        assert artifact.n_clusters == 3

    def test_a_table_with_vectors_routes_vectors_only(self) -> None:
        table, _ = two_kinds(np.random.default_rng(0))
        router = hypernova.Router(hypernova.fit(table, clusters=2))
        assert router.decide(table.embedding[0]).model == "m0"
        with pytest.raises(EmbedderMismatchError, match=r"vectors only \(embedding of table"):
            router.route("text")
        with pytest.raises(EmbedderMismatchError, match="cluster_prompts"):
            hypernova.fit(table, cluster_prompts=["a prompt"])

    @pytest.mark.slow
    def test_structure_prompts_place_the_clusters(self) -> None:
        rng = np.random.default_rng(0)
        words = ["select from where join", "def return import class", "sonnet rhyme stanza verse"]
        prompts = [f"{words[i % 3]} {rng.integers(10**6)}" for i in range(60)]
        score = (rng.random((60, 2)) < 0.5).astype(float)
        table = make_table(None, score, prompts=prompts)
        others = [f"{w} {i}" for w in words for i in range(20)]
        artifact = hypernova.fit(table, clusters=3, cluster_prompts=others)
        plain = hypernova.fit(table, clusters=3)
        assert artifact.metadata["structure_prompts"] == 60
        assert not np.array_equal(artifact.centroids, plain.centroids)
        # The profiles are the table's all the same.
        assert artifact.counts[-1].tolist() == [60, 60]
        # The labels do not move the clusters: other outcomes, same centroids.
        other = hypernova.fit(
            make_table(None, 1 - score, prompts=prompts), clusters=3, cluster_prompts=others
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
            ({"clusters": 0}, "clusters is 0"),
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
    @pytest.mark.slow
    def test_swebench_verified(self, shared) -> None:
        """Routing beats the best single model in-sample, and says that it is in-sample."""
        table = hypernova.OutcomeTable.read(shared / "data" / "swebench_verified")
        artifact = hypernova.fit(table)
        decisions = hypernova.Router(artifact).route_many(table.prompts)
        assert len({d.model for d in decisions}) > 1
        column = {name: j for j, name in enumerate(table.models)}
        accuracy = np.mean([table.score[i, column[d.model]] for i, d in enumerate(decisions)])
        assert accuracy > 0.744
        notes = artifact.metadata
        assert notes["in_sample"]["label"].startswith("in-sample")
        assert notes["in_sample"]["accuracy"] == pytest.approx(accuracy, abs=1e-6)
        assert notes["in_sample"]["best_single"] == pytest.approx(0.744)

    @pytest.mark.slow
    def test_the_bundled_artifact_is_the_one_of_that_table(self, shared) -> None:
        """Byte for byte on one kind of machine; elsewhere the same evidence."""
        table = hypernova.OutcomeTable.read(shared / "data" / "swebench_verified")
        built = hypernova.fit(table, embedder="static", seed=0, describe=False)
        bundled = hypernova.Router.open().artifact
        assert built.models == bundled.models
        if built.sha256 != bundled.sha256:
            # Another CPU rounds differently; all that was counted must be the same.
            assert np.array_equal(built.counts, bundled.counts)
            np.testing.assert_allclose(built.centroids, bundled.centroids, atol=1e-5)
