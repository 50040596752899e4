"""Models that join, leave or are renamed: against a kernel, the core, and made-up truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hypernova
from hypernova.artifact.profile import ModelColumns, rebuild
from hypernova.errors import EmbedderMismatchError, ModelPoolError, TableError, UnknownModelError
from support.factories import assembled, blobs, fitted, make_table, scored, unit

NAN = float("nan")
BUNDLED = hypernova.Router.open().artifact
ARRAYS = (
    "counts", "mean", "success", "standard_error", "gain_error", "cost", "latency", "slopes",
    "offsets",
)  # fmt: skip


def served(artifact, vectors: np.ndarray) -> np.ndarray:
    """The core's estimate of each model for each vector, (n, m)."""
    seen = np.zeros((len(vectors), len(artifact.models)))
    for i, decision in enumerate(artifact.decide_many(np.ascontiguousarray(vectors))):
        for entry in decision.ranking:
            seen[i, artifact.models.index(entry.model)] = entry.success
    return seen


class TestRebuild:
    def test_nothing_changed_is_the_same_bytes(self) -> None:
        for artifact in (BUNDLED, fitted()[0], fitted(ridge=None)[0], fitted(clusters=1)[0]):
            same = rebuild(
                artifact,
                list(artifact.models),
                ModelColumns.of(artifact),
                artifact.default_model,
                artifact.metadata,
            )
            assert same.to_bytes() == artifact.to_bytes()

    def test_metadata_of_another_writer(self) -> None:
        artifact = fitted()[0]
        arrays = {name: getattr(artifact, name) for name in ARRAYS}
        for text in ("", "[1, 2]", "not JSON"):
            try:
                odd = hypernova.Artifact.build(
                    models=artifact.models,
                    centroids=artifact.centroids,
                    novelty=artifact.novelty_quantiles,
                    embedder=artifact.embedder,
                    metadata=text,
                    default_model=0,
                    **arrays,
                )
            except hypernova.HypernovaError:
                continue  # the core takes some of these, and refuses others
            renamed = hypernova.rename_model(odd, "m0", "a")
            assert renamed.metadata["changes"][0]["what"] == "rename_model"


class TestAgainstAProcess:
    """The column is the posterior mean of a Gaussian process, written out from its kernel."""

    @pytest.mark.parametrize("ridge", [None, 60.0])
    @pytest.mark.parametrize("shrinkage", [0.0, 10.0, 1e9])
    @pytest.mark.parametrize("n", [1, 7, 60])
    def test_equals_its_conditional(self, ridge, shrinkage, n) -> None:
        artifact, _ = fitted(ridge=ridge, shrinkage=shrinkage)
        rng = np.random.default_rng(n)
        table = scored(rng, n)
        made = hypernova.add_model(artifact, table).artifact
        asked = rng.permutation(blobs(rng, centres=4, each=5, spread=0.2)[0])

        # All known models' estimates, as the core that serves has them.
        y, x = table.score[:, 0], np.vstack([table.embedding, asked])
        f = served(artifact, x)
        assert f.min() > 0
        assert f.max() < 1  # nothing is cut
        overall = artifact.success[-1].astype(float)
        level = f.mean(axis=1)
        differ = f - level[:, None] - (overall - overall.mean())
        squared = ((x[:, None].astype(float) - artifact.centroids) ** 2).sum(axis=2)
        weights = np.exp(-artifact.sharpness / 2 * (squared - squared.min(axis=1)[:, None]))
        shares = weights / weights.sum(axis=1)[:, None]
        noise = (n * y.var() + 20 * 0.25) / (n + 20)
        kernel = (
            max(overall.var(ddof=1), 0.25 / 20)
            + differ @ differ.T / 3
            + shares @ shares.T * noise / max(shrinkage, 1.0)
        )
        gain = kernel[n:, :n] @ np.linalg.inv(kernel[:n, :n] + noise * np.eye(n))
        expected = level[n:] + gain @ (y - level[:n])
        seen = served(made, asked)[:, made.models.index("new")]
        np.testing.assert_allclose(seen, np.clip(expected, 0, 1), atol=3e-5)

    def test_the_error_of_a_row(self) -> None:
        """One cluster, hard assignment: the variance by hand."""
        artifact, _ = fitted(ridge=None, clusters=1)
        table = scored(np.random.default_rng(0), 30)
        made = hypernova.add_model(artifact, table).artifact
        y = table.score[:, 0]
        noise = (30 * y.var() + 5) / 50
        overall = artifact.success[-1].astype(float)
        # The rows' differences from the overall ones, which pooling makes.
        differ = artifact.success[0] - artifact.success[0].mean() - (overall - overall.mean())
        before = max(overall.var(ddof=1), 0.0125) + (differ**2).sum() / 3 + noise / 10
        after = before - before**2 / (before + noise / 30)
        assert made.standard_error[0, -1] == pytest.approx(math.sqrt(after), rel=1e-4)


