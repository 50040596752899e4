"""Samples of lm-evaluation-harness become records, whatever its version wrote; broken ones do not.

The committed logs were written by the tool. Not here: fresh logs of the tool (test_lm_eval_real).
"""

from __future__ import annotations

import json
import math
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hypernova.errors import TableError
from hypernova.table.logs import read_logs
from hypernova.table.sources.files import LogFile
from hypernova.table.sources.lm_eval import LmEvalReader
from hypernova.table.sources.lm_eval_prompts import PromptTexts
from hypernova.table.sources.lm_eval_results import Results
from hypernova.table.sources.log import LeftOut, Metric, Note, Record, Reported, Sample
from hypernova.table.sources.prompt_choice import PromptChoice
from support.paths import EXAMPLES

LOGS = EXAMPLES / "logs" / "lm_eval"
DEMO = LOGS / "demo"
SAMPLES = sorted(LOGS.rglob("samples_*.jsonl"))
PROMPTS = ["auto", "user", "sent", "field:question"]
AUTO = PromptChoice()


def find(task: str, model: str = "", under: Path = LOGS) -> Path:
    found = under.rglob(f"samples_{task}_*.jsonl")
    (path,) = (path for path in found if model in path.parent.name)
    return path


def task_of(path: Path) -> str:
    return path.name.rpartition("_")[0].removeprefix("samples_")


def read(path: Path, prompt: str = "auto") -> list[Record]:
    log = LogFile(path)
    reader = LmEvalReader()
    assert reader.recognise(log)
    beside = [LogFile(other) for other in sorted(path.parent.iterdir())]
    others = [file for file in beside if reader.accompanies(file)]
    return list(reader.read(log, others, PromptChoice.parse(prompt)))


def samples(path: Path, prompt: str = "auto") -> list[Sample]:
    return [record for record in read(path, prompt) if isinstance(record, Sample)]


