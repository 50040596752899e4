"""Logs that Inspect AI has just written are read as Inspect AI reads them.

`make test-eval-tools` makes an environment with the tool and names its Python in
HYPERNOVA_EVAL_TOOLS; `real_inspect` runs there. Not here: the committed logs (test_inspect_ai).
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hypernova.errors import TableError
from hypernova.table.log_files.files import LogFile
from hypernova.table.log_files.prompt_choice import PromptChoice
from hypernova.table.sources.inspect_ai.reader import InspectReader
from hypernova.table.sources.log import LeftOut, Note, Reported, Sample

PYTHON = os.environ.get("HYPERNOVA_EVAL_TOOLS")
SCRIPT = Path(__file__).with_name("real_inspect.py")
STOPPED = {
    "failed": "is of a run that failed",
    "cancelled": "is of a run that was cancelled",
    "no-samples": "holds no samples",
    "killed": "has no header yet",
}

pytestmark = pytest.mark.skipif(
    PYTHON is None, reason="needs Inspect AI in HYPERNOVA_EVAL_TOOLS: make test-eval-tools"
)


class Real:
    """The logs of one run of the script, and the tool's reading of each."""

    def __init__(self, folder: Path) -> None:
        truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
        self.folder = folder
        self.made: dict[str, list[str]] = truth["made"]
        self.truth: dict[str, dict[str, Any]] = truth["read"]

    def names(self) -> list[str]:
        return [
            name
            for kind, names in self.made.items()
            if kind not in STOPPED
            for name in names
        ]  # fmt: skip

    def read(self, name: str, prompt: str = "auto") -> list[Any]:
        log = LogFile(self.folder / name)
        assert InspectReader().recognise(log)
        return list(InspectReader().read(log, (), PromptChoice.parse(prompt)))

    def samples(self, name: str, prompt: str = "auto") -> dict[str, Sample]:
        return {
            sample.attempt or "": sample
            for sample in self.read(name, prompt)
            if isinstance(sample, Sample)
        }


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Real:
    assert PYTHON is not None
    folder = tmp_path_factory.mktemp("inspect")
    subprocess.run(
        [PYTHON, str(SCRIPT), str(folder)],
        check=True, cwd=folder, env={"PATH": os.environ["PATH"], "HOME": str(folder)}, timeout=300,
    )  # fmt: skip
    return Real(folder)


def text_of(content: object) -> str:
    if isinstance(content, str):
        return content
    assert isinstance(content, list)
    # Older versions put this text for an image, so that no prompt is made of it.
    texts = [part["text"] for part in content if part["type"] == "text"]
    return "\n\n".join(text for text in texts if text != "(Image)")


def prompt_of(sample: dict[str, Any]) -> str | None:
    given = sample["input"]
    if isinstance(given, list):
        given = text_of([turn for turn in given if turn["role"] == "user"][-1]["content"])
    return given or None


def sent_of(sample: dict[str, Any]) -> str | None:
    before = []
    for message in sample["messages"]:
        if message["role"] == "assistant" and message.get("source") == "generate":
            break
        before.append(text_of(message["content"]))
    return "\n\n".join(filter(None, before)) or None


