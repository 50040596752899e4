"""Sketches of prompts in the log: what they hold, who asks for them, and damaged ones."""

from __future__ import annotations

import base64
import hashlib
import json
import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest

import hypernova
from hypernova.artifact.profile import clusters_of_groups
from hypernova.artifact.sketch import KEY, SketchBasis
from hypernova.errors import RecalibrateError
from hypernova.training.online.generation import mean_success
from hypernova.training.online.lineage import Lineage
from support.factories import make_table, unit

if TYPE_CHECKING:
    from pathlib import Path

DIM, TASKS = 24, 240


def table(seed: int = 0, shift: float = 0.0) -> hypernova.OutcomeTable:
    """Three models that are as good as each other but along the first direction."""
    rng = np.random.default_rng(seed)
    vectors = unit(rng.normal(size=(TASKS, DIM)) * np.linspace(1.0, 0.2, DIM)).astype("f4")
    chance = 0.6 + np.outer(vectors[:, 0] - shift, [0.5, -0.5, 0.0])
    return make_table(vectors, (rng.random((TASKS, 3)) < chance).astype(float))


@pytest.fixture(scope="module")
def artifact() -> hypernova.Artifact:
    return hypernova.fit(table(), describe=False, jobs=1)


def basis_of(artifact: hypernova.Artifact) -> SketchBasis:
    basis = SketchBasis.of(artifact)
    assert basis is not None
    return basis


class TestBasis:
    def test_directions_are_the_principal_components_of_the_table(self, artifact) -> None:
        vectors = table().embedding
        basis = basis_of(artifact)
        assert basis.directions.shape == (16, DIM)
        values, found = np.linalg.eigh(np.cov(vectors.T.astype(float), bias=True))
        cosines = np.abs(np.sum(basis.directions * found[:, ::-1][:, :16].T, axis=1))
        np.testing.assert_allclose(cosines, 1.0, atol=1e-3)
        np.testing.assert_allclose(basis.spread, np.sqrt(values[::-1][:16]), rtol=1e-3)
        coordinates = basis.standardized(vectors)
        np.testing.assert_allclose(coordinates.mean(axis=0), 0.0, atol=0.02)
        np.testing.assert_allclose(coordinates.std(axis=0), 1.0, rtol=0.02)

    def test_a_sketch_gives_the_coordinates_back(self, artifact) -> None:
        basis, vector = basis_of(artifact), table(1).embedding[0]
        sketch = basis.sketch(vector)
        assert len(sketch) == 17
        assert sketch[0] == 1
        found = basis.coordinates(sketch)
        np.testing.assert_allclose(found, basis.standardized(vector), atol=1 / 32 + 1e-9)
        slopes, offsets = basis.linear(np.eye(16))
        np.testing.assert_allclose(slopes @ vector + offsets, basis.standardized(vector), atol=1e-5)

    @pytest.mark.parametrize("sketch", [b"", b"\x01", b"\x02" + bytes(16), b"\x01" + bytes(17)])
    def test_another_form_is_not_read(self, artifact, sketch) -> None:
        assert basis_of(artifact).coordinates(sketch) is None

    @pytest.mark.parametrize(
        "damage",
        [
            None, [], {}, {"directions": "!"}, {"center": [0.0] * 15}, {"spread": [0.0] * 16},
            {"tasks": "many"}, {"tasks": float("inf")}, {"center": [float("nan")] * 16},
            {"directions": ""}, {"center": [[0.0]] * 16},
        ],
    )  # fmt: skip
    def test_a_damaged_one_is_none(self, artifact, damage) -> None:
        good = artifact.metadata[KEY]
        assert SketchBasis.parse(good, DIM) is not None
        stored = {**good, **damage} if damage else damage
        assert SketchBasis.parse(stored, DIM) is None
        assert SketchBasis.parse(good, DIM + 1) is None

    def test_few_and_equal_vectors(self) -> None:
        assert SketchBasis.of_sums(5.0, np.ones(4) * 5, np.ones((4, 4)) * 5) is None
        two = np.eye(2, 4)
        basis = SketchBasis.of_sums(2.0, two.sum(axis=0), two.T @ two)
        assert basis is not None
        assert basis.dims == 1


