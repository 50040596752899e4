"""Recalibrating by a log: worlds whose truth is known, oracles, and bad logs."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import hypernova
from hypernova.errors import ArtifactError, NotFoundError, RecalibrateError
from hypernova.outcome_log import LoggedDecision, LoggedOutcome
from hypernova.training.assemble import assemble
from hypernova.training.clustering.clusters import Clusters
from hypernova.training.estimates.profile import Evidence, estimate
from hypernova.training.online.log_sums import DAY_S
from hypernova.training.online.recalibrate import Recalibration
from support.commands import fails_in_one_line, run
from support.factories import ARTIFACT, blobs, make_table, unit

if TYPE_CHECKING:
    from pathlib import Path

NAN = float("nan")
START = 1_764_000_000.0
ARRAYS = ("counts", "mean", "success", "standard_error", "gain_error", "cost", "latency")


def fitted(theta, each: int = 100, *, shrinkage: float = 10.0, guard_z: float = 0.0, **more):
    """An artifact of a table of k clusters whose rates are about ``theta`` (k, m)."""
    theta = np.asarray(theta)
    rng = np.random.default_rng(1)
    k = len(theta)
    vectors, labels = blobs(rng, k, each)
    score = (rng.random((len(labels), theta.shape[1])) < theta[labels]).astype(float)
    table = make_table(vectors, score, **more)
    return assemble(
        table.models,
        Clusters(np.eye(16, dtype=np.float32)[:k]),
        estimate(Evidence.of(table, labels, k), shrinkage),
        shrinkage=shrinkage,
        guard_z=guard_z,
    )


class Log:
    """Lines of a log that a router with exploration would write in a world of known rates."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.decisions: list[LoggedDecision] = []
        self.outcomes: list[LoggedOutcome] = []

    def add(self, decision: LoggedDecision, score: float | None, **more: Any) -> None:
        self.decisions.append(decision)
        self.outcomes.append(LoggedOutcome(decision.id, decision.time + 1, score, **more))

    def decision(self, by, **changes) -> LoggedDecision:
        fields = {
            "id": self.rng.bytes(16).hex(), "time": START + len(self.decisions),
            "artifact": by.sha256, "model": by.models[0], "cluster": 0,
            "propensity": 1.0, "reason": "routed", "novelty": 0.25, "success": 0.5,
        }  # fmt: skip
        return LoggedDecision(**{**fields, **changes})

    def serve(self, artifact, truth, n: int, explore: float) -> Log:
        """Route n prompts; ``truth(labels, vectors)`` gives each model's rate, (n, m)."""
        m, k = len(artifact.models), artifact.n_clusters
        labels = self.rng.integers(0, k, n)
        vectors = unit(np.eye(16)[labels] + 0.05 * self.rng.normal(size=(n, 16)))
        rates = truth(labels, vectors) if callable(truth) else np.asarray(truth)[labels]
        for i, decided in enumerate(artifact.decide_many(vectors)):
            estimated = {entry.model: entry.success for entry in decided.ranking}
            model, propensity = decided.model, 1 - explore + explore / m
            if self.rng.random() < explore:
                model = artifact.models[self.rng.integers(m)]
                propensity = propensity if model == decided.model else explore / m
            decision = self.decision(
                artifact, model=model, cluster=decided.cluster, propensity=propensity,
                success=estimated[model], novelty=float(decided.novelty),
            )  # fmt: skip
            score = float(self.rng.random() < rates[i, artifact.models.index(model)])
            self.add(decision, score, cost_usd=0.125)
        return self

    def write(self, path: Path, part: slice = slice(None)) -> Path:
        pairs = zip(self.decisions[part], self.outcomes[part], strict=True)
        path.write_bytes(b"".join(record.line() for pair in pairs for record in pair))
        return path


def same_numbers(left, right, **tolerance) -> None:
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(left, name), getattr(right, name), **tolerance)
    assert left.default_model == right.default_model


THETA = np.array([[0.8, 0.5, 0.5], [0.5, 0.8, 0.4], [0.6, 0.7, 0.4]])


