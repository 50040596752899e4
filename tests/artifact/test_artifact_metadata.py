"""Metadata and identity as dicts, whatever another program wrote into the file."""

from __future__ import annotations

import json
from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import pytest

import hypernova
from hypernova import errors
from hypernova.artifact.metadata import (
    canonical_json,
    fingerprint_of_identity,
    is_object,
    vectors_identity,
    words_of,
)

BUNDLED = hypernova.Router.open().artifact
DEEP = "[" * 100_000


def test_they_are_what_the_file_holds() -> None:
    assert BUNDLED.embedder == json.loads(BUNDLED.embedder_json)
    assert BUNDLED.metadata == json.loads(BUNDLED.metadata_json)
    assert canonical_json(BUNDLED.metadata) == BUNDLED.metadata_json


@pytest.mark.parametrize("name", ["embedder", "metadata", "policy"])
def test_each_read_gives_a_new_dict(name: str) -> None:
    first, sha256 = getattr(BUNDLED, name), BUNDLED.sha256
    first["added"] = 1
    second = getattr(BUNDLED, name)
    assert "added" not in second
    assert BUNDLED.replace().sha256 == sha256


@pytest.mark.parametrize(
    ("text", "extends"),
    [("", True), ("{}", True), (" {\n} ", True), ("[]", False), ("null", False), ('"{}"', False),
     ("not JSON", False), (DEEP, False), ("{", False), ("1", False)],
)  # fmt: skip
def test_metadata_that_hold_nothing_are_empty(text: str, extends: bool) -> None:
    odd = BUNDLED.replace(metadata=text)
    assert odd.metadata == {}
    assert odd.metadata_json == text
    assert is_object(odd) is extends
    assert words_of(odd) is None


def test_an_object_can_be_added_to() -> None:
    assert is_object(BUNDLED)
    assert is_object(BUNDLED.replace(metadata={"a": None}))


@pytest.mark.parametrize("kind", [dict, OrderedDict, MappingProxyType])
def test_any_mapping_is_written_by_the_one_writer(kind: Any) -> None:
    given = {"z": {"b": 1.5, "a": None}, "é": [True]}
    made = BUNDLED.replace(metadata=kind(given), embedder=kind(BUNDLED.embedder))
    assert made.metadata_json == canonical_json(given) == '{"z":{"a":null,"b":1.5},"é":[true]}'
    assert made.embedder_json == canonical_json(BUNDLED.embedder) == BUNDLED.embedder_json


@pytest.mark.parametrize("name", ["embedder", "metadata"])
@pytest.mark.parametrize("value", [1, None, [("a", 1)], b"{}"])
def test_another_type_is_refused(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"{name}: expected a mapping, or the text of a JSON obj"):
        BUNDLED.replace(**{name: value})


def test_a_value_that_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        BUNDLED.replace(metadata={"a": object()})
    with pytest.raises(errors.ArtifactError, match=r"META.*UTF-8"):
        BUNDLED.replace(metadata={"a": "\ud800"})


def test_an_identity_is_checked_when_it_is_given() -> None:
    identity = {**BUNDLED.embedder, "dim": BUNDLED.dim + 1}
    with pytest.raises(errors.ArtifactError, match=r"EMBD.*dim"):
        BUNDLED.replace(embedder=identity)


def test_the_identity_of_vectors_that_came_with_a_table() -> None:
    identity = vectors_identity("vectors of x", 3)
    without = {key: value for key, value in identity.items() if key != "fingerprint"}
    assert without == {"kind": "vectors", "name": "vectors of x", "dim": 3}
    assert identity["fingerprint"] == fingerprint_of_identity(without)
