"""What public outcome data there is, where its files come from, and in what shape they are.

Not here: reading them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PublicSource:
    """One public source of outcomes.

    Attributes:
        name: Short name.
        what: What was run on what.
        size: Tasks x models.
        licence: Under which terms, as far as the source says.
        files: Where the files are, each with its address.
        shape: What the files hold.
        convert: The command that makes an outcome table of them, or None if there is no loader.
    """

    name: str
    what: str
    size: str
    licence: str
    files: tuple[str, ...]
    shape: str
    convert: str | None


PUBLIC_SOURCES = (
    PublicSource(
        name="swebench",
        what="SWE-bench leaderboards: GitHub issues solved or not, with the cost of each run",
        size="Verified: 500 tasks x those of its entries that have results by task",
        licence="problem statements MIT; no licence found with the leaderboard file",
        files=(
            "leaderboards.json: https://github.com/SWE-bench/swe-bench.github.io, folder data",
            "problems: https://huggingface.co/datasets/princeton-nlp/SWE-bench_Verified, "
            "data/test-00000-of-00001.parquet",
        ),
        shape="JSON with per_instance_details in the entries of a leaderboard; "
        "problems with instance_id, problem_statement, repo",
        convert="hypernova datasets convert swebench leaderboards.json PROBLEMS.parquet -o FOLDER",
    ),
    PublicSource(
        name="routerbench",
        what="RouterBench: prompts of public benchmarks, scored 0..1, with cost",
        size="0-shot: 36,497 tasks x 11 models",
        licence="see the dataset's page; it is not stated in the files",
        files=("routerbench_0shot.pkl: https://huggingface.co/datasets/withmartian/routerbench",),
        shape="a wide table as a pickle, which is not opened here: make it a CSV file first "
        "(docs/datasets.md)",
        convert="hypernova datasets convert routerbench routerbench_0shot.csv -o FOLDER",
    ),
    PublicSource(
        name="llmrouter",
        what="example data of LLMRouter: prompts of 14 benchmarks, graded 0..1",
        size="6,108 tasks x 9 models",
        licence="MIT",
        files=("https://github.com/ulab-uiuc/LLMRouter, default_routing_train_data.jsonl",),
        shape="JSON Lines, a row for each prompt and model: task_name, query, model_name, "
        "performance and others",
        convert=None,
    ),
    PublicSource(
        name="routellm-mmlu",
        what="RouteLLM's answers to MMLU: right or wrong",
        size="14,042 tasks x 2 models",
        licence="Apache-2.0",
        files=("https://github.com/lm-sys/RouteLLM, folder routellm/evals/mmlu/responses",),
        shape="a CSV file for each subject: prompt, and True or False in a column for each model",
        convert=None,
    ),
)
