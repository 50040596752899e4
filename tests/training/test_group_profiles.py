"""The profiles of groups that a caller may name: what is learned, and what changes them.

Not here: the rule that reads them (tests/core), or how they are judged (tests/evaluation).
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hypernova
from hypernova.training.estimates.token_use import TokenUse
from hypernova.training.trainer import learn
from support.factories import make_table, uneven_table, unit

GROUPS = ["billing", "code", "small talk"]


def alike(rng: np.random.Generator, n: int = 240) -> hypernova.OutcomeTable:
    """Two groups whose prompts say nothing, each with a model that solves it; and a few others."""
    groups = [GROUPS[i % 2] if i >= 12 else "rare" for i in range(n)]
    score = np.array([[group == name for name in GROUPS[:2]] for group in groups], dtype=float)
    cost = np.tile([0.25, 1.0], (n, 1))
    return make_table(unit(rng.normal(size=(n, 8))), score, groups=groups, cost_usd=cost)


def log_of(decision, score: float, folder) -> None:
    with hypernova.OutcomeLog(folder) as log:
        log.record_outcome(log.record_decision(decision), score)


class TestLearning:
    def test_a_group_that_is_named_is_worth_what_the_text_does_not_say(self) -> None:
        table = alike(np.random.default_rng(0))
        artifact = learn(table, table.embedding).artifact()
        asked = alike(np.random.default_rng(1))
        groups = list(asked.groups[12:])
        named = artifact.decide_many(asked.embedding[12:].copy(), group=groups)
        right = [asked.models[GROUPS.index(group)] for group in groups]
        assert [named.models[i] for i in named.model_indices] == right
        assert {decision.group for decision in named} == set(GROUPS[:2])
        by_text = artifact.decide_many(asked.embedding[12:].copy())
        chosen = [by_text.models[i] for i in by_text.model_indices]
        assert sum(a == b for a, b in zip(chosen, right, strict=True)) < 0.7 * len(right)

    def test_groups_are_listed_with_their_tasks_and_small_ones_are_unknown(self) -> None:
        table = alike(np.random.default_rng(0))
        artifact = learn(table, table.embedding).artifact()
        assert artifact.groups == {"billing": 114.0, "code": 114.0}
        for vector in table.embedding[:20]:
            rare, plain = (
                artifact.decide(vector.copy(), group="rare"),
                artifact.decide(vector.copy()),
            )
            assert (rare.unknown_group, rare.group, plain.unknown_group) == (True, None, False)
            assert rare.ranking == plain.ranking

    def test_a_table_without_groups_is_as_it_was(self) -> None:
        rng = np.random.default_rng(3)
        table = make_table(
            unit(rng.normal(size=(60, 8))), (rng.random((60, 3)) < 0.5).astype(float)
        )
        artifact = learn(table, table.embedding).artifact()
        assert (artifact.groups, artifact.group_profiles) == ({}, None)
        assert artifact.replace(margin=0.0).version == (1, 1)

    @pytest.mark.parametrize("dim", [16, 400])
    @pytest.mark.parametrize("holes", [0.0, 0.3])
    def test_the_estimates_are_those_of_the_definition(self, holes: float, dim: int) -> None:
        """Cells of the group, ridges at the vector, averaged with the weights of groups."""
        table, _ = uneven_table(150, dim, holes, groups=[GROUPS[i % 3] for i in range(150)])
        learned = learn(table, table.embedding)
        part, weights = learned.part, learned.setting.group_weights
        artifact = learned.artifact()
        names = list(artifact.groups)
        assert names == GROUPS
        cells = {name: part.by_cell.cluster_success[g] - part.rates for g, name in enumerate(names)}
        for i, vector in enumerate(table.embedding):
            x = vector.astype(float)
            ridges = [r.slopes.astype(float) @ x + r.offsets for r in part.ridges]
            estimates, expected = [cells[table.groups[i]], *ridges], np.zeros(table.n_models)
            for contrast, level, values in zip(
                weights.contrast, weights.level, estimates, strict=True
            ):
                mean = values.mean()
                expected += contrast * (values - mean) + level * mean
            lowered = part.caution[names.index(table.groups[i])]
            expected = np.clip(part.rates + expected - lowered, 0.0, 1.0)
            ranking = artifact.decide(vector.copy(), group=table.groups[i]).ranking
            found = {entry.model: entry.success for entry in ranking}
            assert [found[m] for m in artifact.models] == pytest.approx(expected, abs=2e-5)

    def test_a_profile_is_the_group_s_own_estimate(self) -> None:
        """At the mean of the group's vectors the correction is 0."""
        table, _ = uneven_table(150, 16, 0.0, groups=[GROUPS[i % 3] for i in range(150)])
        artifact = learn(table, table.embedding).artifact()
        profiles = artifact.group_profiles
        for g, name in enumerate(profiles["names"]):
            members = table.embedding[[group == name for group in table.groups]]
            mean = members.astype(float).mean(axis=0).astype(np.float32)
            ranking = artifact.decide(mean, group=name).ranking
            found = {entry.model: entry.success for entry in ranking}
            assert [found[m] for m in artifact.models] == pytest.approx(
                profiles["success"][g].tolist(), abs=1e-5
            )

    @settings(max_examples=6, deadline=None)  # each learns a table
    @given(st.integers(0, 10_000))
    def test_learned_in_pieces_they_are_the_same(self, seed: int) -> None:
        """Profiles of groups are a function of sums, as those of clusters are."""
        table, _ = uneven_table(90, 16, 0.2, seed=seed, groups=[GROUPS[i % 3] for i in range(90)])
        order = np.random.default_rng(seed).permutation(90)
        whole = learn(table, table.embedding)
        other = table.subset(order)
        again = learn(other, other.embedding, setting=whole.setting)
        one = whole.part.group_profiles(whole.setting.group_weights)
        two = again.part.group_profiles(whole.setting.group_weights)
        assert one is not None
        assert two is not None
        np.testing.assert_allclose(one.profile.success, two.profile.success, atol=1e-6)
        assert list(one.tasks) == list(two.tasks)


