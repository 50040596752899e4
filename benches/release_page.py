"""Write the page of a version's figures from its records, with what was not reached.

Not here: measuring (`release_record.py`), and reading records (`records.py`). No figure is typed
here but goals: all others are read from the records, the latest of each kind.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benches.paths import ROOT
from benches.records import Record, RecordError, Records, Table, value_of
from benches.release_steps import STEPS

import hypernova

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = ROOT / "docs" / "record.md"
# Libraries that search for the nearest centroid, in the columns of the page.
PEERS = {
    "numpy": "NumPy",
    "faiss-cpu": "faiss",
    "usearch": "usearch",
    "nordlys-core": "Nordlys' core",
}
# Routers that read the text alone, as hypernova does.
ROUTERS = (
    *("best single model", "kNN", "ridge per model", "plain ridge", "logistic per model"),
    "Nordlys' recipe",
)
GROUP_KNOWN = "best model of the group, group known"
# The standard errors within which a loss is not told from none.
ERRORS = 2.0

Row = dict[str, str]
# A column of a record, or the head to show and the column.
Column = str | int | tuple[str, str | int]


@dataclass(frozen=True)
class Part:
    """One table of the page.

    Attributes:
        group: The part of the page that it stands in.
        title: What it shows.
        kind: The record that it is of.
        make: Makes the rows, by head of the column; the first names the row.
        goal: The goal, in words; empty for none.
        reached: Tells whether a row reaches it; None where the goal says nothing of the row.
        only_missed: Show the rows alone that do not reach it, and count the others.
    """

    group: str
    title: str
    kind: str
    make: Callable[[Record], list[Row]]
    goal: str = ""
    reached: Callable[[Row], bool | None] = lambda _: None
    only_missed: bool = False


def number(cell: str, nth: int = 0) -> float:
    """Return a number of a cell."""
    return value_of(cell, nth).number


def copied(
    *columns: Column, section: str = "", nth: int = 0, names: int = 1
) -> Callable[[Record], list[Row]]:
    """Copy columns of a table of the record; all of them by default.

    Args:
        columns: Heads, or the beginnings of heads, or places; or a head to show, with one of them.
        section: A part of the heading above the table.
        nth: Number of the table below such headings.
        names: How many of the columns together name a row.
    """

    def make(record: Record) -> list[Row]:
        return rows_of(record.table(section, nth), columns, names)

    return make


def rows_of(table: Table, columns: tuple[Column, ...], names: int = 1) -> list[Row]:
    """Return rows of a table by head, with a first column that names them."""
    shown = {}
    for column in columns or range(len(table.head)):
        head, where = column if isinstance(column, tuple) else (None, column)
        place = table.column(where)
        head = head or table.head[place]
        if head in shown:
            raise RecordError(f"two columns are called {head!r}")
        shown[head] = place
    heads = list(shown)
    return [
        {"": ", ".join(cells[shown[head]] for head in heads[:names])}
        | {head: cells[shown[head]] for head in heads[names:]}
        for cells in table.rows
    ]


def all_sections(*columns: Column) -> Callable[[Record], list[Row]]:
    """Copy columns of each table of the record, and name rows by the heading above, too."""

    def make(record: Record) -> list[Row]:
        return [
            row | {"": f"{table.section}: {row['']}" if table.section else row[""]}
            for table in record.tables
            for row in rows_of(table, columns)
        ]

    return make


def beside_libraries(record: Record) -> list[Row]:
    """Return the searches of `speed`: hypernova's time, and how often as long others take."""
    if record.sheet is None:
        raise RecordError(f"{record.path.name}: there is no CSV beside it")
    sheet = {(row["row"], row["library"]): row for row in record.sheet}
    rows = []
    for name, library in sheet:
        if library == "hypernova" and any((name, peer) in sheet for peer in PEERS):
            row = {"": name, "hypernova": f"{float(sheet[name, library]['median_ns']):,.0f} ns"}
            for peer, shown in PEERS.items():
                ratio = sheet.get((name, peer), {}).get("ratio", "")
                row[shown] = f"{float(ratio):.1f} x" if ratio else ""
            rows.append(row)
    return rows


def from_text(record: Record) -> list[Row]:
    """Return the whole way from a text, of `speed`."""
    if record.sheet is None:
        raise RecordError(f"{record.path.name}: there is no CSV beside it")
    return [
        {
            "": f"{row['row'].removeprefix('text of ').partition(':')[0]}, "
            f"{row['library'].removeprefix('hypernova, ')}",
            "median": f"{float(row['median_ns']) / 1e3:,.1f} us",
            "99%": f"{float(row['p99_ns']) / 1e3:,.1f} us",
        }
        for row in record.sheet
        if row["row"].endswith("route, the whole")
    ]


