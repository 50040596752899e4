"""Logs that lm-evaluation-harness has just written are read as it counted them itself.

`make test-eval-tools` makes an environment with the tool and names its Python in
HYPERNOVA_EVAL_TOOLS; `real_lm_eval` runs there. Not here: the committed logs (test_lm_eval).
"""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections import defaultdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from hypernova.errors import TableError
from hypernova.table.logs import read_logs
from hypernova.table.sources.files import LogFile
from hypernova.table.sources.lm_eval import LmEvalReader
from hypernova.table.sources.log import LeftOut, Note, Record, Reported, Sample
from hypernova.table.sources.prompt_choice import PromptChoice

PYTHON = os.environ.get("HYPERNOVA_EVAL_TOOLS")
SCRIPT = Path(__file__).with_name("real_lm_eval.py")
# Their text is made by a function, or differs by what is drawn.
NOT_PLAIN = {"hn_function"}

pytestmark = pytest.mark.skipif(
    PYTHON is None, reason="needs lm_eval in HYPERNOVA_EVAL_TOOLS: make test-eval-tools"
)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert PYTHON is not None
    folder = tmp_path_factory.mktemp("lm_eval")
    # PYTHONPATH may lead to the packages of this Python.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [PYTHON, str(SCRIPT), str(folder)],
        check=False, capture_output=True, text=True, env=environment, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def sample_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("samples_*.jsonl"))


def results_of(path: Path) -> Path:
    time = path.name.rpartition("_")[2].removesuffix(".jsonl")
    (found,) = path.parent.glob(f"*_{time}.json")
    return found


def task_of(path: Path) -> str:
    return path.name.rpartition("_")[0].removeprefix("samples_")


def read(path: Path, prompt: str = "auto") -> list[Record]:
    reader = LmEvalReader()
    assert reader.recognise(LogFile(path))
    others = [LogFile(results_of(path))]
    assert reader.accompanies(others[0])
    assert not reader.recognise(others[0])
    return list(reader.read(LogFile(path), others, PromptChoice.parse(prompt)))


def samples(path: Path, prompt: str = "auto") -> list[Sample]:
    return [record for record in read(path, prompt) if isinstance(record, Sample)]


def test_every_mean_that_the_tool_states_is_that_of_the_samples(logs: Path) -> None:
    compared = 0
    for path in sample_files(logs):
        results: dict[str, Any] = json.loads(results_of(path).read_text(encoding="utf-8"))
        task = task_of(path)
        found = read(path)
        values: dict[str, list[float]] = defaultdict(list)
        for sample in found:
            if isinstance(sample, Sample):
                for name, value in sample.scores.items():
                    if isinstance(value, int | float) and not math.isnan(value):
                        values[name].append(value)
        how = {m["metric"]: m.get("aggregation") for m in results["configs"][task]["metric_list"]}
        figures = {r.name: r for r in found if isinstance(r, Reported)}
        for key, value in results["results"][task].items():
            metric, comma, _ = key.partition(",")
            if comma and how.get(metric) in {"mean", "nanmean"}:
                figure = figures.pop(key)
                assert figure.value == value
                mean = math.fsum(values[figure.metric]) / len(values[figure.metric])
                assert mean == pytest.approx(value, abs=1e-12), (path, key)
                compared += 1
        assert not figures
    assert compared > 50


def test_the_prompt_as_sent_is_the_one_that_the_tool_hashed(logs: Path) -> None:
    for path in sample_files(logs):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for sample, row in zip(samples(path, "sent"), rows, strict=True):
            assert sample.document == row["doc_hash"]
            assert sample.task == str(row["doc_id"])
            assert sample.prompt is not None
            if path.parts[-2] != "demo__chat":  # it hashed the JSON of the messages
                assert sha256(sample.prompt.encode()).hexdigest() == row["prompt_hash"]


def test_the_prompt_of_a_document_is_the_same_however_it_was_sent(logs: Path) -> None:
    prompts: dict[tuple[str | None, str | None], set[str | None]] = defaultdict(set)
    sent: dict[tuple[str | None, str | None], set[str | None]] = defaultdict(set)
    for path in sample_files(logs):
        if task_of(path) not in NOT_PLAIN:
            for sample in samples(path):
                prompts[sample.group, sample.document].add(sample.prompt)
            for sample in samples(path, "sent"):
                sent[sample.group, sample.document].add(sample.prompt)
    assert all(len(found) == 1 for found in prompts.values())
    assert max(len(found) for found in sent.values()) >= 5
    # Without a chat template the function's text is found too.
    own = {
        s.prompt for p in sample_files(logs / "described") for s in samples(p) if "fun" in p.name
    }
    assert len(own) == 6
    assert all(text and text.startswith("Please answer.\n\nQ: What Is") for text in own)


def test_runs_are_read_as_they_were_asked_for(logs: Path) -> None:
    def of(run: str) -> list[Sample]:
        return [sample for path in sample_files(logs / run) for sample in samples(path)]

    assert {sample.group for sample in of("group")} == {"hn_sums", "hn_facts", "hn_facts_loop"}
    assert {sample.task for sample in of("picked")} == {"1", "4"}
    assert {sample.model for sample in of("dummy")} == {"dummy"}
    assert {sample.model for sample in of("one_file")} == {"demo/small"}
    assert {sample.model for sample in of("chat")} == {"demo/chat"}
    votes = of("votes")
    assert len(votes) == 12
    assert len({sample.attempt for sample in votes}) == 6
    assert {name for s in votes for name in s.scores} == {"exact_match", "exact_match,majority"}
    assert {s.left_out for s in of("only_answers") if s.group == "hn_sums"} == {LeftOut.NO_QUALITY}
    assert not any(sample.scores for sample in of("only_answers"))


def test_runs_of_several_models_make_one_table(logs: Path) -> None:
    wanted = ["acc", "exact_match,flexible-extract", "exact_match"]
    imported = read_logs(logs / "shots", logs / "demo", logs / "chat", score=wanted)
    assert set(imported.summary.models) == {"demo/small", "demo/large", "demo/chat"}
    assert imported.summary.groups == {
        "hn_facts": 5, "hn_facts_loop": 5, "hn_sums": 6, "hn_described": 6,
    }  # fmt: skip
    assert all(one.agrees for one in imported.summary.agreement)
    assert not imported.summary.broken
    assert not imported.summary.unknown_files


def test_a_run_without_samples_says_how_to_keep_them(logs: Path) -> None:
    with pytest.raises(TableError, match="run lm_eval again with --log_samples"):
        read_logs(logs / "no_samples")


def test_prompts_that_could_not_be_cut_are_told(logs: Path) -> None:
    for path in sample_files(logs):
        told = any(isinstance(r, Note) and "could not be taken off" in r.text for r in read(path))
        assert told == (task_of(path) in NOT_PLAIN and path.parts[-3] == "template")
