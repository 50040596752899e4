"""`Report`: what the judge found, as a dict, as text and as a page.

Not here: how it was found.
"""

from __future__ import annotations

import copy
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypernova.evaluation.verdict import points
from hypernova.paths import escaped, write_file

if TYPE_CHECKING:
    import os


@dataclass(frozen=True)
class Report:
    """What `evaluate` found. ``print(report)`` shows the main figures.

    Attributes:
        values: As written by ``evaluate --json``; docs/evaluation.md lists the fields.
    """

    values: dict[str, Any]

    @property
    def verdict(self) -> str:
        """Worth it or not, by how much, how sure: one sentence."""
        sentence: str = self.values["verdict"]
        return sentence

    def to_dict(self) -> dict[str, Any]:
        """Give all of it, JSON-able: floats with 6 digits, None for what is unknown."""
        return copy.deepcopy(self.values)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write one page that needs no other file and no network.

        The page is complete or not there at all, and what stood there before still stands
        then. A device or a pipe, such as /dev/stdout, is written to as it is.

        Raises:
            NotFoundError: The folder does not exist.
            WriteError: The page cannot be written.
        """
        from hypernova.evaluation.html import render

        write_file(path, render(self.values).encode("utf-8"))

    def __repr__(self) -> str:
        return f"<Report {self.values['dataset']['name']}: {self.verdict}>"

    def __str__(self) -> str:
        # Names of groups and tables are free, and this goes to a terminal.
        return "\n".join(escaped(line) for line in _lines(self.values))


_ROWS = (
    ("held_out", "router, held-out"),
    ("best_single", "best single model, held-out"),
    ("in_sample", "router, in-sample (too good)"),
    ("best_single_hindsight", "best single, in hindsight"),
    ("cost_matched_mix", "mix of two at the same cost"),
    ("shuffled_clusters", "router on shuffled prompts"),
    ("random", "random model"),
    ("group_oracle", "best model per group, hindsight"),
    ("oracle", "best model per task, hindsight"),
)
_WIDTH = 88
# Points of the accuracy-cost curve that are shown in a terminal.
_SHOWN = 6


def _lines(values: dict[str, Any]) -> list[str]:
    dataset = values["dataset"]
    gain = values["gain"]
    lines = [
        values["verdict"],
        "",
        *_wrapped(
            f"{dataset['name']}: {dataset['tasks']:,} tasks, {len(dataset['models'])} models. "
            + values["protocol"]["text"]
        ),
        "",
        f"{'':32}  accuracy  95% interval       cost/task",
    ]
    lines += [_row(label, values[key]) for key, label in _ROWS if values[key] is not None]
    if gain["ci95"] is not None:
        low, high = (points(end, 2) for end in gain["ci95"])
        lines += ["", f"gain {points(gain['mean'], 2)} points, 95% interval {low} to {high}"]
        if gain["macro"] is not None:
            lines[-1] += f"; mean over groups {points(gain['macro'], 2)}"
    prompts = values["gain_over_shuffled"]
    if prompts["ci95"] is not None:
        low, high = (points(end, 2) for end in prompts["ci95"])
        mean = points(prompts["mean"], 2)
        lines.append(f"of it by prompts {mean} points, 95% interval {low} to {high}")
    for key in ("shared_text", "alike_prompts"):
        if values.get(key) is not None:  # a report of an older version has none
            lines += ["", *_wrapped(values[key]["text"])]
    left_out = values["leave_one_group_out"]
    if left_out is not None:
        lines += ["", "groups never seen (each left out in turn)"]
        lines.append(_row("router", left_out["held_out"]))
        lines.append(_row("best single model", left_out["best_single"]))
        lines.append(f"{'share taken for novel':32}  {left_out['novel']:.3f}")
    curve = _short(values["pareto"])
    if curve:
        lines += ["", "router, held-out, by cost weight"]
        lines += [_row(f"{point['cost_weight']:.3g} per USD", point) for point in curve]
    for note in values["notes"]:
        lines += ["", *_wrapped(f"note: {note}")]
    return lines


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _row(label: str, figure: dict[str, Any]) -> str:
    if figure["accuracy"] is None:
        return f"{label:32}  unknown"
    low, high = figure["ci95"]
    line = f"{label:32}  {figure['accuracy']:.4f}    {low:.4f} to {high:.4f}"
    if figure["cost_usd"] is not None:
        line += f"   ${figure['cost_usd']:.4g}"
    return line


def _short(curve: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A few points of the curve, evenly spaced in cost, from the dearest to the cheapest."""
    known = [point for point in curve if point["cost_usd"] is not None]
    if not known:
        return []
    dearest, cheapest = known[0]["cost_usd"], min(point["cost_usd"] for point in known)
    shown: list[dict[str, Any]] = []
    for step in range(_SHOWN):
        target = dearest + (cheapest - dearest) * step / (_SHOWN - 1)
        nearest = min(known, key=lambda point: abs(point["cost_usd"] - target))
        if nearest not in shown:
            shown.append(nearest)
    return shown