class TestAdd:
    def test_what_is_known_stays(self) -> None:
        artifact = fitted()[0].replace(margin=0.03)
        made = hypernova.add_model(artifact, scored(np.random.default_rng(0), 40)).artifact
        assert made.models == (*artifact.models, "new")
        assert made.default_model == artifact.default_model
        for name in ("centroids", "novelty_quantiles"):
            assert np.array_equal(getattr(made, name), getattr(artifact, name))
        assert {**made.policy} == {**artifact.policy}
        assert hypernova.remove_model(made, "m0").margin == made.margin == 0.03
        assert hypernova.rename_model(made, "new", "newer").margin == 0.03
        assert made.embedder == artifact.embedder
        for name in ARRAYS:
            old, new = getattr(artifact, name), getattr(made, name)
            kept = new[:4] if name in ("slopes", "offsets") else new[:, :4]
            assert np.array_equal(kept, old, equal_nan=True), name

    def test_counts_and_means_are_those_of_the_outcomes(self) -> None:
        artifact, _ = fitted()
        table = scored(np.random.default_rng(1), 40)
        made = hypernova.add_model(artifact, table).artifact
        clusters = artifact.decide_many(table.embedding).clusters
        for c in range(artifact.n_clusters):
            here = table.score[clusters == c, 0]
            assert made.counts[c, -1] == len(here)
            assert made.mean[c, -1] == pytest.approx(here.mean() if len(here) else 0)
        assert made.counts[-1, -1] == 40

    def test_several_at_once_are_each_as_alone(self) -> None:
        artifact, _ = fitted()
        rng = np.random.default_rng(2)
        table = scored(rng, 50, names=("b", "a"))
        both = hypernova.add_model(artifact, table).artifact
        assert both.models[-2:] == ("a", "b")
        alone = hypernova.add_model(artifact, table, models=["b"]).artifact
        assert np.array_equal(both.success[:, -1], alone.success[:, -1])

    def test_what_is_hard_for_all_is_hard_for_it(self) -> None:
        """Scored in easy clusters only, it is expected to fail where all fail."""
        rng = np.random.default_rng(0)
        vectors, labels = blobs(rng, centres=3, each=200)
        score = (rng.random((600, 4)) < np.array([0.9, 0.8, 0.1])[labels][:, None]).astype(float)
        table = make_table(vectors, score)
        artifact = assembled(table, vectors, 3)
        easy = np.flatnonzero(labels < 2)[::10]
        few = make_table(vectors[easy], np.ones((len(easy), 2)))
        few = hypernova.OutcomeTable.from_arrays(
            task_ids=few.task_ids, prompts=few.prompts, models=["new"],
            score=np.ones((len(easy), 1)), embedding=few.embedding, min_models=1,
        )  # fmt: skip
        made = hypernova.add_model(artifact, few).artifact
        place = {c: labels[artifact.decide_many(vectors).clusters == c][0] for c in range(3)}
        success = {place[c]: made.success[c, -1] for c in range(3)}
        assert success[0] > 0.85
        assert success[2] < 0.4
        # Nothing was seen there, and the error says so.
        error = {place[c]: made.standard_error[c, -1] for c in range(3)}
        assert error[2] > 1.1 * error[0]

    def test_it_is_taken_where_it_is_better_and_only_there(self) -> None:
        """240 outcomes: the decisions are those of the full fit."""
        rng = np.random.default_rng(0)
        vectors, labels = blobs(rng, centres=4, each=100)
        rates = np.full((4, 4), 0.6)
        rates[:, 3] = [0.95, 0.3, 0.95, 0.3]
        rates[:, 1] -= 0.3
        score = (rng.random((400, 4)) < rates[labels]).astype(float)
        known = make_table(vectors, score[:, :3])
        artifact = assembled(known, vectors, 4, guard_z=1.0)
        at = np.arange(0, 400, 2)
        joined = hypernova.OutcomeTable.from_arrays(
            task_ids=[f"n{i}" for i in at], prompts=[f"n{i}" for i in at], models=["m3"],
            score=score[at][:, 3:], embedding=vectors[at], min_models=1,
        )  # fmt: skip
        made = hypernova.add_model(artifact, joined).artifact
        taken = np.array(made.models)[made.decide_many(vectors).model_indices] == "m3"
        assert np.array_equal(taken, np.isin(labels, [0, 2]))
        (report,) = hypernova.add_model(artifact, joined).models
        assert (report.clusters_chosen, report.clusters_proven) == (2, 2)
        assert (report.prompts, report.prompts_chosen) == (200, 100)

    def test_one_lucky_outcome_changes_no_decision(self) -> None:
        artifact, table = fitted(ridge=None)
        one = scored(np.random.default_rng(0), 1, score=np.ones((1, 1)))
        made = hypernova.add_model(artifact, one).artifact
        before, after = (a.decide_many(table.embedding).model_indices for a in (artifact, made))
        assert np.array_equal(before, after)

    def test_metadata_say_what_was_done_and_no_prompt(self) -> None:
        artifact, _ = fitted()
        made = hypernova.add_model(artifact, scored(np.random.default_rng(0), 40)).artifact
        notes = made.metadata
        assert notes["as_fitted"] == {"models": ["m0", "m1", "m2", "m3"], "in_sample": {
            "accuracy": 0.5
        }}  # fmt: skip
        assert "in_sample" not in notes
        (change,) = notes["changes"]
        assert change["from"] == artifact.sha256
        assert change["models"] == [
            {"model": "new", "prompts": 40, "paired": 0, "shared_luck": 0.0}
        ]
        assert b"scored 3" not in made.to_bytes()

    def test_text_is_embedded_with_the_artifacts_own(self) -> None:
        prompts = ["Fix the race in the scheduler", "QuerySet.union() drops the ordering"]
        table = hypernova.OutcomeTable.from_arrays(
            task_ids=["a", "b"], prompts=prompts, models=["new"], score=[[1.0], [0.0]],
            # Of another origin: not read.
            embedding=np.eye(2, 7), min_models=1,
        )  # fmt: skip
        made = hypernova.add_model(BUNDLED, table).artifact
        router = hypernova.Router(BUNDLED)
        expected = np.bincount(
            [router.route(p).cluster for p in prompts], minlength=BUNDLED.n_clusters
        )
        assert made.counts[:-1, -1].tolist() == expected.tolist()


