"""Limits that an artifact sets by default: every call can lift them, and its descriptions do.

Not here: the rule itself (test_rule.py).
"""

from __future__ import annotations

import json
import math
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np
import pytest

import hypernova
from hypernova import Artifact, errors
from hypernova.artifact.decisions import NO_MODEL, chosen_models, success_at_centroids
from hypernova.artifact.profile import Profile
from hypernova.cli.summary import heat_map
from hypernova.training.model_pool import add_model
from support.commands import output_of
from support.factories import make_table
from support.server import assert_error, serving

if TYPE_CHECKING:
    from pathlib import Path

BUNDLED = hypernova.Router.open().artifact
TEXT = "Fix the race in the scheduler"


def limited(artifact: Artifact, **policy: object) -> Artifact:
    """The same artifact with other defaults."""
    profile = Profile.of(artifact)
    given = {field.name: getattr(profile, field.name) for field in fields(profile)}
    given.update(artifact.policy, default_model=artifact.models.index(artifact.default_model))
    return Artifact.build(
        models=artifact.models,
        centroids=artifact.centroids,
        novelty=artifact.novelty_quantiles,
        embedder=artifact.embedder,
        metadata=artifact.metadata,
        sharpness=artifact.sharpness,
        n_nearest=artifact.n_nearest or 8,
        **(given | policy),
    )


def cheapest_at_centres(artifact: Artifact) -> np.ndarray:
    decisions = artifact.decide_many(artifact.centroids)
    return np.array([min(e.cost_usd or math.inf for e in d.ranking) for d in decisions])


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    """The bundled one under a limit that leaves no model in half of its clusters."""
    made = limited(BUNDLED, max_cost_usd=float(np.median(cheapest_at_centres(BUNDLED))))
    with pytest.raises(errors.NoCandidateError):
        made.decide_many(made.centroids)
    return made


