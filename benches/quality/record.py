"""Write records of comparisons: Markdown to read, and CSV with all digits.

Not here: the figures (see ``compare``).
"""

from __future__ import annotations

import csv
import io
import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from benches.quality.compare import HYPERNOVA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benches.quality.compare import Comparison, Row

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ("numpy", "scipy", "scikit-learn", "faiss-cpu", "onnxruntime", "tokenizers")
# Figures depend on these; an uncommitted record or document changes none.
SOURCES = ("python", "rust", "benches/quality", "Cargo.lock")

ROUTERS = """\
- **hypernova**: the artifact that `hypernova fit` learns from the training part. It selects its setting by folds inside the training part; the knob shown is its number of clusters. If the table names groups (repositories, benchmarks, subjects), it may form clusters by them; the other routers see vectors and scores only, and no router sees the group of a task that it decides.
- **best single model**: the best mean score in the training part.
- **kNN**: the best mean score among the k nearest training prompts by cosine. k is one of 5 to 480, chosen by leaving out one prompt of the training part at a time.
- **ridge per model**: a ridge regression of each model's score on the vector. The penalty is one of 1 to 10,000, chosen in five folds of the training part, dealt four times.
- **plain ridge**: the same with a penalty of 30, not tuned.
- **logistic per model**: the same with logistic regressions, dealt once; the penalty is chosen on at most 3,000 tasks, drawn from the training part, and the regressions are fitted on all; a score between 0 and 1 counts as that part of a success.
- **Nordlys' recipe**: 20 clusters of the training prompts by k-means (best of ten starts), the raw mean score of each model in each cluster, the best one chosen.
- **best model of the group, group known**: the best mean score among the training tasks of the prompt's group, which the router is given. hypernova is not given it here.
- **mix of two models at hypernova's cost**: two of the single models on the convex hull of cost and accuracy in the training part, drawn at random so that their mix costs what hypernova does.
- Where outcomes are missing each model is learned from its own tasks. Under a cost weight ridge and groups use each model's mean cost in the training part.
- The two rows in hindsight look at the outcomes of the test tasks. They are no routers. The cost of the last one is that of the cheapest among the best models of each task.

Every knob is tuned for the score of the chosen models; of equal ones the largest. A draw between models goes to the one with the better mean score in the training part."""  # noqa: E501


@dataclass(frozen=True)
class Run:
    """The command, the state of the sources, and the machine of a comparison.

    Attributes:
        command: The command that gives the same figures again.
        commit: Short hash of the repository's state, or ``unknown``.
        changed: Whether sources differ from that commit.
        date: YYYY-MM-DD.
        jobs: Number of processes.
        load: Load of the machine before the run, in processes that want a core.
        minutes: Duration.
    """

    command: str
    commit: str
    changed: bool
    date: str
    jobs: int
    load: float
    minutes: float