class TestPairs:
    def table(self, rng, artifact, copies: bool):
        """A new model with the default model's very outcomes, or independent ones."""
        n = 200
        luck = rng.integers(0, 2, n).astype(float)
        own = luck if copies else rng.integers(0, 2, n).astype(float)
        score = np.column_stack([own, luck])
        return scored(rng, n, names=("new", artifact.default_model), score=score)

    def test_paired_outcomes_of_the_default_model_lower_the_error(self) -> None:
        artifact, _ = fitted()
        table = self.table(np.random.default_rng(0), artifact, copies=True)
        added = hypernova.add_model(artifact, table)
        made, (report,) = added.artifact, added.models
        unpaired = hypernova.OutcomeTable.from_arrays(
            task_ids=table.task_ids, prompts=table.prompts, models=["new"],
            score=table.score[:, [table.models.index("new")]], embedding=table.embedding,
            min_models=1,
        )  # fmt: skip
        added = hypernova.add_model(artifact, unpaired)
        alone, (other,) = added.artifact, added.models
        assert (report.paired, other.paired) == (200, 0)
        assert report.control_coefficient > 0.85
        assert np.all(made.gain_error[:, -1] < 0.6 * alone.gain_error[:, -1])
        # It is as good as the default model, however lucky both were on these prompts.
        default = artifact.models.index(artifact.default_model)
        gap = made.success[-1, -1] - made.success[-1, default]
        assert abs(gap) < 0.25 * abs(alone.success[-1, -1] - made.success[-1, default]) + 0.01

    def test_independent_outcomes_of_the_default_model_have_no_weight(self) -> None:
        artifact, _ = fitted()
        table = self.table(np.random.default_rng(1), artifact, copies=False)
        added = hypernova.add_model(artifact, table)
        made, (report,) = added.artifact, added.models
        assert report.control_coefficient < 0.15
        assert made.models[-1] == "new"

    def test_unpaired_errors_add_up(self) -> None:
        artifact, _ = fitted()
        made = hypernova.add_model(artifact, scored(np.random.default_rng(0), 40)).artifact
        default = artifact.models.index(artifact.default_model)
        expected = np.hypot(made.standard_error[:, -1], artifact.standard_error[:, default])
        np.testing.assert_allclose(made.gain_error[:, -1], expected, rtol=1e-6)


