"""Artifacts of bundled embedders whose settings have changed since: the same vectors, or why not.

The oracle of each is a folder with the settings of then, opened as any folder is.
"""

from __future__ import annotations

import json
import pickle
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

import hypernova
from hypernova.artifact.metadata import fingerprint_of_identity
from hypernova.embedder import (
    CachedEmbedder,
    Embedder,
    SharedPart,
    SharedParts,
    SkipSharedEmbedder,
    bundled_embedders,
)
from hypernova.embedder.resolve import check_bundled_for, load_bundled_for
from hypernova.errors import EmbedderMismatchError

if TYPE_CHECKING:
    from pathlib import Path

PREAMBLE = "You are a careful engineer."
PROMPTS = [
    "Sort the customers by name",
    "The queue stalls\n\nWorkers wait for a lock that nobody holds.",
    "Thanks in advance!\nWrite a proof that the sum of two odd numbers is even. " + "Why? " * 600,
    f"{PREAMBLE}\nJoin two tables\nand count the rows",
]


def copied(name: str, folder: Path, **settings: object) -> Embedder:
    """Open a copy of a bundled embedder as it was before it skipped courtesies.

    It has other settings besides, and no end where it has none. onnxruntime runs it, as it then did
    all embedders.
    """
    shutil.copytree(bundled_embedders()[name], folder)
    path = folder / "embedder.json"
    changed = json.loads(path.read_text(encoding="utf-8")) | settings
    del changed["skip_courtesy"]
    if not changed["tail_chars"]:
        changed.pop("tail_tokens", None)
    path.write_text(json.dumps(changed), encoding="utf-8")
    return Embedder.load(folder, runtime="onnxruntime")


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    """`static` as it was in version 0.1.0."""
    return copied("static", tmp_path_factory.mktemp("earlier") / "static", lead_weight=2)


def in_core(earlier: Embedder) -> Embedder:
    """The same, in the core: what runs it now, which an artifact of then does not state."""
    embedder = Embedder.load(earlier._place)
    assert embedder.runtime == "core"
    assert embedder.fingerprint != earlier.fingerprint
    np.testing.assert_allclose(embedder.embed(PROMPTS), earlier.embed(PROMPTS), rtol=0, atol=1e-6)
    return embedder


@pytest.fixture(scope="module")
def static() -> Embedder:
    return Embedder.load("static")


def artifact_for(embedder: hypernova.TextEmbedder) -> hypernova.Artifact:
    """Fit an artifact of two clusters, which two models divide among them."""
    prompts = [f"{PREAMBLE} Sort the list {i}\nby name" for i in range(12)]
    prompts += [f"{PREAMBLE} Prove theorem {i}\nof numbers" for i in range(12)]
    score = np.repeat([[1.0, 0.0], [0.0, 1.0]], 12, axis=0)
    table = hypernova.OutcomeTable.from_arrays(
        task_ids=[str(i) for i in range(24)], prompts=prompts, models=["a", "b"], score=score
    )
    return hypernova.fit(table, embedder=embedder, clusters=2, jobs=1)


def test_the_fingerprint_of_version_0_1_0_is_that_of_its_settings(earlier) -> None:
    assert earlier.fingerprint == "ce33edd0b051b742cb48c47b0affa770350d35cf96c9dd820aa2217f925b5c6c"


def test_an_artifact_routes_with_the_vectors_that_it_was_fitted_with(earlier, static) -> None:
    artifact = artifact_for(earlier)
    expected = in_core(earlier).embed(PROMPTS)
    assert abs(expected - static.embed(PROMPTS)).max() > 0.01, "the settings change vectors"
    for given in (None, "static", static):
        router = hypernova.Router(artifact, embedder=given)
        assert router.embedder.fingerprint == earlier.fingerprint
        assert router.embedder.embed(PROMPTS).tobytes() == expected.tobytes()
        by_vector = [artifact.decide(vector).model for vector in expected]
        assert [decision.model for decision in router.route_many(PROMPTS)] == by_vector


