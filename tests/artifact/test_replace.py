"""`Artifact.replace`: a copy with changes, in which all else keeps its bits."""

from __future__ import annotations

import inspect
import json
import pickle
from typing import Any

import numpy as np
import pytest

import hypernova
from golden.make_golden import NAMES, arguments
from hypernova import Artifact, errors
from hypernova.artifact.profile import ModelColumns, rebuild
from support.paths import GOLDEN

BUNDLED = hypernova.Router.open().artifact
ARRAYS = (
    "centroids", "counts", "mean", "success", "standard_error", "gain_error", "cost", "latency",
)  # fmt: skip


def parts_of(artifact: Artifact) -> dict[str, Any]:
    """The arguments of `Artifact.build` that give the artifact again."""
    return {
        **{name: getattr(artifact, name) for name in (*ARRAYS, "models", "slopes", "offsets")},
        **artifact.policy,
        "novelty": artifact.novelty_quantiles,
        "default_model": artifact.models.index(artifact.default_model),
        "embedder": artifact.embedder_json,
        "metadata": artifact.metadata_json,
        "sharpness": artifact.sharpness,
        "n_nearest": artifact.n_nearest or 8,
        "group_profiles": artifact.group_profiles,
        "token_profiles": artifact.token_profiles,
    }


@pytest.fixture(scope="module", params=["bundled", *NAMES])
def artifact(request: pytest.FixtureRequest) -> Artifact:
    if request.param == "bundled":
        return BUNDLED
    return Artifact.open(GOLDEN / f"{request.param}.hnv")


def test_without_changes_it_is_the_same_file(artifact: Artifact) -> None:
    copy = artifact.replace()
    assert copy is not artifact
    assert copy.to_bytes() == Artifact.build(**parts_of(artifact)).to_bytes()
    if artifact.version == copy.version:
        assert copy.to_bytes() == artifact.to_bytes()
    assert copy.path is None


CHANGES: dict[str, Any] = {
    "cost_weight": 0.25,
    "latency_weight": 0.125,
    "max_cost_usd": 100.0,
    "min_success": 0.0625,
    "guard_z": 3.0,
    "margin": 0.03125,
    "novelty_limit": 0.5,
    "shrinkage": 7.0,
    "sharpness": 3.5,
    "default_model": 0,
    "metadata": {"b": [1], "a": "é"},
}


@pytest.mark.parametrize("name", CHANGES)
def test_one_value_changes_and_no_other(artifact: Artifact, name: str) -> None:
    changed = artifact.replace(**{name: CHANGES[name]})
    expected = parts_of(artifact) | {name: CHANGES[name]}
    assert changed.to_bytes() == Artifact.build(**expected).to_bytes()
    if name == "metadata":
        assert changed.metadata_json == '{"a":"é","b":[1]}'


def test_a_margin_is_a_part_of_the_policy_and_a_section_of_its_own() -> None:
    plain = BUNDLED.replace(margin=0.0)
    with_margin = plain.replace(margin=0.05)
    assert (plain.margin, plain.policy["margin"], plain.version) == (0.0, 0.0, (1, 2))
    assert (with_margin.margin, with_margin.policy["margin"]) == (0.05, 0.05)
    assert with_margin.version == (1, 3)
    assert with_margin.replace(margin=0).to_bytes() == plain.to_bytes()
    copies = (
        with_margin.replace(cost_weight=0.5),
        pickle.loads(pickle.dumps(with_margin)),
        Artifact.from_bytes(with_margin.to_bytes()),
        rebuild(with_margin, with_margin.models, ModelColumns.of(BUNDLED), BUNDLED.models[0], {}),
    )
    assert {copy.margin for copy in copies} == {0.05}


def test_an_array_and_the_number_of_nearest_clusters(artifact: Artifact) -> None:
    success = np.ascontiguousarray(artifact.success[:, ::-1])
    changed = artifact.replace(success=success, sharpness=1.0, n_nearest=3)
    assert np.array_equal(changed.success, success)
    assert (changed.sharpness, changed.n_nearest) == (1.0, 3)
    assert changed.replace(sharpness=None).n_nearest is None
    assert np.array_equal(changed.centroids, artifact.centroids)