class TestWorlds:
    @pytest.mark.slow
    def test_with_exploration_estimates_come_to_the_truth(self, tmp_path) -> None:
        truth = np.array([[0.4, 0.6, 0.3], [0.5, 0.7, 0.9], [0.3, 0.6, 0.35]])
        old = fitted(THETA, 20)
        log = Log().serve(old, truth, 12_000, 0.3).write(tmp_path / "log.jsonl")
        new = hypernova.recalibrate(old, log)
        before = np.abs(old.success[:-1] - truth)
        after = np.abs(new.artifact.success[:-1] - truth)
        assert before.max() > 0.45
        assert after.max() < 0.1
        assert after.mean() < 0.04
        best = [new.artifact.decide(v).model for v in np.eye(16, dtype=np.float32)[:3]]
        assert best == ["m1", "m2", "m1"]
        assert new.clusters_changed == 2
        assert new.outcomes == 12_000

    @pytest.mark.slow
    def test_without_weights_the_routers_choices_bias_them(self, tmp_path) -> None:
        """In one cluster are two kinds of prompts: m0 is taken for the one, where it is good.

        Without weights (a largest weight of 1) m0 looks as good as on what it is taken for.
        """
        old = fitted([[0.5, 0.5]], 60)
        log = Log()
        estimated = float(old.success[0, 0])
        for _ in range(20_000):
            kind = int(log.rng.random() < 0.5)
            explored = log.rng.random() < 0.2
            taken = int(log.rng.integers(2)) if explored else kind
            propensity = 0.9 if taken == kind else 0.1
            rate = [[0.9, 0.5], [0.1, 0.5]][kind][taken]  # m0: 0.5 of all prompts
            score = float(log.rng.random() < rate)
            changes = {"model": f"m{taken}", "propensity": propensity, "success": estimated}
            log.add(log.decision(old, **changes), score)
        path = log.write(tmp_path / "log.jsonl")
        weighted, plain = (hypernova.recalibrate(old, path, max_weight=w) for w in (20.0, 1.0))
        assert weighted.artifact.success[0, 0] == pytest.approx(0.5, abs=0.03)
        assert plain.artifact.success[0, 0] > 0.75
        assert weighted.models[0].mean_score == pytest.approx(0.5, abs=0.03)
        # Fewer outcomes of one weight would tell as much; the plain ones all have it.
        assert weighted.models[0].effective < 0.5 * weighted.models[0].outcomes
        assert plain.models[0].effective == pytest.approx(plain.models[0].outcomes)

    @pytest.mark.slow
    def test_prompts_that_are_harder_for_all_change_no_decision(self, tmp_path) -> None:
        """Without exploration only the models taken are seen to do worse than estimated."""
        truth = THETA - 0.15
        old = fitted(THETA)
        log = Log().serve(old, truth, 6_000, 0.0).write(tmp_path / "log.jsonl")
        new = hypernova.recalibrate(old, log)
        taken = [m.model for m in new.models if m.outcomes]
        assert taken == ["m0", "m1"]
        assert new.clusters_changed == 0
        assert new.default_after == new.default_before
        assert new.artifact.success[0, 0] == pytest.approx(0.65, abs=0.05)
        # Put down to the one that was taken, it would: m1 would fall behind m0 in cluster 2.
        n, seen = 110, new.artifact.counts[2, 1] - old.counts[2, 1]
        alone = (n * old.success[2, 1] + seen * truth[2, 1]) / (n + seen)
        assert alone < old.success[2, 0] < old.success[2, 1]
        # m2 was never taken: it is expected to find the prompts harder, too.
        assert np.all(new.artifact.success[:-1, 2] < old.success[:-1, 2] - 0.03)

    def test_a_model_that_became_bad_is_left(self, tmp_path) -> None:
        truth = THETA - [[0.7, 0, 0], [0, 0, 0], [0, 0, 0]]
        old = fitted(THETA)
        log = Log().serve(old, truth, 4_000, 0.1).write(tmp_path / "log.jsonl")
        new = hypernova.recalibrate(old, log)
        assert old.decide(np.eye(16, dtype=np.float32)[0]).model == "m0"
        assert new.artifact.decide(np.eye(16, dtype=np.float32)[0]).model != "m0"
        assert new.clusters_changed == 1

    def test_luck_does_not_part_models_that_the_fit_made_equal(self, tmp_path) -> None:
        """Clusters that only describe: the least noise would decide everywhere."""
        old = fitted(np.full((2, 3), 0.6), 100, shrinkage=1e9)
        assert len(set(old.success[0].tolist())) == 1
        alike = 0
        for seed in range(10):
            log = Log(seed).serve(old, np.full((2, 3), 0.6), 400, 0.3)
            new = hypernova.recalibrate(old, log.write(tmp_path / f"{seed}.jsonl"))
            alike += len(set(new.artifact.success[0].tolist())) < 3
        assert alike >= 8

    def test_another_default_model(self, tmp_path) -> None:
        old = fitted(THETA, 40)
        assert old.default_model == "m1"
        log = Log().serve(old, THETA + [[0.15, -0.4, 0]] * 3, 3_000, 0.4)
        new = hypernova.recalibrate(old, log.write(tmp_path / "log.jsonl"))
        assert (new.default_before, new.default_after) == ("m1", "m0")
        assert new.artifact.gain_error[:, 0].tolist() == [0.0] * 4
        assert np.all(new.artifact.gain_error[:, 1:] > 0.0)
        # A handful of lucky outcomes makes none.
        few = Log()
        for _ in range(8):
            few.add(few.decision(old, success=0.1), 1.0)
        lucky = hypernova.recalibrate(old, few.write(tmp_path / "few.jsonl"))
        assert lucky.default_after == "m1"

    @pytest.mark.slow
    def test_residuals_are_against_the_blended_and_lifted_estimate(self, tmp_path) -> None:
        """A world that is as the artifact says, prompt by prompt: nothing to learn."""
        rng = np.random.default_rng(3)
        old = fitted(THETA, 300)
        slopes = (0.3 * rng.normal(size=(3, 16))).astype("f4")
        old = rebuilt(old, slopes=slopes, offsets=np.zeros(3, "f4"))
        assert old.sharpness is not None

        def truth(labels, vectors):
            rates = np.zeros((len(vectors), 3))
            for i, decided in enumerate(old.decide_many(vectors)):
                for entry in decided.ranking:
                    rates[i, int(entry.model[1])] = entry.success
            return rates

        log = Log().serve(old, truth, 6_000, 0.3).write(tmp_path / "log.jsonl")
        new = hypernova.recalibrate(old, log)
        assert np.abs(new.artifact.success - old.success).max() < 0.03
        # The plain mean of scores is another matter: it has the linear corrections in it.
        means = np.abs(new.artifact.mean[:-1] - old.mean[:-1]).max()
        assert means > 0.05

    def test_novel_prompts_count_for_the_whole_table_only(self, tmp_path) -> None:
        old = rebuilt(fitted(THETA, 100), novelty_limit=0.99)
        log = Log()
        for _ in range(400):
            log.add(log.decision(old, model="m1", novelty=1.0, success=0.65), 0.0)
        new = hypernova.recalibrate(old, log.write(tmp_path / "log.jsonl")).artifact
        assert np.abs(new.success[:-1] - old.success[:-1]).max() < 0.1
        assert new.success[-1, 1] < old.success[-1, 1] - 0.3
        assert new.counts[-1, 1] == old.counts[-1, 1] + 400
        assert np.array_equal(new.counts[:-1], old.counts[:-1])


