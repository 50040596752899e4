"""Run the wheels of dist/ in the environments of their platforms, and list what passed where.

    python -m release.run_wheels [-o benches/record] [ENVIRONMENT...]

In each environment the wheel is installed with its libraries; ``hypernova route`` has to give what
it gives on this machine, to the last bit; then the golden files and the fast tests are run. All of
them take more than an hour: an environment in which the same wheel has passed is not run again.
Not here: building the wheels (``release.wheels``), and the environments (``release.environments``).
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benches.record import source_state, write_page

from release.environments import installed
from release.environments.catalogue import ENVIRONMENTS, Environment, named
from release.environments.roots import is_emulated
from release.environments.selection import GOLDEN, QUICK
from release.tools import ROOT, Fault, Tools, command, say, sha256

DIST = ROOT / "dist"
PROMPTS = (
    "Write a SQL query that lists customers without an order in the last 90 days",
    "Fix the race in the scheduler",
    "Pourquoi le ciel est-il bleu ? \u2014 \u4e3a\u4ec0\u4e48\u5929\u662f\u84dd\u7684",
)
# A decision has an id of its own.
_ROUTE = """
import sys
sys.argv = ["hypernova", "route", sys.argv[1], "--json"]
from hypernova.cli import main
sys.exit(main())
"""
_COUNT = re.compile(r"(\d+) (passed|failed|skipped|errors?)\b")


@dataclass
class Outcome:
    """What came of one wheel in one environment; a part that was not reached is empty.

    Attributes:
        environment: The environment.
        wheel: Name of the wheel's file.
        about: Version of CPython, libc and processor.
        route: What ``hypernova route`` gave, beside this machine's.
        golden: How the golden files' tests ended.
        fast: How the fast tests ended.
        faults: A line for each thing that did not pass.
        absent: Why the environment cannot be had; empty if it can.
    """

    environment: Environment
    wheel: str = ""
    about: tuple[str, str, str] = ("", "", "")
    route: str = ""
    golden: str = ""
    fast: str = ""
    faults: list[str] = field(default_factory=list)
    absent: str = ""


def wheel_for(environment: Environment, names: list[str]) -> str:
    """Choose the wheel of an environment's platform.

    Args:
        environment: The environment.
        names: Names of wheels.

    Returns:
        The name of a wheel; empty if none fits.
    """
    libc = "musllinux" if environment.libc == "musl" else "manylinux"
    version = environment.python.removesuffix("t").replace(".", "")
    abi = f"-cp{version}t-" if environment.free_threaded else "-abi3-"
    fitting = [
        n for n in names if abi in n and libc in n and n.endswith(f"_{environment.machine}.whl")
    ]
    return max(fitting, default="")


def counted(output: str, seconds: float) -> str:
    """Sum up a run of pytest by the last line that it printed."""
    lines = output.strip().splitlines()
    counts = {kind: number for number, kind in _COUNT.findall(lines[-1] if lines else "")}
    shown = [f"{counts[kind]} {kind}" for kind in ("passed", "failed", "error", "errors", "skipped")
             if kind in counts]  # fmt: skip
    return f"{', '.join(shown) or 'no result'} in {seconds:.0f} s"


def differences(here: list[dict[str, object]], there: list[dict[str, object]]) -> list[str]:
    """Name the fields in which decisions of two machines differ; ids always do."""
    found = []
    for prompt, one, other in zip(PROMPTS, here, there, strict=True):
        names = sorted((one.keys() | other.keys()) - {"id"})
        found += [f"{n} for {prompt[:20]!r}" for n in names if one.get(n) != other.get(n)]
    return found


def decisions(place: installed.Installed) -> list[dict[str, object]]:
    """Route each prompt with the command and the bundled artifact.

    Raises:
        Fault: The command failed.
    """
    found = []
    for prompt in PROMPTS:
        done = place.run(["-c", _ROUTE, prompt], limit_s=300)
        if done.returncode:
            raise Fault(f"hypernova route failed: {installed.last(done)}")
        found.append(json.loads(done.stdout))
    return found


def run_tests(place: installed.Installed, paths: tuple[str, ...], limit_s: int) -> tuple[str, bool]:
    """Run tests in an environment, and return how they ended, and whether all passed."""
    source = place.place("source")
    config = ["-c", f"{source}/pyproject.toml", "-p", "no:cacheprovider"]
    arguments = [
        "-m",
        "pytest",
        "-q",
        "-m",
        QUICK,
        *config,
        *(f"{source}/{path}" for path in paths),
    ]
    lenient = "0" if place.environment.tests.group else "1"
    environ = {"HYPERNOVA_INSTALLED": "1", "HYPERNOVA_SKIP_MISSING": lenient}
    started = time.monotonic()
    done = place.run(arguments, limit_s=limit_s, environ=environ)
    kept = installed.BASE / place.environment.name / f"{len(paths)}-paths.log"
    kept.write_text(done.stdout + done.stderr, encoding="utf-8")
    summary = counted(done.stdout, time.monotonic() - started)
    if done.returncode == 124:
        summary = f"ended after {limit_s} s"
    return summary, done.returncode == 0


def run_one(environment: Environment, tools: Tools, here: list[dict[str, object]]) -> Outcome:
    """Run the wheel of an environment in it; what cannot be had is said in the outcome."""
    outcome = Outcome(environment)
    outcome.wheel = wheel_for(environment, [path.name for path in DIST.glob("*.whl")])
    if not outcome.wheel:
        outcome.absent = f"no wheel for it in {DIST.name}/; make one with: make wheels"
        return outcome
    try:
        place = installed.install(environment, DIST / outcome.wheel, tools)
        outcome.about = place.about()
    except Fault as fault:
        outcome.absent = str(fault)
        return outcome
    try:
        found = differences(here, decisions(place))
        outcome.route = f"differs: {', '.join(found)}" if found else "same"
        outcome.faults += [f"route: {one}" for one in found]
    except Fault as fault:
        outcome.route = "failed"
        outcome.faults.append(str(fault))
        return outcome
    limit = environment.tests.limit_s
    outcome.golden, passed = run_tests(place, GOLDEN, limit)
    if not passed:
        outcome.faults.append(f"golden files: {outcome.golden}")
    outcome.fast, passed = run_tests(place, environment.tests.paths, limit)
    if not passed:
        outcome.faults.append(f"fast tests: {outcome.fast}")
    return outcome


def kept(environment: Environment) -> Outcome | None:
    """Return what came of the wheel of an environment in it, if it has passed there."""
    path = _outcome_of(environment)
    wheel = DIST / wheel_for(environment, [path.name for path in DIST.glob("*.whl")])
    if not path.exists() or not wheel.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if found.pop("sha256") != sha256(wheel):
        return None
    found["about"] = tuple(found["about"])
    return Outcome(environment, **found)


def keep(outcome: Outcome) -> None:
    """Keep what came of a wheel that has passed, for `kept`."""
    if outcome.absent or outcome.faults:
        return
    values = asdict(outcome)
    del values["environment"]
    values["sha256"] = sha256(DIST / outcome.wheel)
    _outcome_of(outcome.environment).write_text(json.dumps(values), encoding="utf-8")


def _outcome_of(environment: Environment) -> Path:
    return installed.BASE / environment.name / "outcome.json"


def page(outcomes: list[Outcome], commit: str, changed: str) -> list[str]:
    """Write the list as lines of Markdown, with the hash of each wheel of dist/."""
    lines = [
        f"# Where the wheels run, commit {commit}",
        "",
        f"`make run-wheels`; uncommitted changes: {changed}. Each wheel was installed with the "
        "libraries of its tests where nothing of the source is on the path. *route*: model, "
        "estimates and all else of a decision beside this machine's, to the last bit. Which tests "
        "are run where is in `release/environments/selection.py`.",
        "",
        "| environment | wheel | CPython | libc | processor | route | golden files | fast tests |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for outcome in outcomes:
        if outcome.absent:
            continue
        python, libc, machine = outcome.about
        emulated = ", emulated" if is_emulated(outcome.environment.machine) else ""
        tags = "-".join(outcome.wheel.removesuffix(".whl").split("-")[2:])
        cells = [outcome.environment.name, tags, python, libc, f"{machine}{emulated}"]
        cells += [outcome.route, outcome.golden, outcome.fast]
        lines.append(f"| {' | '.join(cells)} |")
    absent = [f"- {o.environment.name}: {o.absent}" for o in outcomes if o.absent]
    if absent:
        lines += ["", "Not run:", "", *absent]
    lines += ["", "| wheel | sha256 |", "| --- | --- |"]
    lines += [f"| {path.name} | {sha256(path)} |" for path in sorted(DIST.glob("*.whl"))]
    return lines


def main() -> int:
    """Run the command, and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m release.run_wheels",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "environments", nargs="*", metavar="ENVIRONMENT", help=f"of {' '.join(ENVIRONMENTS)}"
    )
    parser.add_argument("-o", "--output", type=Path, help="a folder for the list as a page")
    given = parser.parse_args()

    def work() -> None:
        environments = named(given.environments)
        tools = Tools("release-cross")
        installed.BASE.mkdir(parents=True, exist_ok=True)
        here = _decisions_here()
        outcomes = []
        for environment in environments:
            outcome = kept(environment)
            if outcome is None:
                outcome = run_one(environment, tools, here)
                keep(outcome)
            outcomes.append(outcome)
            say(f"{environment.name}: {outcome.absent or outcome.route}; "
                f"golden files: {outcome.golden}; fast tests: {outcome.fast}")  # fmt: skip
        commit, changed = source_state()
        lines = page(outcomes, commit, changed)
        say("\n".join(lines))
        write_page(lines, given.output, commit, "wheels")
        faults = [f"{o.environment.name}: {fault}" for o in outcomes for fault in o.faults]
        if faults:
            raise Fault("\n".join(faults))

    return command(work)


def _decisions_here() -> list[dict[str, object]]:
    """Route the prompts with the package of the interpreter that runs this."""
    found = []
    for prompt in PROMPTS:
        done = subprocess.run(
            [sys.executable, "-c", _ROUTE, prompt], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Fault(f"hypernova route failed on this machine: {installed.last(done)}")
        found.append(json.loads(done.stdout))
    return found


if __name__ == "__main__":
    sys.exit(main())
