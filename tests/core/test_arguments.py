"""Arguments that are none: one line that says which one and why, of a class that users catch.

Not here: numbers out of range and wrong types (test_rule.py), and arrays (test_vectors.py).
"""

from __future__ import annotations

import json
import math
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hypernova
from hypernova import Artifact, errors
from hypernova.router.watch import file_state

HUGE = 10**400
LONE = "gpt\udcff"  # half of a surrogate pair, which no UTF-8 holds
SEEDS = "a whole number from 0 to 18446744073709551615"
ONES = np.ones((2, 1), np.float32)
NUMBERS = (
    "cost_weight", "latency_weight", "max_cost_usd", "min_success", "switch_cost", "explore"
)  # fmt: skip


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return hypernova.Router.open().artifact


def refusal(kind: type[Exception], call: Any, *arguments: Any, **more: Any) -> str:
    """The message of a call that is refused: one line that can be written anywhere."""
    with pytest.raises(kind) as caught:
        call(*arguments, **more)
    assert type(caught.value) is kind
    message = str(caught.value)
    assert "\n" not in message
    assert message.encode(), "it can be written anywhere"
    return message


def build(**changed: Any) -> Artifact:
    identity = {"kind": "vectors", "name": "t", "dim": 2, "fingerprint": "ab" * 32}
    arguments: dict[str, Any] = {
        "models": ["m"],
        "centroids": np.ones((1, 2), np.float32),
        "counts": np.ones((2, 1)),
        "mean": ONES,
        "success": ONES,
        "standard_error": ONES,
        "gain_error": ONES,
        "cost": ONES,
        "latency": ONES,
        "novelty": np.array([0, 1], np.float32),
        "embedder": json.dumps(identity),
        "metadata": "{}",
        "default_model": 0,
        "sharpness": 1.0,
    }
    return Artifact.build(**(arguments | changed))


