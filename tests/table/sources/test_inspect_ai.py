"""Logs of Inspect AI become records, whichever way they are stored; broken ones are one error.

The committed logs were written by the tool. Not here: fresh logs of the tool (test_inspect_real).
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hypernova.errors import TableError
from hypernova.table.log_files.files import LogFile
from hypernova.table.log_files.prompt_choice import PromptChoice
from hypernova.table.sources.inspect_ai.reader import InspectReader
from hypernova.table.sources.log import LeftOut, Note, Reported, Sample
from support.archives import DEFLATED, STORED, write_zip
from support.paths import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hypernova.table.sources.log import Record

LOGS = EXAMPLES / "logs" / "inspect"
ARCHIVES = sorted(LOGS.glob("*.eval"))
SMALL = LOGS / "arithmetic-small.eval"
MIXED = LOGS / "mixed.eval"
JSON_LOG = LOGS / "arithmetic-medium.json"
PROMPTS = ["auto", "user", "sent", "field:input"]
FIRST = "samples/sum-0_epoch_1.json"

Entries = dict[str, Any]


def read(path: Path, prompt: str = "auto") -> list[Record]:
    return list(InspectReader().read(LogFile(path), (), PromptChoice.parse(prompt)))


def samples(path: Path, prompt: str = "auto") -> list[Sample]:
    return [record for record in read(path, prompt) if isinstance(record, Sample)]


def entries_of(path: Path) -> Entries:
    log = LogFile(path)
    found = {}
    for name in log.entries:
        with log.open_entry(name, 1 << 24) as file:
            found[name] = json.loads(file.read())
    return found


def write(path: Path, entries: Entries, method: int = DEFLATED) -> Path:
    write_zip(path, {name: json.dumps(value).encode() for name, value in entries.items()}, method)
    return path


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[Callable[[Entries], object], Path], Path]:
    """Write a log with a change: `changed(change, log=SMALL)`."""

    def write_changed(change: Callable[[Entries], object], log: Path = SMALL) -> Path:
        entries = entries_of(log)
        change(entries)
        return write(tmp_path / "changed.eval", entries)

    return write_changed


def error(path: Path, prompt: str = "auto") -> str:
    with pytest.raises(TableError) as caught:
        read(path, prompt)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    assert "; " in message
    return message


def test_records_of_an_archive():
    figure, first, *_ = read(SMALL)
    assert figure == Reported("mockllm/small", "arithmetic", "match", 2 / 3, "accuracy")
    assert isinstance(first, Sample)
    assert (first.model, first.group, first.task) == ("mockllm/small", "arithmetic", "sum-0")
    assert first.prompt == "What is 0 + 0?"
    assert first.scores == {"match": "C"}
    assert (first.cost_usd, first.input_tokens, first.output_tokens) == (0.0001, 12, 3)
    assert first.latency_s is not None
    assert 0 < first.latency_s < 60
    assert first.attempt is not None
    assert len(first.attempt) == 22
    assert first.place == FIRST
    assert (first.left_out, first.media) == (None, False)
    assert [sample.scores["match"] for sample in samples(SMALL)] == ["C", "C", "I"]


def test_a_sample_has_one_document_under_every_model_and_form():
    documents = {
        path.name: samples(path)[0].document
        for path in (SMALL, LOGS / "arithmetic-large.eval", JSON_LOG)
    }
    assert len(set(documents.values())) == 1
    by_task = {sample.task: sample.document for sample in samples(MIXED)}
    assert len(set(by_task.values())) == len(by_task)
    assert samples(LOGS / "mixed-chunked.eval")[0].document == by_task["image"]


def test_prompt_is_what_the_user_wrote_and_sent_is_what_the_model_got():
    assert samples(SMALL, "sent")[0].prompt == (
        "Answer with a number.\n\nQuestion: What is 0 + 0?\nAnswer:"
    )
    by_task = {sample.task: sample for sample in samples(MIXED)}
    assert by_task["turns"].prompt == "?"
    assert by_task["image"].prompt == "What is it?"
    assert by_task["image"].media
    assert by_task["only"].left_out is LeftOut.NO_PROMPT
    assert by_task["long"].prompt is not None
    assert by_task["long"].prompt.endswith("Which one?")
    assert len(by_task["long"].prompt) > 5120
    sent = {sample.task: sample.prompt for sample in samples(MIXED, "sent")}
    assert sent["turns"] == "Be brief.\n\nI am Ada.\n\nHi.\n\n?"


def test_prompt_of_a_field_is_the_whole_field():
    # The summaries collapse its blanks.
    assert samples(SMALL, "field:spaced")[1].prompt == "Add 1  to\n1."
    assert samples(SMALL, "field:target")[1].prompt == "2"
    assert samples(MIXED, "field:score")[2].prompt == "0.5"


def test_unknown_field_names_those_that_there_are():
    assert "'subject', 'spaced', 'input', 'target'" in error(SMALL, "field:question")


def test_scores_are_as_the_tool_has_them():
    values = {sample.task: sample.scores for sample in samples(MIXED)}
    assert [values[task]["given"] for task in ("long", "turns", "image", "only")] == [
        "C", "I", 0.5, True,
    ]  # fmt: skip
    unscored = values["nothing"]["given"]
    assert isinstance(unscored, float)
    assert math.isnan(unscored)
    assert values["long"].keys() == {"given", "two/exact", "two/length"}
    figures = {record.metric for record in read(MIXED) if isinstance(record, Reported)}
    assert figures == {"given", "two/exact", "two/length"}


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("log", ARCHIVES, ids=lambda path: path.stem)
def test_summaries_and_entries_give_the_same_records(log: Path, prompt: str, tmp_path: Path):
    entries = entries_of(log)
    del entries["summaries.json"]
    whole = write(tmp_path / "whole.eval", entries)
    by_summary, by_entry = read(log, prompt), read(whole, prompt)
    assert len(by_summary) > 1
    # By their text, because NaN differs from itself.
    assert repr(by_summary) == repr(by_entry)


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("log", ARCHIVES[:1] + ARCHIVES[1:2], ids=lambda path: path.stem)
def test_json_and_archive_give_the_same_records(log: Path, prompt: str, tmp_path: Path):
    entries = entries_of(log)
    rows = [value for name, value in entries.items() if name.startswith("samples/")]
    as_json = tmp_path / "log.json"
    as_json.write_text(json.dumps({**entries["header.json"], "samples": rows}, indent=2))
    places = [sample.place for sample in samples(log)]
    by_json = read(as_json, prompt)
    for sample in by_json:
        if isinstance(sample, Sample):
            sample.place = places.pop(0)
    assert repr(by_json) == repr(read(log, prompt))


def test_recognised_by_content_whatever_the_name(tmp_path: Path):
    reader = InspectReader()
    for path in (*ARCHIVES, JSON_LOG):
        other = tmp_path / "log.bin"
        other.write_bytes(path.read_bytes())
        assert reader.recognise(LogFile(other))
    for path in (*ARCHIVES, JSON_LOG):
        whole = path.read_bytes().rstrip()
        for end in (100, 200, len(whole) // 2, len(whole) - 1):
            other.write_bytes(whole[:end])
            assert reader.recognise(LogFile(other)), "a log that is cut short is still one"
    for entries in ({"header.json": {}}, {"a.txt": 1}):
        assert not reader.recognise(LogFile(write(other, entries)))
    for text in ("", "{}", "[]", '{"version": 2}', '{"evalId": "x", "results": {}}', "PK\x03\x04"):
        other.write_text(text)
        assert not reader.recognise(LogFile(other))


def test_manifests_accompany_logs(tmp_path: Path):
    reader = InspectReader()
    path = tmp_path / "x"
    for manifest in ({"eval_set_id": "a", "tasks": []}, {"a.eval": {"version": 2}, "b.json": {}}):
        path.write_text(json.dumps(manifest))
        assert reader.accompanies(LogFile(path))
        assert not reader.recognise(LogFile(path))
    path.write_text('{"a": 1}')
    assert not reader.accompanies(LogFile(path))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("version", 3, "has version 3 of the format, and 2 is the newest that is known; update"),
        ("version", "2", "has the version '2', no number"),
        ("status", "started", "is of a run that has not ended; wait"),
        ("status", "cancelled", "is of a run that was cancelled; complete it with inspect"),
        ("status", "odd", "has the status 'odd', which is not known"),
        ("eval", {}, "names no model and no task in its header"),
        ("eval", None, "names no model and no task in its header"),
    ],
)
def test_header_that_stops_a_log(changed, key: str, value: object, message: str):
    assert message in error(changed(lambda entries: entries["header.json"].update({key: value})))


def test_failed_run_names_its_error(changed):
    def fail(entries: Entries) -> None:
        entries["header.json"].update(status="error", error={"message": "no such\nmodel"})

    assert "is of a run that failed ('no such\\nmodel'); complete it" in error(changed(fail))


def test_log_that_is_still_written(changed):
    path = changed(lambda entries: (entries.pop("header.json"), entries.pop("summaries.json")))
    assert InspectReader().recognise(LogFile(path))
    assert "has no header yet: its run goes on" in error(path)


def test_log_without_samples(changed, tmp_path: Path):
    def unlogged(entries: Entries) -> None:
        for name in list(entries):
            if name.startswith("samples/"):
                del entries[name]
        entries["summaries.json"] = []

    assert "holds no samples; run it with log_samples" in error(changed(unlogged))
    header = tmp_path / "header.json"
    header.write_text(json.dumps(entries_of(SMALL)["header.json"]))
    assert "holds no samples" in error(header)


def test_encrypted_log_is_refused(tmp_path: Path):
    path = tmp_path / "encrypted.eval"
    entries = {name: json.dumps(value).encode() for name, value in entries_of(SMALL).items()}
    write_zip(path, entries, STORED, flags=1)
    assert "encrypted" in error(path)


def summaries(change: Callable[[dict[str, Any]], object], index: int = 1):
    return lambda entries: change(entries["summaries.json"][index])


def test_failed_sample_is_left_out_even_with_scores(changed):
    path = changed(summaries(lambda row: row.update(error="RuntimeError()")))
    assert [sample.left_out for sample in samples(path)] == [None, LeftOut.ERROR, None]


def test_invalidated_sample_is_left_out(changed):
    def invalidate(entries: Entries) -> None:
        entries["header.json"]["invalidated"] = True
        entries["samples/sum-1_epoch_1.json"]["invalidation"] = {"author": "a person"}

    found = samples(changed(invalidate))
    assert [sample.left_out for sample in found] == [None, LeftOut.INVALID, None]


def test_unscored_sample_has_no_score(changed):
    path = changed(summaries(lambda row: row.update(scores={})))
    assert samples(path)[1].scores == {}
    path = changed(summaries(lambda row: row["scores"]["match"].update(value=[1, 0])))
    assert samples(path)[1].scores == {"match": [1, 0]}


def test_edited_score_is_its_current_value(changed):
    def edit(row: dict[str, Any]) -> None:
        row["scores"]["match"].update(value="C", history=[{"value": "I"}, {"value": "C"}])

    assert samples(changed(summaries(edit, 2)))[2].scores == {"match": "C"}


def test_usage_leaves_out_other_models_and_roles(changed):
    def spend(entries: Entries) -> None:
        roles = {"grader": {"model": "mockllm/small"}, "helper": {"model": "mockllm/other"}}
        entries["header.json"]["eval"]["model_roles"] = roles
        entries["summaries.json"][1].update(
            model_usage={
                "mockllm/small": {
                    "input_tokens": 100,
                    "input_tokens_cache_read": 50,
                    "input_tokens_cache_write": 7,
                    "output_tokens": 20,
                    "total_cost": 0.3,
                },
                "mockllm/other": {"input_tokens": 1000, "output_tokens": 1, "total_cost": 9},
            },
            role_usage={
                "grader": {"input_tokens": 40, "output_tokens": 5, "total_cost": 0.1},
                "helper": {"input_tokens": 1000, "output_tokens": 1, "total_cost": 9},
            },
        )

    sample = samples(changed(spend))[1]
    assert (sample.input_tokens, sample.output_tokens, sample.cost_usd) == (117, 15, 0.2)


def test_unknown_usage_stays_unknown(changed):
    sample = samples(changed(summaries(lambda row: row.update(model_usage={}))))[1]
    assert (sample.input_tokens, sample.output_tokens, sample.cost_usd) == (None, None, None)


def test_run_without_a_model_has_the_only_one_that_was_asked(changed):
    def no_model(entries: Entries) -> None:
        entries["header.json"]["eval"]["model"] = "none/none"
        entries["summaries.json"][1]["model_usage"]["mockllm/other"] = {}

    found = samples(changed(no_model))
    assert [(sample.model, sample.left_out) for sample in found[:2]] == [
        ("mockllm/small", None),
        ("none/none", LeftOut.NO_MODEL),
    ]


def test_choices_tell_documents_apart_in_any_order(changed):
    def choose(*choices: list[str]):
        def change(entries: Entries) -> None:
            rows = [value for name, value in entries.items() if name.startswith("samples/")]
            for row, options in zip(rows, choices, strict=True):
                row.update(input="Which?", choices=options)
            # As an older version wrote them: without choices.
            for row in entries["summaries.json"]:
                row["input"] = "Which?"

        return [sample.document for sample in samples(changed(change))]

    first, second, third = choose(["a", "b"], ["b", "a"], ["a", "c"])
    assert first == second != third


def test_text_that_an_older_version_put_for_an_image_is_no_prompt(changed):
    def older(entries: Entries) -> None:
        parts = [{"type": "text", "text": "What is it?"}, {"type": "text", "text": "(Image)"}]
        entries[FIRST]["input"] = [{"role": "user", "content": parts}]
        entries["summaries.json"][0]["input"] = entries[FIRST]["input"]

    sample = samples(changed(older))[0]
    assert (sample.prompt, sample.media) == ("What is it?", True)


def test_attachments_stand_for_their_text(changed):
    def attach(entries: Entries) -> None:
        messages = [{"role": "user", "content": "attachment://abc"}]
        sample = entries["samples/sum-1_epoch_1.json"]
        sample.update(input=messages, attachments={"abc": "What is one and one?"})
        sample["messages"][1]["content"] = "attachment://abc"
        entries["summaries.json"][1]["input"] = messages

    path = changed(attach)
    assert samples(path)[1].prompt == "What is one and one?"
    assert samples(path, "sent")[1].prompt == "Answer with a number.\n\nWhat is one and one?"


@pytest.mark.parametrize("mark", ["source", "model"])
def test_prompt_as_sent_ends_before_the_answer_by_either_mark(changed, mark: str):
    def unmark(entries: Entries) -> None:
        for name, row in entries.items():
            if name.startswith("samples/"):
                del row["messages"][-1][mark]

    expected = [sample.prompt for sample in samples(SMALL, "sent")]
    assert [sample.prompt for sample in samples(changed(unmark), "sent")] == expected


@pytest.mark.parametrize("kind", ["messages", "attachments"])
def test_chunks_are_put_together_in_the_order_of_their_numbers(changed, kind: str):
    def split(entries: Entries) -> None:
        prefix = f"samples/image_epoch_1/{kind}"
        values = entries.pop(f"{prefix}/0.json")
        # Their names sort otherwise than their numbers: 10 before 9.
        for index in reversed(range(len(values))):
            entries[f"{prefix}/{9 + index}.json"] = [values[index]]

    log = LOGS / "mixed-chunked.eval"
    assert samples(changed(split, log), "sent") == samples(log, "sent")


def test_a_conversation_is_no_longer_than_its_messages(changed):
    def repeat(entries: Entries) -> None:
        entries["samples/image_epoch_1/sample.json"]["message_refs"] = [[0, 2]] * 100_000

    (sample,) = samples(changed(repeat, LOGS / "mixed-chunked.eval"), "sent")
    assert sample.prompt is not None
    assert len(sample.prompt) < 100


def test_failed_sample_does_not_lend_its_prompt_to_other_epochs(changed):
    def fail(entries: Entries) -> None:
        again = entries[FIRST] | {"epoch": 2, "uuid": "again"}
        entries["samples/sum-0_epoch_2.json"] = json.loads(json.dumps(again))
        row = entries["summaries.json"][0]
        entries["summaries.json"].append(row | {"epoch": 2, "uuid": "again"})
        for failed in (row, entries[FIRST]):
            failed["error"] = "RuntimeError()"
        del entries[FIRST]["messages"][:]

    prompts = {sample.place: sample.prompt for sample in samples(changed(fail), "sent")}
    assert prompts[FIRST] == "What is 0 + 0?"
    assert prompts["samples/sum-0_epoch_2.json"] == (
        "Answer with a number.\n\nQuestion: What is 0 + 0?\nAnswer:"
    )


def test_summaries_that_say_less_are_not_believed(changed):
    def older(entries: Entries) -> None:
        for row in entries["summaries.json"]:
            del row["working_time"], row["uuid"]

    assert samples(changed(older)) == samples(SMALL)
    assert samples(changed(lambda entries: entries["summaries.json"].pop())) == samples(SMALL)


def test_last_summary_of_a_sample_counts(changed):
    def run_again(entries: Entries) -> None:
        first = json.loads(json.dumps(entries["summaries.json"][2]))
        first["scores"]["match"]["value"] = "N"
        entries["summaries.json"].insert(1, first)

    found = {sample.task: sample.scores["match"] for sample in samples(changed(run_again))}
    assert found == {"sum-0": "C", "sum-1": "C", "sum-2": "I"}


def test_sample_without_an_id_of_its_attempt_has_that_of_its_run(changed):
    def older(entries: Entries) -> None:
        for row in entries["summaries.json"]:
            del row["uuid"]
        for name, row in entries.items():
            if name.startswith("samples/"):
                del row["uuid"]
        entries["header.json"]["eval"]["eval_id"] = "run"

    assert samples(changed(older))[0].attempt == "run/sum-0/1"


def test_summary_without_its_entry_is_damage(changed):
    message = error(changed(lambda entries: entries.pop(FIRST)))
    assert f"lacks the entry {FIRST}" in message


@pytest.mark.parametrize("sample_id", ["../../etc/passwd", "/etc/passwd", "a\\..\\b", "c:d", ""])
def test_ids_that_look_like_paths_are_only_names(changed, sample_id: str, tmp_path: Path):
    def rename(entries: Entries) -> None:
        entries[f"samples/{sample_id}_epoch_1.json"] = entries.pop(FIRST) | {"id": sample_id}
        entries["summaries.json"][0]["id"] = sample_id

    assert samples(changed(rename), "sent")[0].task == (sample_id or "unnamed")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["changed.eval"]


def test_reducer_other_than_the_mean_is_said(changed):
    def reduce(*reducers: str):
        def change(entries: Entries) -> None:
            (row,) = entries["header.json"]["results"]["scores"]
            entries["header.json"]["results"]["scores"] = [
                row | {"reducer": reducer} for reducer in reducers
            ]

        return [record for record in read(changed(change)) if not isinstance(record, Sample)]

    (figure,) = reduce("mode", "mean")
    assert isinstance(figure, Reported)
    assert figure.name == "accuracy"
    (note,) = reduce("pass_at_2")
    assert isinstance(note, Note)
    assert "states the accuracy 0.6667 of match by the reducer pass_at_2" in note.text


def records_or_error(path: Path, prompt: str) -> None:
    message = ""
    try:
        read(path, prompt)
    except TableError as caught:
        message = str(caught)
    assert "\n" not in message


@pytest.mark.parametrize("log", [SMALL, LOGS / "mixed-chunked.eval", JSON_LOG])
def test_log_that_is_cut_anywhere_is_one_error(log: Path, tmp_path: Path):
    data = log.read_bytes().rstrip()
    path = tmp_path / log.name
    step = max(1, len(data) // 300)
    for length in {*range(0, len(data), step), *range(len(data) - 60, len(data))}:
        path.write_bytes(data[:length])
        error(path)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), log=st.sampled_from([SMALL, JSON_LOG]), prompt=st.sampled_from(PROMPTS))
def test_log_with_bytes_changed_is_read_or_is_one_error(data, log: Path, prompt: str, tmp_path):
    content = bytearray(log.read_bytes())
    places = st.integers(0, len(content) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=3)):
        content[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path / log.name
    path.write_bytes(content)
    records_or_error(path, prompt)


def places_of(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        inner = enumerate(value)
    found = [path] if path else []
    for key, part in inner:
        if key != "events":
            found += places_of(part, (*path, key))
    return found


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "x", "attachment://0", "(Image)", "a...", 10**400, -1]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.data(),
    log=st.sampled_from([SMALL, LOGS / "mixed-chunked.eval", MIXED]),
    prompt=st.sampled_from(PROMPTS),
    whole=st.booleans(),
)
def test_values_of_another_kind_are_read_or_are_one_error(
    data, log: Path, prompt: str, whole: bool, tmp_path
):
    entries = entries_of(log)
    if whole:
        del entries["summaries.json"]
    read_entries = {
        name: value for name, value in entries.items() if not name.startswith("_journal/")
    }
    *path, key = data.draw(st.sampled_from(places_of(read_entries)))
    parent: Any = read_entries
    for step in path:
        parent = parent[step]
    parent[key] = data.draw(VALUES)
    records_or_error(write(tmp_path / "log.eval", read_entries, STORED), prompt)