def notes(path: Path) -> str:
    return "\n".join(record.text for record in read(path) if isinstance(record, Note))


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(path: Path, found: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    return path


def results_beside(path: Path) -> Path:
    (found,) = path.parent.glob("results_*.json")
    return found


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A copy of one model's logs."""
    return Path(shutil.copytree(DEMO / "demo__large", tmp_path / "demo__large"))


def change_results(folder: Path, **changes: object) -> None:
    path = next(folder.glob("results_*.json"))
    found = json.loads(path.read_text(encoding="utf-8"))
    found.update(changes)
    path.write_text(json.dumps({k: v for k, v in found.items() if v is not ...}))


def test_files_are_recognised_by_their_content(run: Path, tmp_path: Path) -> None:
    reader = LmEvalReader()
    for path in SAMPLES:
        renamed = Path(shutil.copy(path, tmp_path / "anything.txt"))
        assert reader.recognise(LogFile(renamed))
        assert not reader.accompanies(LogFile(renamed))
        assert not reader.recognise(LogFile(results_beside(path)))
        assert reader.accompanies(LogFile(results_beside(path)))
    for path in (EXAMPLES / "logs").rglob("*.*"):
        if LOGS not in path.parents:
            assert not reader.recognise(LogFile(path))
            assert not reader.accompanies(LogFile(path))
    imposter = tmp_path / "samples_task_2026-01-01T00-00-00.jsonl"
    imposter.write_text('{"question": "x"}\n')
    assert not reader.recognise(LogFile(imposter))


def test_a_first_row_that_is_larger_than_the_head_is_recognised(run: Path) -> None:
    path = find("hn_sums", under=run)
    found = rows(path)
    found[0]["arguments"]["gen_args_0"]["arg_0"] += "x" * 100_000
    assert LmEvalReader().recognise(LogFile(write(path, found)))
    found[0]["doc"]["question"] += "x" * 100_000
    # Nothing but the key of the document stands in the head.
    assert LmEvalReader().recognise(LogFile(write(path, found)))


@pytest.mark.parametrize("path", SAMPLES, ids=task_of)
def test_means_of_samples_are_the_figures_of_the_results(path: Path) -> None:
    found = read(path)
    values: dict[str, list[float]] = defaultdict(list)
    for sample in found:
        if isinstance(sample, Sample):
            for name, value in sample.scores.items():
                if isinstance(value, int | float) and not math.isnan(value):
                    values[name].append(value)
    figures = [record for record in found if isinstance(record, Reported)]
    task = task_of(path)
    assert figures
    assert {figure.group for figure in figures} == {task}
    for figure in figures:
        mean = math.fsum(values[figure.metric]) / len(values[figure.metric])
        assert mean == pytest.approx(figure.value, abs=1e-12)
    # Every figure of the results is among them, or is no mean of its samples.
    stated = json.loads(results_beside(path).read_text(encoding="utf-8"))["results"][task]
    keys = {key for key in stated if "," in key and "_stderr" not in key}
    others = {"right,none", "pair,none", "middle,none", "perplexity,none"} | {
        "mcc,none",
        "brier_score,none",
    }
    assert keys - {figure.name for figure in figures} == keys & others


def test_rows_of_several_filters_are_samples_of_one_attempt() -> None:
    found = samples(find("hn_sums", "small"))
    assert len(found) == 8
    by_attempt: dict[str | None, dict[str, object]] = defaultdict(dict)
    for sample in found:
        assert len(sample.scores) == 1
        by_attempt[sample.attempt].update(sample.scores)
    assert len(by_attempt) == 4
    for scores in by_attempt.values():
        assert set(scores) == {"exact_match,strict-match", "exact_match,flexible-extract"}
    assert [sample.task for sample in found] == ["0", "1", "2", "3"] * 2
    assert [sample.place for sample in found] == [f"line {n}" for n in range(1, 9)]


def test_a_document_is_the_same_under_every_model() -> None:
    for task in ("hn_sums", "hn_facts"):
        small, large = (samples(find(task, model, DEMO)) for model in ("small", "large"))
        assert {sample.model for sample in small} == {"demo/small"}
        assert {sample.model for sample in large} == {"demo/large"}
        assert [s.document for s in small] == [s.document for s in large]
        assert [s.prompt for s in small] == [s.prompt for s in large]
        # The large one was sent examples.
        sent = [s.prompt for s in samples(find(task, "large", DEMO), "sent")]
        assert all(text and text.count("Question:") == 2 for text in sent)
        assert {s.attempt for s in small}.isdisjoint({s.attempt for s in large})


def test_logs_of_two_models_become_one_table() -> None:
    imported = read_logs(DEMO, score=["acc", "exact_match,flexible-extract"])
    assert imported.summary.tasks == 8
    assert imported.summary.filled == 1.0
    assert imported.summary.groups == {"hn_facts": 4, "hn_sums": 4}
    assert set(imported.summary.models) == {"demo/small", "demo/large"}
    assert not imported.summary.left_out
    assert not imported.summary.unknown_files
    assert len(imported.summary.agreement) == 4
    assert all(one.agrees and one.reason is None for one in imported.summary.agreement)
    with pytest.raises(TableError, match=r"several scores: 'acc' and 'acc_norm'"):
        read_logs(DEMO)
    with pytest.raises(TableError, match="found a pair"):
        read_logs(DEMO, score=["mcc", "exact_match,strict-match"])


def test_the_prompt_is_the_documents_own_text() -> None:
    path = find("hn_sums", "large")
    row = rows(path)[0]
    assert row["arguments"]["gen_args_0"]["arg_0"].count("Question:") == 2
    asked = row["doc"]["question"]
    assert samples(path)[0].prompt == f"Question: {asked}\nAnswer:"
    assert samples(path, "field:question")[0].prompt == asked
    assert samples(path, "sent")[0].prompt == row["arguments"]["gen_args_0"]["arg_0"]
    # Nothing marks the examples in a text as another message.
    assert samples(path, "user")[0].prompt == row["arguments"]["gen_args_0"]["arg_0"]


def test_examples_before_a_prompt_of_a_function_are_cut_off() -> None:
    path = find("hn_function")
    sent = samples(path, "sent")[0].prompt
    own = "Please answer.\n\nQ: What Is 2 Plus 3?\nA:"
    assert sent is not None
    assert sent.endswith(own)
    assert sent != own
    assert samples(path)[0].prompt == own
    assert not notes(path)


def test_the_last_message_of_a_chat_is_cut_like_a_text() -> None:
    path = find("hn_described")
    first = {prompt: samples(path, prompt)[0].prompt or "" for prompt in ("auto", "user", "sent")}
    assert first["auto"] == "What is 2 plus 3?"
    assert first["user"].count("###") == 2
    assert first["user"].endswith(f"\n###\n{first['auto']}")
    assert "Add the numbers." not in first["user"]
    assert first["sent"].startswith("Add the numbers.")
    row = rows(path)[0]
    messages = json.loads(row["arguments"]["gen_args_0"]["arg_0"][0])
    messages += [{"role": "assistant", "content": "4"}, {"role": "user", "content": "Another?"}]
    row["arguments"]["gen_args_0"]["arg_0"] = [json.dumps(messages)]
    for choice in ("auto", "user"):
        texts = PromptTexts(PromptChoice.parse(choice), None, "hn_described")
        assert texts.of(row) == ("Another?", False)


def test_choices_that_are_written_into_the_context_are_no_part_of_the_prompt() -> None:
    path = find("hn_switch")
    first = rows(path)[0]["arguments"]["gen_args_0"]["arg_0"]
    assert samples(path, "sent")[0].prompt == first
    for sample, row in zip(samples(path), rows(path), strict=True):
        assert sample.prompt == row["doc"]["start"]


def test_a_log_likelihood_is_better_the_higher_it_is() -> None:
    found = read(find("hn_last_word"))
    metrics = {m.name: m.higher_is_better for m in found if isinstance(m, Metric)}
    assert metrics == {"perplexity": True, "acc": True}
    assert all(s.scores["perplexity"] < 0 for s in found if isinstance(s, Sample))  # type: ignore[operator]
    directions = {
        m.name: m.higher_is_better
        for m in read(find("hn_own_scores"))
        if isinstance(m, Metric)
    }  # fmt: skip
    assert directions["off_by"] is False
    assert directions["right"] is True


def test_values_are_those_of_the_tool() -> None:
    found = samples(find("hn_own_scores"))
    first = found[0].scores
    assert first["right"] in {"True", "False"}
    assert isinstance(first["partial"], float)
    assert math.isnan(first["partial"])
    assert isinstance(first["pair"], list)
    # This task scores some documents only.
    assert {"sometimes" in sample.scores for sample in found} == {True, False}
    imported = read_logs(find("hn_own_scores"), score="right", min_models=1)
    assert imported.summary.models["demo/large"][0] == 3


def test_a_field_that_no_document_has_is_an_error(run: Path) -> None:
    path = find("hn_sums", under=run)
    with pytest.raises(TableError, match=r"no document has the field 'query', found 'question', "):
        read(path, "field:query")
    found = rows(path)
    found[0]["doc"] = {"deep": {"part": ["x", "own text"]}}
    write(path, found)
    results_beside(path).unlink()
    assert [s.prompt for s in samples(path, "field:deep.part.1")][:2] == ["own text", None]


# --- the run -------------------------------------------------------------------------------


def test_results_without_samples_say_how_to_keep_them(run: Path) -> None:
    for path in run.glob("samples_*"):
        path.unlink()
    reader = LmEvalReader()
    log = LogFile(results_beside(run / "x"))
    assert reader.recognise(log)
    with pytest.raises(TableError, match=r"run lm_eval again with --log_samples"):
        list(reader.read(log, (), AUTO))
    with pytest.raises(TableError, match=r"run lm_eval again with --log_samples"):
        read_logs(run, min_models=1)


@pytest.mark.parametrize(
    ("name", "row", "alone"),
    [
        ("mine.jsonl", None, False),
        ("samples_hn_sums_2026-01-01T00-00-00.000000.jsonl", None, True),
        ("tasks.jsonl", {"question": "x"}, True),
    ],
)
def test_results_are_a_log_where_no_samples_can_be_theirs(
    run: Path, name: str, row: dict[str, Any] | None, alone: bool
) -> None:
    path = find("hn_sums", under=run)
    write(run / name, rows(path) if row is None else [row])
    for samples_of in run.glob(f"*_{path.name.rpartition('_')[2]}"):
        samples_of.unlink()
    assert LmEvalReader().recognise(LogFile(results_beside(path))) == alone


def test_a_list_of_rows_is_read(run: Path) -> None:
    path = find("hn_sums", under=run)
    found = samples(path)
    listed = path.with_suffix(".json")
    listed.write_text(json.dumps(rows(path)))
    path.unlink()
    assert [s.scores for s in samples(listed)] == [s.scores for s in found]
    assert samples(listed)[0].place == "entry 1"


def test_without_results_the_folder_names_the_model(run: Path) -> None:
    path = find("hn_sums", under=run)
    results_beside(path).unlink()
    found = samples(path)
    assert {sample.model for sample in found} == {"demo/large"}
    assert [s.prompt for s in found] == [s.prompt for s in samples(path, "sent")]
    assert "do not lie beside its samples" in notes(path)
    assert not [record for record in read(path) if isinstance(record, Reported | Metric)]


@pytest.mark.parametrize(
    ("config", "model"),
    [
        ({"model": "hf", "model_args": {"pretrained": "a/b", "peft": "a/c"}}, "stated"),
        ({"model": "hf", "model_args": "dtype=float,pretrained=a/b"}, "stated"),
        ({"model": "dummy", "model_args": {}}, "dummy"),
        ({"model": "dummy", "model_args": {"skill": 1}}, "dummy"),
        ({"model": "Lm", "model_args": None}, "Lm"),
        ({}, "stated"),
    ],
)
def test_the_model_is_that_of_the_arguments(
    run: Path, config: dict[str, object], model: str
) -> None:
    change_results(run, config=config, model_name="stated")
    path = find("hn_sums", under=run)
    assert {sample.model for sample in samples(path)} == {model}
    assert ("without the name of a model" in notes(path)) == (model != "stated" or not config)
    if isinstance(config.get("model_args"), dict) and "peft" in config["model_args"]:  # type: ignore[operator]
        change_results(run, model_name=...)
        assert {sample.model for sample in samples(path)} == {"a/c"}


def test_results_are_those_of_the_same_time(run: Path) -> None:
    path = find("hn_sums", under=run)
    other = json.loads(results_beside(path).read_text(encoding="utf-8"))
    other["model_name"] = "demo/other"
    (run / "results_2026-01-01T00-00-00.000000.json").write_text(json.dumps(other))
    assert {sample.model for sample in samples(path)} == {"demo/large"}
    renamed = path.rename(run / "mine.jsonl")
    with pytest.raises(TableError, match="results of several models lie beside it"):
        read(renamed)


def test_a_name_without_a_time_ends_with_the_task(run: Path) -> None:
    path = find("hn_sums", under=run)
    renamed = path.rename(run / "pretrained__demo__large,skill__0.8_hn_sums.jsonl")
    results_beside(path).rename(run / "results.json")
    found = samples(renamed)
    assert {(sample.model, sample.group) for sample in found} == {("demo/large", "hn_sums")}
    assert len({sample.attempt for sample in found}) == 4


def test_a_run_of_answers_alone_has_no_quality(run: Path) -> None:
    path = find("hn_sums", under=run)
    found = rows(path)
    for row in found:
        row["metrics"] = ["bypass"]
        row["bypass"] = 999
    write(path, found)
    assert {s.left_out for s in samples(path)} == {LeftOut.NO_QUALITY}
    assert not any(s.scores for s in samples(path))


def test_media_is_told(run: Path) -> None:
    path = find("hn_sums", under=run)
    found = rows(path)
    found[0]["arguments"]["gen_args_0"]["arg_2"] = {"visual": ["<PIL.Image>"]}
    write(path, found)
    assert [sample.media for sample in samples(path)] == [True] + [False] * 7


def test_a_row_without_a_context_has_no_prompt(run: Path) -> None:
    path = find("hn_sums", under=run)
    found = rows(path)
    for row, arguments in zip(
        found, ({}, [], None, {"gen_args_0": {"arg_0": ""}}, {"gen_args_0": {}}), strict=False
    ):
        row["arguments"] = arguments
    write(path, found)
    assert [sample.prompt for sample in samples(path)][:5] == [None] * 5


# --- rows of other runs and versions -------------------------------------------------------


def test_a_run_that_was_added_to_a_file_repeats_what_it_answered_otherwise(run: Path) -> None:
    score = "exact_match,flexible-extract"
    path = find("hn_sums", under=run)
    first = path.read_bytes()
    path.write_bytes(first * 2)
    imported = read_logs(path, score=score, min_models=1)
    assert imported.summary.left_out == {"read before": 8}
    assert imported.summary.repeats == 0
    again = rows(path)[:8]
    for row in again:
        if row["doc_id"] < 3:
            row["resps"] = [["Another answer"]]
            row["exact_match"] = 0.0
    write(path, again)
    path.write_bytes(first + path.read_bytes())
    imported = read_logs(path, score=score, min_models=1)
    assert imported.summary.left_out == {"read before": 2}
    assert imported.summary.repeats == 3
    assert imported.summary.tasks == 4
    assert imported.summary.models == {"demo/large": (4, (3 * 0.5 + 1) / 4)}


def test_a_copied_log_is_read_once(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "again" / run.name
    shutil.copytree(run, copy)
    imported = read_logs(run, copy, score=["acc", "exact_match,strict-match"], min_models=1)
    assert set(imported.summary.left_out) == {"read before"}
    assert imported.summary.tasks == 8
    assert imported.summary.repeats == 0


def old_rows(path: Path, *dropped: str) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in dropped} for row in rows(path)]