def rebuilt(artifact, **changes):
    policy = dict(artifact.policy)
    fields = {
        "models": artifact.models, "centroids": artifact.centroids,
        **{name: getattr(artifact, name) for name in ARRAYS},
        "novelty": artifact.novelty_quantiles, "embedder": artifact.embedder,
        "metadata": artifact.metadata, "sharpness": artifact.sharpness,
        "n_nearest": artifact.n_nearest or 1, "slopes": artifact.slopes,
        "offsets": artifact.offsets,
        **policy, "default_model": artifact.models.index(policy["default_model"]),
    }  # fmt: skip
    return hypernova.Artifact.build(**{**fields, **changes})


class TestSteps:
    @pytest.mark.slow
    @pytest.mark.parametrize("half_life", [None, 0.01])
    def test_two_logs_one_after_the_other_are_both_at_once(self, tmp_path, half_life) -> None:
        """Also in the other order, and in a folder that has grown meanwhile."""
        old = fitted(THETA)
        log = Log().serve(old, THETA[::-1], 1_500, 0.3)
        first = log.write(tmp_path / "1.jsonl", slice(0, 900))
        second = log.write(tmp_path / "2.jsonl", slice(900, None))

        def steps(*paths):
            artifact = old
            for path in paths:
                artifact = hypernova.recalibrate(artifact, path, half_life=half_life).artifact
            return artifact

        at_once = steps([first, second])
        assert np.abs(at_once.success - old.success).max() > 0.1
        for other in (steps(first, second), steps(second, first), steps(first, tmp_path)):
            same_numbers(other, at_once, rtol=1e-5, atol=1e-6)

    def test_the_same_bytes_each_time(self, tmp_path) -> None:
        old = fitted(THETA)
        log = Log().serve(old, THETA, 200, 0.3).write(tmp_path / "log.jsonl")
        first, second = (hypernova.recalibrate(old, log).artifact.to_bytes() for _ in range(2))
        assert first == second

    def test_the_record_holds_the_sums_one_after_the_other(self, tmp_path) -> None:
        """The stored form: float64, in an order that artifacts of other versions have too."""
        old = fitted(THETA)
        log = Log()
        log.add(log.decision(old, cluster=1, propensity=0.5, success=0.25), 1.0, cost_usd=3.0)
        log.add(log.decision(old, cluster=1, propensity=0.25, success=0.5), 0.0, latency_s=7.0)
        new = hypernova.recalibrate(old, log.write(tmp_path / "log.jsonl"), max_weight=5).artifact
        raw = zlib.decompress(base64.b64decode(new.metadata["recalibration"]["sums"]))
        sums = np.frombuffer(raw, "<f8").reshape(12, 4, 3)
        cell = sums[:, 1, 0]
        assert not np.delete(sums.reshape(12, 12), 3, axis=1).any()
        assert cell[:3].tolist() == [2, 6, 20]  # outcomes, weights and their squares
        np.testing.assert_allclose(cell[3:6], [2 * 0.75 - 4 * 0.5, 2 * 0.75**2 + 4 * 0.5**2, 2])
        assert cell[6:9].tolist() == [2, 4, 6]  # of costs
        assert cell[9:].tolist() == [4, 16, 28]  # of latencies

    def test_a_log_is_not_added_twice(self, tmp_path) -> None:
        old = fitted(THETA)
        log = Log().serve(old, THETA[::-1], 500, 0.3)
        path = log.write(tmp_path / "log.jsonl")
        once = hypernova.recalibrate(old, path)
        moved = tmp_path / "elsewhere"
        moved.mkdir()
        again = hypernova.recalibrate(once.artifact, path.rename(moved / "renamed.jsonl"))
        same_numbers(again.artifact, once.artifact, rtol=0)
        assert (again.outcomes, again.outcomes_before, again.lines) == (0, 500, 0)
        assert [m.outcomes for m in again.models] == [0, 0, 0]

    def test_an_outcome_that_came_later_finds_its_decision(self, tmp_path) -> None:
        old = fitted(THETA)
        log = Log().serve(old, THETA[::-1], 400, 0.3)
        path = tmp_path / "log.jsonl"
        lines = [d.line() for d in log.decisions] + [o.line() for o in log.outcomes]
        at_once = log.write(tmp_path / "at_once.jsonl")
        artifact = old
        counts = []
        for end in (0, 1, 250, 400, 500, 799, 800):
            torn = lines[end][:20] if end < len(lines) else b""
            path.write_bytes(b"".join(lines[:end]) + torn)
            done = hypernova.recalibrate(artifact, path)
            artifact = done.artifact
            counts.append(done.outcomes)
            assert done.skipped == ({"torn": 1} if torn else {})
        assert counts == [0, 0, 0, 0, 100, 299, 1]
        whole = hypernova.recalibrate(old, at_once).artifact
        same_numbers(artifact, whole, rtol=1e-5, atol=1e-6)

    def test_a_second_score_in_an_earlier_segment_does_not_overtake(self, tmp_path) -> None:
        old = fitted(THETA)
        log = Log()
        log.add(log.decision(old), 1.0)
        log.write(tmp_path / "b.jsonl")
        once = hypernova.recalibrate(old, tmp_path).artifact
        late = replace(log.outcomes[0], score=0.0)
        (tmp_path / "a.jsonl").write_bytes(late.line())
        again = hypernova.recalibrate(once, tmp_path)
        assert (again.outcomes, again.skipped) == (0, {"scored_twice": 1})
        same_numbers(again.artifact, once, rtol=0)

    @pytest.mark.slow
    def test_what_an_ancestor_decided_is_held_against_its_own_estimates(self, tmp_path) -> None:
        """A service that goes on with the old file must not have its surprise counted twice."""
        old = fitted(THETA, 20)
        truth = THETA[::-1]
        log = Log().serve(old, truth, 3_000, 0.3)
        first = hypernova.recalibrate(old, log.write(tmp_path / "1.jsonl")).artifact
        late = Log(1).serve(old, truth, 3_000, 0.3).write(tmp_path / "2.jsonl")
        second = hypernova.recalibrate(first, late)
        assert second.outcomes == 3_000
        assert np.abs(second.artifact.success[:-1] - truth).max() < 0.1
        newer = Log(2).serve(second.artifact, truth, 9_000, 0.3).write(tmp_path / "3.jsonl")
        third = hypernova.recalibrate(second.artifact, newer)
        assert third.outcomes == 9_000
        assert np.abs(third.artifact.success[:-1] - truth).max() < 0.08
        # And the first generation's are still known to the third.
        last = Log(3).serve(first, truth, 10, 0.3).write(tmp_path / "4.jsonl")
        assert hypernova.recalibrate(third.artifact, last).outcomes == 10

    def test_an_artifact_that_something_else_changed_is_fitted_anew(self, tmp_path) -> None:
        old = fitted(THETA)
        log = Log().serve(old, THETA[::-1], 400, 0.3).write(tmp_path / "log.jsonl")
        first = hypernova.recalibrate(old, log).artifact
        changed = rebuilt(first, success=np.clip(first.success + 0.01, 0, 1).astype("f4"))
        again = hypernova.recalibrate(changed, log)  # still not added twice
        assert (again.outcomes, again.outcomes_before) == (0, 0)
        same_numbers(again.artifact, changed, rtol=0)
        other = Log(1).serve(old, THETA, 5, 0.0).write(tmp_path / "other.jsonl")
        assert hypernova.recalibrate(changed, other).skipped == {"other_artifact": 5}


