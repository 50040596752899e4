"""Evaluations of promptfoo: which score, prompt and task, what is no outcome, and broken logs."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.broken_logs import altered, is_one_line, peak_memory_of_reading
from tests.support.paths import ROOT
from tests.support.promptfoo_logs import MODELS, TEMPLATE, capitals, export, prompts_of, result

from hypernova.errors import TableError
from hypernova.table.log_files.files import LogFile
from hypernova.table.log_files.prompt_choice import PromptChoice
from hypernova.table.logs import read_logs
from hypernova.table.sources.log import LeftOut, Note, Record, Reported, Sample
from hypernova.table.sources.promptfoo.reader import PromptfooReader

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = ROOT / "examples" / "logs" / "promptfoo" / "capitals.json"
PERU = {"question": "What is the capital of Peru?"}
CHAT = json.dumps(
    [
        {"role": "system", "content": "Answer as a {{role}}."},
        {"role": "user", "content": "{{question}}"},
    ]
)


def read(path: Path, prompt: str = "auto") -> list[Record]:
    assert PromptfooReader().recognise(LogFile(path))
    return list(PromptfooReader().read(LogFile(path), [], PromptChoice.parse(prompt)))


def write(folder: Path, results: list[dict[str, Any]], **changed: Any) -> Path:
    path = folder / "log.json"
    path.write_text(json.dumps(export(results, **changed)))
    return path


def samples(records: list[Record]) -> list[Sample]:
    return [record for record in records if isinstance(record, Sample)]


def notes(records: list[Record]) -> list[str]:
    return [record.text for record in records if isinstance(record, Note)]


def one(folder: Path, *, choice: str = "auto", **parts: Any) -> Sample:
    """Return the sample of a single result."""
    variables = parts.pop("variables", PERU)
    (sample,) = samples(read(write(folder, [result(0, variables, **parts)]), choice))
    return sample


def test_the_example_is_that_of_its_script() -> None:
    assert json.loads(EXAMPLE.read_text()) == export(capitals())


def test_a_result_becomes_a_sample(tmp_path: Path) -> None:
    sample = one(tmp_path, score=0.75, success=False, metadata={"category": "geography"})
    row = result(0, PERU)
    assert (sample.model, sample.group, sample.task) == (MODELS[0], "geography", "0")
    assert sample.prompt == PERU["question"]
    assert sample.scores == {"score": 0.75, "success": False}
    assert (sample.cost_usd, sample.latency_s) == (row["cost"], row["latencyMs"] / 1000)
    assert (sample.input_tokens, sample.output_tokens) == (18, 3)
    assert (sample.attempt, sample.left_out) == (row["id"], None)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ({"id": "openai:gpt-5", "label": ""}, "openai:gpt-5"),
        ({"id": "openai:gpt-5", "label": "five"}, "five"),
        ("openai:gpt-5", "openai:gpt-5"),
    ],
)
def test_the_model_is_the_label_or_else_the_id(
    tmp_path: Path, provider: object, model: str
) -> None:
    path = write(tmp_path, [result(0, PERU)])
    document = json.loads(path.read_text())
    document["results"]["results"][0]["provider"] = provider
    path.write_text(json.dumps(document))
    assert [sample.model for sample in samples(read(path))] == [model]


def test_a_result_without_a_provider_has_no_model(tmp_path: Path) -> None:
    path = write(tmp_path, [result(0, PERU)])
    path.write_text(path.read_text().replace('"provider": {', '"given": {'))
    assert [sample.left_out for sample in samples(read(path))] == [LeftOut.NO_MODEL]


def test_the_plugin_of_a_red_team_is_the_group(tmp_path: Path) -> None:
    assert one(tmp_path, metadata={"pluginId": "harmful:hate"}).group == "harmful:hate"
    assert one(tmp_path, metadata={"category": " "}).group is None
    assert one(tmp_path).group is None


@pytest.mark.parametrize(
    ("template", "variables", "expected"),
    [
        (TEMPLATE, PERU, PERU["question"]),
        # A variable of an assertion alone is no part of the prompt.
        (TEMPLATE, {**PERU, "answer": "Lima"}, PERU["question"]),
        ("{{ question | upper }}", PERU, PERU["question"]),
        ("{% if question %}Say {{question}}{% endif %}", PERU, PERU["question"]),
        ("{{a}} or {{b}}?", {"a": "x", "b": "y"}, "x or y?"),
        ("Plain", {}, "Plain"),
        ("Plain", {"answer": "Lima"}, "Plain"),
        ("Say {{number}}", {"number": 5}, "5"),
        (CHAT, {"role": "poet", **PERU}, PERU["question"]),
        (CHAT, {**PERU}, PERU["question"]),
    ],
)
def test_the_prompt_is_the_one_variable_or_else_what_was_rendered(
    tmp_path: Path, template: str, variables: dict[str, Any], expected: str
) -> None:
    assert one(tmp_path, template=template, variables=variables).prompt == expected


def test_without_its_template_a_prompt_shows_its_variable(tmp_path: Path) -> None:
    row = result(0, {**PERU, "answer": "Lima"})
    row["prompt"]["label"] = "prompts.py:ask"
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(row))
    assert [sample.prompt for sample in samples(read(path))] == [PERU["question"]]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("sent", "Answer as a poet.\n\nWhat is the capital of Peru?"),
        ("user", PERU["question"]),
        ("field:role", "poet"),
    ],
)
def test_the_prompt_can_be_chosen(tmp_path: Path, choice: str, expected: str) -> None:
    variables = {"role": "poet", **PERU}
    assert one(tmp_path, choice=choice, template=CHAT, variables=variables).prompt == expected


@pytest.mark.parametrize(
    "raw",
    [
        '{"messages": [{"role": "user", "content": "Hi"}]}',
        '{"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}',
        '[{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]',
    ],
)
def test_chats_in_the_layouts_of_providers(tmp_path: Path, raw: str) -> None:
    assert one(tmp_path, prompt={"raw": raw, "label": "chat"}, variables={}).prompt == "Hi"


@pytest.mark.parametrize("raw", ["[1, 2]", "{not json", '{"role": "user"}', "[" * 100_000])
def test_a_prompt_that_only_looks_like_a_chat_is_text(tmp_path: Path, raw: str) -> None:
    assert one(tmp_path, prompt={"raw": raw, "label": "text"}, variables={}).prompt == raw


def test_media_is_no_text(tmp_path: Path) -> None:
    image = "data:image/png;base64,aGk="
    sample = one(
        tmp_path,
        template="{{question}} {{image}}",
        variables={**PERU, "image": image},
        choice="user",
    )
    assert sample.media
    chat = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": image}}]}]
    sample = one(tmp_path, prompt={"raw": json.dumps(chat), "label": "chat"}, variables={})
    assert (sample.prompt, sample.media, sample.left_out) == (None, True, LeftOut.NO_PROMPT)


def test_a_stripped_prompt_is_no_text(tmp_path: Path) -> None:
    sample = one(tmp_path, prompt={"raw": "[prompt stripped]", "label": "x"}, variables={})
    assert (sample.prompt, sample.left_out) == (None, LeftOut.NO_PROMPT)


def test_a_variable_that_a_test_lacks_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"log.json, result 1: has no variable 'x', found 'quest"):
        one(tmp_path, choice="field:x")


def test_success_counts_where_it_says_more_than_the_score(tmp_path: Path) -> None:
    alike = [result(0, PERU, score=1.0), result(1, PERU, score=0.0)]
    found = samples(read(write(tmp_path, alike)))
    assert [sample.scores for sample in found] == [{"score": 1.0}, {"score": 0.0}]
    passed = result(2, PERU, score=0.8, success=True)
    path = write(tmp_path, [*alike, passed])
    assert [sample.scores["success"] for sample in samples(read(path))] == [True, False, True]
    with pytest.raises(TableError, match="several scores: 'score' and 'success'"):
        read_logs(path, min_models=1)


def test_named_scores_are_metrics(tmp_path: Path) -> None:
    named = {"accuracy": 0.5, "tone": 1.0}
    assert one(tmp_path, named=named).scores == {**named, "score": 1.0}


def test_a_named_score_does_not_hide_the_score(tmp_path: Path) -> None:
    assert one(tmp_path, named={"score": 0.25}).scores == {"score": 1.0}


@pytest.mark.parametrize(
    "changed",
    [
        {"error": "429"},
        {"failureReason": 2, "success": False},
        {
            "failureReason": None,
            "gradingResult": None,
            "response": {"error": "x"},
            "success": False,
        },
    ],
)
def test_an_error_is_no_outcome(tmp_path: Path, changed: dict[str, Any]) -> None:
    sample = one(tmp_path, **changed)
    assert (sample.left_out, dict(sample.scores)) == (LeftOut.ERROR, {})


def test_a_failed_assertion_is_a_score_of_zero(tmp_path: Path) -> None:
    """promptfoo puts the reason of a failure into `error` too."""
    row = result(0, PERU, score=0.0)
    row["error"] = row["gradingResult"]["reason"]
    (sample,) = samples(read(write(tmp_path, [row])))
    assert (sample.left_out, sample.scores) == (None, {"score": 0.0})


def test_a_test_without_assertions_is_not_scored(tmp_path: Path) -> None:
    row = result(0, PERU)
    row["testCase"]["assert"] = []
    row["gradingResult"] = {"pass": True, "score": 1, "reason": "No assertions"}
    records = read(write(tmp_path, [row, result(1, PERU)]))
    assert [sample.left_out for sample in samples(records)] == [LeftOut.UNSCORED, None]
    assert "tests without assertions are not scored" in notes(records)[0]


def test_a_cached_answer_measures_neither_cost_nor_latency(tmp_path: Path) -> None:
    sample = one(tmp_path, cached=True)
    assert (sample.cost_usd, sample.latency_s, sample.input_tokens) == (None, None, None)


def test_zero_is_unknown(tmp_path: Path) -> None:
    sample = one(tmp_path, cost=0, latencyMs=0, response={"tokenUsage": {"prompt": 0}})
    assert (sample.cost_usd, sample.latency_s, sample.input_tokens) == (None, None, None)


def test_tokens_of_the_result_stand_in_for_those_of_the_answer(tmp_path: Path) -> None:
    sample = one(tmp_path, response={}, tokenUsage={"prompt": 7, "completion": 2})
    assert (sample.input_tokens, sample.output_tokens) == (7, 2)


def test_templates_of_one_test_are_one_task_and_said(tmp_path: Path) -> None:
    other = "Briefly: {{question}}"
    rows = [
        result(0, PERU, prompt_number=0),
        result(0, PERU, prompt_number=1, template=other),
        result(0, PERU, prompt_number=2, model=MODELS[1]),
    ]
    records = read(write(tmp_path, rows))
    assert len({sample.document for sample in samples(records)}) == 1
    assert len({sample.attempt for sample in samples(records)}) == 3
    assert notes(records) == [
        "2 prompt templates: the results of a model under each are repeats of one task, but not "
        "every model ran with every template"
    ]
    even = [*rows, result(0, PERU, prompt_number=3, model=MODELS[1], template=other)]
    assert "but not every model" not in notes(read(write(tmp_path, even)))[0]


def test_one_template_is_not_said(tmp_path: Path) -> None:
    assert notes(read(write(tmp_path, capitals()))) == []


def test_other_assertions_are_another_task(tmp_path: Path) -> None:
    rows = [result(0, PERU, expected="Lima"), result(1, PERU, expected="Callao")]
    first, second = samples(read(write(tmp_path, rows)))
    assert first.document != second.document


def test_variables_of_the_run_do_not_tell_tasks_apart(tmp_path: Path) -> None:
    rows = [
        result(n, {**PERU, "__repeatIndex": n, "_conversation": [{"output": n}]}) for n in (0, 1)
    ]
    first, second = samples(read(write(tmp_path, rows)))
    assert first.document == second.document


def test_answers_among_the_variables_of_a_result_do_not_tell_tasks_apart(tmp_path: Path) -> None:
    rows = [result(n, PERU, vars={**PERU, "answer": f"{n}"}) for n in (0, 1)]
    first, second = samples(read(write(tmp_path, rows)))
    assert first.document == second.document


def test_repeats_are_repeats_of_one_task(tmp_path: Path) -> None:
    rows = [
        result(
            2 * number + repeat, {"question": f"Question {number}?"}, model=model, prompt_number=n
        )
        for number in range(3)
        for repeat in (0, 1)
        for n, model in enumerate(MODELS)
    ]
    summary = read_logs(write(tmp_path, rows)).summary
    assert (summary.tasks, summary.samples, summary.repeats) == (3, 12, 6)


def test_json_and_json_lines_of_one_evaluation_are_read_once(tmp_path: Path) -> None:
    write(tmp_path, capitals())
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in capitals()))
    summary = read_logs(tmp_path).summary
    assert summary.logs == {"promptfoo": 2}
    assert summary.left_out[LeftOut.DUPLICATE] == 11
    assert summary.repeats == 0


def test_a_result_without_id_is_known_by_its_place_in_the_evaluation(tmp_path: Path) -> None:
    attempt = one(tmp_path, id=None).attempt
    assert attempt == "eval-Ab3-2026-09-01T12:00:00:0:0"


def test_the_example_becomes_a_table_whose_means_are_promptfoos() -> None:
    imported = read_logs(EXAMPLE)
    assert imported.summary.models == {MODELS[0]: (5, 0.4), MODELS[1]: (6, 4 / 6)}
    assert imported.summary.left_out == {LeftOut.ERROR: 1}
    assert imported.summary.groups == {"geography": 6}
    assert len(imported.summary.agreement) == 2
    assert all(one.agrees for one in imported.summary.agreement)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(MODELS),
            st.sampled_from([0.0, 0.25, 0.5, 1.0]),
            st.booleans(),
            st.sampled_from([None, "429"]),
            st.dictionaries(st.sampled_from(["tone", "fact"]), st.sampled_from([0.0, 0.5, 1.0])),
        ),
        min_size=1,
        max_size=8,
    )
)
@settings(max_examples=60, deadline=None)
def test_stated_means_are_those_of_the_samples(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[Any, ...]]
) -> None:
    rows = [
        result(
            number,
            {"question": f"{number}"},
            model=model,
            prompt_number=MODELS.index(model),
            score=score,
            success=success,
            error=error,
            named={} if error else named,
        )
        for number, (model, score, success, error, named) in enumerate(cells)
    ]
    records = read(write(tmp_path_factory.mktemp("log"), rows))
    stated = [record for record in records if isinstance(record, Reported)]
    assert {r.model for r in stated} == {model for model, *_, error, _ in cells if not error}
    for figure in stated:
        scores = [
            float(sample.scores[figure.metric])  # type: ignore[arg-type]
            for sample in samples(records)
            if sample.model == figure.model and figure.metric in sample.scores
        ]
        assert math.fsum(scores) / len(scores) == pytest.approx(figure.value, abs=1e-12)


def test_totals_of_other_tests_are_not_compared(tmp_path: Path) -> None:
    """An export of some results keeps the totals of all."""
    rows = [result(number, {"question": f"{number}"}) for number in range(3)]
    records = read(write(tmp_path, rows[:2], prompts=prompts_of(rows)))
    assert not [record for record in records if isinstance(record, Reported)]
    assert "count 3 tests, and the log has 2, so they are not compared" in notes(records)[0]


def test_results_of_version_2_are_read(tmp_path: Path) -> None:
    rows = [result(n, {"question": f"Question {n}?"}, score=float(n)) for n in (0, 1)]
    dropped = {"promptIdx", "testIdx", "testCase", "failureReason", "id", "promptId"}
    old = [{k: v for k, v in row.items() if k not in dropped} for row in rows]
    document = export(rows, version=2)
    document["results"]["results"] = old
    head = {"prompts": document["results"].pop("prompts"), "vars": ["question"]}
    document["results"]["table"] = {"head": head, "body": [{"outputs": [], "vars": []}]}
    del document["evalId"]
    path = tmp_path / "log.json"
    path.write_text(json.dumps(document))
    records = read(path)
    assert [s.prompt for s in samples(records)] == ["Question 0?", "Question 1?"]
    assert [s.task for s in samples(records)] == ["0", "1"]
    assert [s.scores["score"] for s in samples(records)] == [0.0, 1.0]
    assert [r.value for r in records if isinstance(r, Reported)] == [0.5]


@pytest.mark.parametrize("version", [1, 4, "3", None, [3]])
def test_another_version_is_refused_with_a_remedy(tmp_path: Path, version: object) -> None:
    path = write(tmp_path, [result(0, PERU)], version=version, timestamp="2026")
    document = json.loads(path.read_text())
    path.write_text(
        json.dumps({"evalId": "e", "results": {"timestamp": "x", **document["results"]}})
    )
    with pytest.raises(TableError, match=r"in version .*, and 2 and 3 are known; upgrade"):
        read(path)


def test_a_log_without_a_version_or_with_outputs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text('{"results": {"timestamp": "x", "results": []}}')
    with pytest.raises(TableError, match="version None"):
        read(path)
    path.write_text('{"version": 3, "results": {"prompts": [], "outputs": [{"pass": true}]}}')
    with pytest.raises(TableError, match="outputs instead of results; export it as JSON"):
        read(path)


def test_an_evaluation_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="without results; run it again"):
        read(write(tmp_path, []))


@pytest.mark.parametrize(
    ("format_", "content"),
    [
        ("YAML", "evalId: eval-1\nresults:\n  version: 3\n  results: []\n"),
        ("XML", "<promptfoo>\n  <evalId>eval-1</evalId>\n</promptfoo>"),
        (
            "CSV",
            "question,[openai:gpt-5] Say {{question}},Status,Score,Named Scores,Grader Reason,"
            "Comment\nHi,Hello,PASS,1.00,,Assertion passed,\n",
        ),
    ],
)
def test_other_exports_are_refused_with_the_one_to_make(
    tmp_path: Path, format_: str, content: str
) -> None:
    path = tmp_path / "log"
    path.write_text(content)
    with pytest.raises(TableError, match=f"as {format_}; export it as JSON: promptfoo export eval"):
        read(path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        '{"results": {"arc_easy": {"acc,none": 0.5}}, "versions": {}}',
        '{"provider": "openai", "model": "gpt"}',
        '{"evalId": "x"}',
        "id,Status,Score\n1,PASS,1\n",
        "results:\n  version: 3\n",
        "<html><body>promptfoo</body></html>",
        "\xff\xfe",
    ],
)
def test_files_of_others_are_not_taken(tmp_path: Path, content: str) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content.encode("latin-1"))
    assert not PromptfooReader().recognise(LogFile(path))


def test_a_log_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("\ufeff" + json.dumps(export(capitals()), indent=4))
    assert len(samples(read(path))) == 12


def small_export() -> dict[str, Any]:
    document = export([result(0, PERU, score=0.5, named={"tone": 1.0})])
    return {name: document[name] for name in ("evalId", "results", "config")}


def test_an_export_that_is_cut_anywhere_is_one_error(tmp_path: Path) -> None:
    whole = json.dumps(small_export()).encode()
    path = tmp_path / "log.json"
    path.write_bytes(whole)
    log = LogFile(path)
    assert PromptfooReader().recognise(log)  # and its head is kept
    for end in [*range(1, len(whole), 7), len(whole) - 1]:
        path.write_bytes(whole[:end])
        with pytest.raises(TableError) as caught:
            list(PromptfooReader().read(log, [], PromptChoice()))
        assert is_one_line(caught.value)
        assert str(path) in str(caught.value)


def test_json_lines_that_are_cut_within_a_line_are_one_error(tmp_path: Path) -> None:
    first, second = (json.dumps(result(n, PERU)).encode() for n in (0, 1))
    path = tmp_path / "log.jsonl"
    for end in range(1, len(second), 13):
        path.write_bytes(first + b"\n" + second[:end])
        with pytest.raises(TableError, match=r"log.jsonl, line 2: is cut short"):
            read(path)


def test_values_of_other_types_are_read_or_refused_in_one_line(tmp_path: Path) -> None:
    document = small_export()
    path = tmp_path / "log.json"
    path.write_text(json.dumps(document))
    log = LogFile(path)
    assert PromptfooReader().recognise(log)
    refused = []
    for changed in altered(document):
        path.write_text(json.dumps(changed))
        try:
            list(PromptfooReader().read(log, [], PromptChoice()))
        except TableError as error:
            refused.append(error)
    assert refused
    assert all(is_one_line(error) for error in refused)


def test_nan_is_unscored(tmp_path: Path) -> None:
    path = write(tmp_path, [*capitals(), result(9, PERU, score=math.nan)])
    assert "NaN" in path.read_text()
    assert read_logs(path, score="score").summary.left_out[LeftOut.UNSCORED] == 1


def test_a_large_log_is_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    row = result(0, PERU, output="x" * 40_000)
    head, tail = json.dumps(export([row])).split(json.dumps(row))
    with path.open("w") as file:
        file.write(head)
        for number in range(2000):
            file.write(("," if number else "") + json.dumps({**row, "testIdx": number}))
        file.write(tail)
    assert path.stat().st_size > 80e6
    n_samples, grown = peak_memory_of_reading("promptfoo", path)
    assert n_samples == 2000
    assert grown < 40e6
