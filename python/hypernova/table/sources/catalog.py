"""List public outcome data: where the files are and how they are made into a table.

Not here: reading the files.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PublicDataset:
    """A public dataset of outcomes.

    Attributes:
        name: Short name.
        content: Models and tasks that it has outcomes of.
        size: Tasks x models.
        licence: Its terms, as far as the publisher states them.
        files: Its files, each with its address.
        shape: Columns or keys of the files.
        convert: The command that makes an outcome table of the files, or None without a loader.
    """

    name: str
    content: str
    size: str
    licence: str
    files: tuple[str, ...]
    shape: str
    convert: str | None


PUBLIC_DATASETS = (
    PublicDataset(
        name="swebench",
        content="SWE-bench leaderboards: GitHub issues solved or not, with the cost of each run",
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
    PublicDataset(
        name="routerbench",
        content="RouterBench: prompts of public benchmarks, scored 0..1, with cost",
        size="0-shot: 36,497 tasks x 11 models",
        licence="see the dataset's page; it is not stated in the files",
        files=("routerbench_0shot.pkl: https://huggingface.co/datasets/withmartian/routerbench",),
        shape="a wide table as a pickle, which is not opened here: make it a CSV file first "
        "(docs/datasets.md)",
        convert="hypernova datasets convert routerbench routerbench_0shot.csv -o FOLDER",
    ),
    PublicDataset(
        name="llmrouter",
        content="example data of LLMRouter: prompts of 14 benchmarks, graded 0..1",
        size="6,108 tasks x 9 models",
        licence="MIT",
        files=("https://github.com/ulab-uiuc/LLMRouter, default_routing_train_data.jsonl",),
        shape="JSON Lines, a row for each prompt and model: task_name, query, model_name, "
        "performance and others",
        convert=None,
    ),
    PublicDataset(
        name="routellm-mmlu",
        content="RouteLLM's answers to MMLU: right or wrong",
        size="14,042 tasks x 2 models",
        licence="Apache-2.0",
        files=("https://github.com/lm-sys/RouteLLM, folder routellm/evals/mmlu/responses",),
        shape="a CSV file for each subject: prompt, and True or False in a column for each model",
        convert=None,
    ),
)