class TestNoOutcomes:
    def test_no_number_changes(self, tmp_path) -> None:
        (tmp_path / "log").mkdir()
        for old in (hypernova.Router.open().artifact, fitted(THETA, shrinkage=1e9)):
            new = hypernova.recalibrate(old, tmp_path / "log", half_life=1.0)
            same_numbers(new.artifact, old, rtol=0)
            assert new.artifact.policy == old.policy
            assert (new.outcomes, new.clusters_changed, new.skipped) == (0, 0, {})
            for name in ("centroids", "novelty_quantiles", "slopes", "offsets"):
                assert np.array_equal(getattr(new.artifact, name), getattr(old, name))
            assert (new.artifact.sharpness, new.artifact.n_nearest) == (
                old.sharpness,
                old.n_nearest,
            )

    def test_the_rest_of_the_metadata_stays(self, tmp_path) -> None:
        old = hypernova.Router.open().artifact
        log = Log()
        log.add(log.decision(old), 1.0)
        new = hypernova.recalibrate(old, log.write(tmp_path / "log.jsonl")).artifact
        notes, before = new.metadata, old.metadata
        assert notes.pop("recalibration")["outcomes"] == 1
        assert notes == before


class TestBadPairs:
    def test_each_is_counted_by_reason(self, tmp_path) -> None:
        old = rebuilt(fitted(THETA), slopes=np.zeros((3, 16), "f4"), offsets=np.zeros(3, "f4"))
        log = Log()
        log.add(log.decision(old), 1.0)
        log.add(log.decision(old, artifact=ARTIFACT), 1.0)
        log.add(log.decision(old, model="stranger"), 1.0)
        log.add(log.decision(old), 1.0, model="stranger")
        log.add(log.decision(old, cluster=3), 1.0)
        log.add(log.decision(old), 1.0, model="m1")
        log.add(log.decision(old), 1.0, model="m1", success=0.5)
        log.add(log.decision(old), 1.0, model="m0")
        log.add(log.decision(old, time=4e9), 1.0)
        done = hypernova.recalibrate(old, log.write(tmp_path / "log.jsonl"))
        assert done.skipped == {
            "future": 1, "no_estimate": 1, "other_artifact": 1, "unknown_cluster": 1,
            "unknown_model": 2,
        }  # fmt: skip
        assert [m.outcomes for m in done.models] == [2, 1, 0]
        assert set(done.skipped) <= set(Recalibration.REASONS)

    def test_outcomes_that_lie_are_not_learned_from(self, tmp_path) -> None:
        """Failed requests, a clock that went back and repeated outcomes change no estimate."""
        old = fitted(THETA)
        log = Log()
        for _ in range(40):
            log.add(log.decision(old, model="m1"), 0.0, key="k")
        honest = hypernova.recalibrate(old, log.write(tmp_path / "honest.jsonl"))
        first = log.decisions[0]
        lies = [
            *log.outcomes,
            *(replace(log.outcomes[0], score=1.0, time=first.time + n) for n in range(30)),
            *(replace(log.outcomes[0], score=1.0, key=None) for _ in range(20)),
        ]
        for number in range(25):
            decision = log.decision(old, model="m1")
            log.decisions.append(decision)
            back = LoggedOutcome(decision.id, decision.time - 61, 1.0)
            failed = LoggedOutcome(decision.id, decision.time + 1, None, failed=True)
            lies.append(back if number < 10 else failed)
        path = tmp_path / "lies.jsonl"
        path.write_bytes(b"".join(record.line() for record in [*log.decisions, *lies]))
        new = hypernova.recalibrate(old, path)
        same_numbers(new.artifact, honest.artifact)
        assert new.skipped == {"sent_again": 30, "scored_twice": 20, "clock_back": 10}
        assert (new.failed, new.failed_by_model, new.open) == (15, {"m1": 15}, 0)
        assert (new.outcomes, new.answered_by_other) == (40, 0)
        again = hypernova.recalibrate(new.artifact, path)
        assert (again.failed, again.skipped) == (0, {})

    def test_an_answer_after_a_failure_counts_with_weight_1(self, tmp_path) -> None:
        """Without correction the estimate of the cluster serves; its propensity is unknown."""
        old = fitted(THETA)
        log = Log()
        for _ in range(30):
            log.add(log.decision(old, propensity=0.05), 1.0, model="m1")
            log.add(log.decision(old, model="m2", propensity=0.05, reason="fallback"), 1.0)
            log.add(log.decision(old, model="m2", propensity=0.5), 1.0)
        done = hypernova.recalibrate(old, log.write(tmp_path / "log.jsonl"), max_weight=5)
        assert [m.outcomes for m in done.models] == [0, 30, 60]
        effective = (30 * 1 + 30 * 2) ** 2 / (30 * 1 + 30 * 4)
        assert [m.effective for m in done.models] == pytest.approx([0, 30, effective])
        grown = done.artifact.counts[0] - old.counts[0]
        assert grown.tolist() == pytest.approx([0, 30, effective])

    def test_options_and_damaged_records(self, tmp_path) -> None:
        old = fitted(THETA)
        log = Log()
        log.add(log.decision(old), 1.0)
        path = log.write(tmp_path / "log.jsonl")
        for half_life in (0.0, -1.0, NAN, float("inf")):
            with pytest.raises(RecalibrateError, match="half_life"):
                hypernova.recalibrate(old, path, half_life=half_life)
        with pytest.raises(RecalibrateError, match="max_weight"):
            hypernova.recalibrate(old, path, max_weight=0.5)
        with pytest.raises(ArtifactError):
            hypernova.recalibrate(path, path)
        with pytest.raises(RecalibrateError, match="not a JSON object"):
            hypernova.recalibrate(rebuilt(old, metadata="[]"), path)
        new = hypernova.recalibrate(old, path).artifact
        notes = new.metadata
        kept = notes["recalibration"]
        for name, value in [
            ("sums", "AAAA"), ("sums", kept["base"]["counts"]), ("base", {}), ("files", [1]),
            ("until", "late"), ("ancestors", [["x", "eJwDAAAAAAE="]]), ("kept", None),
            ("version", 9), ("default_model", "none"),
        ]:  # fmt: skip
            damaged = {**notes, "recalibration": {**kept, name: value}}
            with pytest.raises(RecalibrateError, match=r"recalibrat.*; "):
                hypernova.recalibrate(rebuilt(new, metadata=json.dumps(damaged)), path)