def test_a_linear_correction_comes_and_goes() -> None:
    m, dim = BUNDLED.n_models, BUNDLED.dim
    slopes, offsets = np.ones((m, dim), np.float32), np.zeros(m, np.float32)
    plain = BUNDLED.replace(slopes=None, offsets=None)
    assert (plain.slopes, plain.offsets) == (None, None)
    with pytest.raises(TypeError, match="go together"):
        plain.replace(slopes=slopes)
    corrected = plain.replace(slopes=slopes, offsets=offsets)
    assert corrected.slopes is not None
    assert corrected.replace(slopes=None, offsets=None).to_bytes() == plain.to_bytes()


def test_metadata_of_any_form_keeps_its_bytes() -> None:
    odd = BUNDLED.replace(metadata=' { "a" : 1 } ')
    assert odd.replace(cost_weight=0.5).metadata_json == ' { "a" : 1 } '


def test_an_unknown_name_is_a_type_error() -> None:
    for name in ("nearest", "cost_wieght", "\ud800"):
        with pytest.raises(TypeError) as caught:
            BUNDLED.replace(**{name: 1.0})
        words = f"Artifact.replace() got an unexpected keyword argument {name!r}"
        assert str(caught.value) == words


def test_a_value_that_breaks_a_rule_is_refused() -> None:
    with pytest.raises(errors.ArtifactError, match="POLI"):
        BUNDLED.replace(min_success=2.0)
    with pytest.raises(errors.ArtifactError, match="section"):
        BUNDLED.replace(models=["only one"])
    with pytest.raises(errors.VectorError, match="success"):
        BUNDLED.replace(success=BUNDLED.success.astype(np.float64))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="guard_z: expected a number, got str"):
        BUNDLED.replace(guard_z="1")  # type: ignore[arg-type]


def test_each_required_argument_of_build_is_asked_for() -> None:
    signature = inspect.signature(Artifact.build)
    required = [n for n, p in signature.parameters.items() if p.default is p.empty]
    assert len(required) == 13
    for name in required:
        values = {n: v for n, v in parts_of(BUNDLED).items() if n != name}
        with pytest.raises(TypeError, match=f"missing the required keyword argument '{name}'"):
            Artifact.build(**values)


def test_the_defaults_of_build_are_those_of_its_signature() -> None:
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(Artifact.build).parameters.items()
        if parameter.default is not parameter.empty
    }
    required = {n: v for n, v in parts_of(BUNDLED).items() if n not in defaults}
    assert Artifact.build(**required).sha256 == Artifact.build(**required, **defaults).sha256
    soft = Artifact.build(**required, sharpness=1.0)
    assert soft.n_nearest == defaults["n_nearest"]


def test_a_copy_pickles() -> None:
    copy = BUNDLED.replace(cost_weight=0.5)
    assert pickle.loads(pickle.dumps(copy)).sha256 == copy.sha256


def test_rebuilt_with_the_same_models_it_is_the_same_file() -> None:
    columns, metadata = ModelColumns.of(BUNDLED), BUNDLED.metadata
    same = rebuild(BUNDLED, list(BUNDLED.models), columns, BUNDLED.default_model, metadata)
    assert same.to_bytes() == BUNDLED.to_bytes()
    first = [0, 1]
    names = [BUNDLED.models[i] for i in first]
    fewer = rebuild(BUNDLED, names, columns.only(first), names[1], {})
    assert (fewer.models, fewer.default_model, fewer.metadata) == (tuple(names), names[1], {})
    assert np.array_equal(fewer.cost, BUNDLED.cost[:, first], equal_nan=True)


def test_golden_values_are_built_with_their_metadata() -> None:
    for name in NAMES:
        document = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
        made = Artifact.build(**arguments(document["values"]))
        assert made.metadata_json == document["values"]["metadata"]