class TestTokens:
    def test_prices_for_tokens_cost_what_the_table_s_tokens_say(self) -> None:
        rng = np.random.default_rng(0)
        table = alike(rng)
        chars = table.prompt_chars()
        read = np.stack([100.0 + 2.0 * chars, 3.0 * chars], axis=1)
        wrote = np.tile([50.0, 10.0], (table.n_tasks, 1))
        table = make_table(
            table.embedding, table.score, groups=table.groups, input_tokens=read,
            output_tokens=wrote,
        )  # fmt: skip
        artifact = learn(table, table.embedding).artifact()
        tokens = artifact.token_profiles
        assert tokens["output"][-1].tolist() == [50.0, 10.0]
        assert tokens["per_prompt"].ravel().tolist() == pytest.approx([100, 2, 0, 3], abs=1e-2)
        prices = {table.models[0]: (2.0, 8.0), table.models[1]: (10.0, 30.0)}
        vector = table.embedding[0].copy()
        for group in (None, "code"):
            costs = {
                entry.model: entry.cost_usd
                for entry in artifact.decide(
                    vector, prices=prices, prompt_chars=1000, group=group
                ).ranking
            }
            expected = [(2 * 2100 + 8 * 50) / 1e6, (10 * 3000 + 30 * 10) / 1e6]
            assert [costs[m] for m in table.models] == pytest.approx(expected, rel=1e-4)
        stated = artifact.decide(vector, prices=prices, input_tokens=500).ranking
        assert {entry.model: entry.cost_usd for entry in stated}[table.models[0]] == pytest.approx(
            (2 * 500 + 8 * 50) / 1e6, rel=1e-6
        )

    def test_an_artifact_has_the_tokens_of_its_sums(self) -> None:
        table, _ = uneven_table(150, 16, 0.3, groups=[GROUPS[i % 3] for i in range(150)])
        rng = np.random.default_rng(2)
        spent = np.where(np.isnan(table.score), np.nan, rng.integers(1, 900, table.score.shape))
        table = make_table(
            table.embedding, table.score, groups=table.groups, input_tokens=spent,
            output_tokens=2 * spent,
        )  # fmt: skip
        learned = learn(table, table.embedding)
        use = TokenUse.of(learned.part.evidence.sums)
        tokens = learned.artifact().token_profiles
        assert use is not None
        for name in ("input", "output"):
            np.testing.assert_array_equal(tokens[name], getattr(use, f"{name}_tokens"))
            np.testing.assert_array_equal(tokens[f"group_{name}"], tokens[name][:3])


class TestChanges:
    def fit(self) -> tuple[hypernova.OutcomeTable, hypernova.Artifact]:
        groups = [GROUPS[i % 3] for i in range(150)]
        table, _ = uneven_table(150, 16, 0.0, groups=groups)
        return table, hypernova.fit(table, describe=False)

    def test_models_that_are_removed_or_renamed_take_their_columns_along(self) -> None:
        _, artifact = self.fit()
        gone = artifact.models[1] if artifact.models[1] != artifact.default_model else None
        gone = gone or artifact.models[0]
        left = hypernova.remove_model(artifact, gone)
        keep = [i for i, model in enumerate(artifact.models) if model != gone]
        for name in ("success", "offsets", "cost"):
            before, after = artifact.group_profiles[name], left.group_profiles[name]
            np.testing.assert_array_equal(after, before[:, keep])
        renamed = hypernova.rename_model(artifact, gone, "another")
        np.testing.assert_array_equal(
            renamed.group_profiles["success"], artifact.group_profiles["success"]
        )

    def test_a_new_model_has_an_estimate_in_every_group(self) -> None:
        table, artifact = self.fit()
        score = np.where([[group == "code"] for group in table.groups], 1.0, 0.0)
        new = make_table(table.embedding, score, models=("new",), min_models=1, groups=table.groups)
        made = hypernova.add_model(artifact, new).artifact
        success = made.group_profiles["success"]
        np.testing.assert_array_equal(success[:, :-1], artifact.group_profiles["success"])
        assert made.models[-1] == "new"
        assert np.argmax(success[:, -1]) == list(made.groups).index("code")
        assert success[1, -1] > 0.6
        assert made.group_profiles["mean"][:, -1].tolist() == [0.0, 1.0, 0.0]
        assert made.group_profiles["counts"][:, -1].tolist() == [50.0] * 3

    def test_outcomes_of_a_group_that_was_named_move_it(self, tmp_path) -> None:
        table, artifact = self.fit()
        router = hypernova.Router(artifact)
        model = artifact.models[0]
        with hypernova.OutcomeLog(tmp_path / "log") as log:
            for vector in table.embedding[:60]:
                decision = router.decide(vector.copy(), group="code", allow=[model])
                log.record_outcome(log.record_decision(decision), 1.0)
        new = hypernova.recalibrate(artifact, tmp_path / "log").artifact
        moved = new.group_profiles["success"] - artifact.group_profiles["success"]
        code = list(artifact.groups).index("code")
        assert np.argmax(moved[:, 0]) == code
        assert moved[code, 0] > 0.05
        # Once more with the same log: nothing is added.
        again = hypernova.recalibrate(new, tmp_path / "log").artifact.group_profiles["success"]
        np.testing.assert_array_equal(again, new.group_profiles["success"])