def test_rows_without_a_filter_take_those_of_the_results_in_order(run: Path) -> None:
    path = find("hn_sums", under=run)
    before = samples(path)
    write(path, old_rows(path, "filter", "metrics"))
    after = samples(path)
    assert [s.scores for s in after] == [s.scores for s in before]
    assert [s.attempt for s in after] == [s.attempt for s in before]
    results_beside(path).unlink()
    with pytest.raises(TableError, match=r"line 5: document '0' has a second row, and neither"):
        read(path)
    write(path, old_rows(path, "filter", "metrics")[:4])
    assert [s.scores for s in samples(path)] == [
        {"exact_match": s.scores["exact_match,strict-match"]} for s in before[:4]
    ]


def test_the_lists_of_old_versions_are_read(run: Path) -> None:
    """As 0.4.2 wrote them: indented, with requests as lists, and named after the arguments."""
    path = find("hn_sums", under=run)
    before = samples(path)
    found = old_rows(path, "filter", "metrics", "doc_hash", "prompt_hash", "target_hash")
    for row in found:
        row["arguments"] = [list(one.values()) for one in row["arguments"].values()]
    change_results(
        run,
        task_hashes=...,
        model_name=...,
        config={"model": "hf", "model_args": "pretrained=demo/large,dtype=float"},
    )
    results_beside(path).rename(run / "results.json")
    path.unlink()
    listed = run / "pretrained__demo__large,dtype__float_hn_sums.jsonl"
    listed.write_text(json.dumps(found, indent=2))
    after = [r for r in read(listed) if isinstance(r, Sample)]
    for old, new in zip(before, after, strict=True):
        assert (old.model, old.group, old.task) == (new.model, new.group, new.task)
        assert (old.prompt, old.scores) == (new.prompt, new.scores)
    assert len({s.document for s in after}) == 4
    assert len({s.attempt for s in after}) == 4


