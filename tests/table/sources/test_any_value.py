"""Any value of a log replaced by any other: records, or one line that says what is wrong.

Not here: which of the two it is, for each reader in its own tests.
"""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypernova.errors import TableError
from hypernova.table.importing.registry import log_readers
from hypernova.table.sources.files import LogFile
from hypernova.table.sources.prompt_choice import PromptChoice

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGS = Path(__file__).parents[3] / "examples" / "logs"
PROMPTS = st.sampled_from(["auto", "sent", "user", "field:input"])
TEXTS = ["", "x", "{}", "[1]", '{"messages": 3}', "\ud800", "2026-13-45", "0001-01-01T00:00+23:59"]
LEAVES = st.sampled_from([None, True, False, 0, -1, 0.5, 10**400, math.nan, math.inf, *TEXTS])
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["messages", "input", "content", "role"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def spend() -> list[Any]:
    with (LOGS / "litellm_spend" / "spend_logs.csv").open() as file:
        return [
            {
                name: json.loads(cell) if cell[:1] in {"{", "["} else cell
                for name, cell in row.items()
            }
            for row in list(csv.DictReader(file))[::4]
        ]


def board() -> Any:
    details = {f"i{at}": {"resolved": at == 1, "cost": 0.1} for at in range(2)}
    entry = {"resolved": 50.0, "date": "2026", "per_instance_details": details}
    results = [{"name": name, **entry} for name in "ab"]
    return {"leaderboards": [{"name": "Verified", "results": results}]}


LANGFUSE = [lines(LOGS / "langfuse" / f"{name}.jsonl") for name in ("observations", "scores")]
PROBLEMS = [{"instance_id": f"i{at}", "problem_statement": f"p{at}", "repo": "r"} for at in (0, 1)]
# The files of a log: the first is the log, the others stand beside it.
FILES: dict[str, list[Any]] = {
    "openai-evals": [lines(LOGS / "openai_evals" / "capitals_gpt-4.jsonl")],
    "langfuse": [rows[:8] for rows in LANGFUSE],
    "litellm-spend": [spend()],
    "swebench": [board(), PROBLEMS],
}


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the keys to a value and to all values in it."""
    yield at
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(one, (*at, key))


def replaced(value: Any, keys: tuple[Any, ...], to: object) -> Any:
    if not keys:
        return to
    copy = value.copy()
    copy[keys[0]] = replaced(value[keys[0]], keys[1:], to)
    return copy


def write(path: Path, content: Any) -> Path:
    if isinstance(content, list) and path.stem == "0":
        path.write_text("".join(json.dumps(row) + "\n" for row in content))
    else:
        path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
def test_any_value_replaced(name: str, data: st.DataObject) -> None:
    reader = next(reader for reader in log_readers() if reader.name == name)
    files = list(FILES[name])
    for _ in range(data.draw(st.integers(0, 3))):
        which = data.draw(st.integers(0, len(files) - 1))
        keys = data.draw(st.sampled_from(list(places(files[which]))))
        files[which] = replaced(files[which], keys, data.draw(VALUES))
        if keys == ():
            break
    prompt = PromptChoice.parse(data.draw(PROMPTS))
    with TemporaryDirectory() as folder:
        paths = [write(Path(folder) / f"{at}.json", file) for at, file in enumerate(files)]
        log, *others = map(LogFile, paths)
        if not reader.recognise(log):
            return
        beside = [other for other in others if reader.accompanies(other)]
        refusal = None
        try:
            list(reader.read(log, beside, prompt))
        except TableError as error:
            refusal = str(error)
        assert refusal is None or (refusal.isprintable() and "; " in refusal)
