"""`hypernova.diff` by an outcome log: shadows, traffic, and what outcomes say."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest

import hypernova
from hypernova.comparison.logged import ShadowGain
from hypernova.errors import NotFoundError, OutcomeLogError, PolicyError
from hypernova.outcome_log.records import LoggedDecision, LoggedOutcome, LoggedShadow
from support.factories import fitted, unit

if TYPE_CHECKING:
    from pathlib import Path

N = 400


@pytest.fixture(scope="module")
def both() -> tuple[hypernova.Artifact, hypernova.Artifact]:
    """Two artifacts of the same vectors, with other clusters and other estimates."""
    old, new = fitted(0)[0], fitted(1, clusters=5)[0]
    quantiles = np.linspace(0.0, 1.5, 101, dtype=np.float32)
    return tuple(
        artifact.replace(novelty=quantiles, novelty_limit=limit)
        for artifact, limit in ((old, 0.8), (new, 0.85))
    )


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Vectors near the clusters, and a tenth that is novel."""
    rng = np.random.default_rng(5)
    near = np.eye(16)[rng.integers(4, size=N)] + 0.2 * rng.normal(size=(N, 16))
    near[::10] = rng.normal(size=(N // 10, 16))
    return unit(near)


def log_shadowed(folder: Path, both, vectors, *, explore: float = 0.0, scores=None) -> list:
    """Log decisions of the first artifact with the second as shadow; return the pairs."""
    pairs = []
    with hypernova.OutcomeLog(folder) as log:
        for at, vector in enumerate(vectors):
            decision = both[0].decide(vector, explore=explore, explore_seed=at)
            shadow = both[1].decide(vector)
            log.record_decision(decision.with_shadow(shadow))
            pairs.append((decision, shadow))
            if scores is not None:
                log.record_outcome(decision.id, float(scores[at, ["m0", "m1", "m2", "m3"].index(
                    decision.model
                )]))  # fmt: skip
    return pairs


class TestShadow:
    def test_real_decisions_are_counted(self, both, vectors, tmp_path) -> None:
        pairs = log_shadowed(tmp_path, both, vectors)
        moves = Counter((a.model, b.model) for a, b in pairs if a.model != b.model)
        found = hypernova.diff(*both, log=tmp_path)
        assert found.basis == "shadow"
        assert {(move.old, move.new): move.n for move in found.moves} == moves
        assert (found.n_decisions, found.n_skipped) == (N, 0)
        novel = sum(a.reason == "default_novel" for a, _ in pairs)
        kinds = {kind.cluster: kind.n for kind in found.clusters}
        assert novel > 0
        assert kinds.pop(None) == novel
        assert kinds == Counter(a.cluster for a, _ in pairs if a.reason != "default_novel")
        assert any("no outcomes of these decisions" in note for note in found.notes)

    def test_estimates_are_those_of_the_clusters(self, both, vectors, tmp_path) -> None:
        pairs = log_shadowed(tmp_path, both, vectors)
        found = hypernova.diff(*both, log=tmp_path)
        for side, view in enumerate(found.views):
            artifact = both[side]
            sums = []
            for pair in pairs:
                own = pair[side]
                if own.reason == "default_novel":
                    estimates = dict(zip(artifact.models, artifact.success[-1], strict=True))
                else:
                    ranking = artifact.decide(artifact.centroids[own.cluster]).ranking
                    estimates = {entry.model: entry.success for entry in ranking}
                sums.append([estimates[decision.model] for decision in pair])
            before, after = np.mean(sums, axis=0)
            assert (view.success.before, view.success.after) == pytest.approx((before, after))

    def test_explored_decisions_say_nothing_of_the_old_choice(
        self, both, vectors, tmp_path
    ) -> None:
        pairs = log_shadowed(tmp_path, both, vectors, explore=0.3)
        own = [(a.model, b.model) for a, b in pairs if a.reason != "explored"]
        found = hypernova.diff(*both, log=tmp_path)
        assert found.n_decisions == len(own) < N
        assert found.n_changed == sum(a != b for a, b in own)
        assert any(f"left out {N - len(own)} decisions that were drawn" in n for n in found.notes)

    def test_a_shadow_that_fails_counts_as_a_change(self, both, vectors, tmp_path) -> None:
        with hypernova.OutcomeLog(tmp_path) as log:
            for vector in vectors[:3]:
                log.record_decision(
                    both[0].decide(vector).with_failed_shadow(both[1].sha256, "no_candidate")
                )
            # Decided from vectors of another embedder: it says nothing of the shadow.
            mismatch = both[0].decide(vectors[0])
            log.record_decision(mismatch.with_failed_shadow(both[1].sha256, "embedder_mismatch"))
        found = hypernova.diff(*both, log=tmp_path)
        assert (found.share_changed, found.n_decisions) == (1.0, 3)
        assert {move.new for move in found.moves} == {None}
        assert any("the shadow failed" in note and "no_candidate 3" in note for note in found.notes)

    def test_options_of_the_caller_cannot_hold_for_what_was_decided(
        self, both, vectors, tmp_path
    ) -> None:
        log_shadowed(tmp_path, both, vectors[:3])
        with pytest.raises(PolicyError, match="leave all options out"):
            hypernova.diff(*both, log=tmp_path, cost_weight=0.1)

    def test_outcomes_measure_the_change_where_requests_explored(
        self, both, vectors, tmp_path
    ) -> None:
        rng = np.random.default_rng(0)
        scores = rng.random((N, 4)) < [0.9, 0.6, 0.3, 0.1]
        pairs = log_shadowed(tmp_path, both, vectors, explore=0.4, scores=scores)
        view = hypernova.diff(*both, log=tmp_path).views[-1]
        assert view.source == "logged"
        rates = dict(zip(("m0", "m1", "m2", "m3"), (0.9, 0.6, 0.3, 0.1), strict=True))
        greedy = [both[0].decide(vector).model for vector in vectors]
        truth = np.mean(
            [rates[b.model] - rates[a] for a, (_, b) in zip(greedy, pairs, strict=True)]
        )
        low, high = view.success.interval
        assert low < truth < high
        assert high - low < 0.5

    def test_without_exploration_it_says_that_outcomes_do_not_tell(
        self, both, vectors, tmp_path
    ) -> None:
        log_shadowed(tmp_path, both, vectors, scores=np.ones((N, 4)))
        found = hypernova.diff(*both, log=tmp_path)
        assert [view.source for view in found.views] == ["old", "new"]
        assert any("outcomes do not tell" in note for note in found.notes)

    def test_a_router_with_a_shadow_writes_what_is_compared(self, old, tmp_path) -> None:
        new = old.replace(cost_weight=0.5)
        texts = [f"fix the bug number {n}" for n in range(9)]
        router = hypernova.Router(old, shadow=new)
        with hypernova.OutcomeLog(tmp_path) as log:
            for text in texts:
                log.record_decision(router.route(text))
        by_log, by_prompts = (
            hypernova.diff(old, new, **given) for given in ({"log": tmp_path}, {"prompts": texts})
        )
        assert by_log.n_changed == by_prompts.n_changed > 0
        assert by_log.models == by_prompts.models


class TestGain:
    def test_its_interval_holds_the_truth_as_often_as_it_says(self) -> None:
        """Worlds in which success depends on the prompt, and estimates are far off."""
        rng = np.random.default_rng(3)
        covered, gains, worlds = 0, [], 60
        for _ in range(worlds):
            gain = ShadowGain()
            x = rng.random(350)
            rates = np.stack([0.2 + 0.6 * x, 0.8 - 0.6 * x, np.full_like(x, 0.45)], axis=1)
            old, new = np.where(x < 0.3, 1, 2), np.where(x < 0.6, 1, 0)
            explored = np.where(rng.random(len(x)) < 0.5, 0.2, 0.5)  # rates of the requests' own
            anew, any_model = rng.random(len(x)) < explored, rng.integers(3, size=len(x))
            passed = rng.random(len(x))
            for at, rate in enumerate(explored.tolist()):
                drawn = int(any_model[at] if anew[at] else old[at])
                p = rate / 3 + (1 - rate) * (drawn == old[at])
                decision = LoggedDecision(
                    f"{at:032x}", 0.0, "a" * 64, f"m{drawn}", 0, p,
                    "routed" if drawn == old[at] else "explored", 0.1, 0.5,
                )  # fmt: skip
                shadow = LoggedShadow("b" * 64, f"m{new[at]}", 0, 0.1, 0.9)
                score = float(passed[at] < rates[at, drawn])
                gain.add(decision, shadow, LoggedOutcome(decision.id, 0.0, score))
            view = gain.view(len(x))
            truth = 0.0
            fine = (np.arange(10_000) + 0.5) / 10_000
            truth += np.where(fine < 0.6, 0.8 - 0.6 * fine, 0.2 + 0.6 * fine).mean()
            truth -= np.where(fine < 0.3, 0.8 - 0.6 * fine, 0.45).mean()
            low, high = view.success.interval
            covered += low <= truth <= high
            gains.append(view.success.change - truth)
        assert covered / worlds >= 0.9
        assert abs(np.mean(gains)) < 4 * np.std(gains) / np.sqrt(worlds)

    def test_an_answer_of_another_model_and_a_failure_do_not_count(self) -> None:
        gain = ShadowGain()
        decision = LoggedDecision("0" * 32, 0.0, "a" * 64, "m0", 0, 0.5, "explored", 0.1, 0.5)
        shadow = LoggedShadow("b" * 64, "m0", 0, 0.1, 0.9)
        gain.add(decision, shadow, LoggedOutcome(decision.id, 0.0, 1.0, model="m1"))
        gain.add(decision, shadow, LoggedOutcome(decision.id, 0.0, None, failed=True))
        gain.add(decision, LoggedShadow("b" * 64, error="x"), LoggedOutcome(decision.id, 0.0, 1.0))
        assert (gain.n, gain.n_hits, gain.view(1)) == (0, 0, None)


class TestTraffic:
    def test_centroids_weigh_as_much_as_the_log_has_them(self, both, vectors, tmp_path) -> None:
        old, new = both
        with hypernova.OutcomeLog(tmp_path) as log:
            decisions = [old.decide(vector) for vector in vectors]
            for decision in decisions:
                log.record_decision(decision)
        moves: Counter[tuple[str, str]] = Counter()
        for decision in decisions:
            if decision.reason == "default_novel":
                # The whole table decides for every novel prompt alike: that of another.
                pair = tuple(artifact.decide(-artifact.centroids[0]).model for artifact in both)
            else:
                centroid = old.centroids[decision.cluster]
                pair = tuple(artifact.decide(centroid).model for artifact in both)
            moves[pair] += pair[0] != pair[1]
        found = hypernova.diff(old, new, log=tmp_path)
        assert found.basis == "traffic"
        assert {(move.old, move.new): move.n for move in found.moves} == +moves
        assert any("as their shadow" in note for note in found.notes)

    def test_a_damaged_shadow_is_left_out_once(self, both, vectors, tmp_path) -> None:
        log_shadowed(tmp_path, both, vectors)
        (segment,) = tmp_path.glob("*.jsonl")
        records = [json.loads(line) for line in segment.read_text().splitlines()]
        for at, record in enumerate(records):
            if at % 4 == 0:
                record["shadow"]["cluster"] = 99
        segment.write_text("".join(json.dumps(record) + "\n" for record in records))
        found = hypernova.diff(*both, log=tmp_path)
        assert (found.basis, found.n_decisions, found.n_skipped) == ("shadow", N * 3 / 4, N / 4)
        for record in records:
            record["shadow"]["cluster"] = 99
        segment.write_text("".join(json.dumps(record) + "\n" for record in records))
        found = hypernova.diff(*both, log=tmp_path)
        assert (found.basis, found.n_decisions, found.n_skipped) == ("traffic", N, 0)
        assert not any("left out" in note for note in found.notes)

    def test_nothing_is_minus_zero(self, old) -> None:
        success = np.ascontiguousarray(old.success - 1e-5)
        text = str(hypernova.diff(old, old.replace(success=success, cost_weight=1e-9)))
        assert "-0.0" not in text
        assert "+0.0" not in text

    def test_groups_of_the_log_decide_and_are_kinds(self, old, tmp_path) -> None:
        new = old.replace(cost_weight=0.1)
        group = next(iter(old.groups))
        with hypernova.OutcomeLog(tmp_path) as log:
            for centroid in old.centroids:
                log.record_decision(old.decide(centroid, group=group))
        expected = sum(
            old.decide(c, group=group).model != new.decide(c, group=group).model
            for c in old.centroids
        )
        found = hypernova.diff(old, new, log=tmp_path)
        assert found.n_changed == expected
        assert [(kind.group, kind.n) for kind in found.groups] == [(group, old.n_clusters)]

    def test_another_embedder_cannot_be_told(self, old, elsewhere, tmp_path) -> None:
        with hypernova.OutcomeLog(tmp_path) as log:
            log.record_decision(old.decide(old.centroids[0]))
        found = hypernova.diff(old, elsewhere, log=tmp_path)
        assert (found.basis, found.share_changed) == (None, None)
        assert "give prompts that both can read" in found.notes[0]


class TestBadLogs:
    def test_a_log_of_another_artifact(self, both, vectors, tmp_path) -> None:
        old, new = both
        log_shadowed(tmp_path, both, vectors[:3])
        with pytest.raises(OutcomeLogError, match="given in the wrong order"):
            hypernova.diff(new, old, log=tmp_path)
        third = old.replace(cost_weight=3.0)
        with pytest.raises(OutcomeLogError, match=f"give the artifact {old.sha256[:12]}"):
            hypernova.diff(third, new, log=tmp_path)

    def test_decisions_of_others_are_left_out_and_counted(self, both, vectors, tmp_path) -> None:
        log_shadowed(tmp_path, both, vectors[:5])
        third = both[0].replace(cost_weight=3.0)
        with hypernova.OutcomeLog(tmp_path) as log:
            log.record_decision(third.decide(vectors[0]))
        found = hypernova.diff(*both, log=tmp_path)
        assert (found.n_decisions, found.n_skipped) == (5, 1)

    def test_an_empty_log_and_none(self, both, tmp_path) -> None:
        with pytest.raises(OutcomeLogError, match="holds no decision"):
            hypernova.diff(*both, log=tmp_path)
        with pytest.raises(NotFoundError):
            hypernova.diff(*both, log=tmp_path / "none")

    def test_decisions_beyond_the_artifact_do_not_crash(self, both, vectors, tmp_path) -> None:
        log_shadowed(tmp_path, both, vectors[:4])
        (segment,) = tmp_path.glob("*.jsonl")
        lines = [json.loads(line) for line in segment.read_text().splitlines()]
        lines[0]["cluster"] = 99
        lines[1]["model"] = "nobody"
        lines[2]["shadow"]["cluster"] = 99
        segment.write_text("".join(json.dumps(line) + "\n" for line in lines))
        found = hypernova.diff(*both, log=tmp_path)
        assert (found.n_decisions, found.n_skipped) == (1, 3)
