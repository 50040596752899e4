"""Logs of OpenAI evals: real ones made offline, what is read of them, and broken ones.

`tests/tools/make_openai_evals_logs.py` made the real ones, of `examples/logs/openai_evals`.
"""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypernova.errors import TableError
from hypernova.table import read_logs
from hypernova.table.sources.files import LogFile
from hypernova.table.sources.log import LeftOut, Note, Reported, Sample
from hypernova.table.sources.openai_evals import OpenAIEvalsReader
from hypernova.table.sources.prompt_choice import PromptChoice

ROOT = Path(__file__).parents[3]
LOGS = ROOT / "examples" / "logs" / "openai_evals"
NAMES = sorted(path.name for path in LOGS.glob("*.jsonl"))
READER = OpenAIEvalsReader()

Row = dict[str, Any]


def records(path: Path, prompt: str = "auto") -> list[Any]:
    log = LogFile(path)
    assert READER.recognise(log)
    return list(READER.read(log, [], PromptChoice.parse(prompt)))


def samples(path: Path, prompt: str = "auto") -> list[Sample]:
    return [record for record in records(path, prompt) if isinstance(record, Sample)]


def refused(path: Path, *parts: str) -> None:
    with pytest.raises(TableError) as caught:
        list(READER.read(LogFile(path), [], PromptChoice()))
    message = str(caught.value)
    assert message.isprintable()
    assert path.name in message
    assert "; " in message
    for part in parts:
        assert part in message


def event(sample: str, kind: str, data: object, **more: object) -> Row:
    return {"run_id": "r", "sample_id": sample, "type": kind, "data": data, **more}


def asked(sample: str, prompt: object = "Why?", **data: object) -> Row:
    return event(sample, "sampling", {"prompt": prompt, "sampled": ["x"], **data})


SPEC = {
    "completion_fns": ["m"],
    "eval_name": "e.dev.v0",
    "base_eval": "e",
    "run_config": {"eval_spec": {"cls": "evals.elsuite.basic.match:Match"}},
    "run_id": "r",
}
MATCH = {"correct": True, "expected": "x"}


def write(folder: Path, *events: Row, report: object = None, spec: Row = SPEC) -> Path:
    path = folder / "log.jsonl"
    rows = [{"spec": spec}, {"final_report": {} if report is None else report}, *events]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


# --- real logs --------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_means_of_real_logs_are_those_that_they_state(name: str) -> None:
    group, _, model = name.removesuffix(".jsonl").partition("_")
    found = records(LOGS / name)
    of_tasks = [record for record in found if isinstance(record, Sample)]
    reported = [record for record in found if isinstance(record, Reported)]
    assert len(of_tasks) == {"sums": 8, "capitals": 4, "polite": 3}[group]
    assert len({sample.task for sample in of_tasks}) == len(of_tasks)
    assert {(sample.model, sample.group, sample.left_out) for sample in of_tasks} == {
        (model, group, None)
    }
    metrics = {"sums": ["accuracy"], "capitals": ["accuracy", "f1_score"], "polite": ["score"]}
    assert sorted(of_tasks[0].scores) == metrics[group]
    assert sorted(figure.metric for figure in reported) == metrics[group]
    for figure in reported:
        mean = sum(float(sample.scores[figure.metric]) for sample in of_tasks) / len(of_tasks)  # type: ignore[arg-type]
        assert mean == pytest.approx(figure.value, abs=1e-12)


def test_both_models_have_the_same_documents_and_other_attempts() -> None:
    first, second = (samples(LOGS / f"sums_{model}.jsonl") for model in ("gpt-3.5-turbo", "gpt-4"))
    assert {s.document for s in first} == {s.document for s in second}
    assert not {s.attempt for s in first} & {s.attempt for s in second}
    assert {s.prompt for s in first} == {s.prompt for s in second}