@pytest.fixture(scope="module")
def path(artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place: Path = tmp_path_factory.mktemp("limited") / "r.hnv"
    artifact.save(place)
    return place


def ranked(decision: hypernova.Decision) -> list[tuple[str, float]]:
    return [(entry.model, entry.success) for entry in decision.ranking]


class TestCalls:
    def test_infinity_is_no_limit(self, artifact: Artifact) -> None:
        for free, held in zip(
            artifact.decide_many(artifact.centroids, max_cost_usd=math.inf),
            BUNDLED.decide_many(BUNDLED.centroids),
            strict=True,
        ):
            assert ranked(free) == ranked(held)
            assert free.reason == held.reason
        one = artifact.decide(artifact.centroids[0], max_cost_usd=np.float64("inf"))
        assert ranked(one) == ranked(BUNDLED.decide(BUNDLED.centroids[0]))
        # The failure of a model brings no limit back.
        nexts = one.after_failure(one.model)
        assert ranked(nexts) == [pair for pair in ranked(one) if pair[0] != one.model]

    def test_a_model_of_unknown_cost_is_a_candidate_then(self) -> None:
        unknown = limited(BUNDLED, cost=np.full_like(BUNDLED.cost, np.nan), max_cost_usd=1.0)
        with pytest.raises(errors.NoCandidateError, match="max_cost_usd=1"):
            unknown.decide(unknown.centroids[0])
        assert len(unknown.decide(unknown.centroids[0], max_cost_usd=math.inf).ranking) == len(
            unknown.models
        )

    def test_none_leaves_the_default(self, artifact: Artifact) -> None:
        limit = artifact.policy["max_cost_usd"]
        for centre in artifact.centroids:
            free = artifact.decide(centre, max_cost_usd=math.inf)
            left = [e.model for e in free.ranking if (e.cost_usd or math.inf) <= limit]
            if left:
                held = artifact.decide(centre, max_cost_usd=None)
                assert [e.model for e in held.ranking] == left
            else:
                with pytest.raises(errors.NoCandidateError, match=f"max_cost_usd={limit!r}"):
                    artifact.decide(centre, max_cost_usd=None)

    def test_every_default_can_be_lifted(self) -> None:
        defaults = {"cost_weight": 2.0, "latency_weight": 3.0, "min_success": 0.99}
        made = limited(BUNDLED, max_cost_usd=0.0, **defaults)
        free = dict.fromkeys(defaults, 0.0) | {"max_cost_usd": math.inf}
        for without_limit, plain in zip(
            made.decide_many(made.centroids, **free),
            BUNDLED.decide_many(BUNDLED.centroids, cost_weight=0.0),
            strict=True,
        ):
            assert ranked(without_limit) == ranked(plain)

    @pytest.mark.parametrize("value", [-math.inf, math.nan, -1.0])
    def test_what_is_no_limit_is_refused(self, value: float) -> None:
        with pytest.raises(errors.PolicyError, match="a number, at least 0; inf is no limit"):
            BUNDLED.decide(BUNDLED.centroids[0], max_cost_usd=value)

    def test_a_file_cannot_hold_infinity(self) -> None:
        with pytest.raises(errors.ArtifactError, match="POLI"):
            limited(BUNDLED, max_cost_usd=math.inf)


class TestDescriptions:
    def test_estimates_at_centres_are_those_without_the_limit(self, artifact: Artifact) -> None:
        assert np.array_equal(success_at_centroids(artifact), success_at_centroids(BUNDLED))

    @pytest.mark.slow
    def test_inspect_says_where_no_model_is_left(self, artifact: Artifact, path: Path) -> None:
        taken = chosen_models(artifact, artifact.centroids)
        none = int((taken == NO_MODEL).sum())
        assert 0 < none < artifact.n_clusters
        shown = output_of("inspect", path)
        assert f"leave no model in {none} of {artifact.n_clusters} clusters" in shown
        assert "leave no model" not in "\n".join(heat_map(BUNDLED, colour=False))
        described = json.loads(output_of("inspect", path, "--json"))["descriptions"]
        for cluster, entry in enumerate(described):
            if taken[cluster] == NO_MODEL:
                assert (entry["model"], entry["reason"]) == (None, "no_candidate")
            else:
                decision = artifact.decide(artifact.centroids[cluster])
                assert (entry["model"], entry["reason"]) == (decision.model, decision.reason)

    @pytest.mark.slow
    def test_inspect_describes_prompts_of_all_clusters(self, path: Path, tmp_path: Path) -> None:
        table = tmp_path / "table.jsonl"
        outcomes = {"a": {"score": 1}, "b": {"score": 0}}
        lines = [
            {"task_id": f"t{i}", "prompt": f"{TEXT} {i}", "outcomes": outcomes} for i in range(12)
        ]
        table.write_text("".join(json.dumps(line) + "\n" for line in lines))
        assert "distinctive words and most typical prompts" in output_of(
            "inspect", path, "--data", table
        )

    @pytest.mark.slow
    def test_inspect_shows_an_artifact_of_which_no_cluster_has_a_model(self, tmp_path) -> None:
        for policy in ({"max_cost_usd": 0.0}, {"min_success": 1.0}):
            limited(BUNDLED, **policy).save(tmp_path / "r.hnv")
            k = BUNDLED.n_clusters
            assert f"leave no model in {k} of {k} clusters" in output_of(
                "inspect", tmp_path / "r.hnv"
            )

    @pytest.mark.slow
    def test_models_are_removed_renamed_and_added(self, artifact: Artifact, path: Path) -> None:
        gone = next(m for m in artifact.models if m != artifact.default_model)
        out = path.parent / "out.hnv"
        assert "another model is chosen" in output_of("remove-model", path, gone, "-o", out)
        output_of("rename-model", path, gone, "renamed", "-o", out)
        rng = np.random.default_rng(0)
        prompts = [f"{TEXT} {i}" for i in range(20)]
        table = make_table(
            None,
            np.column_stack([rng.integers(0, 2, 20), np.ones(20)]).astype(float),
            prompts=prompts,
            models=[artifact.default_model, "new"],
        )
        (held,), (free,) = (add_model(a, table, models=["new"]).models for a in (artifact, BUNDLED))
        # What is proven does not hang on the limit; a model of unknown cost is taken nowhere.
        assert held.clusters_proven == free.clusters_proven > 0
        assert (held.clusters_chosen, held.prompts_chosen) == (0, 0)

    def test_prompts_are_proposed(self, artifact: Artifact) -> None:
        prompts = [f"{TEXT} {i}" for i in range(30)]
        proposed = hypernova.next_prompts(artifact, prompts, model=artifact.models[0], count=3)
        assert len(proposed) == 3


class TestWays:
    @pytest.mark.slow
    def test_infinity_lifts_the_limit_on_the_command_line(self, path: Path) -> None:
        shown = json.loads(output_of("route", "-a", path, TEXT, "--max-cost-usd", "inf", "--json"))
        expected = hypernova.Router.open().route(TEXT)
        assert [e["model"] for e in shown["ranking"]] == [e.model for e in expected.ranking]

    @pytest.mark.slow
    def test_infinity_lifts_the_limit_in_the_server(self, path: Path) -> None:
        expected = [e.model for e in hypernova.Router.open().route(TEXT).ranking]
        with serving("-a", path) as server, server.client() as client:

            def ask(limit: str):
                body = f'{{"text": "{TEXT}", "max_cost_usd": {limit}}}'
                headers = {"Content-Type": "application/json"}
                return client.post("/v1/route", content=body, headers=headers)

            assert [e["model"] for e in ask('"inf"').json()["ranking"]] == expected
            assert len(ask("null").json().get("ranking", [])) < len(expected)
            for bad in ('"1"', '"Infinity"', "-1", "1e13", "[]", "NaN", "Infinity", "1e999"):
                assert (
                    "max_cost_usd" in assert_error(ask(bad), 400, "bad_request") or bad[0] in "NI"
                )
            body = {"texts": [TEXT, TEXT], "max_cost_usd": "inf"}
            decided = client.post("/v1/route/batch", json=body).json()["decisions"]
            assert [[e["model"] for e in d["ranking"]] for d in decided] == [expected] * 2
            held = client.get("/v1/artifact").json()["policy"]["max_cost_usd"]
            assert held == Artifact.open(path).policy["max_cost_usd"]