def beside_routers(record: Record) -> list[Row]:
    """Return the accuracy of each router on each table, and those that hypernova is behind."""
    if record.sheet is None:
        raise RecordError(f"{record.path.name}: there is no CSV beside it")
    rows = []
    sheet = {(row["table"], row["router"]): row for row in record.sheet}
    for name in dict.fromkeys(table for table, _ in sheet):
        row = {"": f"`{name}`"}
        for router in ("hypernova", *ROUTERS, GROUP_KNOWN):
            found = sheet.get((name, router))
            row[router] = f"{float(found['accuracy']):.4f}" if found else ""
        for head, bound, sign in (("ahead of", "minus_low", 1), ("behind", "minus_high", -1)):
            row[head] = ", ".join(
                router
                for router in ROUTERS
                if (name, router) in sheet
                and (limit := sheet[name, router][bound])
                and sign * float(limit) > 0
            )
        rows.append(row)
    return rows


def beside_routerdc(record: Record) -> list[Row]:
    """Return the accuracy on RouterDC's split, and what each row has more than RouterDC."""
    rows = rows_of(record.table(), (0, "5 test sets", "3 other sets"))
    published = next((row for row in rows if row[""].startswith("RouterDC")), None)
    if published is None:
        raise RecordError(f"{record.path.name}: no row of RouterDC")
    for row in rows:
        for head in list(published)[1:]:
            row[f"{head}, above RouterDC"] = f"{number(row[head]) - number(published[head]):+.2f}"
    return rows


def at_least(column: str, least: float) -> Callable[[Row], bool | None]:
    """Tell whether a number is at least another one; an empty cell says nothing."""
    return lambda row: number(row[column]) >= least if row.get(column) else None


def at_most(column: str, most: float) -> Callable[[Row], bool | None]:
    """Tell whether a number is at most another one; an empty cell says nothing."""
    return lambda row: number(row[column]) <= most if row.get(column) else None


def begins(column: str, *words: str) -> Callable[[Row], bool | None]:
    """Tell whether a cell begins with one of some words; an empty cell says nothing."""
    return lambda row: row[column].startswith(words) if row.get(column) else None


def no_loss(column: str) -> Callable[[Row], bool | None]:
    """Tell whether a gain with its standard error is no loss beyond `ERRORS` of them.

    A gain of one draw has no error, and is taken as it is.
    """

    def reached(row: Row) -> bool | None:
        if not row.get(column):
            return None
        error = number(row[column], 1) if "(" in row[column] else 0.0
        return number(row[column]) + ERRORS * error >= 0

    return reached


def all_peers(row: Row) -> bool:
    """Tell whether no library takes less time."""
    return all(number(row[peer]) >= 1 for peer in PEERS.values() if row[peer])