class TestDecay:
    def test_counts_halve_with_the_half_life(self, tmp_path) -> None:
        """Decisions a half-life apart; the fitted ones are as old as the first."""
        old = fitted(THETA)
        log = Log()
        for days in (0.0, 10.0, 20.0):
            log.add(log.decision(old, time=START + days * DAY_S - 1), 1.0)
        log.decisions[0] = replace(log.decisions[0], time=START)
        done = hypernova.recalibrate(old, log.write(tmp_path / "log.jsonl"), half_life=10.0)
        assert done.kept == pytest.approx(0.25)
        weights = np.array([0.25, 0.5, 1.0])
        expected = old.counts[0, 0] / 4 + weights.sum() ** 2 / (weights**2).sum()
        assert done.artifact.counts[0, 0] == pytest.approx(expected)
        assert done.artifact.counts[1, 2] == pytest.approx(old.counts[1, 2] / 4)
        assert np.all(done.artifact.standard_error[1] > old.standard_error[1])

    @pytest.mark.slow
    def test_a_change_long_ago_is_forgotten(self, tmp_path) -> None:
        old = fitted(THETA)
        log = Log().serve(old, THETA[::-1], 2_000, 0.3)
        long_ago = [replace(d, time=d.time - 300 * DAY_S) for d in log.decisions]
        before = [replace(o, time=o.time - 300 * DAY_S) for o in log.outcomes]
        log.decisions, log.outcomes = long_ago, before
        log.serve(old, THETA, 2_000, 0.3)
        path = log.write(tmp_path / "log.jsonl")
        kept, decayed = (hypernova.recalibrate(old, path, half_life=h) for h in (None, 30.0))
        error = [np.abs(done.artifact.success[:-1] - THETA).max() for done in (kept, decayed)]
        assert error[0] > 1.5 * error[1], error
        assert error[1] < 0.07, error


