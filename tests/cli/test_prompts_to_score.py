"""`hypernova next-prompts -o`: data that Inspect and lm-evaluation-harness run.

The tools run in an environment of their own, whose Python HYPERNOVA_EVAL_TOOLS names. Not here:
which prompts are proposed (`hypernova.training.model_pool.propose`).
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

import hypernova
from hypernova.cli.eval_tasks import FORMATS, EvalPrompt, write_eval_prompts
from hypernova.errors import ModelPoolError
from support.commands import fails_in_one_line, output_of, run
from support.paths import EXAMPLES, TABLE

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = os.environ.get("HYPERNOVA_EVAL_TOOLS")
needs_tools = pytest.mark.skipif(
    PYTHON is None,
    reason="the evaluation tools are NOT run: set HYPERNOVA_EVAL_TOOLS to the Python of an "
    "environment with inspect_ai and lm_eval",
)
INSPECT = """
import sys
from inspect_ai import Task, eval
from inspect_ai.dataset import json_dataset
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import match

dataset = json_dataset(sys.argv[1])
answers = [sample.target if i % 2 else "no" for i, sample in enumerate(dataset)]
outputs = [ModelOutput.from_content("mockllm/newcomer", answer) for answer in answers]
for output in outputs:  # else the tokens are counted, with a vocabulary that is fetched
    output.usage = ModelUsage(input_tokens=10, output_tokens=2, total_tokens=12)