class TestWishes:
    @pytest.mark.parametrize("many", [False, True])
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("allow", [LONE]),
            ("allow", (LONE,)),
            ("deny", [LONE]),
            ("deny", {LONE}),
            ("prices", {LONE: 1.0}),
            ("previous_model", LONE),
        ],
    )
    def test_half_a_surrogate_pair_is_no_model(
        self, artifact: Artifact, name: str, value: object, many: bool
    ) -> None:
        ask, vector = artifact.decide, artifact.centroids[0]
        if many:
            ask, vector = artifact.decide_many, artifact.centroids
        message = refusal(errors.UnknownModelError, ask, vector, **{name: value})
        assert message.startswith(f"{name} names the model ")
        assert "udcff" in message

    def test_a_name_that_stands_for_it_is_not_taken_for_it(self) -> None:
        """Neither the replacement character nor the escape is the model that was named."""
        names = ["gpt\ufffd", "gpt\\udcff"]
        cells = np.ones((2, 2), np.float32)
        profile = ("mean", "success", "standard_error", "gain_error", "cost", "latency")
        made = build(models=names, counts=np.ones((2, 2)), **dict.fromkeys(profile, cells))
        decision = made.decide(made.centroids[0])
        refusal(errors.UnknownModelError, made.decide, made.centroids[0], allow=[LONE])
        refusal(errors.UnknownModelError, decision.after_failure, LONE)
        for name in names:
            assert made.decide(made.centroids[0], allow=[name]).model == name

    def test_half_a_surrogate_pair_is_no_answer_to_a_novel_prompt(self, artifact) -> None:
        message = refusal(errors.PolicyError, artifact.decide, artifact.centroids[0], on_novel=LONE)
        assert message.startswith("on_novel is ")

    def test_what_failed_is_named(self, artifact: Artifact) -> None:
        decision = artifact.decide(artifact.centroids[0])
        message = refusal(errors.UnknownModelError, decision.after_failure, LONE)
        assert message.startswith("after_failure names the model ")
        for value, kind in ((None, "NoneType"), (3, "int"), (b"m", "bytes")):
            message = refusal(TypeError, decision.after_failure, value)
            assert message == f"after_failure: expected the name of a model, got {kind}"

    @pytest.mark.parametrize("value", [HUGE, -HUGE, Fraction(HUGE)])
    @pytest.mark.parametrize("name", NUMBERS)
    def test_a_number_beyond_floats_is_named(self, artifact, name: str, value: object) -> None:
        message = refusal(
            errors.PolicyError, artifact.decide, artifact.centroids[0], **{name: value}
        )
        assert message == f"{name} is beyond the range of a float; it must be a number within it"

    def test_a_price_beyond_floats_is_named(self, artifact: Artifact) -> None:
        prices = {artifact.models[0]: HUGE}
        message = refusal(errors.PolicyError, artifact.decide, artifact.centroids[0], prices=prices)
        assert message.startswith("prices is beyond the range of a float")

    @pytest.mark.parametrize(
        "value", [0.25, np.float64(0.25), np.float32(0.25), np.array(0.25), Decimal("0.25")]
    )
    def test_what_is_a_number_is_taken(self, artifact: Artifact, value: Any) -> None:
        for name in NUMBERS:
            vector = artifact.centroids[0]
            found = artifact.decide(vector, **{name: value}, explore_seed=1)
            plain = artifact.decide(vector, **{name: 0.25}, explore_seed=1)
            assert found.model == plain.model

    @pytest.mark.parametrize("explore", [None, 0.5])
    @pytest.mark.parametrize(
        "seed", [-1, 2**64, np.int64(-3), HUGE, pytest.param(-(10**5000), id="5000 digits")]
    )
    def test_a_seed_out_of_range_is_told_the_range(self, artifact, seed: int, explore) -> None:
        arguments = {"explore": explore, "explore_seed": seed}
        message = refusal(errors.PolicyError, artifact.decide, artifact.centroids[0], **arguments)
        assert message.startswith("explore_seed is ")
        assert message.endswith(f"; it must be {SEEDS}")
        assert len(message) < 120

    @pytest.mark.parametrize("seed", [1.5, "1", [1]])
    def test_a_seed_of_the_wrong_type_is_told_the_range(self, artifact, seed: object) -> None:
        message = refusal(TypeError, artifact.decide, artifact.centroids[0], explore_seed=seed)
        assert message == f"explore_seed: expected {SEEDS}, got {type(seed).__name__}"

    @pytest.mark.parametrize("seed", [0, 2**64 - 1, np.uint64(7), None])
    def test_every_seed_in_range_is_taken(self, artifact: Artifact, seed: Any) -> None:
        assert artifact.decide(artifact.centroids[0], explore=0.5, explore_seed=seed).model


class TestRows:
    """A message names the row of a batch, and no row where there is one vector."""

    def both(self, artifact: Artifact, kind: type[Exception], vector: Any, **options: Any):
        good = artifact.centroids[0]
        assert artifact.decide(good)
        one = refusal(kind, artifact.decide, vector, **options)
        matrix = np.stack([vector, vector])
        return one, refusal(kind, artifact.decide_many, matrix, **options)

    def test_a_value_that_is_not_finite(self, artifact: Artifact) -> None:
        bad = artifact.centroids[0].copy()
        bad[3] = np.nan
        one, many = self.both(artifact, errors.VectorError, bad)
        assert one == "the vector holds NaN at position 3; every value must be finite"
        assert many == "vector 0 holds NaN at position 3; every value must be finite"

    def test_no_candidate(self, artifact: Artifact) -> None:
        centre = artifact.centroids[2]
        one, many = self.both(artifact, errors.NoCandidateError, centre, max_cost_usd=0.0)
        assert one.startswith("no model is left in cluster 2: of 24 models 24 are allowed")
        assert many.startswith("no model is left for vector 0 in cluster 2: of 24 models 24 are")
        last = artifact.decide(centre, allow=[artifact.models[0]])
        message = refusal(errors.NoCandidateError, last.after_failure, artifact.models[0])
        assert message.startswith("no model is left in cluster 2: ")

    def test_a_novel_prompt(self, artifact: Artifact) -> None:
        far = np.full(artifact.dim, 9.0, np.float32)
        one, many = self.both(artifact, errors.NovelPromptError, far, on_novel="error")
        assert one.startswith("the prompt is novel: 100.0% of the training prompts lie nearer")
        assert many.startswith("vector 0 is novel: 100.0% of the training prompts lie nearer")

    def test_a_router_speaks_of_the_prompt_and_a_batch_of_its_index(self) -> None:
        router = hypernova.Router.open()
        text = "Quelle est la couleur du ciel ?" * 9
        for options in ({"on_novel": "error"}, {"max_cost_usd": 0.0}):
            with pytest.raises(errors.HypernovaError) as caught:
                router.route(text, **options)
            assert "vector" not in str(caught.value)
        with pytest.raises(errors.NovelPromptError, match="vector 0 is novel"):
            router.route_many([text, text], on_novel="error")


