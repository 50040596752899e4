"""A made-up evaluation tool: its logs, its reader, and a package that registers the reader.

Not here: the tests of importing. A log is JSON Lines: a header with the model and what the tool
states, then a sample a line.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from hypernova.table.sources import ToolLogReader
from hypernova.table.sources.log import LeftOut, Metric, Note, Reported, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from hypernova.table.log_files.files import LogFile
    from hypernova.table.log_files.prompt_choice import PromptChoice
    from hypernova.table.sources.log import Record

FIELDS = {field.name for field in dataclasses.fields(Sample)}


class MadeUpReader(ToolLogReader):
    """Read logs of the made-up tool."""

    name = "made-up"
    title = "Made Up"

    def recognise(self, file: LogFile) -> bool:
        return "made_up" in file.first_keys

    def accompanies(self, file: LogFile) -> bool:
        return "made_up_results" in file.first_keys

    def read(
        self, log: LogFile, others: Sequence[LogFile], prompt: PromptChoice
    ) -> Iterator[Record]:
        lines = log.objects()
        _, header = next(lines)
        if header["made_up"] == "broken":
            raise log.source.error("is broken", "mend it", at=1)
        if header["made_up"] == "bug":
            raise KeyError("no such key\nin the log")
        for name, better in header.get("metrics", {}).items():
            yield Metric(name, None, better)
        for figure in header.get("reported", ()):
            yield Reported(**figure)
        for text in header.get("notes", ()):
            yield Note(text)
        for other in others:
            for figure in json.loads(other.path.read_bytes())["made_up_results"]:
                yield Reported(**figure)
        for number, row in lines:
            left_out = row.get("left_out")
            values = {"group": None, "prompt": None, "place": f"line {number}", **row}
            values["left_out"] = None if left_out is None else LeftOut(left_out)
            if prompt.kind == "field":
                values["prompt"] = values.get(prompt.field)
            yield Sample(**{name: value for name, value in values.items() if name in FIELDS})


def write_log(
    path: Path, samples: Iterable[dict[str, Any]], kind: object = True, **header: Any
) -> Path:
    """Write a log of the made-up tool."""
    rows = [{"made_up": kind, **header}, *samples]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def sample(model: str = "small", task: str = "1", **values: Any) -> dict[str, Any]:
    """Return a sample with a prompt of its own for each task, and one score."""
    return {
        "model": model,
        "task": task,
        "prompt": f"prompt of {task}",
        "scores": {"match": 1},
        **values,
    }


def install(folder: Path, *, value: str, name: str = "made-up") -> Path:
    """Install a package that declares a log reader, as pip leaves it in a folder of packages.

    Args:
        folder: Where packages are; it is to stand on the search path.
        value: Module and class of the reader.
        name: Name of the entry point.
    """
    info = folder / "hypernova_made_up-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hypernova-made-up\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[hypernova.log_readers]\n{name} = {value}\n")
    (info / "RECORD").write_text("")
    return folder