PARTS = (
    Part(
        "Speed", "From a vector, beside other libraries", "speed", beside_libraries,
        "no library takes less time (its time in those of hypernova, in turns)", all_peers,
    ),
    Part(
        "Speed", "From a vector, beside 0.1.0", "versions",
        copied(0, ("before", 1), ("now", 2), "ratio", "least"),
        "no case takes more than a twentieth longer, by the least times",
        at_least("least", 0.95),
    ),
    Part(
        "Text", "From a text, alone", "speed", from_text,
    ),
    Part(
        "Text", "Beside 0.1.0", "text-versions",
        copied("row", ("before", 1), ("now", 3), "ratio"),
        "nothing takes longer", at_least("ratio", 1.0),
    ),
    Part(
        "Text", "By the core, and by onnxruntime", "runtimes", copied(),
        "the core takes no longer", at_least("ratio", 1.0),
    ),
    Part(
        "Text", "A static model, beside model2vec", "static-models",
        copied("texts", "model2vec", "hypernova, float32", "hypernova, int8", "model2vec to"),
        "no length takes longer", at_least("model2vec to float32", 1.0),
    ),
    Part(
        "Text", "Whole processes, beside 0.1.0", "processes",
        copied(0, ("before", 1), ("now", 2), "ratio"),
        "nothing takes longer, or more memory",
        lambda row: None if row[""] == "python alone" else number(row["ratio"]) >= 1,
    ),
    Part(
        "Quality", "Held-out accuracy, beside other routers in the same folds", "quality",
        beside_routers, "behind none that reads the text alone, beyond the 95% interval",
        lambda row: not row["behind"],
    ),
    Part(
        "Quality", "Verdicts", "verdicts",
        copied("table", "router", "best single", "gain", "over shuffled", "group given",
               "unseen kinds", "verdict"),
    ),
    Part(
        "Quality", "Targets: accuracy kept, and cost saved", "verdicts",
        copied("table", "asked", "accuracy kept", "cost saved", section="Targets", names=2),
    ),
    Part(
        "Quality", "RouterDC's own split", "routerdc-split",
        beside_routerdc, "RouterDC's accuracy as published, without training an encoder",
        lambda row: (
            all(number(cell) >= 0 for head, cell in row.items() if head.endswith("above RouterDC"))
            if row[""].startswith("hypernova") else None
        ),
    ),
    Part(
        "Robustness", "Kinds of task that some models were never tried on", "holes", copied(),
        "small regret, and an interval that holds the truth", begins("good", "yes"),
    ),
    Part(
        "Robustness", "Kinds of task that the table lacks", "unseen",
        copied("table", "unseen", "kinds that return", "kinds left out", names=2),
        "no loss on kinds that were left out, beyond two standard errors",
        no_loss("kinds left out"),
    ),
    Part(
        "Robustness", "Lines that say nothing of a task", "robustness-static",
        copied("table", ("mean of lines held out", 2), ("fresh", 3), ("worst held out", 5),
               ("worst fresh", 6), "over 5%"),
        "no line changes more than 5% of the decisions",
        lambda row: number(row["over 5%"]) == 0 if row.get("over 5%") else None,
    ),
    Part(
        "Robustness", "Few tasks", "few-tasks",
        copied("table", "tasks", "gain", "worst draw", "within", names=2),
        "no more than 0.3 points lost on average, with 30 to 600 tasks",
        begins("within", "yes"), only_missed=True,
    ),
    Part(
        "Robustness", "Many models", "many-models",
        all_sections("models", "best single", 2, "best model of each group"),
        "no loss beyond two standard errors", no_loss("now"), only_missed=True,
    ),
    Part(
        "Robustness", "Tables that lie: notes on tables as they are", "lying-tables",
        all_sections("table", "false notes"), "no false note",
        lambda row: number(row["false notes"]) == 0, only_missed=True,
    ),
    Part(
        "Robustness", "The same decisions", "stability",
        copied("table", "by the seed", "without a 20th", "within"),
        "at most 5% change with the seed, and 10% without a 20th of the tasks",
        begins("within", "yes"),
    ),
    Part(
        "Learning and monitoring", "Learning from use", "learning-from-use",
        copied("table", "logged", "explore", "all outcomes", "with sketches", "share", "within",
               names=3),
        "no mean loss of more than 0.2 points; half of what all outcomes would gain, with 3,000 "
        "logged and an exploration of 0.1",
        lambda row: row["within"] == "yes",
    ),
    Part(
        "Learning and monitoring", "A year without a change", "monitoring-worlds",
        copied("decisions a day", "errors", "worlds", "false alarm", "gain outside", names=2,
               section="without a change"),
        "a false alarm in at most one world of twenty",
        lambda row: (
            number(row["false alarm of a change"]) <= 0.05 * number(row["worlds"])
            if row[""].startswith("all") else None
        ),
    ),
    Part(
        "Learning and monitoring", "A drop of 5 points", "monitoring-worlds",
        copied("decisions a day", "errors", "worlds", "found in the year", "days to the alarm",
               names=2, section="loses"),
        "found within the year",
        lambda row: number(row["found in the year"]) == number(row["worlds"]),
    ),
    Part(
        "Scale", "Large tables on two cores", "scale", copied(), "ten million tasks in two hours",
        lambda row: (
            bool(row.get("10,000,000 tasks"))
            if row[""] in {"fit: time, s", "route: time, s"} else None
        ),
    ),
    Part(
        "Service", "A steady load, and a worker that is killed", "serve-load", copied(),
        "the 99th percentile within 5 ms", at_most("p99", 5.0),
    ),
    Part(
        "Service", "Requests a second, beside 0.1.0", "serve-versions", copied(),
        "twice those of 0.1.0",
        lambda row: None if row[""] == "before" else number(row["ratio"]) >= 2,
    ),
    Part(
        "Service", "Turns of an event loop with 64 requests in flight, in ms", "event-loop",
        copied("embedder", "prompts of", "requests/s", "median", "99%", "over 1 ms", names=2),
    ),
    Part("Size", "Sizes", "sizes", copied()),
)  # fmt: skip


