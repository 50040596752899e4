"""Print an artifact for people: its figures, and a table of clusters by models.

Not here: reports of an evaluation (`hypernova.evaluation`).
"""

from __future__ import annotations

import textwrap
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hypernova.offline_page.numbers import plural
from hypernova.paths import escaped

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from hypernova import Artifact

COLUMNS = 80
CELL = len("*100.0±12.3 ")
MARGIN = len("cluster      n  ")
# Background and foreground among a terminal's 256 colours, from low to high success; each pair
# has enough contrast to be read.
RAMP = ((195, 16), (153, 16), (117, 16), (75, 16), (25, 231))


def print_summary(artifact: Artifact) -> None:
    """Print the size of an artifact and its figures, each labelled."""
    metadata = artifact.metadata
    identity = artifact.embedder
    print(
        f"{plural(artifact.n_clusters, 'cluster')}, {plural(len(artifact.models), 'model')}, "
        f"default {escaped(artifact.default_model)}, embedder "
        f"{escaped(str(identity['name']))}"
    )
    groups = artifact.groups
    if groups:
        tasks = ", ".join(f"{escaped(name)} {n:.0f}" for name, n in list(groups.items())[:12])
        more = f" and {len(groups) - 12} more" if len(groups) > 12 else ""
        print(f"{plural(len(groups), 'group')}, with tasks: {tasks}{more}")
    if artifact.margin >= 1.0:
        print(
            "margin                    no gain in success is proven, so nothing is routed for it,\n"
            "                          unless the caller names the group"
        )
    elif artifact.margin:
        points = f"{100 * artifact.margin:g} point{'' if artifact.margin == 0.01 else 's'}"
        print(
            f"margin                    a gain in success counts beyond {points},\n"
            "                          unless the caller names the group"
        )
    for name, describe in (
        ("recalibration", _recalibration),
        ("sample", _sample),
        ("in_sample", _in_sample),
        ("selection", _selection),
        ("target", _target),
    ):
        if metadata.get(name):
            _print_entry(name, describe, metadata[name])
    _print_shared_text(metadata, identity)
    print_changes(metadata)


def _print_entry(name: str, describe: Callable[[Any], str], value: Any) -> None:
    """Print an entry of the metadata, which another program may have written."""
    try:
        lines = describe(value).splitlines()
    except (AttributeError, LookupError, TypeError, ValueError):
        lines = [f"{name:24}  has a form that this version cannot read"]
    for line in lines:
        print(escaped(line))


def _recalibration(summary: Any) -> str:
    if not summary["outcomes"]:
        return ""
    return (
        f"recalibrated              with {summary['outcomes']:d} logged outcomes; the figures "
        "below\n                          are those of the fit, before recalibration"
    )


def _sample(sample: Any) -> str:
    return (
        f"sample                    {sample['tasks']:,} tasks selected the setting and gave the "
        "clusters;\n                          figures of accuracy are theirs, rates those of all"
    )


def _in_sample(figures: Any) -> str:
    used = plural(figures["models_used"], "model")
    return (
        f"in-sample accuracy        {figures['accuracy']:.4f} with {used}; "
        f"best single {figures['best_single']:.4f} "
        f"({escaped(figures['best_single_model'])})\n"
        "                          fitted and measured on the same tasks: "
        "this says nothing about new ones"
    )


def _selection(figures: Any) -> str:
    return (
        f"cross-validated accuracy  {figures['accuracy']:.4f}; "
        f"best single of each fold {figures['best_single']:.4f}\n"
        f"                          {figures['folds']:d} folds, {figures['repeats']:d} times; they "
        "also selected the setting, so slightly too good"
    )


def _target(figures: Any) -> str:
    lines = [
        f"held-out at the target    {figures['accuracy']:.4f} at ${figures['cost_usd']:.4f} a "
        f"task, with a cost weight of {figures['cost_weight']:.4g}"
    ]
    # Versions before these compared with no single model.
    for key, does, of in (
        ("accuracy_kept", "keeps", "the best single model's accuracy"),
        ("cost_saved", "saves", "its cost"),
    ):
        if share := figures.get(key):
            text = f"{does} {100 * share['share']:.1f}% of {of}"
            if share["ci95"]:
                low, high = (100 * end for end in share["ci95"])
                text += f", 95% interval {low:.1f} to {high:.1f}"
            lines.append(f"{'':26}{text}")
    lines.append(f"{'':26}the same folds selected the weight, so slightly too good")
    return "\n".join(lines)


def _print_shared_text(metadata: dict[str, Any], identity: dict[str, Any]) -> None:
    """Print which text the prompts of the table share, and which of it is left out."""
    if not (metadata.keys() & {"shared_text", "alike_prompts"} or "skip" in identity):
        return
    from hypernova.training.shared_text import alike_sentence, shared_sentence, skipped_sentence

    sentences = []
    for key, sentence in (("shared_text", shared_sentence), ("alike_prompts", alike_sentence)):
        # Another program may have written something else there.
        with suppress(KeyError, TypeError, ValueError, AttributeError):
            if key in metadata:
                sentences.append(sentence(metadata[key]))
    if "skip" in identity and not sentences:
        sentences.append(skipped_sentence(identity))
    for name, text in zip(["shared text"] + [""] * len(sentences), sentences, strict=False):
        print(
            textwrap.fill(
                text, COLUMNS + 8, initial_indent=f"{name:26}", subsequent_indent=" " * 26,
                break_on_hyphens=False,
            )
        )  # fmt: skip


