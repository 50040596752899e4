"""Write proposed prompts as data that evaluation tools run, so that a model is scored on these.

Not here: scoring. The task, its template and its scorer are the user's own.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypernova.errors import ModelPoolError, WriteError
from hypernova.paths import check_file, path_label, replacing, write_file
from hypernova.table.source import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMATS = ("jsonl", "inspect", "lm-eval")
DATA_NAME = "data.jsonl"


@dataclass(frozen=True, slots=True)
class EvalPrompt:
    """A prompt to be scored.

    Attributes:
        id: Its id: that of its task, if it has one.
        prompt: The text.
        fields: Further fields of its row, such as ``target`` and ``choices``.
    """

    id: str
    prompt: str
    fields: dict[str, Any]


def check_eval_target(path: str, format_: str, inputs: Sequence[str | None]) -> None:
    """Check that prompts can be written to a path, before the work.

    Args:
        path: A ``.jsonl`` file; a folder to make for ``lm-eval``.
        format_: One of `FORMATS`.
        inputs: Files that the work reads.

    Raises:
        NotFoundError: The folder that holds the path does not exist.
        WriteError: The path cannot be written, has another suffix, or exists and is to be a folder.
    """
    label = path_label(path)
    if format_ != "lm-eval":
        check_file(path, inputs=inputs)
        if Path(path).suffix.lower() != ".jsonl":
            raise WriteError(f"{label}: the format {format_} is JSON Lines; name a .jsonl file")
        return
    if Path(path).suffix:
        raise WriteError(f"{label}: lm-eval takes a folder; name one, without a suffix")
    if os.path.lexists(path):
        raise WriteError(
            f"{label}: exists already and is left as it is; remove it or name another path"
        )
    check_file(Path(path))


def write_eval_prompts(path: str, format_: str, prompts: Sequence[EvalPrompt]) -> None:
    """Write prompts for an evaluation tool, whole or not at all.

    Args:
        path: As in `check_eval_target`.
        format_: ``jsonl``: ``task_id``, ``prompt`` and the other fields. ``inspect``: a data set of
            Inspect's ``json_dataset``: ``id``, ``input``, ``target``, ``choices``, and the other
            fields as ``metadata``. ``lm-eval``: a folder for ``--include_path`` with a task of its
            own name.
        prompts: The prompts.

    Raises:
        ModelPoolError: Two prompts have one id, or a field cannot be written in the format.
        NotFoundError: The folder that holds the path does not exist.
        WriteError: The path cannot be written.
    """
    _check_ids(prompts)
    if format_ != "lm-eval":
        of_prompt = _inspect_sample if format_ == "inspect" else _row
        write_file(path, _lines([of_prompt(prompt) for prompt in prompts]))
        return
    _check_types(prompts)
    target = Path(path)
    with replacing(target) as folder:
        folder.mkdir()
        rows = [{"id": one.id, "prompt": one.prompt, **_plain(one.fields)} for one in prompts]
        (folder / DATA_NAME).write_bytes(_lines(rows))
        task = _lm_eval_task(target, prompts)
        (folder / f"{target.name}.yaml").write_text(task, encoding="utf-8", newline="\n")


def _row(prompt: EvalPrompt) -> dict[str, Any]:
    return {"task_id": prompt.id, "prompt": prompt.prompt, **_plain(prompt.fields)}


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in fields.items() if name not in ("id", "prompt", "task_id")
    }


def _inspect_sample(prompt: EvalPrompt) -> dict[str, Any]:
    """Return a sample of Inspect.

    Of its own fields only the target and the choices are taken from a row: files and a setup would
    be executed.
    """
    rest = _plain(prompt.fields)
    sample: dict[str, Any] = {"id": prompt.id, "input": prompt.prompt, "target": ""}
    if "target" in rest:
        sample["target"] = _target(prompt, rest.pop("target"))
    choices = rest.get("choices")
    if isinstance(choices, list) and choices and all(isinstance(x, str) for x in choices):
        sample["choices"] = rest.pop("choices")
    if rest:
        sample["metadata"] = rest
    return sample


def _target(prompt: EvalPrompt, value: object) -> str | list[str]:
    if isinstance(value, list) and all(isinstance(x, str) for x in value):
        return value
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return json.dumps(value)  # as the file has it
    raise ModelPoolError(
        f"the target of {quoted(prompt.id)} is {quoted(value)}; Inspect takes a text or a list of "
        "texts: write it so, or give it another field's name"
    )


def _check_ids(prompts: Sequence[EvalPrompt]) -> None:
    seen: set[str] = set()
    for prompt in prompts:
        if prompt.id in seen:
            raise ModelPoolError(
                f"two of the proposed prompts have the task_id {quoted(prompt.id)}; give each "
                "prompt an id of its own"
            )
        seen.add(prompt.id)


def _check_types(prompts: Sequence[EvalPrompt]) -> None:
    """Check that a field has one type: lm-evaluation-harness reads the file as columns."""
    types: dict[str, type] = {}
    for prompt in prompts:
        for name, value in _plain(prompt.fields).items():
            kind = float if type(value) is int else type(value)
            if types.setdefault(name, kind) is not kind:
                raise ModelPoolError(
                    f"the field {quoted(name)} of {quoted(prompt.id)} is {quoted(value)}, of "
                    "another type than before it; lm-evaluation-harness reads columns of one type"
                )


def _lm_eval_task(folder: Path, prompts: Sequence[EvalPrompt]) -> str:
    """Return the YAML of a task that sends each prompt as it is."""
    has_target = all("target" in prompt.fields for prompt in prompts)
    task = {
        "task": folder.name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder.absolute() / DATA_NAME)}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "prompt",
        "doc_to_target": "target" if has_target else "",
        "generation_kwargs": {"until": [], "do_sample": False, "max_gen_toks": 2048},
        "metric_list": [
            {"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}
            if has_target
            else {"metric": "bypass"}
        ],
    }
    lines = [
        "# Prompts proposed by hypernova next-prompts. The scorer is yours: put the metric, the",
        "# filters and the template of your own task here; run it with --include_path.",
        # A JSON value is one of YAML too.
        *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in task.items()),
    ]
    return "\n".join(lines) + "\n"


def _lines(rows: Sequence[dict[str, Any]]) -> bytes:
    try:
        text = [json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows]
    except ValueError as error:
        raise ModelPoolError(
            f"a field of a prompt holds a number that is not finite ({error}); remove it"
        ) from None
    return ("\n".join(text) + "\n").encode()
