"""Read a wide table in RouterBench's format: a task a row, and columns for each model.

Not here: pickles, in which RouterBench is published; opening a pickle runs code in it.
"""

from __future__ import annotations

import ast
import warnings
from typing import TYPE_CHECKING

import numpy as np

from hypernova.table.columns import Ints, OutcomeBuilder, OutcomeColumns, TaskColumns
from hypernova.table.formats.csv import CsvReader, unlimited_cell_size
from hypernova.table.formats.files import detect_format, open_bytes
from hypernova.table.formats.parquet import ParquetColumns
from hypernova.table.source import Source, quoted, quoted_list
from hypernova.table.sources.log import LogReader
from hypernova.table.sources.published_columns import Hole, PublishedColumns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from hypernova.errors import TableError
    from hypernova.table.sources.files import LogFile
    from hypernova.table.sources.log import Record
    from hypernova.table.sources.prompt_choice import PromptChoice

_COST = "|total_cost"
_ANSWER = "|model_response"
_METRIC = "score"
_REQUIRED = ("sample_id", "prompt")
_COLUMN_NAMES = {
    "task_id": "sample_id",
    "group": "eval_name",
    "score": "MODEL",
    "cost_usd": f"MODEL{_COST}",
}


class RouterBenchReader(LogReader):
    """Read a wide table in RouterBench's format as a log."""

    name = "routerbench"
    title = "RouterBench"

    def recognise(self, file: LogFile) -> bool:
        """Return whether a file has a task a row and columns of scores and costs by model.

        A pickle that names such columns is one, so that reading it says how to convert it.
        """
        if _is_pickle(file):
            return _COST.encode() in file.head
        names = file.columns
        return set(_REQUIRED) <= set(names) and any(name.endswith(_COST) for name in names)

    def read(
        self, log: LogFile, others: Sequence[LogFile], prompt: PromptChoice
    ) -> Iterator[Record]:
        """Yield a sample of each score, and of each empty one.

        The only prompt is the file's; ``field`` names ``prompt``, ``sample_id`` or ``eval_name``.

        Raises:
            TableError: the file is a pickle or malformed.
            MissingExtraError: the file is Parquet and pyarrow is not installed.
        """
        del others
        if _is_pickle(log):
            raise _pickle_error(log.path)
        columns = _read(log.path, log.path.stem, is_parquet=log.unit == "row")
        fields = {key: _COLUMN_NAMES.get(key, key) for key in ("task_id", "prompt", "group")}
        yield from columns.records(prompt, fields)


def read_routerbench_columns(
    path: Path, *, models: Sequence[str] | None = None
) -> PublishedColumns:
    """Read a wide table as columns; `hypernova.table.read_routerbench` describes the arguments.

    Raises:
        TableError: the file is a pickle or malformed.
        MissingExtraError: the file is Parquet and pyarrow is not installed.
    """
    if path.suffix.lower() in {".pkl", ".pickle"}:
        raise _pickle_error(path)
    suffix, base = detect_format(
        path, (".csv", ".parquet"), "a wide table", "give .csv, .tsv or .parquet"
    )
    return _read(path, base, is_parquet=suffix == ".parquet", models=models)


def _is_pickle(file: LogFile) -> bool:
    return file.head.startswith(b"\x80")  # of protocol 2 and later


def _pickle_error(path: Path) -> TableError:
    return Source.of(path, "").error(
        "is a pickle, which can run any code when it is opened",
        'if you trust it, convert it: python -c "import pandas; '
        f"pandas.read_pickle('{path.name}').to_csv('{path.stem}.csv', index=False)\"",
    )


def _read(
    path: Path, name: str, *, is_parquet: bool, models: Sequence[str] | None = None
) -> PublishedColumns:
    tasks, outcomes, holes = (_read_parquet if is_parquet else _read_csv)(path, models)
    return PublishedColumns(tasks, outcomes, name, _METRIC, holes=tuple(holes))