def print_changes(metadata: dict[str, Any]) -> None:
    """Print a line for each change of models since the artifact was fitted."""
    changes = metadata.get("changes") or []
    for change in changes if isinstance(changes, list) else [changes]:
        _print_entry("changes", _change, change)


def _change(change: Any) -> str:
    kind = change.get("what")
    if kind == "add_model":
        each = (f"{one['model']} ({one['prompts']} scored prompts)" for one in change["models"])
        text = f"added {', '.join(each)}"
    elif kind == "remove_model":
        text = f"removed {', '.join(change['models'])}"
    elif kind == "rename_model":
        text = f"renamed {change['model']} to {change['to']}"
    else:
        return ""  # another version's
    return f"since it was fitted       {escaped(text)}"


def heat_map(artifact: Artifact, *, colour: bool) -> list[str]:
    """Return the lines of a table of clusters by models: success estimate, standard error, n.

    Models that are chosen in some cluster come first, then the best of the others, up to 80
    columns.

    Args:
        artifact: The artifact to show.
        colour: Whether to colour the cells, for a terminal.
    """
    import numpy as np

    from hypernova.artifact.decisions import NO_MODEL, chosen_models, success_at_centroids
    from hypernova.training.clustering.describe import one_line

    k = artifact.n_clusters
    # Under the artifact's own limits, as for a caller without options.
    taken = chosen_models(artifact, artifact.centroids)
    columns = _models_shown(artifact, taken)
    success = np.vstack([success_at_centroids(artifact), artifact.success[-1:]])
    error, counts = artifact.standard_error, artifact.counts
    letters = [chr(ord("A") + place) for place in range(len(columns))]
    low, high = success[:k, columns].min(), success[:k, columns].max()
    # Without holes one n is enough for a row.
    same_n = bool((counts[:, columns] == counts[:, columns[:1]]).all())
    lines = [
        "success in % at the cluster's centre, ± standard error; * is chosen there",
        "in-sample: the rates behind its decisions, not a forecast",
        *_estimate_note(artifact),
        "cluster      n  " + "".join(f"{letter:>{CELL - 6}}      " for letter in letters).rstrip(),
    ]
    for row in range(k + 1):
        cells = []
        for model in columns:
            mark = "*" if row < k and taken[row] == model else " "
            text = f"{mark}{100 * success[row, model]:5.1f}±{100 * error[row, model]:<4.1f}"
            cells.append(_coloured(text, success[row, model], low, high, mark) if colour else text)
        name = "all" if row == k else str(row)
        n = f"{counts[row, columns].max():g}"
        lines.append(f"{name:>7} {n:>6}  " + " ".join(cells).rstrip())
        if not same_n:
            each = " ".join(f"{f'n {counts[row, model]:g}':>{CELL - 1}}" for model in columns)
            lines.append(" " * MARGIN + each.rstrip())
    for letter, model in zip(letters, columns, strict=True):
        times = int((taken == model).sum())
        name = artifact.models[model]
        facts = ["default"] * (name == artifact.default_model)
        facts += [f"chosen in {times} of {k} clusters"] if times else []
        lines.append(f"  {letter}  {one_line(name, 48)}" + f" ({', '.join(facts)})" * bool(facts))
    rest = len(artifact.models) - len(columns)
    if rest:
        lines.append(f"  and {rest} more models (--json)")
    if left_out := int((taken == NO_MODEL).sum()):
        lines.append(f"  the artifact's own limits leave no model in {left_out} of {k} clusters")
    return lines


def _estimate_note(artifact: Artifact) -> list[str]:
    """Return a note on how a prompt's estimates differ from those of its cluster's centre."""
    parts = []
    if artifact.n_nearest is not None:
        parts.append(f"the average of its {artifact.n_nearest} nearest clusters")
    if artifact.slopes is not None:
        parts.append("a linear correction")
    return ["a prompt gets " + ", plus ".join(parts)] if parts else []


def _models_shown(artifact: Artifact, taken: np.ndarray[Any, Any]) -> list[int]:
    """Return models, the most often chosen first, then by overall success, as many as fit."""
    import numpy as np

    times = np.bincount(taken[taken >= 0], minlength=len(artifact.models))
    # The last key is the first to sort by.
    order = np.lexsort((-artifact.success[-1], -times))
    return [int(model) for model in order[: (COLUMNS - MARGIN) // CELL]]


def _coloured(text: str, value: float, low: float, high: float, mark: str) -> str:
    share = 0.0 if high <= low else (value - low) / (high - low)
    back, front = RAMP[min(int(min(max(share, 0.0), 1.0) * len(RAMP)), len(RAMP) - 1)]
    bold = "1;" if mark == "*" else ""
    return f"\x1b[{bold}38;5;{front};48;5;{back}m{text}\x1b[0m"