def commit() -> tuple[str, bool]:
    """Look up the short hash of the commit, and whether sources have changed since."""
    try:
        return _git("rev-parse", "--short", "HEAD"), bool(
            _git("status", "--porcelain", "--", *SOURCES)
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown", False  # no git, or an unpacked source distribution


def write_record(folder: Path, run: Run, comparisons: Sequence[Comparison]) -> Path:
    """Write ``DATE-COMMIT-quality.md`` and ``.csv``, and return the path of the first."""
    path = folder / f"{run.date}-{run.commit}-quality.md"
    path.write_text(markdown(run, comparisons), encoding="utf-8")
    path.with_suffix(".csv").write_text(as_csv(run, comparisons), encoding="utf-8")
    return path


def markdown(run: Run, comparisons: Sequence[Comparison]) -> str:
    """Write the record."""
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    changed = " with changes that are not committed" if run.changed else ""
    parts = [
        "# hypernova and other routers: same folds, same vectors",
        f"""\
- Machine: {cpu()}, {os.cpu_count()} cores, {platform.system()}; load {run.load:.1f} before the run
- {run.jobs} processes of one thread each
- CPython {platform.python_version()}, {libraries}
- Date {run.date}, commit {run.commit}{changed}, {run.minutes:.0f} minutes
- Command `{run.command}`""",
        """\
Held-out: tasks are dealt into folds, equal prompts together, and each router learns and \
tunes on the training part of each fold alone. Accuracy is the mean score of the chosen models, \
over tasks and repeats. Intervals are 95% percentile intervals of a bootstrap over prompts and \
repeats; *hypernova minus it* is paired by task, over the tasks that both have an outcome for. \
*No outcome* is the share of decisions whose model has no outcome for the task; accuracy is \
over the others. *Above the mix* is the mean over cost weights of the accuracy above a random \
mix of two single models at the same cost, the models chosen in the training part. *Training* is \
CPU seconds of one thread for one fold, tuning included, embedding not. *Knob* is the median over \
folds, and the range.""",
        *(_section(comparison) for comparison in comparisons),
        "## The routers\n\n" + ROUTERS,
    ]
    return "\n\n".join(parts) + "\n"


def _section(comparison: Comparison) -> str:
    c = comparison
    costs = any(row.cost_usd is not None for row in c.rows)
    holes = any(row.unscored for row in c.rows)
    above = any(row.frontier is not None for row in c.rows)
    head = ["router", "accuracy", "95% interval", "hypernova minus it, points", "95% interval"]
    head += ["no outcome"] if holes else []
    head += ["USD a task"] if costs else []
    head += ["above the mix, points", "95% interval"] if above else []
    head += ["training, s", "knob"]
    lines = [
        f"## `{c.table}`",
        "",
        f"{c.tasks:,} tasks, {c.models} models; {c.folds} folds, dealt {times(c.repeats)}, "
        f"seed {c.seed}; embedded once by `{c.embedder}`, {c.dim} dimensions.",
        "",
        _line(head),
        _line(["---"] * len(head)),
        *(_line(_cells(row, costs=costs, holes=holes, above=above)) for row in c.rows),
        "",
        f"hypernova's estimates of all models: expected calibration error "
        f"{c.calibration.error:.3f}, Brier score {c.calibration.brier:.4f} (plain rates "
        f"{c.calibration.brier_of_rates:.4f}).",
    ]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row: Row, *, costs: bool, holes: bool, above: bool) -> list[str]:
    name = f"**{row.router}**" if row.router == HYPERNOVA else row.router
    cells = [name, f"{row.accuracy:.4f}", "{:.4f} to {:.4f}".format(*row.ci95)]
    if row.lead is None or row.lead_ci95 is None:
        cells += ["", ""]
    else:
        low, high = row.lead_ci95
        cells += [f"{100 * row.lead:+.2f}", f"{100 * low:+.2f} to {100 * high:+.2f}"]
    if holes:
        cells.append(f"{row.unscored:.1%}")
    if costs:
        cells.append("" if row.cost_usd is None else f"{row.cost_usd:.3g}")
    if above:
        known = row.frontier is not None and row.frontier_ci95 is not None
        cells.append(f"{100 * row.frontier:+.2f}" if known else "")
        cells.append(
            "{:+.2f} to {:+.2f}".format(*(100 * end for end in row.frontier_ci95)) if known else ""
        )
    cells.append("" if row.train_s is None else f"{row.train_s:.2f}")
    cells.append("" if row.knob is None else "{:.3g} ({:.3g} to {:.3g})".format(*row.knob))
    return cells


def as_csv(run: Run, comparisons: Sequence[Comparison]) -> str:
    """Write one line for each table and router; unknown values are empty."""
    lines = [_values(run, c, row) for c in comparisons for row in c.rows]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def _values(run: Run, c: Comparison, row: Row) -> dict[str, object]:
    minus = row.lead_ci95 or (None, None)
    knob = row.knob or (None, None, None)
    figures = {
        "accuracy": row.accuracy,
        "accuracy_low": row.ci95[0],
        "accuracy_high": row.ci95[1],
        "hypernova_minus": row.lead,
        "minus_low": minus[0],
        "minus_high": minus[1],
        "unscored": row.unscored,
        "cost_usd": row.cost_usd,
        "above_mix": row.frontier,
        "above_mix_low": (row.frontier_ci95 or (None, None))[0],
        "above_mix_high": (row.frontier_ci95 or (None, None))[1],
        "calibration_error": c.calibration.error if row.router == HYPERNOVA else None,
        "brier": c.calibration.brier if row.router == HYPERNOVA else None,
        "brier_of_rates": c.calibration.brier_of_rates if row.router == HYPERNOVA else None,
        "train_cpu_s": row.train_s,
        "knob_median": knob[0],
        "knob_min": knob[1],
        "knob_max": knob[2],
    }
    return {
        "table": c.table,
        "tasks": c.tasks,
        "models": c.models,
        "embedder": c.embedder,
        "dim": c.dim,
        "folds": c.folds,
        "repeats": c.repeats,
        "seed": c.seed,
        "router": row.router,
        **{name: "" if f is None else f"{f:.6g}" for name, f in figures.items()},
        "date": run.date,
        "commit": run.commit,
    }


def times(count: int) -> str:
    """Write a count of repetitions in words."""
    return "once" if count == 1 else f"{count} times"


def cpu() -> str:
    """Name the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()