def test_the_answers_are_those_of_the_bundled_minilm_of_0_1_0(tmp_path) -> None:
    # It had another cut, too.
    settings = {"lead_weight": 2, "head_chars": 2048, "tail_chars": 0}
    then = copied("minilm", tmp_path / "minilm", **settings)
    identity = {"kind": "text", **then.identity, "fingerprint": then.fingerprint}
    now = load_bundled_for(identity)
    assert now.embed_one(PROMPTS[2]).tobytes() == then.embed_one(PROMPTS[2]).tobytes()


def test_a_router_takes_an_artifact_of_then_and_of_now(earlier, static, tmp_path) -> None:
    artifact_for(earlier).save(tmp_path / "then.hnv")
    artifact_for(static).save(tmp_path / "now.hnv")
    core = in_core(earlier)
    for given in (None, "static"):
        router = hypernova.Router.open(tmp_path / "now.hnv", embedder=given)
        for name, embedder in (("then", core), ("now", static), ("then", core)):
            router.reload(tmp_path / f"{name}.hnv")
            assert router.embedder.embed_one(PROMPTS[1]).tobytes() == (
                embedder.embed_one(PROMPTS[1]).tobytes()
            )


def test_shared_text_is_left_out_with_the_settings_of_then(earlier) -> None:
    parts = SharedParts([SharedPart.from_text("start", PREAMBLE)])
    artifact = artifact_for(SkipSharedEmbedder(earlier, parts))
    expected = in_core(earlier).embed_one("Join two tables\nand count the rows").tobytes()
    for given in (None, "static"):
        router = hypernova.Router(artifact, embedder=given)
        assert router.embedder.embed_one(PROMPTS[3]).tobytes() == expected


def test_a_pickle_has_the_settings_of_then(earlier) -> None:
    artifact = artifact_for(earlier)
    embedder = hypernova.Router(artifact).embedder
    there = pickle.loads(pickle.dumps(embedder))
    assert there is not embedder
    assert there is pickle.loads(pickle.dumps(embedder))
    assert there.fingerprint == earlier.fingerprint
    assert there.embed_one(PROMPTS[1]).tobytes() == (
        in_core(earlier).embed_one(PROMPTS[1]).tobytes()
    )


def test_models_are_added_with_the_settings_of_then(earlier) -> None:
    artifact = artifact_for(earlier)
    outcomes = hypernova.OutcomeTable.from_arrays(
        task_ids=["x", "y"],
        prompts=["Sort the list 3\nby name", "Prove theorem 4\nof numbers"],
        models=["c"],
        score=np.array([[1.0], [0.0]]),
        min_models=1,
    )
    of_name, of_folder = (
        hypernova.add_model(artifact, outcomes, embedder=given).artifact
        for given in ("static", in_core(earlier))
    )
    assert of_name.success.tobytes() == of_folder.success.tobytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"lead_weight": 2000},
        {"lead_weight": "2"},
        {"lead_chars": True},
        {"head_chars": 0},
        {"model_sha256": "0" * 64},
        {"name": "ours"},
        {"cut": "another rule"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_other_identities_are_no_bundled_embedder(static, changes) -> None:
    own = static.identity | changes
    identity = {"kind": "text", **own, "fingerprint": fingerprint_of_identity(own)}
    with pytest.raises(EmbedderMismatchError, match="none of the bundled ones"):
        check_bundled_for(identity)


def test_settings_of_another_fingerprint_are_refused(static) -> None:
    identity = {"kind": "text", **static.identity, "lead_weight": 2, "fingerprint": "0" * 64}
    with pytest.raises(EmbedderMismatchError, match="none of the bundled ones"):
        load_bundled_for(identity)


def test_a_folder_or_a_cache_with_other_settings_is_refused_by_name_of_the_setting(
    earlier, static
) -> None:
    then, now = artifact_for(earlier), artifact_for(static)
    for artifact, given, difference in (
        (now, earlier, r"lead_weight \(0 and 2\)"),
        (then, CachedEmbedder(static, 8), r"lead_weight \(2 and 0\)"),
    ):
        with pytest.raises(EmbedderMismatchError, match=difference) as refused:
            hypernova.Router(artifact, embedder=given)
        assert "\n" not in str(refused.value)
