"""Documents with one value of another type, messages of one line, and memory that reading takes.

Not here: any tool's files.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OTHERS: tuple[object, ...] = (
    *(None, True, -1, 10**400, float("nan"), "text", ""),
    *([], ["text", 1], {}, {"text": 1}),
)
_READ = """
import json, resource, sys
from pathlib import Path
from hypernova.table.importing.registry import log_readers
from hypernova.table.log_files.files import LogFile
from hypernova.table.sources.log import Sample
from hypernova.table.log_files.prompt_choice import PromptChoice

name, path = sys.argv[1:]
(reader,) = (reader for reader in log_readers() if reader.name == name)
log = LogFile(Path(path))
assert reader.recognise(log)
others = [LogFile(p) for p in sorted(log.path.parent.iterdir()) if p != log.path]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
records = reader.read(log, others, PromptChoice())
n_samples = sum(isinstance(record, Sample) for record in records)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([n_samples, (after - before) * 1024]))
"""


def altered(document: Any) -> Iterator[Any]:
    """Yield a document with each of its values in turn replaced, by each kind of JSON value.

    The document is changed in place and mended afterwards.
    """
    entries = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in list(entries):
        for other in _OTHERS:
            document[key] = other
            yield document
        document[key] = value
        if isinstance(value, dict | list):
            for _ in altered(value):
                yield document


def is_one_line(error: Exception) -> bool:
    """Return whether a message is one line with a remedy, and of bounded length."""
    text = str(error)
    return "\n" not in text and "; " in text and len(text) < 1000


def peak_memory_of_reading(reader: str, path: Path) -> tuple[int, int]:
    """Return the samples of a log, and the bytes by which reading it grew a new process."""
    ended = subprocess.run(
        [sys.executable, "-c", _READ, reader, str(path)],
        check=True,
        capture_output=True,
        text=True,
    )
    n_samples, grown = json.loads(ended.stdout)
    return n_samples, grown