# --- broken logs ---------------------------------------------------------------------------


def one_line(error: pytest.ExceptionInfo[TableError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    assert ";" in message
    return message


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_log_that_is_cut_short_is_never_read(tmp_path: Path, data: st.DataObject) -> None:
    source = data.draw(st.sampled_from(SAMPLES))
    whole = source.read_bytes()
    ends = [n for n, byte in enumerate(whole) if byte == ord("\n")]
    cut = data.draw(st.integers(0, len(whole) - 2) | st.sampled_from([n + 1 for n in ends[:-1]]))
    path = tmp_path / source.name
    path.write_bytes(whole[:cut])
    log = LogFile(path)
    reader = LmEvalReader()
    if not reader.recognise(log):
        assert cut < len('{"doc_id": 0, "doc": ')
        return
    with pytest.raises(TableError) as error:
        list(reader.read(log, [LogFile(results_beside(source))], AUTO))
    message = one_line(error)
    assert source.name in message
    assert "cut short" in message


def test_a_log_without_its_last_line_break_is_whole(run: Path) -> None:
    path = find("hn_sums", under=run)
    path.write_bytes(path.read_bytes()[:-1])
    assert len(samples(path)) == 8


def test_a_log_without_a_row_in_the_middle_is_named(run: Path) -> None:
    path = find("hn_sums", under=run)
    write(path, rows(path)[:3] + rows(path)[4:])
    with pytest.raises(TableError, match="not all those that the results") as error:
        read(path)
    assert "line 7" in one_line(error)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_results_that_are_cut_short_are_named(run: Path, share: float) -> None:
    path = find("hn_sums", under=run)
    results = results_beside(path)
    results.write_bytes(results.read_bytes()[: int(results.stat().st_size * share)])
    with pytest.raises(TableError, match="cut short") as error:
        read(path)
    assert results.name in one_line(error)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{]\n", "line 2: is not valid JSON"),
        (b"[1]\n", "line 2: found [1], no JSON object"),
        (b'{"doc_id": 1, "doc": {}}\n', "line 2: lacks 'arguments', 'resps'"),
        (b"\xff\xfe\n", "line 2: is not valid JSON"),
    ],
)
def test_a_line_that_is_no_row_is_named(run: Path, line: bytes, words: str) -> None:
    path = find("hn_sums", under=run)
    first, _, rest = path.read_bytes().partition(b"\n")
    path.write_bytes(first + b"\n" + line + rest)
    with pytest.raises(TableError) as error:
        read(path)
    assert words in one_line(error)