class TestCosts:
    def test_dear_clusters_are_expected_to_be_dear(self) -> None:
        artifact, _ = fitted()
        clusters_cost = artifact.cost[:-1, 0] / artifact.cost[-1, 0]
        rng = np.random.default_rng(0)
        cost = np.full((8, 1), NAN)
        cost[0] = 7.0
        table = scored(rng, 8, cost_usd=cost)
        made = hypernova.add_model(artifact, table).artifact
        at = int(artifact.decide_many(table.embedding[:1]).clusters[0])
        # One cost, as dear as its cluster: all others follow in proportion.
        expected = 7.0 * clusters_cost / clusters_cost[at]
        np.testing.assert_allclose(made.cost[:-1, -1], expected, rtol=1e-4)
        assert made.cost[-1, -1] == pytest.approx(7.0 / clusters_cost[at], rel=1e-4)
        assert np.isnan(made.latency[:, -1]).all()

    def test_unknown_is_not_free(self) -> None:
        made = hypernova.add_model(fitted()[0], scored(np.random.default_rng(0), 20)).artifact
        assert np.isnan(made.cost[:, -1]).all()

    def test_where_no_known_model_has_a_latency(self) -> None:
        latency = np.full((20, 1), 2.0)
        table = scored(np.random.default_rng(0), 20, latency_s=latency)
        made = hypernova.add_model(fitted()[0], table).artifact
        np.testing.assert_allclose(made.latency[:, -1], 2.0)


class TestNovel:
    @settings(max_examples=30)
    @given(st.integers(0, 1000), st.integers(2, 40))
    def test_is_that_of_the_core(self, seed, quantiles) -> None:
        rng = np.random.default_rng(seed)
        artifact, _ = fitted()
        steps = np.sort(rng.choice(rng.uniform(0, 1.2, quantiles), quantiles)).astype(np.float32)
        built = hypernova.Artifact.build(
            models=artifact.models, centroids=artifact.centroids, novelty=steps,
            embedder=artifact.embedder, metadata="{}", default_model=0, novelty_limit=0.6,
            **{name: getattr(artifact, name) for name in ARRAYS},
        )  # fmt: skip
        decided = built.decide_many(unit(rng.normal(size=(50, 16))))
        expected = decided.novelties.astype(np.float64) > 0.6
        assert np.array_equal(built.is_novel(decided.distances), expected)


