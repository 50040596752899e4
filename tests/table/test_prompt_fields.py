"""Fields beside prompts, by the indices of `read_prompts`, in every format.

Not here: the prompts themselves (test_prompt_table.py).
"""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hypernova.errors import TableError
from hypernova.table import read_prompts
from hypernova.table.prompt_fields import PromptFields, read_prompt_fields

ROWS = [
    {"task_id": f"t{i}", "prompt": f"prompt {i}", "group": "g" if i % 2 else "", "target": str(i)}
    for i in range(5)
]


@pytest.fixture(params=["jsonl", "jsonl.gz", "csv", "parquet", "folder", "txt"])
def place(request, tmp_path):
    kind = request.param
    path = tmp_path / f"p.{kind}"
    if kind.startswith("jsonl"):
        lines = "\n\n".join(map(json.dumps, ROWS))  # blank lines are no prompts
        path.write_bytes(gzip.compress(lines.encode()) if kind.endswith("gz") else lines.encode())
    elif kind == "csv":
        head = "target;prompt;task_id;group;score"
        body = [f"{r['target']};{r['prompt']};{r['task_id']};{r['group']};1" for r in ROWS]
        path.write_text("\n".join([head, *body]))
    elif kind == "txt":
        path.write_text("\n \n".join(str(row["prompt"]) for row in ROWS))
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=2)
    else:
        path.mkdir()
        for name, rows in (("a", ROWS[:2]), ("b", ROWS[2:])):
            pq.write_table(pa.Table.from_pylist(rows), path / f"{name}.parquet")
    return path


def test_an_index_is_that_of_the_prompt(place) -> None:
    found = read_prompt_fields(place, [3, 0, 4])
    assert read_prompts(place) == [row["prompt"] for row in ROWS]
    assert sorted(found) == [0, 3, 4]
    for index, beside in found.items():
        row = ROWS[index]
        fields = {"group": row["group"]} if row["group"] else {}
        if place.suffix == ".txt":
            assert beside == PromptFields(None, {})
            continue
        if place.suffix in (".jsonl", ".gz", ".csv"):
            fields["target"] = row["target"]
        assert beside == PromptFields(row["task_id"], fields)


def test_what_belongs_to_outcomes_is_left_out_and_the_rest_keeps_its_type(tmp_path) -> None:
    path = tmp_path / "p.jsonl"
    row = {
        "task_id": 7, "prompt": "one", "outcomes": {"m": 1}, "embedding": [1.0], "n": 3,
        "choices": ["a", "b"], "meta": {"level": 2}, "nothing": None, "no": False,
    }  # fmt: skip
    path.write_text(json.dumps(row))
    fields = {"choices": ["a", "b"], "meta": {"level": 2}, "no": False}
    assert read_prompt_fields(path, [0]) == {0: PromptFields("7", fields)}
    path.write_text(json.dumps(row | {"task_id": [1]}))
    with pytest.raises(TableError, match="line 1, column 'task_id'"):
        read_prompt_fields(path, [0])
