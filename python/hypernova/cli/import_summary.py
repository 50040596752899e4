"""Print what an import read and left out, whether its figures are those of the logs, and what next.

Not here: the figures (`hypernova.table.importing.summary`).
"""

from __future__ import annotations

import os
import shlex
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hypernova.offline_page.numbers import plural
from hypernova.paths import escaped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hypernova.table import OutcomeTable
    from hypernova.table.importing.summary import FigureAgreement, ImportSummary

COLUMNS = 80
LABEL = 12
# Longer lists are cut; `--json` has all.
MAX_MODELS, MAX_GROUPS, MAX_LINES = 30, 8, 8
_HEADER = "  mean  outcomes  costs  figures of the logs  model"
_NAME_AT = _HEADER.index("model")


@dataclass(frozen=True, slots=True)
class ImportCosts:
    """How many outcomes of a table have a cost and a latency.

    Attributes:
        outcomes: Number of outcomes.
        outcomes_with_cost: Number of these with a known cost.
        outcomes_with_latency: Number of these with a known latency.
        computed: Number of costs that come from tokens and prices.
        cost_shares: By model, the share of its outcomes with a known cost, 0..1.
        unpriced: Models that the prices do not list.
    """

    outcomes: int
    outcomes_with_cost: int
    outcomes_with_latency: int
    computed: int
    cost_shares: dict[str, float]
    unpriced: tuple[str, ...]

    @classmethod
    def of(cls, table: OutcomeTable, computed: int = 0, unpriced: Sequence[str] = ()) -> Self:
        """Count the outcomes of a table."""
        import numpy as np

        filled = ~np.isnan(table.score)
        with_cost = filled & ~np.isnan(table.cost_usd)
        of_model = np.maximum(filled.sum(axis=0), 1)
        shares = (with_cost.sum(axis=0) / of_model).tolist()
        return cls(
            outcomes=table.n_outcomes,
            outcomes_with_cost=int(with_cost.sum()),
            outcomes_with_latency=int((filled & ~np.isnan(table.latency_s)).sum()),
            computed=computed,
            cost_shares=dict(zip(table.models, shares, strict=True)),
            unpriced=tuple(unpriced),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the counts for JSON."""
        return {
            "outcomes": self.outcomes,
            "outcomes_with_cost": self.outcomes_with_cost,
            "outcomes_with_latency": self.outcomes_with_latency,
            "computed_costs": self.computed,
            "models_without_price": list(self.unpriced),
        }


def print_import(summary: ImportSummary, costs: ImportCosts) -> None:
    """Print the summary of an import in 80 columns.

    Args:
        summary: What was read.
        costs: Costs and latencies of the table.
    """
    for label, text in _facts(summary, costs):
        _print_fact(label, text)
    print()
    _print_models(summary, costs)
    _print_differences([one for one in summary.agreement if not one.agrees])
    _print_broken(summary.broken)
    _print_similar(summary.similar_models)
    for note in summary.notes:
        _print_wrapped(f"note: {note}")


def print_next(
    table: OutcomeTable, output: str | None, template: str | None, *, dry_run: bool
) -> None:
    """Print what was written, and the command that comes next.

    Args:
        table: The table.
        output: Path of the table, or None if it was not written.
        template: Path of the file of prices to fill in, or None if none was written.
        dry_run: Whether nothing was to be written.
    """
    print()
    if template is not None:
        print(f"wrote {_word(template)}")
        _print_wrapped(
            "next, fill in the prices, and give the same command with --prices "
            f"{_word(template)} -o TABLE in place of --prices-template"
        )
    if output is not None:
        size = f"{plural(table.n_tasks, 'task')} x {plural(table.n_models, 'model')}"
        print(f"wrote {_word(output)}: {size}, {plural(table.n_outcomes, 'outcome')}")
    if table.n_models == 1:
        _print_wrapped(
            "One model only: to route, a second is needed. Import its logs together with these, "
            "or add this one to an artifact of other models:"
        )
        print(f"  hypernova add-model ROUTER.hnv {_word(output or 'TABLE')} -o NEW.hnv")
    if dry_run:
        _print_wrapped(
            "nothing was written (--dry-run); next, give the same command with -o TABLE in its "
            "place, and then hypernova evaluate TABLE"
        )
    elif output is not None and table.n_models > 1:
        print("next, measure whether routing is worth it:")
        print(f"  hypernova evaluate {_word(output)}")


def _facts(summary: ImportSummary, costs: ImportCosts) -> Iterable[tuple[str, str]]:
    """Yield the label and the text of each line above the models."""
    tools = ", ".join(f"{n:,} of {title}" for title, n in summary.logs.items())
    yield "logs", f"{sum(summary.logs.values()):,}: {tools}"
    yield "samples", f"{summary.samples:,}, which gave {plural(costs.outcomes, 'outcome')}"
    if summary.repeats:
        yield "repeats", f"{plural(summary.repeats, 'outcome')} with the mean of several samples"
    if summary.left_out:
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in summary.left_out.items())
        samples = plural(sum(summary.left_out.values()), "sample")
        yield "left out", f"{samples}, of which none counts as 0: {reasons}"
    yield "tasks", f"{summary.tasks:,}{_groups(summary.groups)}"
    yield "filled", f"{_share(summary.filled)} of all pairs of a task and a model have an outcome"
    for metric, of_groups in _by_metric(summary.metrics).items():
        every = len(of_groups) == len(summary.groups)
        of = (
            ""
            if every
            else f" of {_listed([name or 'no group' for name in of_groups], MAX_GROUPS)}"
        )
        yield "score", f"{metric}{of}"
    yield "costs", _costs(costs)
    latencies = _share(costs.outcomes_with_latency / max(costs.outcomes, 1))
    yield "latencies", f"known for {latencies} of the outcomes"
    if summary.unknown_files:
        files = _listed([Path(file).name for file in summary.unknown_files], MAX_GROUPS)
        yield (
            "passed over",
            f"{plural(len(summary.unknown_files), 'file')} of no known tool: {files}",
        )


def _groups(groups: dict[str, int]) -> str:
    """Return the number of tasks of each group, the largest first."""
    order = sorted(groups.items(), key=lambda item: (-item[1], item[0]))
    named = [(name, n) for name, n in order if name]
    if not named:
        return ", without groups"
    text = _listed([f"{name} {n:,}" for name, n in named], MAX_GROUPS)
    rest = f"; {groups['']:,} without a group" if groups.get("") else ""
    return f" in {plural(len(named), 'group')}: {text}{rest}"


def _by_metric(metrics: dict[str, str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for group, metric in metrics.items():
        groups.setdefault(metric, []).append(group)
    return groups


def _costs(costs: ImportCosts) -> str:
    """Return how many outcomes have a cost, and what to do about the others."""
    known = _share(costs.outcomes_with_cost / max(costs.outcomes, 1))
    text = f"known for {known} of the outcomes"
    if costs.computed:
        text += f", {costs.computed:,} of them from tokens and prices"
    if costs.unpriced:
        text += f"; no price of {_listed(costs.unpriced, MAX_GROUPS)}"
    elif costs.outcomes_with_cost < costs.outcomes and not costs.computed:
        text += "; --prices computes them where tokens are known"
    return text


def _print_models(summary: ImportSummary, costs: ImportCosts) -> None:
    print(_HEADER)
    order = sorted(summary.models.items(), key=lambda item: (-item[1][1], item[0]))
    for model, (outcomes, mean) in order[:MAX_MODELS]:
        name = escaped(model)
        line = (
            f"{mean:6.4f}  {outcomes:8,}  {_share(costs.cost_shares.get(model, 0.0)):>5}  "
            f"{_agreeing([one for one in summary.agreement if one.model == model]):19}  "
        )
        if len(line) + len(name) > COLUMNS:  # a name that is cut can be given to no command
            line = f"{line.rstrip()}\n  "
        print(f"{line}{name}")
    if len(order) > MAX_MODELS:
        print(f"{'':{_NAME_AT}}and {len(order) - MAX_MODELS:,} more (--json)")


def _agreeing(figures: list[FigureAgreement]) -> str:
    """Return the figure of a model's log, or the number of several, and whether they agree."""
    if not figures:
        return "none"
    agree = sum(one.agrees for one in figures)
    if len(figures) == 1:
        return f"{figures[0].reported:.4f} {'agrees' if agree else 'differs'}"
    differ = len(figures) - agree
    return f"{differ:,} of {len(figures):,} differ" if differ else f"all {agree:,} agree"


def _print_differences(differing: list[FigureAgreement]) -> None:
    if not differing:
        return
    print("\nfigures of the logs that differ from the table's:")
    for one in differing[:MAX_LINES]:
        of = "" if one.group is None else f", {one.group}"
        _print_wrapped(
            f"{Path(one.log).name}: {one.name} of {one.metric} of {one.model}{of} is "
            f"{one.reported:.4f} there and {one.mean:.4f} here, over "
            f"{plural(one.outcomes, 'outcome')}: {one.reason or 'no reason is known'}",
            indent=2,
        )
    _print_rest(len(differing))


def _print_broken(broken: dict[str, str]) -> None:
    if not broken:
        return
    verbs = "is left out: it" if len(broken) == 1 else "are left out: they"
    print(f"\n{plural(len(broken), 'log')} {verbs} cannot be read")
    for log, reason in list(broken.items())[:MAX_LINES]:
        _print_wrapped(reason if log in reason else f"{log}: {reason}", indent=2)
    _print_rest(len(broken))


def _print_similar(similar: Sequence[Sequence[str]]) -> None:
    if not similar:
        return
    from hypernova.table.importing.names import suggested_renames

    print("\nnames that look like one model; if they are, put this into a file for --rename:")
    # One object, whatever the number of lines, so that the file can be read.
    shown = [escaped(suggested_renames(names))[1:-1] for names in similar[:MAX_LINES]]
    print("  {" + ",\n   ".join(shown) + "}")
    _print_rest(len(similar))


def _print_rest(n: int) -> None:
    if n > MAX_LINES:
        print(f"  and {n - MAX_LINES:,} more (--json)")


def _print_fact(label: str, text: str) -> None:
    _print_wrapped(text, first=f"{label:{LABEL}}", indent=LABEL)


def _print_wrapped(text: str, *, first: str | None = None, indent: int = 0) -> None:
    lead = " " * indent if first is None else first
    print(
        textwrap.fill(
            escaped(text), COLUMNS, initial_indent=lead,
            subsequent_indent=" " * (indent if first is not None else indent + 2),
            break_on_hyphens=False, break_long_words=False,
        )
    )  # fmt: skip


def _listed(names: Iterable[str], maximum: int) -> str:
    every = [escaped(name) for name in names]
    shown = ", ".join(every[:maximum])
    return f"{shown} and {len(every) - maximum:,} more" if len(every) > maximum else shown


def _share(share: float) -> str:
    """Return a percentage that is 100 or 0 only where it is exact."""
    percent = 100.0 * share
    if 0.0 < percent < 0.1:
        return "<0.1%"
    if 99.9 < percent < 100.0:
        return ">99.9%"
    return f"{percent:.0f}%" if percent in (0.0, 100.0) else f"{percent:.1f}%"


def _word(path: str) -> str:
    """Return a path as a shell takes it, on one line."""
    return escaped(shlex.quote(os.fsdecode(path)))