class TestRefused:
    def test_a_model_that_is_there_already(self) -> None:
        artifact, _ = fitted()
        rng = np.random.default_rng(0)
        with pytest.raises(ModelPoolError, match=r"'m1' already.*recalibrate.*remove-model"):
            hypernova.add_model(artifact, scored(rng, 5, names=("m1", "new")))
        with pytest.raises(ModelPoolError, match=r"'m1' already.*recalibrate.*remove-model"):
            hypernova.add_model(artifact, scored(rng, 5, names=("m1", "new")), models=["m1"])
        default = artifact.default_model
        with pytest.raises(ModelPoolError, match="the default model"):
            hypernova.add_model(artifact, scored(rng, 5, names=(default,)))
        # Named ones only: those of others are not read.
        made = hypernova.add_model(
            artifact, scored(rng, 5, names=("m1", "new")), models=["new"]
        ).artifact
        assert made.models[-1] == "new"

    def test_unknown_and_repeated_names(self) -> None:
        artifact, _ = fitted()
        table = scored(np.random.default_rng(0), 5)
        with pytest.raises(ModelPoolError, match=r"no outcome of the model 'nwe'.*'new'"):
            hypernova.add_model(artifact, table, models=["nwe"])
        with pytest.raises(ModelPoolError, match="twice"):
            hypernova.add_model(artifact, table, models=["new", "new"])

    def test_vectors_only(self) -> None:
        artifact, _ = fitted()
        texts = hypernova.OutcomeTable.from_arrays(
            task_ids=["a"], prompts=["Add"], models=["new"], score=[[1.0]], min_models=1
        )
        with pytest.raises(EmbedderMismatchError, match="no embedding; add a column"):
            hypernova.add_model(artifact, texts)
        other = hypernova.OutcomeTable.from_arrays(
            task_ids=["a"], prompts=["Add"], models=["new"], score=[[1.0]], min_models=1,
            embedding=np.eye(1, 5),
        )  # fmt: skip
        with pytest.raises(EmbedderMismatchError, match="vectors of 5 dimensions"):
            hypernova.add_model(artifact, other)
        with pytest.raises(EmbedderMismatchError, match="vectors only"):
            hypernova.next_prompts(artifact, ["Add"])

    @pytest.mark.slow
    def test_another_embedder(self) -> None:
        table = hypernova.OutcomeTable.from_arrays(
            task_ids=["a"], prompts=["Add"], models=["new"], score=[[1.0]], min_models=1
        )
        with pytest.raises(EmbedderMismatchError, match=r"static.*minilm"):
            hypernova.add_model(BUNDLED, table, embedder="minilm")

    def test_a_table_to_learn_from_still_needs_two_models(self) -> None:
        with pytest.raises(TableError, match="one model only"):
            hypernova.OutcomeTable.from_arrays(
                task_ids=["a"], prompts=["Add"], models=["new"], score=[[1.0]]
            )


