"""Names of models: those that nobody could read or type, and two spellings of one, are refused.

Not here: the names of tasks (test_table).
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hypernova
from hypernova.errors import ModelPoolError, TableError
from hypernova.table import OutcomeTable, read_routerbench
from hypernova.table.model_names import find_lookalikes, name_problem
from support.tables import csv_file, folder, jsonl, long_parquet

if TYPE_CHECKING:
    from pathlib import Path

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"
ODD = {
    "a\u202eb": "U+202E",  # what follows is shown from right to left
    "a\u2066b": "U+2066",
    "a\u200fb": "U+200F",
    "a\u200bb": "U+200B",  # no width
    "a\u200db": "U+200D",
    "\ufeffab": "U+FEFF",
    "a\u00adb": "U+00AD",  # a hyphen that is not shown
    "a\u2060b": "U+2060",
    "a\U000e0041b": "U+E0041",
    "a\u3164": "U+3164",  # a letter without ink
    " a": "with a blank before",
    "a ": "with a blank before or after",
    "a\u00a0": "with a blank before or after",
    "a\tb": "control character",
    "a\x1b[31mb": "control character",
    "a\u2028b": "control character",
    "": "empty name",
    "\u3000": "empty name",
}


def in_every_form(at: Path, first: str, second: str) -> dict[str, tuple[Path, int]]:
    """The same table in every form, with the row of the second model's first outcome."""
    names = [first, second, first, second]
    rows = [f'{t},{p},"{m}",1' for t, p, m in zip("0011", "ppqq", names, strict=True)]
    return {
        "csv": (csv_file(at, "task_id,prompt,model,score", *rows), 3),
        "jsonl": (jsonl(at, {"task_id": 0, "prompt": "p", "outcomes": {first: 1, second: 0}}), 1),
        "parquet": (long_parquet(at, model=names), 2),
        "folder": (folder(at, outcomes={"model": names}), 2),
    }


@pytest.mark.parametrize(("name", "said"), ODD.items(), ids=map(ascii, ODD))
def test_every_format_refuses_an_odd_name_and_says_where(name, said, tmp_path) -> None:
    for form, (path, row) in in_every_form(tmp_path, "fine", name).items():
        with pytest.raises(TableError) as caught:
            OutcomeTable.read(path)
        message = str(caught.value)
        assert said in message, form
        assert f" {row}, column 'model'" in message, form
        assert message.isprintable(), form
    with pytest.raises(TableError, match="index 1, column 'models'") as caught:
        OutcomeTable.from_arrays(
            task_ids=["t"], prompts=["p"], models=["fine", name], score=[[1, 0]]
        )
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (COMPOSED, DECOMPOSED),
        (DECOMPOSED, COMPOSED),
        ("\u212b-1", "\u00c5-1"),  # the sign for the unit, and the letter
        ("gpt 4", "gpt\u00a04"),
        ("gpt 4", "gpt  4"),
        ("\u2764", "\u2764\ufe0f"),
    ],
    ids=ascii,
)
def test_every_format_refuses_two_spellings_of_one_name(first, second, tmp_path) -> None:
    for form, (path, row) in in_every_form(tmp_path, first, second).items():
        with pytest.raises(TableError) as caught:
            OutcomeTable.read(path)
        message = str(caught.value)
        assert f"found {second!a}, another spelling of {first!a}" in message, form
        assert f" {row}, column 'model'" in message, form
    wide = [first, second, f"{first}|total_cost", f"{second}|total_cost"]
    path = csv_file(tmp_path, ",".join(("sample_id,prompt", *wide)), "0,p,1,0,1,1", name="w.csv")
    with pytest.raises(TableError, match="another spelling"):
        read_routerbench(path)


def test_names_that_differ_in_what_is_seen_are_left_alone(tmp_path) -> None:
    for first, second in (("GPT", "gpt"), ("x2", "x\u00b2"), (DECOMPOSED, "cafe"), ("a-b", "a b")):
        path, _ = in_every_form(tmp_path, first, second)["jsonl"]
        assert set(OutcomeTable.read(path).models) == {first, second}
    # A spelling that stands alone is kept as it is: a service looks it up.
    path, _ = in_every_form(tmp_path, DECOMPOSED, "b")["csv"]
    assert DECOMPOSED in OutcomeTable.read(path).models


@given(st.text(max_size=8), st.text(max_size=8))
def test_valid_names_can_be_printed_typed_and_distinguished(first, second) -> None:
    for name in (first, second):
        if name_problem(name) is None:
            assert name == name.strip()
            assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name)
    same = unicodedata.normalize("NFC", first) == unicodedata.normalize("NFC", second)
    if same and first != second:
        assert find_lookalikes([first, second]) == (second, first)
    assert find_lookalikes([first]) is None


def test_changed_models_have_names_by_the_same_rules() -> None:
    table = OutcomeTable.from_arrays(
        task_ids=[str(i) for i in range(20)],
        prompts=[f"{'sum' if i % 2 else 'verse'} {i}" for i in range(20)],
        models=[COMPOSED, "b"],
        score=[[i % 2, 1 - i % 2] for i in range(20)],
    )
    artifact = hypernova.fit(table, clusters=2)
    for name in (*filter(None, ODD), "\ud800", DECOMPOSED):
        with pytest.raises(ModelPoolError):
            hypernova.rename_model(artifact, "b", name)
        with pytest.raises(ModelPoolError):
            hypernova.next_prompts(artifact, ["sum 1", "verse 2"], model=name)
    renamed = hypernova.rename_model(artifact, COMPOSED, DECOMPOSED)  # gives the other one up
    assert DECOMPOSED in renamed.models
    scored = OutcomeTable.from_arrays(
        task_ids=["t"], prompts=["sum 3"], models=[DECOMPOSED], score=[[1]], min_models=1
    )
    with pytest.raises(ModelPoolError, match="another spelling"):
        hypernova.add_model(artifact, scored)
    with pytest.raises(ModelPoolError, match="another spelling"):
        hypernova.next_prompts(artifact, ["sum 1"], model=DECOMPOSED)


def test_names_are_looked_at_once_and_not_for_each_outcome(tmp_path, monkeypatch) -> None:
    looked: list[str] = []

    def look(name: str) -> None:
        looked.append(name)

    monkeypatch.setattr("hypernova.table.checks.name_problem", look)
    rows = [f"{task},p,{model},1" for task in range(1000) for model in ("\u00e4", "b")]
    OutcomeTable.read(csv_file(tmp_path, "task_id,prompt,model,score", *rows))
    assert looked == ["\u00e4", "b"]