class TestExpenses:
    def test_costs_and_latencies(self, tmp_path) -> None:
        old = fitted(THETA, cost_usd=np.full((300, 3), 0.5))
        log = Log()
        for _ in range(100):
            log.add(log.decision(old), 1.0, cost_usd=1.0, latency_s=3.0)
            log.add(log.decision(old, model="m2", cluster=1), 1.0)
        new = hypernova.recalibrate(old, log.write(tmp_path / "log.jsonl")).artifact
        assert new.cost[0, 0] == pytest.approx(0.75)
        assert new.cost[1, 0] == 0.5
        assert new.cost[3, 0] == pytest.approx(0.625)
        assert new.latency[:, 0].tolist() == [3.0] * 4  # the only ones known
        assert np.isnan(new.latency[:, 1:]).all()
        assert np.array_equal(new.cost[:, 1:], old.cost[:, 1:])


class TestCommand:
    @pytest.mark.slow
    def test_what_is_printed(self, tmp_path) -> None:
        old = fitted(THETA)
        old.save(tmp_path / "old.hnv")
        (tmp_path / "log").mkdir()
        log = Log().serve(old, THETA[::-1], 500, 0.3)
        path = log.write(tmp_path / "log" / "1.jsonl")
        with path.open("ab") as file:
            file.write(b"damaged\n" + log.decision(old).line() + b'{"torn')
        others = Log(1)
        others.add(others.decision(old), 1.0, model="m1")
        others.add(others.decision(old), None, failed=True)
        others.write(tmp_path / "log" / "2.jsonl")
        done = run(
            "recalibrate", tmp_path / "old.hnv", tmp_path / "log", "-o", tmp_path / "new.hnv"
        )
        assert done.returncode == 0, done.stderr
        text = done.stdout
        assert "recalibrated with 501 outcomes; 1,006 lines read" in text
        assert "\n1 of these are of another model than the decided one: learned" in text
        assert "\nnot learned from: 1 failed request (m0 1)\n" in text
        assert "1 decision has no outcome yet" in text
        assert "skipped 1: line that is not a JSON object" in text
        assert "skipped 1: last line of a segment without its end" in text
        assert "of 3 clusters" in text
        new = hypernova.Artifact.open(tmp_path / "new.hnv")
        same_numbers(new, hypernova.recalibrate(old, tmp_path / "log").artifact, rtol=0)
        # Over its own input, as a service that watches the file would have it.
        again = run(
            "recalibrate",
            tmp_path / "new.hnv",
            path,
            "-o",
            tmp_path / "new.hnv",
            "--half-life",
            7,
            "--json",
        )
        report = json.loads(again.stdout)
        assert (report["outcomes"], report["outcomes_before"]) == (0, 501)
        assert (report["answered_by_other"], report["failed_by_model"]) == (0, {})
        assert report["skipped"] == {"torn": 1}
        assert [m["model"] for m in report["models"]] == ["m0", "m1", "m2"]
        assert report["artifact"] == hypernova.Artifact.open(tmp_path / "new.hnv").sha256

    def test_figures_of_the_fit_are_labelled(self, tmp_path) -> None:
        old = hypernova.Router.open().artifact
        log = Log()
        log.add(log.decision(old), 1.0)
        new = hypernova.recalibrate(old, log.write(tmp_path / "log.jsonl"))
        new.artifact.save(tmp_path / "new.hnv")
        done = run("inspect", tmp_path / "new.hnv", code=0)
        assert "recalibrated              with 1 logged outcomes" in done.stdout
        assert done.stdout.index("recalibrated") < done.stdout.index("in-sample")

    @pytest.mark.slow
    def test_one_line_for_what_a_user_can_mend(self, tmp_path) -> None:
        fitted(THETA).save(tmp_path / "old.hnv")
        (tmp_path / "log.jsonl").write_bytes(b"")
        good = [tmp_path / "old.hnv", tmp_path / "log.jsonl", "-o", tmp_path / "new.hnv"]
        for arguments, named in [
            ([tmp_path / "no.hnv", *good[1:]], "no.hnv"),
            ([good[0], tmp_path / "no.jsonl", *good[2:]], "no.jsonl"),
            ([*good[:3], tmp_path / "no" / "new.hnv"], "does not exist"),
            ([*good, "--half-life=-3"], "half_life"),
        ]:
            assert named in fails_in_one_line("recalibrate", *arguments)
        assert not (tmp_path / "new.hnv").exists()
        assert run("recalibrate", tmp_path / "old.hnv", "-o", "x").returncode == 2
        with pytest.raises(NotFoundError):
            hypernova.recalibrate(tmp_path / "old.hnv", tmp_path / "none")