def replace_any(data: st.DataObject, value: Any) -> None:
    """Replace one entry of a JSON value, at any depth."""
    while True:
        keys = sorted(value) if isinstance(value, dict) else range(len(value))
        key = data.draw(st.sampled_from(keys))
        inner = value[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            value[key] = data.draw(_JSON)
            return
        value = inner


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_value_anywhere_is_a_record_or_an_error(tmp_path: Path, data: st.DataObject) -> None:
    source = data.draw(st.sampled_from(SAMPLES))
    found = rows(source)
    replace_any(data, data.draw(st.sampled_from(found)))
    path = write(tmp_path / source.name, found)
    results = json.loads(results_beside(source).read_text(encoding="utf-8"))
    results["task_hashes"] = {}
    replace_any(data, results)
    beside = tmp_path / results_beside(source).name
    beside.write_text(json.dumps(results))
    for prompt in PROMPTS:
        try:
            records = list(
                LmEvalReader().read(LogFile(path), [LogFile(beside)], PromptChoice.parse(prompt))
            )
        except TableError as error:
            message = str(error)
        else:
            message = ""
            assert len([r for r in records if isinstance(r, Sample)]) == len(found)
        assert "\n" not in message


# --- prompts -------------------------------------------------------------------------------


def texts_of(prompt: str = "auto", system: str = "", **config: object) -> PromptTexts:
    results = Results({}, configs={"t": config}, system_instruction=system)
    return PromptTexts(PromptChoice.parse(prompt), results, "t")


def row_of(sent: str, doc: object) -> dict[str, Any]:
    return {"doc": doc, "arguments": {"gen_args_0": {"arg_0": sent, "arg_1": {}}}}


DOC = {
    "question": " Why? ", "n": 3, "share": 0.5, "is": True, "none": None,
    "choices": ["a", "b"], "deep": {"part": "p", "list": [{"x": "y"}]}, "a b": "spaced",
}  # fmt: skip
PLAIN = [
    "{{question}}",
    "question",
    "Q: {{ question }}\nA:",
    "Q: {{question.strip()}}\nA. {{choices[0]}}\nB. {{choices[1]}}",
    "{{question|trim}} {{question | trim }}",
    "{{deep.part}} {{deep['part']}} {{deep[\"part\"]}} {{deep.list[0].x}}",
    "{{n}} {{share}} {{is}}",
    "no field",
    "one { brace } and }} two",
]
NOT_PLAIN = [
    "{% for c in choices %}{{c}}{% endfor %}",
    "{{question.upper()}}",
    "{{'Q: ' + question}}",
    "{{question[1:]}}",
    "{{choices|join(' ')}}",
    "{{ ''.__class__.__mro__ }}",
    "{{ question.__class__.__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{# note #}{{question}}",
    "{{missing}}",
    "{{none}}",
    "{{choices}}",
    "{{choices[7]}}",
    "{{- question }}",
]


@pytest.mark.parametrize("template", PLAIN)
def test_plain_templates_are_filled_in_as_jinja_does(template: str) -> None:
    jinja2 = pytest.importorskip("jinja2")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    own = DOC[template] if template in DOC else environment.from_string(template).render(**DOC)
    texts = texts_of(doc_to_text=template, num_fewshot=1)
    assert texts.of(row_of(f"Shot.\n\n{own}", DOC)) == (str(own).strip(), False)
    assert texts.n_uncut == 0


@pytest.mark.parametrize("template", NOT_PLAIN)
def test_other_templates_are_not_executed(template: str) -> None:
    texts = texts_of(doc_to_text=template, num_fewshot=1)
    # What stands after the one example counts, whatever the template would have given.
    assert texts.of(row_of("Shot.\n\nOwn text", DOC)) == ("Own text", False)


def test_a_template_that_does_not_give_what_was_sent_does_not_count() -> None:
    texts = texts_of(doc_to_text="Q: {{question}}", num_fewshot=0)
    assert texts.of(row_of("Something else", {"question": "Why?"})) == ("Something else", False)


@pytest.mark.parametrize("description", ["", "Answer {{kind}} questions.\n\n", "Answer."])
@pytest.mark.parametrize("system", ["", "Be brief.", "Be brief.\n"])
def test_instructions_before_a_prompt_are_taken_off(description: str, system: str) -> None:
    texts = texts_of(
        system=system, description=description, num_fewshot=0, doc_to_text="def f(doc):"
    )
    filled = description.replace("{{kind}}", "hard")
    between = "\n\n" if system and filled and not system.endswith("\n") else ""
    sent = system + between + filled + "Why?\n\nSo?"
    assert texts.of(row_of(sent, {"kind": "hard"})) == ("Why?\n\nSo?", False)


_PIECE = st.text("ab \n", min_size=1, max_size=8).filter(str.strip)


@given(
    shots=st.lists(st.tuples(_PIECE, _PIECE), min_size=1, max_size=4),
    question=_PIECE,
    delimiter=st.sampled_from(["\n\n", "\n###\n", " "]),
)
def test_cutting_examples_off_never_cuts_the_question(
    shots: list[tuple[str, str]], question: str, delimiter: str
) -> None:
    texts = texts_of(doc_to_text="def f(doc):", num_fewshot=len(shots), fewshot_delimiter=delimiter)
    sent = "".join(f"{q} {a}{delimiter}" for q, a in shots) + question
    found, _ = texts.of(row_of(sent, {"question": question, "kind": "none of it"}))
    assert found is not None
    assert found.endswith(question.strip()) or question.strip() in found
    if delimiter not in "".join(q + " " + a for q, a in shots) + question:
        exact = sent.count(delimiter) == len(shots)
        assert not exact or found == question.strip()


def test_examples_that_nothing_marks_stay_and_are_counted() -> None:
    texts = texts_of(doc_to_text="def f(doc):", num_fewshot=2)
    sent = "One.\n\ntwo\n\nthree\n\nfour"
    assert texts.of(row_of(sent, {"label": 1})) == (sent, False)
    assert (texts.n_samples, texts.n_uncut) == (1, 1)


def test_a_chat_template_leaves_only_what_a_plain_template_gives() -> None:
    results = Results({}, configs={"t": {"num_fewshot": 1}}, chat_template=True)
    sent = "<user>Shot.\n\nOne</user><assistant>1</assistant><user> Why?</user>"
    for choice in ("auto", "user"):
        texts = PromptTexts(PromptChoice.parse(choice), results, "t")
        assert texts.of(row_of(sent, {"question": "Why?"})) == (sent, False)
        assert texts.n_uncut == 1
        results.configs["t"]["doc_to_text"] = "question"
        texts = PromptTexts(PromptChoice.parse(choice), results, "t")
        assert texts.of(row_of(sent, {"question": " Why? "})) == ("Why?", False)
        del results.configs["t"]["doc_to_text"]
