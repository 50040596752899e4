"""Tables as people have them: the same table in every form reads equal, or says what to do.

Not here: the rules on what a table holds (test_table).
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from hypernova.errors import TableError
from hypernova.table import OutcomeTable, read_prompts, read_routerbench
from hypernova.table.formats import files
from support.strategies import examples
from support.tables import (
    FULL_HEADER,
    Example,
    assert_read_refused,
    assert_same_table,
    csv_file,
    jsonl,
    write_folder,
    write_jsonl,
    write_long,
)

TRUTHS = ({1: "True", 0: "False"}, {1: "yes", 0: "NO"}, {1: "TRUE", 0: "false"}, {})


def delimited(
    example: Example, separator: str, *, decimal: str = ".", end: str = "\r\n", truth: int = 3
) -> bytes:
    """A long table; scores of 1 and 0 are spelled as asked."""
    text = io.StringIO()
    # The writer does not see that a carriage return takes quotes where lines end without one.
    quoting = csv.QUOTE_ALL if end == "\n" else csv.QUOTE_MINIMAL
    writer = csv.writer(text, delimiter=separator, lineterminator=end, quoting=quoting)
    writer.writerow(FULL_HEADER.split(","))
    for task, model, *values in example.outcomes:
        numbers = ["" if value is None else repr(value).replace(".", decimal) for value in values]
        numbers[0] = TRUTHS[truth].get(values[0], numbers[0])
        writer.writerow(
            [
                example.ids[task],
                example.prompts[task],
                example.groups[task],
                example.models[model],
                *numbers,
            ]
        )
    return text.getvalue().encode()


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(examples())
def test_the_same_table_in_every_format_reads_equal(example: Example) -> None:
    bom = b"\xef\xbb\xbf"
    forms = {
        "comma.csv": delimited(example, ","),
        "bom.CSV": bom + delimited(example, ",", truth=0),
        "semicolon.csv": delimited(example, ";", truth=1),
        "comma-for-point.csv": bom + delimited(example, ";", decimal=",", truth=2),
        "said.csv": b"sep=;\r\n" + delimited(example, ";", decimal=","),
        "tab.csv": delimited(example, "\t"),
        "tab.tsv": delimited(example, "\t", end="\n"),
        "packed.csv.gz": gzip.compress(delimited(example, ",", end="\n")),
        "packed.TSV.GZ": gzip.compress(delimited(example, "\t")),
    }
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        expected = OutcomeTable.read(write_long(at, example, 0))
        lines = write_jsonl(at, example, 0)
        others = [write_folder(at, example, 0), lines]
        for name, content in {
            "lines.ndjson": lines.read_bytes(),
            "lines.jsonl.gz": gzip.compress(lines.read_bytes()),
            "lines.ndjson.gz": gzip.compress(lines.read_bytes()[:9])
            + gzip.compress(lines.read_bytes()[9:]),  # two members, as `cat a.gz b.gz` gives
        }.items():
            (at / name).write_bytes(content)
            others.append(at / name)
        for other in others:
            assert_same_table(expected, OutcomeTable.read(other))
        for name, content in forms.items():
            (at / name).write_bytes(content)
            found = OutcomeTable.read(at / name)
            assert_same_table(expected, found, embedding=False)
            assert found.name == name.partition(".")[0]
            prompts = [example.prompts[task] for task, *_ in example.outcomes]
            assert read_prompts(at / name) == prompts


def test_lines_are_counted_alike_in_every_form(tmp_path) -> None:
    rows = ["task_id;prompt;model;score", 't;"two\nlines";a;1', "t;two;b;2"]
    text = "\n".join(rows)
    for name, content, line in (
        ("a.csv", text.encode(), 4),
        ("b.csv", b"sep=;\n" + text.encode(), 5),
        ("c.csv", b"\n\n" + text.encode(), 6),
        ("d.tsv.gz", gzip.compress(text.replace(";", "\t").encode()), 4),
    ):
        (tmp_path / name).write_bytes(content)
        assert_read_refused(tmp_path / name, f"line {line}, column ")


ROWS = ("task_id;prompt;model;score;cost_usd", "t;p;a;1;{}", "t;p;b;0,5;{}")


@pytest.mark.parametrize(
    ("separator", "first", "second", "parts"),
    [
        (";", "0.012", "1,234", ["line 3, column 'score'", "line 2 has a number with a point"]),
        (";", "1,234", "0.5", ["line 3, column 'cost_usd'", "line 2 one with a comma"]),
        (";", "1.234,5", "1", ["line 2, column 'cost_usd'", "'1.234,5'"]),
        ("\t", "1", "1,5", ["line 3, column 'score'", "only where semicolons separate"]),
    ],
    ids=range(4),
)
def test_no_number_is_guessed_at(separator, first, second, parts, tmp_path) -> None:
    text = "\n".join(ROWS).format(first, second).replace(";", separator)
    path = tmp_path / "t.csv"
    path.write_text(text)
    assert_read_refused(path, *parts)


@pytest.mark.parametrize(
    ("score", "remedy"),
    [
        ("85%", "write 85% as 0.85"),
        ("12.5 %", "as 0.125"),
        ('"0,5"', "with a point"),
        ("maybe", "in 0..1"),
        ("", "leave the row out"),
        ("NaN", "in 0..1"),
    ],
)
def test_a_score_that_is_none_says_how_to_write_it(score, remedy, tmp_path) -> None:
    path = csv_file(tmp_path, "task_id,prompt,model,score", "t,p,a,1", f"t,p,b,{score}")
    assert remedy in assert_read_refused(path, "line 3, column 'score'")


def test_truth_is_a_score_and_no_cost(tmp_path) -> None:
    path = csv_file(tmp_path, "task_id,prompt,model,score,cost_usd", "t,p,a,1,1", "t,p,b,no,no")
    assert_read_refused(path, "line 3, column 'cost_usd'", "'no'")


@pytest.mark.parametrize(
    ("header", "parts"),
    [
        ("Task ID,prompt,model,score", ["lacks 'task_id'", "rename 'Task ID' to 'task_id'"]),
        (
            "TASK-ID; Prompt ;MODEL;Score",
            ["rename 'TASK-ID' to 'task_id', rename 'Prompt' to 'prompt', rename 'MODEL'"],
        ),
        ("task_id,prompt,gpt,claude", ["lacks 'model', 'score'", "a column for each model"]),
        (
            "id,question,model,score",
            ["found 'id', 'question'", "rename 'id' to 'task_id', rename 'question' to 'prompt'"],
        ),
        (
            "ID;Question;Model Name;Score (%);Cost",
            ["'prompt', rename 'Model Name' to 'model', rename 'Score (%)' to 'score'"],
        ),
        ("id,task,prompt,model,score", ["; rename 'id' to 'task_id'"]),
        ("prompt,model,score", ["; add 'task_id', which numbers the prompts"]),
        ("task_id,model,score", ["; add what is missing or rename the column that holds it"]),
        ("id,prompt,gpt,claude", ["; rename 'id' to 'task_id', write one outcome a row"]),
    ],
    ids=range(9),
)
def test_another_header_says_what_was_expected_and_found(header, parts, tmp_path) -> None:
    assert_read_refused(csv_file(tmp_path, header, "t,p,a,1"), "line 1", *parts)


def test_one_outcome_a_line_of_json_is_told_both_forms(tmp_path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"task_id": "1", "prompt": "p", "model": "a", "score": 1}\n')
    assert_read_refused(path, "lacks 'outcomes'", '"outcomes": {MODEL: SCORE', "as .csv")
    path.write_text('{"task_id": "1", "prompt": "p"}\n')
    assert_read_refused(path, "lacks 'outcomes'", "; add what is missing")


def test_words_in_place_of_scores_are_all_named_at_once(tmp_path) -> None:
    words = ["good", "yes", "bad", "0.5", "good", "none at all"]
    rows = [f"t{i},p{i},a,{word}" for i, word in enumerate(words)]
    path = csv_file(tmp_path, "task_id,prompt,model,score", *rows)
    assert_read_refused(
        path, "line 2, column 'score'", "found 'good', and below 'bad', 'none at all'; write each"
    )
    # Further on the file is no CSV, which is another fault.
    path = csv_file(tmp_path, "task_id,prompt,model,score", rows[0], "t,p,a,bad", '"t')
    assert_read_refused(path, "line 2", "found 'good', and below 'bad'")


@pytest.mark.parametrize(
    ("score", "remedy"),
    [
        ("85", "divide percentages by 100, to 0.85 here"),
        ("100.5", "0..1; leave out"),
        ("-1", "0..1; leave out"),
    ],
)
def test_percentages_are_told_apart_from_other_numbers(score, remedy, tmp_path) -> None:
    path = csv_file(tmp_path, "task_id,prompt,model,score", f"t,p,a,{score}", "t,p,b,1")
    assert_read_refused(path, "line 2, column 'score'", remedy)


@pytest.mark.parametrize(
    ("name", "content", "remedy"),
    [
        ("t.csv.zst", b"", "unpack it first: of packed files only .gz is read"),
        ("t.jsonl.xz", b"", "unpack it first"),
        ("t.zip", b"", "unpack it first"),
        ("t.xlsx", b"", "save it as CSV in UTF-8"),
        ("t.json", b"[]", "jq -c '.[]' FILE.json"),
        ("t.parquet.gz", b"", "gunzip"),
        ("t.pdf.gz", b"", "'.pdf.gz'"),
        ("t.gz", b"", "'.gz'"),
        ("t.csv", gzip.compress(b"task_id"), "add .gz to its name"),
        ("t.csv", b"PK\x03\x04rest", "save it as CSV"),
        ("t.csv", "task_id\tprompt".encode("utf-16"), "save the file as UTF-8"),
        ("t.csv", b"task_id,prompt,model,score\rt,p,a,1\r", "end lines as Unix or Windows"),
        ("t.csv.gz", b"task_id,prompt,model,score\n", "is not a readable gzip file"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_read_says_what_to_do(name, content, remedy, tmp_path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert remedy in assert_read_refused(path)
    with pytest.raises(TableError, match=name):
        read_prompts(path)


def test_a_packed_file_cut_or_changed_anywhere_is_refused(tmp_path) -> None:
    whole = gzip.compress(b"task_id,prompt,model,score\n" + b"t,p,a,1\nt,p,b,0\n" * 3)
    path = tmp_path / "t.csv.gz"
    path.write_bytes(whole)
    OutcomeTable.read(path)
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(TableError, match=r"t\.csv\.gz"):
            OutcomeTable.read(path)
    for place in range(10, len(whole)):  # the flags and the time in the head decide nothing
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        with pytest.raises(TableError, match=r"t\.csv\.gz"):
            OutcomeTable.read(path)


@pytest.mark.slow
def test_a_file_that_unpacks_to_one_endless_line_is_bounded(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(files, "MAX_LINE", 1 << 20)
    for name in ("t.csv.gz", "t.jsonl.gz"):
        path = tmp_path / name
        with gzip.open(path, "wb") as file:
            for _ in range(64):
                file.write(bytes(1 << 20))
        assert path.stat().st_size < 1 << 17
        tracemalloc.start()
        assert_read_refused(path, "line 1: is longer than 1 MiB")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 << 20


def test_prompts_and_wide_tables_have_the_same_formats(tmp_path) -> None:
    (tmp_path / "p.txt.gz").write_bytes(gzip.compress(b"one\n\ntwo\n"))
    assert read_prompts(tmp_path / "p.txt.gz") == ["one", "two"]
    (tmp_path / "p.ndjson").write_text('{"prompt": "one"}\n{"prompt": "two"}\n')
    assert read_prompts(tmp_path / "p.ndjson") == ["one", "two"]
    (tmp_path / "p.tsv").write_text("id\tprompt\n1\tone, and a comma; and more\n")
    assert read_prompts(tmp_path / "p.tsv") == ["one, and a comma; and more"]
    wide = "sample_id;prompt;a;b;a|total_cost;b|total_cost\n1;p;True;0,5;0,25;\n"
    (tmp_path / "w.csv.gz").write_bytes(gzip.compress(wide.encode()))
    table = read_routerbench(tmp_path / "w.csv.gz").table
    assert table.score.tolist() == [[1.0, 0.5]]
    assert table.cost_usd[0, 0] == 0.25
    assert np.isnan(table.cost_usd[0, 1])
    assert table.name == "w"


def test_nothing_is_written_that_would_read_as_another_form(tmp_path) -> None:
    path = jsonl(tmp_path, json.dumps({"task_id": 0, "prompt": "p", "outcomes": {"a": 1, "b": 0}}))
    table = OutcomeTable.read(path)
    for name in ("t.tsv", "t.jsonl.gz", "t.ndjson", "t.json", "t.xlsx"):
        with pytest.raises(TableError, match=r"name a folder or a \.jsonl file"):
            table.save(tmp_path / name)
    table.save(tmp_path / "v1.2")
    assert sorted(at.name for at in tmp_path.iterdir()) == ["table.jsonl", "v1.2"]


@pytest.mark.parametrize(
    ("name", "right", "unit"),
    [
        ("cost", "cost_usd", "US dollars"),
        ("Total Cost (USD)", "cost_usd", "US dollars"),
        ("latency", "latency_s", "seconds"),
    ],
)
def test_a_cost_that_would_be_ignored_for_its_name_is_refused(
    name: str, right: str, unit: str, tmp_path: Path
) -> None:
    def rows(*names: str) -> dict[str, Path]:
        numbers = dict.fromkeys(names, 0.5)
        table = [
            {"task_id": "t", "prompt": "p", "model": model, "score": 1, **numbers}
            for model in ("a", "b")
        ]
        long = tmp_path / "long.csv"
        with long.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(table[0]))
            writer.writeheader()
            writer.writerows(table)
        packed = tmp_path / "long.parquet"
        pq.write_table(pa.Table.from_pylist(table), packed)
        lines = tmp_path / "lines.jsonl"
        outcomes = {model: {"score": 1, **numbers} for model in ("a", "b")}
        lines.write_text(json.dumps({"task_id": "t", "prompt": "p", "outcomes": outcomes}) + "\n")
        return {"line 1: ": long, "": packed, " line 1:": lines}

    for place, path in rows(name).items():
        assert_read_refused(
            path, place, f"found {name!r}", f"rename {name!r} to {right!r} if it is in {unit}"
        )
    for path in rows(name, right).values():  # where the right one is there, others are ignored
        table = OutcomeTable.read(path)
        assert getattr(table, right).tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"a": "b', "(Unterminated string starting at character 7)"),
        ('{"a": ' + "9" * 5000 + "}", "(a whole number of more than 4,300 digits)"),
        ("[" * 100_000, "(nested too deeply)"),
    ],
    ids=range(3),
)
def test_a_line_that_is_no_json_is_told_why(line: str, words: str, tmp_path) -> None:
    (tmp_path / "table.jsonl").write_text(line)
    with pytest.raises(TableError) as caught:
        OutcomeTable.read(tmp_path / "table.jsonl")
    assert words in str(caught.value)
    assert "at at" not in str(caught.value)


def test_what_is_no_part_of_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="parts is empty, expected at least one OutcomeTable"):
        OutcomeTable.concatenated([])
    with pytest.raises(TypeError, match="a part is NoneType, expected an OutcomeTable"):
        OutcomeTable.concatenated([None])  # type: ignore[list-item]
