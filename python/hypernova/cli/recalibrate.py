"""`hypernova recalibrate`: learn from an outcome log without fitting again.

Not here: how an outcome changes an artifact (`hypernova.training.online`).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import hypernova
from hypernova.cli.arguments import add_outcome_logs_to
from hypernova.cli.streams import print_json
from hypernova.offline_page.numbers import plural
from hypernova.outcome_log.segments import files_of
from hypernova.paths import check_file, path_label

if TYPE_CHECKING:
    import argparse

    from hypernova.cli.arguments import Commands
    from hypernova.training.online.recalibrate import Recalibration


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("recalibrate")
    parser.add_argument("artifact", metavar="ROUTER.hnv")
    add_outcome_logs_to(parser)
    parser.add_argument("-o", "--output", required=True, metavar="NEW.hnv")
    parser.add_argument(
        "--half-life",
        type=float,
        metavar="DAYS",
        help="age at which an outcome counts half as much (default: no aging)",
    )
    parser.add_argument(
        "--max-weight",
        type=float,
        metavar="W",
        help="largest weight of an outcome whose model had a small propensity (default 1)",
    )
    parser.add_argument("--json", action="store_true", help="print the changes as one JSON object")
    parser.set_defaults(run=_recalibrate)


def _recalibrate(arguments: argparse.Namespace) -> None:
    segments = files_of(arguments.logs)
    check_file(arguments.output, inputs=segments)  # before the work, not after it
    weight = {} if arguments.max_weight is None else {"max_weight": arguments.max_weight}
    done = hypernova.recalibrate(
        arguments.artifact, arguments.logs, half_life=arguments.half_life, **weight
    )
    done.artifact.save(arguments.output)
    if arguments.json:
        print_json(_report(done))
    else:
        print("\n".join(_lines(done, arguments.output)))


def _report(done: Recalibration) -> dict[str, Any]:
    return {
        "artifact": done.artifact.sha256,
        "lines": done.lines,
        "outcomes": done.outcomes,
        "answered_by_other": done.answered_by_other,
        "sketched": done.sketched,
        "damaged_sketches": done.damaged_sketches,
        "failed": done.failed,
        "failed_by_model": dict(done.failed_by_model),
        "outcomes_before": done.outcomes_before,
        "open": done.open,
        "skipped": dict(done.skipped),
        "kept": done.kept,
        "clusters": done.clusters,
        "clusters_changed": done.clusters_changed,
        "default_before": done.default_before,
        "default_after": done.default_after,
        "models": [asdict(change) for change in done.models],
    }


def _lines(done: Recalibration, output: str) -> list[str]:
    from hypernova.training.clustering.describe import one_line

    lines = [f"wrote {path_label(output)}"]
    earlier = f" and {plural(done.outcomes_before, 'earlier one')}" if done.outcomes_before else ""
    outcomes, read = plural(done.outcomes, "outcome"), plural(done.lines, "line")
    lines.append(f"recalibrated with {outcomes}{earlier}; {read} read")
    if done.open:
        have = "has" if done.open == 1 else "have"
        lines.append(f"{plural(done.open, 'decision')} {have} no outcome yet")
    if done.kept < 1.0:
        lines.append(f"decay keeps {100 * done.kept:.1f}% of the weight of the fitted outcomes")
    if done.answered_by_other:
        lines.append(
            f"{done.answered_by_other} of these are of another model than the decided one: "
            "learned for the model that answered, with the lowest weight"
        )
    if done.sketched:
        lines.append(f"{done.sketched} of these have a sketch of their prompt")
    if done.damaged_sketches:
        lines.append(
            f"{done.damaged_sketches} have a sketch that this artifact cannot read: learned as "
            "those without one"
        )
    if done.failed:
        by_model = ", ".join(f"{one_line(m, 48)} {n}" for m, n in done.failed_by_model.items())
        failed = plural(done.failed, "failed request")
        lines.append(f"not learned from: {failed} ({by_model})")
    for reason, count in done.skipped.items():
        lines.append(f"skipped {count}: {done.REASONS[reason]}")
    lines += ["", "outcomes  effective   score  estimate           model"]
    for change in done.models:
        score = "-" if change.mean_score is None else f"{change.mean_score:.4f}"
        lines.append(
            f"{change.outcomes:8d}  {change.effective:9.1f}  {score:>6}  "
            f"{change.before:.4f} -> {change.after:.4f}   {one_line(change.model, 48)}"
        )
    lines.append("")
    if done.clusters_changed is None:
        lines.append("decisions in clusters: not compared, the artifact's limits leave no model")
    else:
        lines.append(
            f"another model is chosen in {done.clusters_changed} of {done.clusters} clusters"
        )
    same = done.default_before == done.default_after
    was = "" if same else f", until now {one_line(done.default_before, 48)}"
    lines.append(f"default model {one_line(done.default_after, 48)}{was}")
    return lines