def scores_of(sample: dict[str, Any]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, score in (sample["scores"] or {}).items():
        if isinstance(score["value"], dict):
            found |= {f"{name}/{key}": value for key, value in score["value"].items()}
        else:
            found[name] = score["value"]
    return found


def test_every_sample_is_as_the_tool_reads_it(real: Real):
    compared = 0
    for name in real.names():
        truth = real.truth[name]
        found = real.samples(name)
        assert found.keys() == {sample["uuid"] for sample in truth["samples"]}, name
        for sample in truth["samples"]:
            record = found[sample["uuid"]]
            assert (record.model, record.group) == (truth["model"], truth["task"])
            assert record.task == (str(sample["id"]) or "unnamed")
            assert record.prompt == prompt_of(sample)
            # By their text, because NaN differs from itself.
            assert repr(record.scores) == repr(scores_of(sample))
            assert record.latency_s == sample["working_time"]
            assert (record.left_out is LeftOut.ERROR) == (sample["error"] is not None)
            assert (record.left_out is LeftOut.INVALID) == (sample["invalidation"] is not None)
            compared += 1
    assert compared > 100


def test_prompt_as_sent_is_that_of_the_conversation(real: Real):
    for name in real.names():
        found = real.samples(name, "sent")
        first = {sample["id"]: sample for sample in reversed(real.truth[name]["samples"])}
        for sample in real.truth[name]["samples"]:
            # The epochs of a sample have the prompt of its first one.
            assert found[sample["uuid"]].prompt == sent_of(first[sample["id"]]), name


def test_field_is_that_of_the_metadata(real: Real):
    for name in (*real.made["plain"], *real.made["plain-json"], "chunked-plain.eval"):
        found = real.samples(name, "field:spaced")
        for sample in real.truth[name]["samples"]:
            assert found[sample["uuid"]].prompt == sample["metadata"]["spaced"]


def test_usage_is_that_of_the_model_under_test(real: Real):
    for name in real.names():
        for sample in real.samples(name).values():
            if sample.left_out is not LeftOut.ERROR and name != "cache-free.eval":
                assert sample.cost_usd == 0.0002, (name, sample.place)
                assert (sample.input_tokens, sample.output_tokens) == (12, 3)
    for sample in real.samples("cache-free.eval").values():
        assert (sample.cost_usd, sample.input_tokens) == (None, 12)


def test_figures_are_those_of_the_tool(real: Real):
    for name in real.names():
        rows = real.truth[name]["results"]["scores"]
        stated = {
            (row["scorer"], row["name"]): row["metrics"]
            for row in rows
            if row["reducer"] in {None, "mean"}
        }
        figures = [record for record in real.read(name) if isinstance(record, Reported)]
        assert len(figures) == len(stated)
        for figure in figures:
            scorer, _, key = figure.metric.partition("/")
            assert figure.value == stated[scorer, key or scorer][figure.name]["value"]
    (note,) = (record for record in real.read("mode.eval") if isinstance(record, Note))
    assert "by the reducer mode" in note.text


def test_letters_and_numbers_average_to_the_tools_own_figure(real: Real):
    values = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
    for name, metric in (("plain.eval", "match"), ("graded.eval", "model_graded_qa"),
                         ("epochs.eval", "match"), ("edited.eval", "match")):  # fmt: skip
        scores = [values[str(sample.scores[metric])] for sample in real.samples(name).values()]
        (figure,) = (record for record in real.read(name) if isinstance(record, Reported))
        assert sum(scores) / len(scores) == pytest.approx(figure.value)


@pytest.mark.parametrize(("kind", "message"), STOPPED.items())
def test_runs_that_did_not_succeed_are_refused(real: Real, kind: str, message: str):
    for name in real.made[kind]:
        with pytest.raises(TableError, match=message):
            real.read(name)


def test_forms_of_one_log_have_the_same_tasks(real: Real):
    def documents(name: str) -> dict[str, str | None]:
        return {sample.task: sample.document for sample in real.samples(name).values()}

    archive = documents("messages.eval")
    assert len(set(archive.values())) == len(archive) == 11
    assert archive == documents("converted.json") == documents("chunked-messages.eval")
    assert documents("plain.eval") == documents("plain-json.json")
    assert len(set(documents("choices.eval").values())) == 2


def test_media_and_failed_samples_are_said(real: Real):
    by_task = {sample.task: sample for sample in real.samples("messages.eval").values()}
    assert {task for task, sample in by_task.items() if sample.media} == {
        "image/1", "image/2", "only", "looks-thin",
    }  # fmt: skip
    failed = {sample.task: sample for sample in real.samples("errors.eval").values()}
    assert failed["unscorable"].scores == {"match": "C"}
    assert failed["unscorable"].left_out is LeftOut.ERROR


def test_folder_of_an_eval_set_has_logs_and_manifests(real: Real):
    reader = InspectReader()
    kinds = {
        path.name: (reader.recognise(LogFile(path)), reader.accompanies(LogFile(path)))
        for path in (real.folder / "set").iterdir()
        if not path.name.startswith(".")
    }
    assert kinds["eval-set.json"] == kinds["logs.json"] == (False, True)
    logs = [name for name, kind in kinds.items() if kind == (True, False)]
    assert sorted(f"set/{name}" for name in logs) == sorted(real.made["set"])
    assert len(kinds) == len(logs) + 2


def test_dump_of_a_log_is_a_log(real: Real):
    assert PYTHON is not None
    tool = [PYTHON, "-m", "inspect_ai", "log", "dump"]
    dumped = subprocess.run(
        [*tool, str(real.folder / "plain.eval")], check=True, capture_output=True, timeout=60
    ).stdout
    path = real.folder / "dumped.txt"
    path.write_bytes(dumped)
    as_dumped = real.samples("dumped.txt")
    for sample in (*as_dumped.values(), *(archived := real.samples("plain.eval")).values()):
        sample.place = ""
    assert as_dumped == archived
