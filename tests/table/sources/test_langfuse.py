"""Exports of Langfuse: which generation a score is of, in every form of file, and broken ones.

Not here: a Langfuse server, which alone makes real exports; `examples/logs/langfuse` is by hand.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import random
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypernova.errors import TableError
from hypernova.table import read_logs
from hypernova.table.sources.files import LogFile
from hypernova.table.sources.langfuse import LangfuseReader
from hypernova.table.sources.langfuse_scores import Scores, TraceNames
from hypernova.table.sources.log import LeftOut, Note, Sample
from hypernova.table.sources.prompt_choice import PromptChoice
from support.tables import assert_same_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOGS = Path(__file__).parents[3] / "examples" / "logs" / "langfuse"
Row = dict[str, Any]


def generation(identifier: str, trace: str = "t", model: str = "m", **more: Any) -> Row:
    return {
        "id": identifier,
        "trace_id": trace,
        "type": "GENERATION",
        "parent_observation_id": "",
        "start_time": "2026-11-20 09:00:00.000000",
        "end_time": "2026-11-20 09:00:02.500000",
        "name": "chat",
        "input": f"Question {identifier}",
        "provided_model_name": model,
        "usage_details": {"input": 10, "output": 4, "total": 14},
        "total_cost": 0.5,
        **more,
    }


def score(value: object, observation: str = "", trace: str = "t", **more: Any) -> Row:
    return {
        "id": f"{observation}/{trace}/{more.get('name')}/{more.get('source')}/{value}",
        "timestamp": "2026-11-20 09:01:00.000000",
        "trace_id": trace,
        "observation_id": observation,
        "name": "quality",
        "value": value,
        "source": "API",
        "data_type": "NUMERIC",
        "string_value": "",
        **more,
    }


def jsonl(path: Path, rows: Sequence[Row]) -> Path:
    path = path.with_suffix(".jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def packed(path: Path, rows: Sequence[Row]) -> Path:
    path = path.with_suffix(".jsonl.gz")
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return path


def json_list(path: Path, rows: Sequence[Row]) -> Path:
    path = path.with_suffix(".json")
    path.write_text(json.dumps(rows, indent=1))
    return path


def camel(path: Path, rows: Sequence[Row]) -> Path:
    def hump(name: str) -> str:
        first, *rest = name.split("_")
        return first + "".join(word.title() for word in rest)

    return json_list(path, [{hump(name): value for name, value in row.items()} for row in rows])


def comma(path: Path, rows: Sequence[Row]) -> Path:
    path = path.with_suffix(".csv")
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in rows:
            cells = [row.get(name) for name in columns]
            writer.writerow(
                "" if x is None else json.dumps(x) if isinstance(x, dict | list) else x
                for x in cells
            )
    return path


def parquet(path: Path, rows: Sequence[Row]) -> Path:
    path = path.with_suffix(".parquet")
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = {name: [row.get(name) for row in rows] for name in columns}
    if "usage_details" in table:
        kind = pa.map_(pa.string(), pa.uint64())
        counts = [[(k, int(v)) for k, v in (used or {}).items()] for used in table["usage_details"]]
        table["usage_details"] = pa.array(counts, kind)
        table.pop("cost_details", None)
    pq.write_table(pa.table(table), path)
    return path


FORMS: list[Callable[[Path, Sequence[Row]], Path]] = [
    jsonl, packed, json_list, camel, comma, parquet,
]  # fmt: skip


def read(paths: Sequence[Path], prompt: str = "auto", reader: LangfuseReader | None = None) -> Any:
    """Read observations and whatever stands beside them, as an import does."""
    reader = reader or LangfuseReader()
    files = [LogFile(path) for path in paths]
    logs = [file for file in files if reader.recognise(file)]
    others = [file for file in files if reader.accompanies(file)]
    assert len(logs) + len(others) == len(files)
    return [r for log in logs for r in reader.read(log, others, PromptChoice.parse(prompt))]


def samples(paths: Sequence[Path], prompt: str = "auto") -> dict[str, Sample]:
    return {r.task: r for r in read(paths, prompt) if isinstance(r, Sample)}


def from_rows(
    at: Path, observations: Sequence[Row], scores: Sequence[Row], **options: Any
) -> dict[str, Sample]:
    return samples([jsonl(at / "o", observations), jsonl(at / "s", scores)], **options)


def example() -> tuple[list[Row], list[Row]]:
    observations, scores = (
        [json.loads(line) for line in (LOGS / name).read_text().splitlines()]
        for name in ("observations.jsonl", "scores.jsonl")
    )
    return observations, scores


def test_the_example() -> None:
    found = samples([LOGS / "observations.jsonl", LOGS / "scores.jsonl"])
    assert len(found) == 12
    assert {s.model for s in found.values()} == {"gpt-4o-mini", "claude-haiku-4-5"}
    assert {s.group for s in found.values()} == {"account", "billing", "support"}
    left_out = [s.left_out for s in found.values() if s.left_out]
    assert left_out == [LeftOut.UNSCORED]
    documents = [s.document for s in found.values() if not s.left_out]
    assert sorted(map(documents.count, set(documents))) == [1, 2, 2, 2, 2, 2]
    (upload,) = [
        s for s in found.values() if s.model == "gpt-4o-mini" and "upload" in str(s.prompt)
    ]
    # Of two calls in one trace, the first of which the user wrote.
    assert upload.prompt == "My upload stops at 99%, what can I do?"
    assert upload.cost_usd == pytest.approx(8.4e-05 + 0.000144)
    assert upload.input_tokens == 118 + 16 + 119 + 16
    assert upload.latency_s == pytest.approx(0.64)


@pytest.mark.parametrize(
    ("form", "scores_form"), [(form, other) for form in FORMS for other in {form, jsonl}]
)
def test_every_form_holds_the_same(form, scores_form, tmp_path) -> None:
    observations, scores = example()
    expected = samples([LOGS / "observations.jsonl", LOGS / "scores.jsonl"])
    found = samples([form(tmp_path / "a", observations), scores_form(tmp_path / "b", scores)])
    assert list(found) == list(expected)
    for task, sample in found.items():
        sample.place = expected[task].place
        assert sample == expected[task]


def test_the_example_imported() -> None:
    found = read_logs(LOGS)
    assert found.table.n_tasks == 6
    assert found.table.models == ("claude-haiku-4-5", "gpt-4o-mini")
    assert found.summary.models == {"claude-haiku-4-5": (5, 1.0), "gpt-4o-mini": (6, 0.75)}
    assert found.summary.left_out == {"not scored": 1}
    assert set(found.summary.metrics.values()) == {"correctness"}
    assert not np.isnan(found.table.cost_usd[~np.isnan(found.table.score)]).any()


def test_files_of_hours_are_read_in_processes_as_in_one(tmp_path, monkeypatch) -> None:
    for folder in ("observations", "scores"):
        (tmp_path / folder).mkdir()
    for hour in range(6):
        ids = [f"{hour}-{n}" for n in range(4)]
        rows = [
            generation(name, name, f"m{n % 2}", input=f"Question {hour}/{n // 2}")
            for n, name in enumerate(ids)
        ]
        jsonl(tmp_path / "observations" / str(hour), rows)
        # The scores come an hour later, of the traces.
        scores = [score(n / 3, trace=name) for n, name in enumerate(ids)]
        jsonl(tmp_path / "scores" / str(hour + 1), scores)
    here = read_logs(tmp_path).table
    assert (here.n_tasks, here.n_models) == (12, 2)
    monkeypatch.setattr("hypernova.table.importing.read._BYTES_FOR_WORKERS", 0)
    assert_same_table(read_logs(tmp_path).table, here)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("auto", "My upload stops at 99%, what can I do?"),
        ("user", "My upload stops at 99%, what can I do?"),
        (
            "sent",
            "You help customers. Today is 2026-11-20.\n\nMy upload stops at 99%, what can I do?",
        ),
    ],
)
def test_which_text_is_the_prompt(prompt: str, expected: str) -> None:
    found = samples([LOGS / "observations.jsonl", LOGS / "scores.jsonl"], prompt)
    assert expected in {sample.prompt for sample in found.values()}


@pytest.mark.parametrize(
    ("given_input", "prompt", "expected"),
    [
        ('{"messages": [{"role": "user", "content": "Hi"}], "tools": []}', "auto", "Hi"),
        ({"messages": [{"role": "user", "content": "Hi"}]}, "auto", "Hi"),
        ('{"prompt": "Tell me"}', "auto", "Tell me"),
        ('{"question": "Why?", "context": "c"}', "field:question", "Why?"),
        ('{"question": "Why?"}', "field:answer", None),
        ('{"question": "Why?"}', "auto", '{"question": "Why?"}'),
        ('{"question": "Why?"}', "user", None),
        ('{"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}', "auto", "Hi"),
        ('["a", "b"]', "sent", "a\n\nb"),
        ("{ no JSON", "auto", "{ no JSON"),
        ("plain", "user", "plain"),
        ("", "auto", None),
        (None, "auto", None),
        ("{}", "auto", None),
        ("[" * 5000, "auto", "[" * 5000),
        ('[{"role": "system", "content": "Only this"}]', "auto", "Only this"),
    ],
)
def test_inputs(given_input: object, prompt: str, expected: str | None, tmp_path) -> None:
    rows = [generation("g", input=given_input)]
    found = from_rows(tmp_path, rows, [score(1, "g")], prompt=prompt)["g"]
    assert found.prompt == expected
    assert (found.left_out is LeftOut.NO_PROMPT) == (expected is None)


def test_turns_of_the_user_are_the_document_whatever_the_model_said_between(tmp_path) -> None:
    def chat(answer: str, system: str) -> str:
        return json.dumps(
            [
                {"role": "system", "content": system},
                {"role": "user", "content": "Sort it"},
                {"role": "assistant", "content": answer},
                {"role": "user", "content": "Backwards"},
            ]
        )

    rows = [
        generation("a", "1", input=chat("1 2", "x")),
        generation("b", "2", input=chat("2 1", "y")),
    ]
    found = from_rows(tmp_path, rows, [score(1, "a"), score(0, "b")])
    assert found["a"].document == found["b"].document == "Sort it\n\nBackwards"
    assert found["a"].prompt == "Backwards"


# --- scores -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (score(0.25, "g"), {"quality": 0.25}),
        (score("0.25", "g"), {"quality": 0.25}),
        (score(1, "g", data_type="BOOLEAN", string_value="True"), {"quality": 1.0}),
        (score(True, "g", data_type="BOOLEAN"), {"quality": 1.0}),
        (score("false", "g", data_type="BOOLEAN"), {"quality": 0.0}),
        (score(0, "g", data_type="CATEGORICAL", string_value="good"), {"quality": "good"}),
        (score(None, "g", data_type="CATEGORICAL", string_value="bad"), {"quality": "bad"}),
        (score(None, "g"), {}),
        (score("", "g"), {}),
        (score(math.nan, "g"), {}),
        (score(None, "g", data_type="TEXT", string_value="nice"), {}),
        (score(1, "", ""), {}),  # of a session
        (score(1, "other"), {}),
    ],
    ids=range(13),
)
def test_kinds_of_scores(row: Row, expected: dict[str, object], tmp_path) -> None:
    found = from_rows(tmp_path, [generation("g")], [row])["g"]
    assert found.scores == expected
    assert found.left_out == (None if expected else LeftOut.UNSCORED)


def test_several_scores_of_one_name_are_their_mean_unless_sources_differ(tmp_path) -> None:
    rows = [generation("a"), generation("b")]
    scores = [score(1, "a"), score(0, "a"), score(0.5, "b")]
    found = from_rows(tmp_path, rows, scores)
    assert (found["a"].scores, found["b"].scores) == ({"quality": 0.5}, {"quality": 0.5})
    found = from_rows(tmp_path, rows, [*scores, score(1, "b", source="ANNOTATION")])
    assert found["a"].scores == {"quality (API)": 0.5}
    assert found["b"].scores == {"quality (API)": 0.5, "quality (ANNOTATION)": 1.0}


def test_a_score_that_was_changed_counts_once_as_it_stood_last(tmp_path) -> None:
    old = score(0, "g", id="one", timestamp="2026-11-20 09:01:00.000000")
    new = score(1, "g", id="one", timestamp="2026-11-20T09:01:00.001000Z")
    observations = jsonl(tmp_path / "o", [generation("g")])
    for first, second in ((old, new), (new, old)):
        files = [observations, jsonl(tmp_path / "a", [first]), jsonl(tmp_path / "b", [second])]
        assert samples(files)["g"].scores == {"quality": 1.0}


def test_categories_that_differ_stay_a_list(tmp_path) -> None:
    scores = [
        score(0, "g", data_type="CATEGORICAL", string_value=text, id=text + str(at))
        for at, text in enumerate(["good", "bad", "good"])
    ]
    assert from_rows(tmp_path, [generation("g")], scores)["g"].scores == {
        "quality": ["bad", "good", "good"]
    }


def test_a_score_of_a_trace_is_that_of_all_its_calls_of_one_model(tmp_path) -> None:
    rows = [
        generation("late", start_time="2026-11-20 09:00:05Z", end_time="2026-11-20 09:00:09Z"),
        generation("early"),
        generation("failed", level="ERROR", model="other", start_time="2026-11-20 08:59:59Z"),
        {**generation("span"), "type": "SPAN"},
    ]
    found = from_rows(tmp_path, rows, [score(1)])
    assert list(found) == ["t"]
    assert found["t"].prompt == "Question early"
    assert found["t"].model == "m"
    assert (found["t"].cost_usd, found["t"].input_tokens) == (1.5, 30)
    assert found["t"].latency_s == 10
    assert found["t"].attempt == "t"


def test_a_trace_of_one_call_has_the_scores_of_both(tmp_path) -> None:
    scores = [score(1, name="helpful"), score(0.5, "g"), score(0)]
    found = from_rows(tmp_path, [generation("g")], scores)
    assert found["g"].scores == {"helpful": 1.0, "quality": 0.5}


def test_a_trace_of_several_models_is_no_models_and_told(tmp_path) -> None:
    rows = [generation("a"), generation("b", model="other")]
    paths = [jsonl(tmp_path / "o", rows), jsonl(tmp_path / "s", [score(1), score(0, "b")])]
    *found, note = read(paths)
    assert {s.task: (s.scores, s.left_out) for s in found} == {
        "b": ({"quality": 0.0}, None),
        "a": ({}, LeftOut.UNSCORED),
    }
    assert isinstance(note, Note)
    assert "1 traces" in note.text


def test_scores_of_other_observations_are_told(tmp_path) -> None:
    rows = [generation("g"), {**generation("s", "u"), "type": "SPAN"}]
    paths = [
        jsonl(tmp_path / "o", rows),
        jsonl(tmp_path / "s", [score(1, "g"), score(1, "s", "u")]),
    ]
    notes = [record.text for record in read(paths) if isinstance(record, Note)]
    assert len(notes) == 1
    assert "1 observations of the type SPAN" in notes[0]


def test_without_scores_there_are_only_requests_and_the_remedy_is_told(tmp_path) -> None:
    *found, note = read([LOGS / "observations.jsonl"])
    assert {sample.left_out for sample in found} == {LeftOut.NO_QUALITY}
    assert len(found) == 14
    assert all(sample.prompt and sample.cost_usd for sample in found)
    assert "files of scores" in note.text
    path = jsonl(tmp_path / "observations", example()[0])
    with pytest.raises(TableError, match=r"14 no quality score\); give logs with scored samples"):
        read_logs(path)


# --- costs, tokens, times, names --------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "cost", "latency", "tokens"),
    [
        ({}, 0.5, 2.5, (10, 4)),
        ({"total_cost": "0.25", "latency": "1.5"}, 0.25, 1.5, (10, 4)),
        ({"total_cost": 0}, None, 2.5, (10, 4)),
        ({"total_cost": None, "cost_details": '{"total": "0.125"}'}, 0.125, 2.5, (10, 4)),
        ({"total_cost": "", "calculated_total_cost": 2}, 2, 2.5, (10, 4)),
        ({"end_time": None}, 0.5, None, (10, 4)),
        ({"end_time": "soon"}, 0.5, None, (10, 4)),
        ({"end_time": "2026-11-20 08:00:00"}, 0.5, None, (10, 4)),
        ({"usage_details": '{"input": 1, "input_cached_tokens": "2", "output": 3}'}, 0.5, 2.5,
         (3, 3)),
        ({"usage_details": {}, "prompt_tokens": 7, "completion_tokens": 8}, 0.5, 2.5, (7, 8)),
        ({"usage_details": "", "input_usage": "9"}, 0.5, 2.5, (9, None)),
        ({"usage_details": {"total": 5}}, 0.5, 2.5, (None, None)),
    ],
    ids=range(12),
)  # fmt: skip
def test_numbers(more: Row, cost: object, latency: object, tokens: object, tmp_path) -> None:
    found = from_rows(tmp_path, [generation("g", **more)], [score(1, "g")])["g"]
    assert (found.cost_usd, found.latency_s) == (cost, latency)
    assert (found.input_tokens, found.output_tokens) == tokens


def test_a_model_without_a_name_and_a_failure_are_missing(tmp_path) -> None:
    rows = [generation("a", "1", ""), generation("b", "2", level="ERROR"), generation("c", "3")]
    rows[0] |= {"model": None}
    found = from_rows(tmp_path, rows, [score(1, "a"), score(0, "b"), score(1, "c")])
    assert [found[task].left_out for task in "abc"] == [LeftOut.NO_MODEL, LeftOut.ERROR, None]


def test_the_group_is_the_name_of_the_trace_or_else_of_the_call(tmp_path) -> None:
    traces = [
        {"id": "1", "name": "legacy", "timestamp": "2026-11-20 09:00:00", "user_id": ""},
        {"id": "2", "name": "", "timestamp": "2026-11-20 09:00:00", "user_id": ""},
    ]
    rows = [
        generation("a", "1"),
        generation("b", "2"),
        generation("c", "3", trace_name="enriched"),
        generation("d", "4", name=""),
    ]
    paths = [
        jsonl(tmp_path / "o", rows),
        jsonl(tmp_path / "s", [score(1, name) for name in "abcd"]),
        jsonl(tmp_path / "t", traces),
    ]
    assert {task: sample.group for task, sample in samples(paths).items()} == {
        "a": "legacy", "b": "chat", "c": "enriched", "d": None,
    }  # fmt: skip


def test_many_files_are_joined_with_the_scores_read_once(tmp_path, monkeypatch) -> None:
    reads: list[str] = []
    rows = LogFile.rows

    def counted(file: LogFile) -> Any:
        reads.append(file.path.name)
        return rows(file)

    monkeypatch.setattr(LogFile, "rows", counted)
    paths = [jsonl(tmp_path / f"o{at}", [generation(str(at), str(at))]) for at in range(5)]
    paths += [jsonl(tmp_path / f"s{at}", [score(1, str(at))]) for at in range(5)]
    found = read(paths)
    assert [record.scores for record in found] == [{"quality": 1.0}] * 5
    assert sorted(reads) == sorted(path.name for path in paths)
    # Files that were changed are read again.
    reader = LangfuseReader()
    assert len(read(paths, reader=reader)) == 5
    jsonl(tmp_path / "s0", [score(0.5, "0")])
    assert read(paths, reader=reader)[0].scores == {"quality": 0.5}


@given(st.integers(0, 2**32), st.integers(1, 4))
def test_the_order_of_rows_and_files_changes_nothing(seed: int, n_files: int) -> None:
    observations, scores = example()
    more = [score(value / 7, row["id"], row["trace_id"], name="x", id=f"{at}/{value}")
            for at, row in enumerate(observations) for value in range(1, 4)]  # fmt: skip
    scores += more
    expected = _read_shuffled(observations, scores, None, 1)
    assert _read_shuffled(observations, scores, random.Random(seed), n_files) == expected


def _read_shuffled(
    observations: list[Row], scores: list[Row], chance: random.Random | None, n_files: int
) -> dict[str, Sample]:
    observations, scores = list(observations), list(scores)
    if chance is not None:
        chance.shuffle(observations)
        chance.shuffle(scores)
    with TemporaryDirectory() as folder:
        at = Path(folder)
        paths = [jsonl(at / f"s{n}", scores[n::n_files]) for n in range(n_files)]
        found = samples([jsonl(at / "o", observations), *paths])
    for sample in found.values():
        sample.place = ""
    return found


def test_scores_take_few_bytes_and_are_found(tmp_path) -> None:
    n = 20_000
    path = jsonl(tmp_path / "s", [score(at / n, f"id-{at}", id=str(at)) for at in range(n)])
    scores = Scores([LogFile(path)])
    assert scores.count == n
    assert all(
        scores.of("observation", f"id-{at}") == {"quality": at / n} for at in range(0, n, 97)
    )
    assert scores.of("observation", "id--1") == scores.of("trace", "id-5") == {}
    arrays = [value for value in vars(scores).values() if hasattr(value, "nbytes")]
    assert sum(one.nbytes for one in arrays) <= 48 * n


def test_nothing_at_all() -> None:
    assert Scores([]).of("trace", "t") == {}
    assert TraceNames([]).of("t") == ""


# --- broken files -----------------------------------------------------------------------


@pytest.mark.parametrize("form", [json_list, camel, packed, parquet])
@pytest.mark.parametrize("which", ["a", "b"])
def test_a_file_cut_short_anywhere_is_refused_or_not_taken(form, which, tmp_path) -> None:
    observations, scores = ([*rows[:4]] for rows in example())
    paths = {"a": form(tmp_path / "a", observations), "b": form(tmp_path / "b", scores)}
    path = paths[which]
    whole = path.read_bytes().rstrip()
    reader = LangfuseReader()
    for length in range(0, len(whole), 23):
        path.write_bytes(whole[:length])
        log, other = LogFile(paths["a"]), LogFile(paths["b"])
        if not reader.recognise(log) or not reader.accompanies(other):
            continue
        with pytest.raises(TableError) as caught:
            list(reader.read(log, [other], PromptChoice()))
        assert str(caught.value).isprintable()
        assert path.name in str(caught.value)


def test_lines_cut_short_within_are_refused(tmp_path) -> None:
    observations, scores = example()
    beside = jsonl(tmp_path / "b", scores)
    path = jsonl(tmp_path / "a", observations[:3])
    whole = path.read_bytes()
    ends = {at for at in range(len(whole) + 1) if at in (0, len(whole)) or whole[at - 1] == 10}
    for length in range(1, len(whole), 7):
        if length in ends or length + 1 in ends:
            continue  # whole lines
        path.write_bytes(whole[:length])
        log = LogFile(path)
        if LangfuseReader().recognise(log):
            with pytest.raises(TableError, match="is cut short"):
                list(LangfuseReader().read(log, [LogFile(beside)], PromptChoice()))


@pytest.mark.parametrize(
    ("more", "column"),
    [
        ({"total_cost": "free"}, "total_cost"),
        ({"latency": [1]}, "latency"),
        ({"latency": True}, "latency"),
        ({"total_cost": "1e999"}, "total_cost"),
        ({"total_cost": 10**400}, "total_cost"),
        ({"usage_details": None, "prompt_tokens": "many"}, "prompt_tokens"),
    ],
)
def test_cells_of_a_wrong_kind(more: Row, column: str, tmp_path) -> None:
    with pytest.raises(TableError, match=rf"o\.jsonl, line 1, column '{column}': found .*; "):
        from_rows(tmp_path, [generation("g", **more)], [score(1, "g")])


def test_a_score_of_a_wrong_kind(tmp_path) -> None:
    with pytest.raises(TableError, match=r"s\.jsonl, line 1, column 'value': found \[1\]; "):
        from_rows(tmp_path, [generation("g")], [score([1], "g")])
    with pytest.raises(TableError, match=r"s\.jsonl, line 1, column 'value': found 'high'; "):
        from_rows(tmp_path, [generation("g")], [score("high", "g")])


@pytest.mark.parametrize(
    "rows",
    [
        [{"id": "a", "trace_id": "b", "type": "x"}],
        [{"task_id": "a", "prompt": "b", "outcomes": {}}],
        [{"trace_id": "a", "name": "b"}],
    ],
)
def test_files_of_others_are_not_taken(rows: list[Row], tmp_path) -> None:
    for form in (jsonl, json_list, comma):
        file = LogFile(form(tmp_path / "x", rows))
        assert not LangfuseReader().recognise(file)
        assert not LangfuseReader().accompanies(file)


def test_odd_texts_are_not_taken(tmp_path) -> None:
    for text in ("", "id,trace_id,type", "{", "\0" * 50, "PK\x03\x04", "[[[["):
        path = tmp_path / "x.csv"
        path.write_text(text)
        assert not LangfuseReader().recognise(LogFile(path))