@pytest.mark.skipif(not hasattr(hypernova.Decision, "id"), reason="decisions have no id yet")
def test_from_a_real_router_to_the_next_artifact(tmp_path) -> None:
    router = hypernova.Router(hypernova.Router.open().artifact.replace(margin=0.02))
    with hypernova.OutcomeLog(tmp_path) as log:
        for i in range(60):
            decision = router.route(f"Fix the race in scheduler {i}", explore=0.5)
            log.record_decision(decision)
            log.record_outcome(decision, i % 2, cost_usd=0.25)
    done = hypernova.recalibrate(router.artifact, tmp_path)
    assert (done.outcomes, done.skipped, done.open) == (60, {}, 0)
    assert done.artifact.policy == router.artifact.policy
    assert done.artifact.margin == 0.02
    decided = [d for d, _ in hypernova.read_log(tmp_path)]
    k = len(router.artifact.models)
    assert {round(d.propensity, 6) for d in decided} <= {
        round(0.5 + 0.5 / k, 6),
        round(0.5 / k, 6),
    }


@pytest.mark.skipif(not hasattr(hypernova.Decision, "id"), reason="decisions have no id yet")
def test_a_real_fallback_is_a_decision_of_its_own(tmp_path) -> None:
    router = hypernova.Router.open()
    with hypernova.OutcomeLog(tmp_path) as log:
        first = router.route("Fix the race in the scheduler", explore=0.5)
        second = first.after_failure(first.model)
        for decision in (first, second):
            log.record_decision(decision)
        log.record_outcome(second, 1.0)
    ((decision, _),) = hypernova.read_log(tmp_path)
    assert (decision.id, decision.reason) == (second.id, "fallback")
    assert decision.success == second.ranking[0].success
    done = hypernova.recalibrate(router.artifact, tmp_path)
    assert (done.outcomes, done.open, done.skipped) == (1, 1, {})
    assert {m.model: m.effective for m in done.models if m.outcomes} == {second.model: 1.0}
