"""Read a wide table in RouterBench's form: a task a row, and columns for each model.

Not here: pickles, the form that RouterBench is published in; opening one runs what is in it.
"""

from __future__ import annotations

import ast
import warnings
from typing import TYPE_CHECKING

import numpy as np

from hypernova.table.columns import Ints, Outcomes, Tasks
from hypernova.table.delimited import CsvTable, any_cell_size
from hypernova.table.outcome_table import OutcomeTable
from hypernova.table.parquet import Columns
from hypernova.table.public.headline import PublicTable
from hypernova.table.source import Source, existing, form_of, listed, opened, shown
from hypernova.table.text import OutcomeRows

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

_COST = "|total_cost"
_ANSWER = "|model_response"
_REQUIRED = ("sample_id", "prompt")
_SPELLED = {
    "task_id": "sample_id",
    "group": "eval_name",
    "score": "MODEL",
    "cost_usd": f"MODEL{_COST}",
}


def read_routerbench(
    path: str | os.PathLike[str], *, models: Sequence[str] | None = None
) -> PublicTable:
    """Read a wide table as RouterBench has it.

    The columns are `sample_id`, `prompt`, `eval_name` (the group; may be missing) and for each
    model `MODEL` with its score, 0..1, and `MODEL|total_cost` in USD. Answers
    (`MODEL|model_response`), the oracle's choice and other columns are ignored. An empty score is a
    hole, an empty cost unknown. A prompt that is a list of strings in Python's notation, as
    RouterBench stores the turns of a conversation, becomes the turns with a line break between
    them. The form states no headline rates, so there is nothing to check the outcomes against.

    Args:
        path: A `.csv`, `.tsv` or `.parquet` file; the first two may be packed with gzip.
        models: Names of the models wanted; by default all.

    Returns:
        The table, without discrepancies.

    Raises:
        NotFoundError: nothing is at the path.
        TableError: the file is a pickle or malformed. The message names the file, the row and the
            column.
        MissingExtraError: the file is Parquet and pyarrow is not installed.

    Example:
        >>> table = read_routerbench("routerbench_0shot.csv").table  # doctest: +SKIP
    """
    there = existing(path)
    if there.suffix.lower() in {".pkl", ".pickle"}:
        raise Source.of(there, "").error(
            "is a pickle, which can run any code when it is opened",
            'if you trust it, convert it: python -c "import pandas; '
            f"pandas.read_pickle('{there.name}').to_csv('{there.stem}.csv', index=False)\"",
        )
    form, base = form_of(there, (".csv", ".parquet"), "a wide table", "give .csv, .tsv or .parquet")
    tasks, outcomes = (_read_csv if form == ".csv" else _read_parquet)(there, models)
    return PublicTable(OutcomeTable.of_columns(tasks, outcomes, name=base))


def _models(names: Sequence[str], source: Source, wanted: Sequence[str] | None) -> list[str]:
    # A model is a column that has a column of costs beside it.
    models = []
    for name in names:
        if name.endswith(_COST):
            model = name.removesuffix(_COST)
            if model not in names:
                raise source.error(
                    f"there is no column of scores {shown(model)} for it",
                    "add the scores or remove the costs",
                    column=name,
                )
            models.append(model)
        elif name.endswith(_ANSWER) and name.removesuffix(_ANSWER) + _COST not in names:
            model = name.removesuffix(_ANSWER)
            raise source.error(
                f"the model {shown(model)} has no column {shown(model + _COST)}",
                "add it, with empty cells where the cost is not known",
                column=name,
            )
    if not models:
        raise source.error(
            f"holds no model, found {listed(names)}",
            f"give each model a column of scores, MODEL, and one of costs, 'MODEL{_COST}'",
        )
    if wanted is None:
        return models
    unknown = [model for model in wanted if model not in models]
    if unknown:
        raise source.error(
            f"holds no {listed(unknown)}", f"choose from {', '.join(map(shown, models))}"
        )
    return [model for model in models if model in wanted]


def _read_csv(path: Path, wanted: Sequence[str] | None) -> tuple[Tasks, Outcomes]:
    source = Source.of(path, "line", _SPELLED)
    rows: list[int] = []
    ids: list[str] = []
    prompts: list[str] = []
    groups: list[str] = []
    outcomes = OutcomeRows()
    with any_cell_size(), opened(path, source) as file:
        table = CsvTable(file, source, _REQUIRED)
        places = table.places
        models = _models(list(places), source, wanted)
        # All of them now: a model without any score is for the checks to refuse.
        outcomes.models.update((model, index) for index, model in enumerate(models))
        for line, cells in table:
            task_id = cells[places["sample_id"]]
            for model in models:
                of = f"task {shown(task_id)}, model {shown(model)}"
                score, cost = (
                    table.number(cells[places[column]], line, column, of, truth=column == model)
                    for column in (model, model + _COST)
                )
                if score == score:
                    outcomes.add(line, len(ids), model, (score, cost, np.nan))
            rows.append(line)
            ids.append(task_id)
            prompts.append(cells[places["prompt"]])
            groups.append(cells[places["eval_name"]] if "eval_name" in places else "")
    tasks = _tasks(source, np.array(rows, dtype=np.int64), ids, prompts, groups)
    return tasks, outcomes.columns(source)


def _read_parquet(path: Path, wanted: Sequence[str] | None) -> tuple[Tasks, Outcomes]:
    source = Source.of(path, "row", _SPELLED)
    models: list[str] = []

    def columns(names: list[str]) -> list[str]:
        if set(_REQUIRED) <= set(names):  # what is missing is the caller's to say
            models.extend(_models(names, source, wanted))
        return ["eval_name", *models, *(model + _COST for model in models)]

    file = Columns(path, _REQUIRED, columns)
    ids = file.texts("sample_id", integers=True)
    prompts = file.texts("prompt")
    groups = [""] * file.length
    if file.has("eval_name"):
        encoded = file.texts("eval_name", nothing="")
        groups = [encoded.values[code] for code in encoded.codes]
    score = np.stack([file.numbers(model) for model in models], axis=1)
    cost = np.stack([file.numbers(model + _COST) for model in models], axis=1)
    task, model = np.nonzero(~np.isnan(score))
    tasks = _tasks(
        source,
        file.rows,
        [ids.values[code] for code in ids.codes],
        [prompts.values[code] for code in prompts.codes],
        groups,
    )
    return tasks, Outcomes(
        source=source,
        rows=file.rows[task],
        task=task,
        model=model,
        models=models,
        score=score[task, model],
        cost_usd=cost[task, model],
        latency_s=np.full(len(task), np.nan),
    )


def _tasks(
    source: Source, rows: Ints, ids: list[str], prompts: list[str], groups: list[str]
) -> Tasks:
    with warnings.catch_warnings():
        # Of backslashes in prompts that are no list at all.
        warnings.simplefilter("ignore", SyntaxWarning)
        texts = [_plain(prompt) for prompt in prompts]
    return Tasks(source, rows, ids, texts, [group or None for group in groups], None)


def _plain(prompt: str) -> str:
    if prompt.startswith("[") and prompt.endswith("]"):
        try:
            turns = ast.literal_eval(prompt)  # literals only: nothing in it is run
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return prompt
        if turns and all(isinstance(turn, str) for turn in turns):
            return "\n".join(turns)
    return prompt
