"""Read all prompts of the sample tables by the core and by the plain definitions.

Not here: tokens and vectors (`text.py`).

``python benches/reading.py`` takes a minute, prints a line for each table, and ends with 1 if a
prompt is read in another way. Times are the least of three of a whole table, in one process; of the
core, with the strings of Python that it returns.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import pyarrow.parquet
from benches.paths import sample_tables

from hypernova._core import ReadingRules, cut, cut_spans, is_blank, kept_spans, visible_span
from support import plain_reading

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD, TAIL, LEAD = 1536, 512, 160
RULES = ReadingRules(HEAD, TAIL, lead_chars=LEAD, has_lead=True, skip_courtesy=True)
ROUNDS = 3


def least(function: Callable[[str], Any], prompts: list[str]) -> float:
    """Microseconds a prompt."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for prompt in prompts:
            function(prompt)
        seconds.append(time.perf_counter() - start)
    return min(seconds) / len(prompts) * 1e6


def plainly(prompt: str) -> Any:
    return plain_reading.read(prompt, HEAD, TAIL, LEAD)


def is_alike(prompt: str) -> bool:
    short = plain_reading.cut(prompt, HEAD, TAIL)
    first, last = cut_spans(prompt, HEAD, TAIL)
    kept = ["".join(prompt[a:b] for a, b in spans) for spans in (first, last)]
    text = re.sub("[\ud800-\udfff]", "\ufffd", short)
    return (
        RULES.read(prompt) == plainly(prompt)
        and cut(prompt, HEAD, TAIL) == short == (" ".join(kept) if last else kept[0])
        and kept_spans(short) == plain_reading.kept_spans(text)
        and is_blank(prompt) == plain_reading.is_blank(prompt)
        and visible_span(prompt) == plain_reading.visible_span(prompt)
    )


def main() -> int:
    n_other = 0
    for path in sorted(sample_tables().glob("*/tasks.parquet")):
        prompts = pyarrow.parquet.read_table(path, columns=["prompt"])["prompt"].to_pylist()
        other = sum(not is_alike(prompt) for prompt in prompts)
        n_other += other
        core, plain = least(RULES.read, prompts), least(plainly, prompts)
        print(
            f"{path.parent.name}: {len(prompts)} prompts, {other} read in another way; "
            f"core {core:.1f} us, plain {plain:.1f} us, {plain / core:.0f}x"
        )
    return int(n_other > 0)


if __name__ == "__main__":
    sys.exit(main())
