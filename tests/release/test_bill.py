"""The bill of materials is valid, names the version, and holds what is there.

Not here: whether it is that of Cargo.lock, for which crates are fetched (`make lint`).
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib

import pytest
from release.bill import PAGE
from release.licences import write_or_check
from release.tools import Fault

from support.paths import ROOT

BILL = json.loads(PAGE.read_text(encoding="utf-8"))
CARGO = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))


def test_it_is_valid_by_the_schema_at_its_strictest() -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(PAGE.read_text(encoding="utf-8")) is None
    # The validator sees faults.
    assert validator.validate_str(json.dumps(BILL | {"serialNumber": "x"})) is not None


def test_it_is_of_this_version_and_licence() -> None:
    whole = BILL["metadata"]["component"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert whole["version"] == CARGO["workspace"]["package"]["version"]
    assert whole["licenses"] == [{"expression": project["license"]}]


def test_the_licence_has_each_that_is_taken_of_a_crate() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    table = (ROOT / "licences" / "crates.md").read_text(encoding="utf-8").partition("\n## ")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| ")][2:]
    taken = {licence for row in rows for licence in row[3].split(" AND ")}
    assert len(rows) > 30
    assert taken <= set(project["license"].split(" AND "))
    named = {(row[0].removeprefix("| "), row[1]) for row in rows}
    listed = {(c["name"], c["version"]) for c in BILL["components"] if "purl" in c}
    assert listed == named


def test_the_files_have_the_sums_that_it_states() -> None:
    models = [c for c in BILL["components"] if c["type"] == "machine-learning-model"]
    assert {model["bom-ref"] for model in models} == {"bundled/minilm", "bundled/static"}
    for model in models:
        assert model["licenses"] == [{"license": {"id": "Apache-2.0"}}]
        for part in model["components"]:
            data = (ROOT / "python" / part["name"]).read_bytes()
            assert part["hashes"][0]["content"] == hashlib.sha256(data).hexdigest()


def test_each_dependency_is_of_a_component() -> None:
    there = {c["bom-ref"] for c in (*BILL["components"], BILL["metadata"]["component"])}
    edges = {one["ref"]: one.get("dependsOn", []) for one in BILL["dependencies"]}
    assert {*edges, *(name for needed in edges.values() for name in needed)} <= there
    # All of it hangs together.
    reached, left = set(), [BILL["metadata"]["component"]["bom-ref"]]
    while left:
        here = left.pop()
        if here not in reached:
            reached.add(here)
            left += edges.get(here, [])
    assert reached == there


def test_it_names_no_folder_time_or_number_of_its_making() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert not {"serialNumber", "timestamp"} & {*BILL, *BILL["metadata"]}
    assert not re.search(r"file://|/home/|/root/|/tmp/", text)


def test_an_outdated_file_is_refused_with_the_command() -> None:
    text = PAGE.read_text(encoding="utf-8")
    version = CARGO["workspace"]["package"]["version"]
    with pytest.raises(Fault, match=r"hypernova-router\.cdx\.json: .*run python -m release\.bill$"):
        write_or_check(PAGE, text.replace(version, "9.9.9"), True, "bill")
    assert PAGE.read_text(encoding="utf-8") == text