def test_real_logs_imported() -> None:
    with pytest.raises(TableError, match=r"'capitals' has several scores: 'accuracy' and 'f1_sc"):
        read_logs(LOGS)
    found = read_logs(LOGS, score=["f1_score", "accuracy", "score"])
    assert found.table.n_tasks == 15
    assert found.summary.filled == 1
    assert found.summary.metrics == {"sums": "accuracy", "capitals": "f1_score", "polite": "score"}
    assert len(found.summary.agreement) == 6
    assert all(one.agrees for one in found.summary.agreement)
    assert not found.summary.left_out


def test_prompts_of_real_logs() -> None:
    path = LOGS / "sums_gpt-4.jsonl"
    by_task = {sample.task: sample.prompt for sample in samples(path)}
    assert by_task["sums.dev.1"] == "8 + 64 ="
    assert {s.task: s.prompt for s in samples(path, "user")} == by_task
    sent = {sample.task: sample.prompt for sample in samples(path, "sent")}
    assert sent["sums.dev.1"] == "Answer with the number alone.\n\n8 + 64 ="
    with pytest.raises(TableError, match=r"'target'.*auto, sent or user"):
        list(READER.read(LogFile(path), [], PromptChoice.parse("field:target")))


def test_of_a_graded_log_the_grader_gives_neither_prompt_nor_tokens() -> None:
    path = LOGS / "polite_gpt-4.jsonl"
    by_task = {sample.task: sample for sample in samples(path)}
    menu = by_task["polite.dev.2"]
    # The eval sends its question as a system message, so no user wrote it.
    assert menu.prompt == "Ask for the menu."
    assert (menu.input_tokens, menu.output_tokens) == (4, 6)
    assert samples(path, "user")[0].left_out is LeftOut.NO_PROMPT


def test_logs_that_the_tool_writes_now(tmp_path) -> None:
    python = os.environ.get("HYPERNOVA_EVALS") or (find_spec("evals") and sys.executable)
    if not python:
        pytest.skip("evals is not installed, and HYPERNOVA_EVALS names no Python that has it")
    # In a process of its own: the tool writes the last events when it ends.
    script = ROOT / "tests" / "tools" / "make_openai_evals_logs.py"
    subprocess.run([python, script, tmp_path], check=True, capture_output=True, timeout=300)
    for name in NAMES:
        made = [(s.task, s.prompt, s.scores, s.input_tokens) for s in samples(tmp_path / name)]
        kept = [(s.task, s.prompt, s.scores, s.input_tokens) for s in samples(LOGS / name)]
        assert sorted(made, key=repr) == sorted(kept, key=repr)


# --- broken logs ------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_real_log_cut_short_anywhere_is_refused(name: str, tmp_path) -> None:
    whole = (LOGS / name).read_bytes()
    path = tmp_path / name
    first = whole.index(b"\n")
    # The last byte is a line break, without which nothing is missing.
    for length in [*range(0, first, 37), first, *range(first + 1, len(whole) - 1, 41)]:
        path.write_bytes(whole[:length])
        # What ends before it says whose it is belongs to no tool.
        assert READER.recognise(LogFile(path)) == (b'"completion_fns"' in whole[:length])
        refused(path)
    for end in [at for at in range(first, len(whole) - 1) if whole[at] == 10]:
        path.write_bytes(whole[: end + 1])
        refused(path)


def test_a_log_that_lacks_any_line_is_refused(tmp_path) -> None:
    lines = (LOGS / "capitals_gpt-4.jsonl").read_text().splitlines(keepends=True)
    path = tmp_path / "log.jsonl"
    for at in range(len(lines)):
        path.write_text("".join(lines[:at] + lines[at + 1 :]))
        refused(path, "; ")


def test_a_run_that_goes_on_or_failed_is_refused(tmp_path) -> None:
    path = write(tmp_path, asked("e.1"), event("e.1", "match", MATCH))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:1] + lines[2:]))
    refused(path, "no final report", "run the eval again")


