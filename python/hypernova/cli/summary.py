"""What commands print of an artifact: how it did, what it holds.

Not here: what a report says; that is in `hypernova.evaluation`.
"""

from __future__ import annotations

import json
import textwrap
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from hypernova.artifact.metadata import metadata_of
from hypernova.paths import escaped

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypernova import Artifact

COLUMNS = 80
CELL = len("*100.0±12.3 ")
MARGIN = len("cluster      n  ")
# Background and foreground of the 256 colours of a terminal, from low to high success;
# each pair has enough contrast to be read.
RAMP = ((195, 16), (153, 16), (117, 16), (75, 16), (25, 231))


def print_summary(artifact: Artifact) -> None:
    """What an artifact is and how it did, each figure labelled."""
    metadata = metadata_of(artifact)
    identity = json.loads(artifact.embedder)
    print(
        f"{artifact.n_clusters} clusters, {len(artifact.models)} models, "
        f"default {escaped(artifact.default_model)}, embedder "
        f"{escaped(str(identity['name']))}"
    )
    for name, told in (
        ("recalibration", _recalibrated),
        ("in_sample", _in_sample),
        ("selection", _selected),
        ("target", _target),
    ):
        if metadata.get(name):
            _print_known(name, told, metadata[name])
    _print_shared(metadata, identity)
    print_changes(metadata)


def _print_known(name: str, told: Callable[[Any], str], value: Any) -> None:
    """Print what the metadata say; they are free, and another program may have written them."""
    try:
        lines = told(value).splitlines()
    except (AttributeError, LookupError, TypeError, ValueError):
        lines = [f"{name:24}  is of a form that this version does not know"]
    for line in lines:
        print(escaped(line))


def _recalibrated(folded: Any) -> str:
    if not folded["outcomes"]:
        return ""
    return (
        f"recalibrated              with {folded['outcomes']:d} logged outcomes; the figures "
        "that follow\n                          are those of the fit, before that"
    )


def _in_sample(figures: Any) -> str:
    return (
        f"in-sample accuracy        {figures['accuracy']:.4f} with {figures['models_used']:d} "
        f"models; best single {figures['best_single']:.4f} "
        f"({escaped(figures['best_single_model'])})\n"
        "                          rates and test are the same tasks: "
        "this says nothing about new ones"
    )


def _selected(figures: Any) -> str:
    return (
        f"cross-validated accuracy  {figures['accuracy']:.4f}; "
        f"best single of each fold {figures['best_single']:.4f}\n"
        f"                          {figures['folds']:d} folds, {figures['repeats']:d} times; they "
        "also chose the setting, so slightly too good"
    )


def _target(figures: Any) -> str:
    return (
        f"held-out at the target    {figures['accuracy']:.4f} at ${figures['cost_usd']:.4f} a "
        f"task, with a cost weight of {figures['cost_weight']:.4g}\n"
        "                          the same folds chose the weight, so slightly too good"
    )


def _print_shared(metadata: dict[str, Any], identity: dict[str, Any]) -> None:
    """Print what the prompts of the table share, and what of it every request loses."""
    if not (metadata.keys() & {"shared_text", "alike_prompts"} or "skip" in identity):
        return
    from hypernova.training.shared_text import alike_sentence, shared_sentence, skipped_sentence

    said = []
    for key, sentence in (("shared_text", shared_sentence), ("alike_prompts", alike_sentence)):
        # Metadata is free: another program may have written something else there.
        with suppress(KeyError, TypeError, ValueError, AttributeError):
            if key in metadata:
                said.append(sentence(metadata[key]))
    if "skip" in identity and not said:
        said.append(skipped_sentence(identity))
    for name, text in zip(["shared text"] + [""] * len(said), said, strict=False):
        print(
            textwrap.fill(
                text, COLUMNS + 8, initial_indent=f"{name:26}", subsequent_indent=" " * 26,
                break_on_hyphens=False,
            )
        )  # fmt: skip


def print_changes(metadata: dict[str, Any]) -> None:
    """How the models were changed since the artifact was fitted, a line for each change."""
    changes = metadata.get("changes") or []
    for change in changes if isinstance(changes, list) else [changes]:
        _print_known("changes", _changed, change)