class TestPaths:
    @pytest.mark.parametrize("path", ["a\ud800b", Path("a\ud800b")])
    def test_a_name_that_no_file_can_have(self, artifact: Artifact, path: Any) -> None:
        expected = "a\\ud800b: no file can have this name; check the path"
        assert refusal(errors.NotFoundError, Artifact.open, path) == expected
        assert refusal(errors.NotFoundError, hypernova.Router.open, path, watch=True) == expected
        assert refusal(errors.ArtifactWriteError, artifact.save, path) == expected

    def test_a_null_byte(self, artifact: Artifact, tmp_path: Path) -> None:
        path = tmp_path / "a\0b"
        for opened in (Artifact.open, hypernova.Router.open):
            assert "NUL byte" in refusal(errors.ArtifactError, opened, path)
        assert "NUL byte" in refusal(errors.ArtifactError, hypernova.Router.open, path, watch=True)
        refusal(errors.ArtifactWriteError, artifact.save, path)
        assert list(tmp_path.iterdir()) == [], "no temporary file is left"
        assert file_state(path) is None

    def test_a_line_feed_in_a_path_does_not_break_the_message(self, artifact, tmp_path) -> None:
        path = tmp_path / "a\nb\x1b[2J.hnv"
        assert "a\\nb\\u{1b}[2J.hnv: there is no" in refusal(
            errors.NotFoundError, Artifact.open, path
        )
        artifact.save(path)
        assert Artifact.open(path).sha256 == artifact.sha256


@pytest.mark.parametrize("watch", ["yes", None, "1", [1.0], -1, math.nan, math.inf])
def test_watch_that_is_no_number_of_seconds(artifact: Artifact, watch: Any, tmp_path: Path) -> None:
    artifact.save(tmp_path / "r.hnv")
    with pytest.raises(ValueError, match=r"watch is .*, expected True or seconds above 0"):
        hypernova.Router.open(tmp_path / "r.hnv", watch=watch)


class TestBuild:
    @pytest.mark.parametrize("value", [HUGE, -HUGE])
    @pytest.mark.parametrize(
        ("name", "section"),
        [
            *((name, "POLI") for name in (
                "cost_weight", "latency_weight", "max_cost_usd", "min_success", "guard_z",
                "novelty_limit", "shrinkage", "default_model",
            )),
            ("sharpness", "SOFT"),
            ("n_nearest", "SOFT"),
        ],
    )  # fmt: skip
    def test_a_number_that_no_file_holds(self, name: str, section: str, value: int) -> None:
        assert section in refusal(errors.ArtifactError, build, **{name: value})

    @pytest.mark.parametrize(
        ("name", "value", "section"),
        [("models", [LONE], "MODL"), ("embedder", LONE, "EMBD"), ("metadata", LONE, "META")],
    )
    def test_half_a_surrogate_pair(self, name: str, value: Any, section: str) -> None:
        message = refusal(errors.ArtifactError, build, **{name: value})
        assert section in message
        assert "UTF-8" in message

    def test_its_signature_says_the_defaults(self) -> None:
        assert "novelty_limit=1.0" in str(Artifact.build.__text_signature__)


@pytest.mark.parametrize("index", [10**30, -(10**30), 2**63 - 1, -(2**63), 5, -6])
def test_an_index_out_of_range_is_no_decision(artifact: Artifact, index: int) -> None:
    decided = artifact.decide_many(artifact.centroids[:5])
    assert len(decided) == 5
    with pytest.raises(IndexError, match="no such decision"):
        decided[index]
    assert [decided[-1].cluster, decided[-5].cluster] == decided.clusters[[4, 0]].tolist()