def decision_records(folder: Path) -> list[dict[str, object]]:
    lines = b"".join(path.read_bytes() for path in folder.glob("*.jsonl")).splitlines()
    return [record for record in map(json.loads, lines) if record["type"] == "decision"]


class TestLog:
    def test_only_who_asks_gets_sketches(self, artifact, tmp_path) -> None:
        vector = table(1).embedding[0]
        decision = artifact.decide(vector)
        batch = artifact.decide_many(table(1).embedding[:2])
        for folder, options in (("none", {}), ("kept", {"sketch": True})):
            with hypernova.OutcomeLog(tmp_path / folder, **options) as log:
                log.record_decision(decision)
                log.record_decision(batch[0])
                log.record_decision(decision.after_failure(decision.model))
                log.record_decision(pickle.loads(pickle.dumps(batch[1])))
        assert all("sketch" not in record for record in decision_records(tmp_path / "none"))
        sketches = [record.get("sketch") for record in decision_records(tmp_path / "kept")]
        expected = base64.b64encode(basis_of(artifact).sketch(vector)).decode()
        assert sketches == [expected, expected, expected, None]  # a pickle holds no vector
        again = pickle.loads(pickle.dumps(log))
        assert again._sketcher is not None
        with pytest.raises(ValueError, match="sketch is 'yes'; expected True or False"):
            hypernova.OutcomeLog(tmp_path / "x", sketch="yes")

    def test_an_artifact_without_directions_has_none(self, artifact, tmp_path) -> None:
        metadata = {name: value for name, value in artifact.metadata.items() if name != KEY}
        older = artifact.replace(metadata=metadata)
        with hypernova.OutcomeLog(tmp_path, sketch=True) as log:
            log.record_decision(older.decide(table(1).embedding[0]))
        assert "sketch" not in decision_records(tmp_path)[0]


def serve(artifact, folder: Path, *, n: int, sketch: bool, seed: int = 3) -> hypernova.OutcomeTable:
    """Serve a world whose first direction turned round: what was good there is bad now."""
    rng = np.random.default_rng(seed)
    vectors = unit(rng.normal(size=(n, DIM)) * np.linspace(1.0, 0.2, DIM)).astype("f4")
    chance = 0.6 + np.outer(vectors[:, 0], [-0.5, 0.5, 0.0])
    with hypernova.OutcomeLog(folder, sketch=sketch) as log:
        for x, p in zip(vectors, chance, strict=True):
            decision = artifact.decide(x, explore=0.3, explore_seed=int(rng.integers(2**63)))
            log.record_decision(decision)
            rate = p[artifact.models.index(decision.model)]
            log.record_outcome(decision, float(rng.random() < rate))
    return make_table(vectors, chance.clip(0, 1))


def regret(artifact, truth: hypernova.OutcomeTable) -> float:
    taken = artifact.decide_many(truth.embedding).model_indices
    best = truth.score.max(axis=1)
    return float(np.mean(best - truth.score[np.arange(len(taken)), taken]))


