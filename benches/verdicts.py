"""Record the verdict of `evaluate` on each sample table, and the targets that `fit` reaches.

Not here: other routers (`benches.quality`). The command is run as a user runs it, a process for
each table, and figures are read from its JSON.

    python -m benches.verdicts [TABLE...] [--repeats N] [-o FOLDER]
"""

from __future__ import annotations

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benches.paths import ROOT, sample_tables
from benches.quality.__main__ import TABLES
from benches.record import processor, source_state, write_page

import hypernova

# So many times the tables are dealt: small ones more often.
REPEATS = {"swebench_verified": 10, "llmrouter_mixed": 4, "zeroeval": 2, "zeroeval_holes": 2}
# Options of `fit`, and tables that have costs.
TARGETS = (
    ("routerbench3", "quality", 0.98),
    ("swebench_verified", "quality", 0.98),
    ("routerbench3", "savings", 0.4),
    ("swebench_verified", "savings", 0.4),
)


def evaluated(path: Path, repeats: int) -> dict[str, Any]:
    """Return the report of `hypernova evaluate`, with the seconds that it took."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["--repeats", str(repeats), "--no-learning-curve", "--json", str(report)]
        command = [sys.executable, "-m", "hypernova", "evaluate", str(path), *options]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
        return json.loads(report.read_text()) | {"seconds": time.perf_counter() - start}


def points(gain: dict[str, Any] | None) -> str:
    """Write a gain in points with its interval."""
    if gain is None:
        return ""
    low, high = (100 * end for end in gain["ci95"])
    return f"{100 * gain['mean']:+.2f} ({low:+.2f} to {high:+.2f})"


def at_cost(result: dict[str, Any]) -> str:
    """Write an accuracy, with its cost where that is known."""
    cost = result["cost_usd"]
    return f"{result['accuracy']:.4f}" + ("" if cost is None else f" at ${cost:.4f}")


def verdict_row(name: str, repeats: int, report: dict[str, Any]) -> str:
    given, unseen = report["group_given"] or {}, report["unseen_kinds"] or {}
    cells = [
        name,
        repeats,
        at_cost(report["held_out"]),
        at_cost(report["best_single"]),
        points(report["gain"]),
        points(report["gain_over_shuffled"]),
        points(given.get("gain")),
        points(given.get("over_best_of_group")),
        points(unseen.get("gain")),
        points(report["frontier_gain"]),
        f"{report['calibration']['error']:.4f}",
        f"{report['calibration']['brier']:.4f}",
        f"{report['calibration']['brier_of_rates']:.4f}",
        f"{report['seconds']:.0f}",
        report["verdict"],
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def target_row(name: str, path: Path, kind: str, value: float) -> str:
    table = hypernova.OutcomeTable.read(path)
    reached = hypernova.fit(table, describe=False, **{kind: value}).metadata["target"]
    cells = [name, f"{kind}={value}", f"{reached['cost_weight']:.4g}"]
    for share in (reached["accuracy_kept"], reached["cost_saved"]):
        low, high = (100 * end for end in share["ci95"])
        cells.append(f"{100 * share['share']:.1f} ({low:.1f} to {high:.1f})")
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", default=TABLES, metavar="TABLE")
    parser.add_argument("--repeats", type=int, metavar="N", help="for all tables")
    parser.add_argument("-o", "--output", type=Path, help="folder of the record")
    arguments = parser.parse_args()
    commit, changed = source_state()
    lines = [
        f"# Verdicts and targets, {datetime.date.today()}, commit {commit}",
        "",
        f"{processor()}, Python {sys.version.split()[0]}; uncommitted changes: {changed}. "
        "`hypernova evaluate TABLE --repeats N`, 5 folds, `static`, everything chosen again inside "
        "each fold. Gains in points over the best single model, with 95% intervals; over shuffled "
        "prompts, with the group given over the best single model and over the best model of each "
        "group, on kinds left out, and of the frontier over random mixes. "
        "`python -m benches.verdicts`.",
        "",
        "## Verdicts",
        "",
        "| table | repeats | router | best single | gain | over shuffled | group given "
        "| over best of group | unseen kinds | frontier | calibration error | Brier "
        "| Brier of rates | seconds | verdict |",
        "| --- |" + " ---: |" * 13 + " --- |",
    ]
    print("\n".join(lines))
    paths = {one: sample_tables() / one if one in TABLES else Path(one) for one in arguments.tables}
    for name, path in paths.items():
        repeats = arguments.repeats or REPEATS.get(name, 1)
        lines.append(verdict_row(name, repeats, evaluated(path, repeats)))
        print(lines[-1], flush=True)
    lines += [
        "",
        "## Targets",
        "",
        "Reached on the held-out folds that chose the weight, in % of the best single model's.",
        "",
        "| table | asked | cost weight | accuracy kept | cost saved |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for name, kind, value in TARGETS:
        if name in paths:
            lines.append(target_row(name, paths[name], kind, value))
            print(lines[-1], flush=True)
    write_page(lines, arguments.output, commit, "verdicts")


if __name__ == "__main__":
    main()