def _model_columns(names: Sequence[str], source: Source, wanted: Sequence[str] | None) -> list[str]:
    # A model is a column that has a column of costs beside it.
    models = []
    for name in names:
        if name.endswith(_COST):
            model = name.removesuffix(_COST)
            if model not in names:
                raise source.error(
                    f"its column of scores, {quoted(model)}, is missing",
                    "add the scores or remove the costs",
                    column=name,
                )
            models.append(model)
        elif name.endswith(_ANSWER) and name.removesuffix(_ANSWER) + _COST not in names:
            model = name.removesuffix(_ANSWER)
            raise source.error(
                f"the model {quoted(model)} has no column {quoted(model + _COST)}",
                "add it, with empty cells where the cost is not known",
                column=name,
            )
    if not models:
        raise source.error(
            f"holds no model, found {quoted_list(names)}",
            f"give each model a column of scores, MODEL, and one of costs, 'MODEL{_COST}'",
        )
    if wanted is None:
        return models
    unknown = [model for model in wanted if model not in models]
    if unknown:
        raise source.error(
            f"holds no {quoted_list(unknown)}", f"choose from {', '.join(map(quoted, models))}"
        )
    return [model for model in models if model in wanted]


def _read_csv(
    path: Path, wanted: Sequence[str] | None
) -> tuple[TaskColumns, OutcomeColumns, list[Hole]]:
    source = Source.of(path, "line", _COLUMN_NAMES)
    rows: list[int] = []
    ids: list[str] = []
    prompts: list[str] = []
    groups: list[str] = []
    outcomes = OutcomeBuilder()
    holes: list[Hole] = []
    with unlimited_cell_size(), open_bytes(path, source) as file:
        table = CsvReader(file, source, _REQUIRED)
        column_index = table.column_index
        models = _model_columns(list(column_index), source, wanted)
        # All models at once, so that the checks refuse one without any score.
        outcomes.models.update((model, index) for index, model in enumerate(models))
        for line, cells in table:
            task_id = cells[column_index["sample_id"]]
            for model in models:
                of = f"task {quoted(task_id)}, model {quoted(model)}"
                score, cost = (
                    table.number(
                        cells[column_index[column]], line, column, of, booleans=column == model
                    )
                    for column in (model, model + _COST)
                )
                if score == score:
                    outcomes.add(line, len(ids), model, (score, cost, np.nan))
                else:
                    holes.append(Hole(line, len(ids), model))
            rows.append(line)
            ids.append(task_id)
            prompts.append(cells[column_index["prompt"]])
            groups.append(cells[column_index["eval_name"]] if "eval_name" in column_index else "")
    tasks = _tasks(source, np.array(rows, dtype=np.int64), ids, prompts, groups)
    return tasks, outcomes.build(source), holes


def _read_parquet(
    path: Path, wanted: Sequence[str] | None
) -> tuple[TaskColumns, OutcomeColumns, list[Hole]]:
    source = Source.of(path, "row", _COLUMN_NAMES)
    models: list[str] = []

    def columns(names: list[str]) -> list[str]:
        if set(_REQUIRED) <= set(names):  # else ParquetColumns reports the missing ones
            models.extend(_model_columns(names, source, wanted))
        return ["eval_name", *models, *(model + _COST for model in models)]

    file = ParquetColumns.read(path, _REQUIRED, columns)
    ids = file.texts("sample_id", integers=True)
    prompts = file.texts("prompt")
    groups = [""] * file.length
    if file.has("eval_name"):
        groups = file.texts("eval_name", null="").texts()
    score = np.stack([file.numbers(model) for model in models], axis=1)
    cost = np.stack([file.numbers(model + _COST) for model in models], axis=1)
    task, model = np.nonzero(~np.isnan(score))
    tasks = _tasks(
        source,
        file.rows,
        ids.texts(),
        prompts.texts(),
        groups,
    )
    holes = [
        Hole(int(file.rows[at]), int(at), models[of])
        for at, of in np.argwhere(np.isnan(score)).tolist()
    ]
    outcomes = OutcomeColumns(
        source=source,
        rows=file.rows[task],
        task=task,
        model=model,
        models=models,
        score=score[task, model],
        cost_usd=cost[task, model],
        latency_s=np.full(len(task), np.nan),
    )
    return tasks, outcomes, holes


def _tasks(
    source: Source, rows: Ints, ids: list[str], prompts: list[str], groups: list[str]
) -> TaskColumns:
    with warnings.catch_warnings():
        # Backslashes in prompts that are no lists warn.
        warnings.simplefilter("ignore", SyntaxWarning)
        texts = [_prompt_text(prompt) for prompt in prompts]
    return TaskColumns(source, rows, ids, texts, [group or None for group in groups], None)


def _prompt_text(prompt: str) -> str:
    if prompt.startswith("[") and prompt.endswith("]"):
        try:
            turns = ast.literal_eval(prompt)  # literals only: nothing in it is run
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return prompt
        if turns and all(isinstance(turn, str) for turn in turns):
            return "\n".join(turns)
    return prompt