def test_two_runs_in_one_file_are_refused(tmp_path) -> None:
    path = write(tmp_path, asked("e.1"), event("e.1", "match", MATCH))
    path.write_text(path.read_text() * 2)
    refused(path, "line 5", "second run")


@pytest.mark.parametrize(
    ("row", "parts"),
    [
        ({"sample_id": "e.1"}, ["line 5", "lacks 'type', 'data'"]),
        (event("e.1", "match", {}), ["line 5", "'correct'", "found None"]),
        (event("e.1", "match", {"correct": 1}), ["'correct'", "found 1"]),
        (event("e.1", "match", [True]), ["'data'", "found [True]"]),
        (event("e.1", "metrics", 0.5), ["'data'", "found 0.5"]),
        (event("e.1", "sampling", None), ["'data'", "found None"]),
        (asked("e.1", usage=[1]), ["'usage'", "found [1]"]),
        (event("e.1", 5, {}), ["'type'", "found 5"]),  # type: ignore[arg-type]
        (event(None, "match", MATCH), ["'sample_id'", "found None"]),  # type: ignore[arg-type]
        ({"spec": 3}, ["line 5", "second run"]),
        ({"final_report": {}}, ["line 5", "second final report"]),
    ],
    ids=range(11),
)
def test_malformed_events(row: Row, parts: list[str], tmp_path) -> None:
    refused(write(tmp_path, asked("e.1"), event("e.1", "match", MATCH), row), *parts)


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ({**SPEC, "completion_fns": []}, ["found []"]),
        ({**SPEC, "completion_fns": [3]}, ["found [3]"]),
        ({key: SPEC[key] for key in SPEC if key != "completion_fns"}, ["found None"]),
        ({**SPEC, "base_eval": None, "eval_name": ""}, ["'base_eval'"]),
    ],
    ids=range(4),
)
def test_malformed_specifications(spec: Row, parts: list[str], tmp_path) -> None:
    refused(write(tmp_path, asked("e.1"), event("e.1", "match", MATCH), spec=spec), *parts)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[]", "spec", '{"spec": 1}', '{"spec": {}, "x": 1}', '{"task_id": "a"}', "\0"),
        '{"spec": {"replicas": 2}}',
        '{"spec": {"base_eval": "e"}, "x": 1}',
        '[{"spec": {"base_eval": "e"}}]',
    ],
)
def test_files_of_others_are_not_taken(text: str, tmp_path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(text)
    assert not READER.recognise(LogFile(path))


def test_a_specification_longer_than_the_head_is_known(tmp_path) -> None:
    spec = {**SPEC, "run_config": {"args": "x" * 200_000}}
    path = write(tmp_path, asked("e.1"), event("e.1", "match", MATCH), spec=spec)
    assert LogFile(path).first_object is None
    assert samples(path)[0].scores == {"accuracy": True}


# --- what a sample is -------------------------------------------------------------------


def test_errors_and_samples_without_a_score_are_missing(tmp_path) -> None:
    path = write(
        tmp_path,
        asked("e.1"),
        event("e.1", "error", {"type": "TimeoutError", "message": "late"}),
        event("e.1", "match", {"correct": False}),
        asked("e.2"),
        event("e.3", "match", MATCH),
        asked("e.4", [1, 2, 3]),
        event("e.4", "match", MATCH),
        asked("e.5"),
        event("e.5", "match", MATCH),
    )
    assert [sample.left_out for sample in samples(path)] == [
        LeftOut.ERROR,
        LeftOut.UNSCORED,
        LeftOut.NO_PROMPT,
        LeftOut.NO_PROMPT,
        None,
    ]


def test_several_matches_of_a_sample_are_their_mean_and_told(tmp_path) -> None:
    matches = [event("e.1", "match", {"correct": correct}) for correct in (True, False, False)]
    found = records(write(tmp_path, asked("e.1"), *matches, report={"accuracy": 1 / 3}))
    sample, note, figure = found
    assert sample.scores == {"accuracy": 1 / 3}
    assert isinstance(note, Note)
    assert "1 samples" in note.text
    assert figure == Reported("m", "e", "accuracy", 1 / 3, "accuracy")


def test_metrics_as_they_stand(tmp_path) -> None:
    data = {"f1": math.nan, "pair": [1, 0], "grade": "B", "choice": "A", "score": None}
    (sample,) = samples(write(tmp_path, asked("e.1"), event("e.1", "metrics", data)))
    assert sorted(sample.scores) == ["choice", "f1", "grade", "pair"]
    assert math.isnan(sample.scores["f1"])  # type: ignore[arg-type]
    assert (sample.scores["pair"], sample.scores["choice"]) == ([1, 0], "A")
    # Where the grader's choice has a score, the choice is none.
    (sample,) = samples(
        write(tmp_path, asked("e.1"), event("e.1", "metrics", {"choice": "A", "score": 0.5}))
    )
    assert sample.scores == {"score": 0.5}


def test_figures_that_are_no_means_of_a_metric_are_not_reported(tmp_path) -> None:
    report = {"accuracy": math.nan, "score": 0.5, "counts/A": 1, "usage_total_tokens": 0}
    found = records(write(tmp_path, asked("e.1"), event("e.1", "metrics", {"accuracy": 1}),
                          report=report))  # fmt: skip
    assert not [record for record in found if isinstance(record, Reported)]


def test_tokens_of_all_turns_are_added_and_numbers_beyond_float_are_none(tmp_path) -> None:
    usages: list[Row | None] = [
        {"prompt_tokens": 5, "completion_tokens": 2},
        {"input_tokens": 7, "output_tokens": 1, "details": {"cached": 3}},
        {"prompt_tokens": 10**400, "completion_tokens": True},
        None,
    ]
    turns = [asked("e.1", f"turn {at}", usage=usage) for at, usage in enumerate(usages)]
    (sample,) = samples(write(tmp_path, *turns, event("e.1", "match", MATCH)))
    assert (sample.input_tokens, sample.output_tokens) == (12, 3)
    assert sample.prompt == "turn 0"


@pytest.mark.parametrize(
    ("spec", "model"),
    [
        ({"completion_fns": ["a", "b"]}, "a,b"),
        ({"completion_fns": None, "model_names": {"completions": ["old"]}}, "old"),
        ({"completion_fns": None, "model_name": "older"}, "older"),
        (
            {
                "completion_fns": ["a", "grader"],
                "run_config": {
                    "eval_spec": {"cls": "evals.elsuite.modelgraded.classify:ModelBasedClassify"}
                },
            },
            "a",
        ),
    ],
)
def test_names_of_models(spec: Row, model: str, tmp_path) -> None:
    path = write(tmp_path, asked("e.1"), event("e.1", "match", MATCH), spec={**SPEC, **spec})
    assert samples(path)[0].model == model


def test_a_prompt_with_media(tmp_path) -> None:
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {}}]
    path = write(tmp_path, asked("e.1", [{"role": "user", "content": parts}]),
                 event("e.1", "match", MATCH))  # fmt: skip
    (sample,) = samples(path)
    assert (sample.prompt, sample.media) == ("What is it?", True)


@given(st.integers(0, 2**32))
def test_the_order_of_events_changes_nothing(seed: int) -> None:
    lines = (LOGS / "capitals_gpt-4.jsonl").read_text().splitlines(keepends=True)
    random.Random(seed).shuffle(events := lines[1:])
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        path.write_text(lines[0] + "".join(events))
        found = sorted(
            (r.task, r.prompt, sorted(r.scores.items()), r.input_tokens) for r in samples(path)
        )
    assert found == sorted(
        (r.task, r.prompt, sorted(r.scores.items()), r.input_tokens)
        for r in samples(LOGS / "capitals_gpt-4.jsonl")
    )