class TestRecalibrate:
    def test_a_direction_that_turned_round_is_found(self, artifact, tmp_path) -> None:
        artifact = artifact.replace(margin=0.0)
        truth = serve(artifact, tmp_path / "with", n=1500, sketch=True)
        serve(artifact, tmp_path / "without", n=1500, sketch=False)
        found = hypernova.recalibrate(artifact, tmp_path / "with")
        plain = hypernova.recalibrate(artifact, tmp_path / "without")
        assert found.sketched > 1400  # without the novel ones
        assert (found.damaged_sketches, plain.sketched) == (0, 0)
        before, after = regret(artifact, truth), regret(found.artifact, truth)
        assert after < 0.6 * before
        assert after < regret(plain.artifact, truth)
        turned = (found.artifact.slopes - artifact.slopes)[:, 0]
        assert turned[0] < 0.0 < turned[1]
        # The record says what the corrections are: the fitted ones, and these.
        assert np.any(found.artifact.slopes != artifact.slopes)
        assert np.array_equal(found.artifact.centroids, artifact.centroids)

    def test_steps_are_the_whole_also_by_decisions_of_descendants(self, artifact, tmp_path) -> None:
        """Residuals are of the fitted artifact, whichever of its descendants decided."""
        deciding = artifact
        for step in range(3):
            serve(deciding, tmp_path / str(step), n=300, sketch=True, seed=step)
            deciding = hypernova.recalibrate(deciding, tmp_path / str(step)).artifact
        again = hypernova.recalibrate(deciding, [tmp_path / str(step) for step in range(3)])
        assert again.outcomes == 0
        for name in ("success", "slopes", "offsets", "counts", "gain_error"):
            assert np.array_equal(getattr(again.artifact, name), getattr(deciding, name))
        assert again.artifact.margin == deciding.margin <= artifact.margin
        # Were the changes of ancestors not taken off, a stretch would count more than once.
        sums = deciding.metadata["recalibration"]
        assert sums["outcomes"] == 900
        at_once = hypernova.recalibrate(artifact, tmp_path / "0").artifact
        other = hypernova.recalibrate(artifact, tmp_path / "0").artifact
        assert at_once.to_bytes() == other.to_bytes()

    @pytest.mark.parametrize("half_life", [None, 0.001])
    def test_two_logs_one_after_the_other_are_both_at_once(
        self, artifact, tmp_path, half_life
    ) -> None:
        for step in range(2):
            serve(artifact, tmp_path / str(step), n=200, sketch=True, seed=step)
        folders = [tmp_path / "0", tmp_path / "1"]
        at_once = hypernova.recalibrate(artifact, folders, half_life=half_life).artifact
        stepped = artifact
        for folder in folders:
            stepped = hypernova.recalibrate(stepped, folder, half_life=half_life).artifact
        for name in ("success", "slopes", "offsets", "counts", "margin"):
            found, expected = getattr(stepped, name), getattr(at_once, name)
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-6)

    def test_an_empty_log_changes_no_decision(self, artifact, tmp_path) -> None:
        (tmp_path / "log").mkdir()
        new = hypernova.recalibrate(artifact, tmp_path / "log").artifact
        vectors = table(2).embedding
        before, after = artifact.decide_many(vectors), new.decide_many(vectors)
        assert before.model_indices.tolist() == after.model_indices.tolist()
        assert np.array_equal(new.slopes, artifact.slopes)
        assert np.array_equal(new.success, artifact.success)
        assert new.margin == artifact.margin

    def test_a_damaged_sketch_is_counted_and_the_outcome_learned(self, artifact, tmp_path) -> None:
        known = artifact.replace(novelty_limit=1.0).decide_many(table(2).embedding[:40])
        artifact, decisions = artifact.replace(novelty_limit=1.0), list(known)
        for name, sketch in (("good", None), ("short", b"\x01ab"), ("newer", b"\x09" + bytes(16))):
            with hypernova.OutcomeLog(tmp_path / name) as log:
                for decision in decisions:
                    log.record_decision(decision, sketch=sketch)
                    log.record_outcome(decision, 0.0)
        plain, short, newer = (
            hypernova.recalibrate(artifact, tmp_path / name) for name in ("good", "short", "newer")
        )
        assert (plain.damaged_sketches, short.damaged_sketches) == (0, 40)
        assert (newer.damaged_sketches, newer.sketched, newer.outcomes) == (40, 0, 40)
        for other in (short, newer):
            assert np.array_equal(other.artifact.success, plain.artifact.success)

    def test_a_record_of_0_1_goes_on(self, artifact, tmp_path) -> None:
        """It has sums by cells alone, and generations that differ in cells alone."""
        serve(artifact, tmp_path / "log", n=300, sketch=True)
        metadata = {name: value for name, value in artifact.metadata.items() if name != KEY}
        new = hypernova.recalibrate(artifact.replace(metadata=metadata), tmp_path / "log")
        assert new.outcomes == 0  # of another artifact: the metadata is part of the file
        new = hypernova.recalibrate(artifact, tmp_path / "log").artifact
        record = new.metadata["recalibration"]
        later = ("cells", "products", "margin", "scale", "coefficients")
        older = {name: value for name, value in record.items() if name not in later}
        digest = hashlib.sha256(json.dumps(new.models).encode())
        digest.update(new.counts.astype("<f8").tobytes() + new.success.astype("<f4").tobytes())
        older |= {"version": 1, "ancestors": [], "profiles": digest.hexdigest()}
        before = new.replace(metadata={**new.metadata, "recalibration": older})
        serve(before, tmp_path / "more", n=100, sketch=True)
        after = hypernova.recalibrate(before, tmp_path / "more")
        assert (after.outcomes_before, after.outcomes, after.sketched > 90) == (300, 100, True)
        assert np.abs(after.artifact.success - new.success).max() < 0.1
        assert after.artifact.metadata["recalibration"]["version"] == 2
        damaged = before.replace(
            metadata={**new.metadata, "recalibration": {**record, "coefficients": "AAAA"}}
        )
        with pytest.raises(RecalibrateError, match="record of earlier recalibrations is damaged"):
            hypernova.recalibrate(damaged, tmp_path / "more")

    def test_a_changed_basis_counts_as_fitted_anew(self, artifact, tmp_path) -> None:
        serve(artifact, tmp_path / "log", n=50, sketch=True)
        new = hypernova.recalibrate(artifact, tmp_path / "log").artifact
        basis = {**new.metadata[KEY], "tasks": 7.0}
        changed = new.replace(metadata={**new.metadata, KEY: basis})
        assert hypernova.recalibrate(changed, tmp_path / "log").outcomes_before == 0
        assert hypernova.recalibrate(new, tmp_path / "log").outcomes_before == 50

    def test_a_group_learns_what_its_cluster_and_the_directions_say(self, tmp_path) -> None:
        """By the definition, after two steps, from the estimates of the fitted artifact."""
        rng = np.random.default_rng(0)
        vectors = unit(rng.normal(size=(TASKS, DIM)) * np.linspace(1.0, 0.2, DIM)).astype("f4")
        groups = [f"g{number}" for number in rng.integers(0, 3, TASKS)]
        chance = 0.6 + np.outer(vectors[:, 0], [0.5, -0.5, 0.0])
        score = (rng.random((TASKS, 3)) < chance).astype(float)
        old = hypernova.fit(make_table(vectors, score, groups=groups), describe=False, jobs=1)
        new = old
        for step in range(2):
            with hypernova.OutcomeLog(tmp_path / str(step), sketch=True) as log:
                for x, group in zip(vectors, groups, strict=True):
                    decision = new.decide(x, group=group, explore=0.5, explore_seed=step)
                    log.record_decision(decision)
                    log.record_outcome(decision, float(rng.random() < 0.5 - x[0] / 2))
            new = hypernova.recalibrate(new, tmp_path / str(step)).artifact
        record = new.metadata["recalibration"]
        lineage = Lineage.of(new)
        assert record["outcomes"] == 2 * TASKS
        assert np.abs(lineage.current.coefficients).max() > 0.001
        cells = lineage.current.cells(lineage.base.profile)
        mean, rows = mean_success(lineage.base.profile), clusters_of_groups(old)
        basis = basis_of(old)
        for x, group in zip(vectors[:40], groups, strict=False):
            before, after = (
                {entry.model: entry.success for entry in a.decide(x, group=group).ranking}
                for a in (old, new)
            )
            row = rows[list(old.groups).index(group)]
            for m, model in enumerate(old.models):
                expected = mean[m] + (1 + lineage.current.scale) * (before[model] - mean[m])
                expected += cells[row, m]
                expected += lineage.current.coefficients[m] @ basis.standardized(x)
                assert after[model] == pytest.approx(np.clip(expected, 0, 1), abs=2e-5)
