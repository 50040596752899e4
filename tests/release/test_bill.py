"""The bill of materials and the licences are those of Cargo.lock and of the bundled files.

Not here: that a wheel brings them, which the wheels' own checks look at.
"""

from __future__ import annotations

import json
import tomllib

import pytest
from release.bill import PAGE, RUST_LICENCE
from release.crates import chosen_licences, linked_crates
from release.licences import FOLDER, read_texts
from release.tools import Fault

from support.commands import run_python
from support.paths import ROOT


@pytest.fixture(scope="module")
def crates():
    return linked_crates()


def test_the_files_are_those_of_the_lock() -> None:
    for module in ("licences", "bill"):
        run_python("-m", f"release.{module}", "--check", cwd=ROOT, code=0)


def test_the_bill_meets_the_schema() -> None:
    pytest.importorskip("cyclonedx", reason="NOT validated: cyclonedx-python-lib is missing")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = PAGE.read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    broken = text.replace('"library"', '"libary"', 1)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(broken) is not None


def test_the_bill_is_closed_and_says_nothing_of_a_machine() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert not [
        word for word in ("timestamp", "serialNumber", "file://", str(ROOT)) if word in text
    ]
    bill = json.loads(text)
    named = {part["bom-ref"] for part in bill["components"]}
    named.add(bill["metadata"]["component"]["bom-ref"])
    links = {one["ref"]: one["dependsOn"] for one in bill["dependencies"]}
    assert {ref for refs in links.values() for ref in refs} | links.keys() <= named
    # All but the whole is a part of something.
    assert named - {ref for refs in links.values() for ref in refs} == {
        bill["metadata"]["component"]["bom-ref"]
    }


def test_what_only_builds_or_tests_is_left_out(crates) -> None:
    names = {crate.name for crate in crates}
    assert {"hypernova-core", "hypernova-py", "pyo3", "memchr", "windows-sys"} <= names
    assert not names & {"pyo3-macros", "syn", "serde_derive", "proptest", "criterion", "autocfg"}


def test_every_crate_has_a_text_and_the_wheel_names_its_licence(crates) -> None:
    page = (FOLDER / "crates.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = set(project["license"].split(" AND "))
    for crate in crates:
        assert chosen_licences(crate.licence) <= named, crate
        if not crate.own:
            assert read_texts(crate), crate
            assert f"| {crate.name} | {crate.version} |" in page
    assert "Unicode-3.0" in RUST_LICENCE
    assert "Unicode-3.0" in named


def test_a_licence_that_cannot_be_taken_is_a_fault() -> None:
    assert chosen_licences("(MIT OR Apache-2.0) AND Unicode-3.0") == {"Apache-2.0", "Unicode-3.0"}
    assert chosen_licences("MIT/Apache-2.0") == {"Apache-2.0"}
    with pytest.raises(Fault, match=r"GPL-3\.0-only"):
        chosen_licences("GPL-3.0-only")