def _changed(change: Any) -> str:
    what = change.get("what")
    if what == "add_model":
        each = (f"{one['model']} ({one['prompts']} scored prompts)" for one in change["models"])
        told = f"added {', '.join(each)}"
    elif what == "remove_model":
        told = f"removed {', '.join(change['models'])}"
    elif what == "rename_model":
        told = f"renamed {change['model']} to {change['to']}"
    else:
        return ""  # something that another version did
    return f"since it was fitted       {escaped(told)}"


def heat_map(artifact: Artifact, *, colour: bool) -> list[str]:
    """Lines of a table of clusters by models: estimated success, its error, n.

    Models that some cluster takes come first, then the best of the others, as many as
    fit 80 columns.

    Args:
        artifact: To show.
        colour: Colour the cells, for a terminal.
    """
    from hypernova.artifact.decisions import NO_MODEL, chosen_models, success_at_centroids
    from hypernova.training.clustering.describe import one_line

    k = artifact.n_clusters
    # Under the artifact's own limits: what a caller without options gets.
    taken = chosen_models(artifact, artifact.centroids)
    shown = _worth_showing(artifact, taken)
    success = np.vstack([success_at_centroids(artifact), artifact.success[-1:]])
    error, counts = artifact.standard_error, artifact.counts
    letters = [chr(ord("A") + place) for place in range(len(shown))]
    low, high = success[:k, shown].min(), success[:k, shown].max()
    # Where each model has an outcome for each task, one n says it for the row.
    same = bool((counts[:, shown] == counts[:, shown[:1]]).all())
    lines = [
        "success in % at the cluster's centre, ± standard error; * is taken there",
        "in-sample: the rates behind its decisions, not a forecast",
        *_beyond_the_cluster(artifact),
        "cluster      n  " + "".join(f"{letter:>{CELL - 6}}      " for letter in letters).rstrip(),
    ]
    for row in range(k + 1):
        cells = []
        for model in shown:
            mark = "*" if row < k and taken[row] == model else " "
            text = f"{mark}{100 * success[row, model]:5.1f}±{100 * error[row, model]:<4.1f}"
            cells.append(_painted(text, success[row, model], low, high, mark) if colour else text)
        name = "all" if row == k else str(row)
        n = f"{counts[row, shown].max():g}"
        lines.append(f"{name:>7} {n:>6}  " + " ".join(cells).rstrip())
        if not same:
            each = " ".join(f"{f'n {counts[row, model]:g}':>{CELL - 1}}" for model in shown)
            lines.append(" " * MARGIN + each.rstrip())
    for letter, model in zip(letters, shown, strict=True):
        times = int((taken == model).sum())
        name = artifact.models[model]
        facts = ["default"] * (name == artifact.default_model)
        facts += [f"taken in {times} of {k} clusters"] if times else []
        lines.append(f"  {letter}  {one_line(name, 48)}" + f" ({', '.join(facts)})" * bool(facts))
    rest = len(artifact.models) - len(shown)
    if rest:
        lines.append(f"  and {rest} more models (--json)")
    if left_out := int((taken == NO_MODEL).sum()):
        lines.append(f"  the artifact's own limits leave no model in {left_out} of {k} clusters")
    return lines


def _beyond_the_cluster(artifact: Artifact) -> list[str]:
    """What else than its cluster's rates makes a prompt's estimate."""
    parts = []
    if artifact.nearest is not None:
        parts.append(f"shared among its {artifact.nearest} nearest clusters")
    if artifact.slopes is not None:
        parts.append("lifted by what its vector says")
    return ["a prompt is " + ", ".join(parts)] if parts else []


def _worth_showing(artifact: Artifact, taken: np.ndarray[Any, Any]) -> list[int]:
    """Models, the most often taken first, then by overall success, as many as fit."""
    times = np.bincount(taken[taken >= 0], minlength=len(artifact.models))
    # The last key is the first to sort by.
    order = np.lexsort((-artifact.success[-1], -times))
    return [int(model) for model in order[: (COLUMNS - MARGIN) // CELL]]


def _painted(text: str, value: float, low: float, high: float, mark: str) -> str:
    share = 0.0 if high <= low else (value - low) / (high - low)
    back, front = RAMP[min(int(np.clip(share, 0, 1) * len(RAMP)), len(RAMP) - 1)]
    bold = "1;" if mark == "*" else ""
    return f"\x1b[{bold}38;5;{front};48;5;{back}m{text}\x1b[0m"