class TestRemove:
    def test_takes_back_what_was_added(self) -> None:
        artifact, _ = fitted()
        made = hypernova.add_model(artifact, scored(np.random.default_rng(0), 40)).artifact
        back = hypernova.remove_model(made, "new")
        assert back.models == artifact.models
        for name in ARRAYS:
            assert np.array_equal(getattr(back, name), getattr(artifact, name), equal_nan=True)
        assert [c["what"] for c in back.metadata["changes"]] == [
            "add_model", "remove_model",
        ]  # fmt: skip

    def test_decides_as_when_it_is_denied(self) -> None:
        rng = np.random.default_rng(0)
        vectors = unit(rng.normal(size=(300, BUNDLED.dim)))
        gone = [BUNDLED.models[0], BUNDLED.models[7]]
        assert BUNDLED.default_model not in gone
        left = hypernova.remove_model(BUNDLED, gone)
        denied = BUNDLED.decide_many(vectors, deny=gone)
        for mine, other in zip(left.decide_many(vectors), denied, strict=True):
            assert [e.model for e in mine.ranking] == [e.model for e in other.ranking]

    def test_the_default_model_needs_a_successor(self) -> None:
        default = BUNDLED.default_model
        with pytest.raises(ModelPoolError, match="is the default model"):
            hypernova.remove_model(BUNDLED, default)
        with pytest.raises(ModelPoolError, match="cannot be removed and the new default"):
            hypernova.remove_model(BUNDLED, default, default=default)
        heir = next(name for name in BUNDLED.models if name != default)
        left = hypernova.remove_model(BUNDLED, default, default=heir)
        assert left.default_model == heir
        place = left.models.index(heir)
        assert not left.gain_error[:, place].any()
        others = [i for i in range(len(left.models)) if i != place]
        error = left.standard_error.astype(float)
        expected = np.sqrt(error[:, others] ** 2 + error[:, [place]] ** 2)
        np.testing.assert_allclose(left.gain_error[:, others], expected, rtol=1e-6)

    def test_the_last_an_unknown_one_or_one_twice(self) -> None:
        artifact, _ = fitted()
        with pytest.raises(ModelPoolError, match="no model would be left"):
            hypernova.remove_model(artifact, list(artifact.models))
        with pytest.raises(UnknownModelError, match="no model 'm9'; it holds 'm0'"):
            hypernova.remove_model(artifact, "m9")
        with pytest.raises(UnknownModelError, match="m9"):
            hypernova.remove_model(artifact, "m1", default="m9")
        with pytest.raises(ModelPoolError, match="twice"):
            hypernova.remove_model(artifact, ["m1", "m1"])
        with pytest.raises(ModelPoolError, match="no model is named"):
            hypernova.remove_model(artifact, [])
        others = [name for name in artifact.models if name != artifact.default_model]
        assert hypernova.remove_model(artifact, others).models == (artifact.default_model,)


class TestRename:
    @pytest.mark.parametrize("which", [0, BUNDLED.models.index(BUNDLED.default_model)])
    def test_changes_the_name_and_nothing_else(self, which) -> None:
        old = BUNDLED.models[which]
        renamed = hypernova.rename_model(BUNDLED, old, "näme 1")
        assert renamed.models[which] == "näme 1"
        assert (renamed.default_model == "näme 1") == (old == BUNDLED.default_model)
        for name in ARRAYS:
            mine, other = getattr(renamed, name), getattr(BUNDLED, name)
            assert np.array_equal(mine, other, equal_nan=True)
        # Figures of the fit are still those of these models.
        notes, before = renamed.metadata, BUNDLED.metadata
        assert {k: v for k, v in notes.items() if k != "changes"} == before
        back = hypernova.rename_model(renamed, "näme 1", old)
        assert back.models == BUNDLED.models

    @pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x7f", "\ud800"])
    def test_an_unprintable_name_is_refused(self, name) -> None:
        with pytest.raises(ModelPoolError, match="is no name of a model"):
            hypernova.rename_model(fitted()[0], "m0", name)

    def test_a_name_that_is_taken_or_unknown_is_refused(self) -> None:
        artifact, _ = fitted()
        for taken in ("m1", "m0"):
            with pytest.raises(ModelPoolError, match="already; choose another"):
                hypernova.rename_model(artifact, "m0", taken)
        with pytest.raises(UnknownModelError, match="no model 'm7'"):
            hypernova.rename_model(artifact, "m7", "a")