model = get_model("mockllm/newcomer", custom_outputs=outputs)
(log,) = eval(
    Task(name="ask", dataset=dataset, scorer=match()), model=model, log_dir=sys.argv[2],
    display="none", max_connections=1,
)
assert log.status == "success", log.error.message
"""


@pytest.fixture(scope="module")
def pool(tmp_path_factory) -> Path:
    """Prompts with a target and fields that only their owner knows."""
    path = tmp_path_factory.mktemp("pool") / "pool.jsonl"
    rows = [json.loads(line) for line in TABLE.read_text().splitlines()[:60]]
    kept = [
        {key: row[key] for key in ("task_id", "prompt", "group")}
        | {"target": f"answer {i}", "choices": ["a", "b"], "level": i, "setup": "touch executed"}
        for i, row in enumerate(rows)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in kept))
    return path


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
class TestFiles:
    def test_jsonl_keeps_ids_and_fields_and_is_a_file_of_prompts(
        self, fitted, pool, tmp_path
    ) -> None:
        out = tmp_path / "ask.jsonl"
        printed = output_of("next-prompts", fitted, pool, "-n", 4, "-o", out)
        assert printed.endswith(f"wrote {out}: 4 prompts, format jsonl\n")
        rows = lines_of(out)
        in_pool = {row["task_id"]: row for row in lines_of(pool)}
        assert rows == [in_pool[row["task_id"]] for row in rows]
        proposed = [
            json.loads(line)["prompt"]
            for line in output_of("next-prompts", fitted, pool, "-n", 4, "--json").splitlines()
        ]
        assert [row["prompt"] for row in rows] == proposed
        assert hypernova.table.read_prompts(out) == proposed

    def test_inspect_has_its_own_fields_and_nothing_that_is_executed(
        self, fitted, pool, tmp_path
    ) -> None:
        out = tmp_path / "ask.jsonl"
        output_of("next-prompts", fitted, pool, "-n", 3, "-o", out, "--format", "inspect", "--json")
        other = tmp_path / "other.jsonl"
        printed = output_of(
            "next-prompts", fitted, pool, "-n", 3, "-o", other, "--format", "inspect"
        )
        assert "no target" not in printed
        in_pool = {row["task_id"]: row for row in lines_of(pool)}
        for row in lines_of(out):
            there = in_pool[row["id"]]
            assert set(row) == {"id", "input", "target", "choices", "metadata"}
            assert (row["input"], row["target"]) == (there["prompt"], there["target"])
            assert row["metadata"] == {key: there[key] for key in ("group", "level", "setup")}

    def test_prompts_without_an_id_or_a_target(self, fitted, tmp_path) -> None:
        (tmp_path / "p.txt").write_text("Join two tables\n\nWrite a verse\n")
        out, folder = tmp_path / "ask.jsonl", tmp_path / "ask"
        for path, of in ((out, "inspect"), (folder, "lm-eval")):
            printed = output_of(
                "next-prompts", fitted, tmp_path / "p.txt", "-o", path, "--format", of
            )
            # To Inspect's match, an empty target stands in every answer.
            assert "note: 2 of them have no target: score them by one that needs none" in printed
        rows = {row["id"]: row for row in lines_of(out)}
        assert rows["prompt-1"] == {"id": "prompt-1", "input": "Write a verse", "target": ""}
        # Without a target every answer would be wrong: no metric gives a score.
        assert '"bypass"' in (folder / "ask.yaml").read_text()

    def test_prompts_of_logs_keep_their_ids(self, fitted, tmp_path) -> None:
        logs, out = EXAMPLES / "logs" / "inspect" / "arithmetic-small.eval", tmp_path / "ask.jsonl"
        table = hypernova.table.read_logs(logs, min_models=1).table
        output_of("next-prompts", fitted, logs, "-n", 2, "-o", out)
        rows = lines_of(out)
        assert len(rows) == 2
        for row in rows:
            task = table.task_ids.index(row["task_id"])
            assert row["prompt"] == table.prompts[task]
            assert row["group"] == table.groups[task]

    def test_a_place_that_is_taken_or_of_another_format(self, fitted, pool, tmp_path) -> None:
        taken = tmp_path / "taken"
        taken.mkdir()
        before = sorted(tmp_path.rglob("*"))

        def refused(out: object, of: str) -> str:
            return fails_in_one_line("next-prompts", fitted, pool, "-o", out, "--format", of)

        assert "exists already and is left as it is" in refused(taken, "lm-eval")
        assert "name one, without a suffix" in refused(tmp_path / "ask.jsonl", "lm-eval")
        assert "name a .jsonl file" in refused(tmp_path / "ask.json", "inspect")
        assert "what the command reads" in refused(pool, "jsonl")
        assert "does not exist; make it first" in refused(tmp_path / "no" / "ask", "lm-eval")
        done = run("next-prompts", fitted, pool, "--format", "inspect", code=2)
        assert "give one" in done.stderr
        assert sorted(tmp_path.rglob("*")) == before


class TestRefusals:
    @pytest.mark.parametrize("of", FORMATS)
    def test_two_prompts_of_one_id(self, tmp_path, of) -> None:
        prompts = [EvalPrompt("a", text, {}) for text in ("one", "two")]
        with pytest.raises(ModelPoolError, match="task_id 'a'"):
            write_eval_prompts(str(tmp_path / "ask"), of, prompts)
        assert list(tmp_path.iterdir()) == []

    def test_a_target_that_is_no_text(self, tmp_path) -> None:
        out = str(tmp_path / "ask.jsonl")
        write_eval_prompts(out, "inspect", [EvalPrompt("a", "one", {"target": 0.5})])
        assert lines_of(tmp_path / "ask.jsonl")[0]["target"] == "0.5"
        with pytest.raises(ModelPoolError, match="the target of 'a' is"):
            write_eval_prompts(out, "inspect", [EvalPrompt("a", "one", {"target": {"x": 1}})])

    def test_columns_of_two_types_for_lm_eval(self, tmp_path) -> None:
        prompts = [EvalPrompt("a", "one", {"x": 1}), EvalPrompt("b", "two", {"x": "1"})]
        with pytest.raises(ModelPoolError, match="field 'x' of 'b' is '1', of another type"):
            write_eval_prompts(str(tmp_path / "ask"), "lm-eval", prompts)
        assert list(tmp_path.iterdir()) == []

    def test_a_number_that_json_lacks(self, tmp_path) -> None:
        with pytest.raises(ModelPoolError, match="not finite"):
            write_eval_prompts(
                str(tmp_path / "a.jsonl"), "jsonl", [EvalPrompt("a", "one", {"x": float("nan")})]
            )
        assert list(tmp_path.iterdir()) == []


def run_tool(*arguments: object, cwd: Path) -> None:
    assert PYTHON is not None
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(cwd / "hf")}
    done = subprocess.run(
        [PYTHON, *map(str, arguments)],
        cwd=cwd, env={"PATH": os.environ["PATH"], "HOME": str(cwd), **offline},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@needs_tools
class TestWithTheTools:
    """A new model is scored on the proposals, and its log comes back."""

    def test_inspect(self, fitted, pool, tmp_path) -> None:
        out = tmp_path / "ask.jsonl"
        output_of("next-prompts", fitted, pool, "-n", 6, "-o", out, "--format", "inspect")
        run_tool("-c", INSPECT, out, tmp_path / "logs", cwd=tmp_path)
        table = self.comes_back(fitted, pool, tmp_path / "logs", tmp_path)
        assert table.models == ("mockllm/newcomer",)
        ids = [row["id"] for row in lines_of(out)]
        scores = dict(zip(table.task_ids, table.score[:, 0].tolist(), strict=True))
        assert scores == {task: float(i % 2) for i, task in enumerate(ids)}
        assert not (tmp_path / "executed").exists()

    def test_lm_evaluation_harness(self, fitted, pool, tmp_path) -> None:
        out = tmp_path / "ask"
        output_of("next-prompts", fitted, pool, "-n", 6, "-o", out, "--format", "lm-eval")
        run_tool(
            *("-m", "lm_eval", "--model", "dummy", "--tasks", "ask", "--include_path", out),
            *("--log_samples", "--output_path", tmp_path / "logs"),
            cwd=tmp_path,
        )
        table = self.comes_back(fitted, pool, tmp_path / "logs", tmp_path)
        assert table.n_outcomes == 6

    def comes_back(self, fitted, pool, logs, tmp_path) -> hypernova.OutcomeTable:
        scored, new = tmp_path / "scored.jsonl", tmp_path / "new.hnv"
        printed = output_of("import", logs, "-o", scored)
        assert "add-model ROUTER.hnv" in printed
        table = hypernova.OutcomeTable.read(scored, min_models=1)
        assert table.n_tasks == 6
        # What is routed is what was proposed, letter by letter.
        assert set(table.prompts) <= {row["prompt"] for row in lines_of(pool)}
        output_of("add-model", fitted, scored, "-o", new)
        assert hypernova.Artifact.open(new).models[-1] == table.models[0]
        again = output_of("next-prompts", fitted, pool, "--scored", scored, "-n", 60, "--json")
        assert len(again.splitlines()) == 54
        return table
