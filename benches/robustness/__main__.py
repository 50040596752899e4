"""The command: change prompts of outcome tables in many ways, and write a record.

Not here: the changes (see ``lines``), and what they do (see ``measure`` and ``steering``).

    python -m benches.robustness [TABLE...] [--embedder static|minilm] [--prompts 400] [-o FOLDER]
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import time
from pathlib import Path

import numpy as np
from benches.paths import sample_tables
from benches.quality.__main__ import TABLES
from benches.record import processor, source_state, write_page
from benches.robustness.lines import (
    FRESH,
    NEUTRAL,
    TOPICAL,
    Change,
    neutral_changes,
    topical_changes,
)
from benches.robustness.measure import HeldOutRouters, Moved
from benches.robustness.steering import CANDIDATES, ROUNDS, SCORED, search, words_of
from threadpoolctl import threadpool_limits

import hypernova
from hypernova.embedder import Embedder, bundled_embedders

# A line at the end or in the middle is put into one prompt of so many.
EVERY = 4
SHOWN = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", default=TABLES, metavar="TABLE")
    parser.add_argument("--embedder", default="static", choices=sorted(bundled_embedders()))
    parser.add_argument("--prompts", type=int, default=400)
    parser.add_argument("--no-search", action="store_true", help="leave the search out")
    parser.add_argument("-o", "--output", type=Path, help="folder of the record")
    arguments = parser.parse_args()
    embedder, start = Embedder.load(arguments.embedder), time.monotonic()
    folder = bundled_embedders()[arguments.embedder]
    words = words_of(json.loads((folder / "tokenizer.json").read_text(encoding="utf-8")))
    rows, worst, steered = [], [], []
    for name in arguments.tables:
        path = sample_tables() / name if name in TABLES else Path(name)
        if not path.exists():
            print(f"skipped {name}: {path} is missing; set HYPERNOVA_SHARED", file=sys.stderr)
            continue
        table = hypernova.OutcomeTable.read(path)
        with threadpool_limits(1):
            routers = HeldOutRouters(table, embedder, arguments.prompts)
            neutral = [routers.move(change, _every(change)) for change in neutral_changes()]
            topical = [routers.move(change) for change in topical_changes()]
            found = None
            if not arguments.no_search:
                target = _target(routers, topical)
                found = table.models[target], *search(routers, words, target)
        rows.append(_row(table.name, neutral))
        steered.append(_steered(table.name, neutral, topical, found))
        worst += _worst(table.name, neutral)
        print(rows[-1], steered[-1], sep="\n", flush=True)
    if not rows:
        sys.exit("no table to measure on; name one, or set HYPERNOVA_SHARED")
    commit, changed = source_state()
    lines = sum(map(len, NEUTRAL.values())) + len(FRESH)
    record = [
        f"# Decisions that one line changes, {embedder.name}, {datetime.date.today()}, "
        f"commit {commit}",
        "",
        f"{processor()}, Python {sys.version.split()[0]}, uncommitted changes: "
        f"{changed}, {(time.monotonic() - start) / 60:.0f} minutes. "
        f"{arguments.prompts} prompts of each table drawn with seed 0, each asked of a router that "
        f"was fitted without it. {lines} lines that say nothing of a task in front (all prompts), "
        f"at the end and in the middle (one prompt in {EVERY}), and forms; *development*, "
        "*held out* and *fresh* as `benches/robustness/lines.py` says. Share of the decisions "
        "that change, in percent. `python -m benches.robustness`.",
        "",
        "| table | mean: development | held out | fresh | worst: development | held out | fresh "
        "| over 5% | worst, more than ten lines |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *rows,
        "",
        f"Steering, in points of all decisions. *Neutral*: the largest rise of one model's share "
        f"by a line of that list. *Topical*: by the best of {len(TOPICAL)} lines that name a kind "
        "of task, in front; *dearest*: that of the dearest model by any line of both lists. "
        f"*Search*: a line of {ROUNDS} words, each the best of {CANDIDATES} drawn from the "
        f"tokenizer's, scored on {SCORED} prompts and tested on others, towards the dearest "
        "model, or, where no cost is known, the one that the best topical line favours.",
        "",
        "| table | neutral | topical | best topical line | dearest | search | model | line |",
        "| --- | ---: | ---: | --- | ---: | ---: | --- | --- |",
        *steered,
        "",
        f"The {SHOWN} worst changes of each table:",
        "",
        "| table | changed | kind | place | line or form | |",
        "| --- | ---: | --- | --- | --- | --- |",
        *worst,
    ]
    write_page(record, arguments.output, commit, f"robustness-{embedder.name}")


def _every(change: Change) -> int:
    return EVERY if change.place in ("end", "middle") else 1


def _target(routers: HeldOutRouters, topical: list[Moved]) -> int:
    if routers.dearest is not None:
        return routers.dearest
    line = max(topical, key=lambda moved: moved.to_one).change
    rows = np.arange(len(routers.prompts))
    now = routers.decide([line.apply(prompt) for prompt in routers.prompts], rows)
    return int(routers.rise(now, rows).argmax())


def _row(name: str, neutral: list[Moved]) -> str:
    parts = [
        [moved.changed for moved in neutral if moved.change.part == part]
        for part in ("development", "held out", "fresh")
    ]
    long = np.array([moved.changed_long for moved in neutral])
    cells = [
        f"`{name}`",
        *(f"{100 * np.mean(shares):.1f}" for shares in parts),
        *(f"{100 * max(shares):.1f}" for shares in parts),
        f"{sum(moved.changed > 0.05 for moved in neutral)} of {len(neutral)}",
        "" if np.isnan(long).all() else f"{100 * np.nanmax(long):.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def _steered(
    name: str, neutral: list[Moved], topical: list[Moved], found: tuple[str, str, float] | None
) -> str:
    best = max(topical, key=lambda moved: moved.to_one)
    dearest = max(moved.to_dearest for moved in [*neutral, *topical])
    cells = [
        f"`{name}`",
        f"{100 * max(moved.to_one for moved in neutral):.1f}",
        f"{100 * best.to_one:.1f}",
        f"`{best.change.name}`",
        "" if np.isnan(dearest) else f"{100 * dearest:.1f}",
        *(("", "", "") if found is None else (f"{100 * found[2]:.1f}", found[0], f"`{found[1]}`")),
    ]
    return f"| {' | '.join(cells)} |"


def _worst(name: str, neutral: list[Moved]) -> list[str]:
    worst = sorted(neutral, key=lambda moved: -moved.changed)[:SHOWN]
    return [
        f"| `{name}` | {100 * moved.changed:.1f} | {moved.change.kind} | {moved.change.place} "
        f"| `{' / '.join(moved.change.name.splitlines()).replace('|', ' ')}` "
        f"| {moved.change.part} |"
        for moved in worst
    ]


if __name__ == "__main__":
    main()