def page_of(records: Records) -> str:
    """Return the page."""
    made = _log(records)
    parts, missed = [], []
    group = ""
    for part in PARTS:
        if part.group != group:
            group = part.group
            parts += [f"## {group}", ""]
        lines, names = _part(part, records.latest(part.kind))
        parts += lines
        missed += [f"- {part.title}: {'; '.join(names)}"] if names else []
    kinds = list(dict.fromkeys(part.kind for part in PARTS))
    found = [record for kind in kinds if (record := records.latest(kind)) is not None]
    without = [kind for kind in kinds if records.latest(kind) is None]
    missed += [f"- Not measured: {', '.join(without)}"] if without else []
    lines = [
        f"# The record of {hypernova.__version__}",
        "",
        "All figures of this page are read from the records of `benches/record/` by "
        "`make record`; each has its goal beside it, and what did not reach it is named.",
        "",
        _commits(found),
        "",
        "## Not reached",
        "",
        *(missed or ["Nothing, of what was measured."]),
        "",
        *parts,
        "## How each was measured",
        "",
        "One benchmark at a time, each a process of its own. *Load* is the load average of the "
        "minute before it, *minutes* is what it took.",
        "",
        "| record | command | commit | date | machine | load | minutes | cut or missing |",
        "| --- | --- | --- | --- | --- | ---: | ---: | --- |",
        *(_how(record, made) for record in found),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _commits(found: list[Record]) -> str:
    commits: dict[str, list[str]] = {}
    for record in found:
        commits.setdefault(record.commit, []).append(record.kind)
    if len(commits) == 1:
        return f"All were made on commit {found[0].commit}."
    if not commits:
        return "There are no records."
    named = "; ".join(f"{commit}: {', '.join(kinds)}" for commit, kinds in commits.items())
    return f"**Records of several commits**: {named}."


def _part(part: Part, record: Record | None) -> tuple[list[str], list[str]]:
    """Return the lines of a table, and the rows that do not reach its goal."""
    lines = [f"### {part.title}", ""]
    goal = f"Goal: {part.goal}." if part.goal else ""
    if record is None:
        return [*lines, f"Not measured. {goal}".rstrip(), ""], []
    try:
        rows = part.make(record)
        verdicts = [part.reached(row) for row in rows]
    except (RecordError, KeyError) as error:
        return [*lines, f"The record has another form: {error}", ""], []
    missed = [row[""] for row, verdict in zip(rows, verdicts, strict=True) if verdict is False]
    partial = " **Partial.**" if record.is_partial else ""
    judged = sum(verdict is not None for verdict in verdicts)
    said = f"{goal} Reached by {judged - len(missed)} of {judged}." if goal else ""
    link = f"[{record.date}, {record.commit}](../benches/record/{record.path.name})"
    lines += [f"{said} {link}.{partial}".strip(), ""]
    shown = list(zip(rows, verdicts, strict=True))
    if part.only_missed:
        shown = [(row, verdict) for row, verdict in shown if verdict is False]
    return [*lines, *_table(shown, judge=bool(goal)), *([""] if shown else [])], missed


def _table(rows: list[tuple[Row, bool | None]], *, judge: bool) -> Iterator[str]:
    if not rows:
        return
    heads = [*rows[0][0], *(["reached"] if judge else [])]
    yield f"| {' | '.join(heads)} |"
    yield "| --- |" + " ---: |" * (len(heads) - 1)
    for row, verdict in rows:
        last = [{True: "yes", False: "**no**", None: ""}[verdict]] if judge else []
        cells = [*row.values(), *last]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _log(records: Records) -> dict[str, Row]:
    """Return the rows of the logs of `make record`, by the name of the record's page."""
    made = {}
    for path in sorted(records.folder.glob("*-release.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            made |= {row["record"]: row for row in csv.DictReader(file) if row["record"]}
    return made


def _how(record: Record, made: dict[str, Row]) -> str:
    row = made.get(record.path.name, {})
    step = next((step for step in STEPS if row and step.kind == record.kind), None)
    notes = "; ".join(part for part in (row.get("note", ""), step.cut if step else "") if part)
    name = f"[{record.kind}](../benches/record/{record.path.name})"
    command = step.shown if step else record.command
    command = f"`{command}`" if command else ""
    cells = [name, command, record.commit, record.date, record.machine]
    cells += [row.get("load", ""), row.get("minutes", ""), notes]
    return f"| {' | '.join(cells)} |"
