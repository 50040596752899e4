"""Walk the first minutes of a newcomer, in empty environments with nothing but the wheel.

    python -m release.first_minutes [WAY...] [--python PYTHON] [-o benches/record]

Three ways: from README's first line to a decision on prompts of one's own; from the tutorial's
first line to a router that is served and learns; from logs of evaluations to a verdict. Each has an
environment, a home and a folder of its own. The lines are those of the pages, run one by one as
they stand there; only the wheel stands for its name on PyPI, and a free port for 8484. Output that
a page shows must be what is printed. A step that fails ends the walk with code 1.

Not here: wrong turns, whose messages the tests of each command check.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benches.paths import ROOT
from benches.record import processor, source_state, write_page

from .targets import wheel_of_this_machine
from .tools import Fault, command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# The pages are read by the helpers with which the tests run them.
sys.path.insert(0, str(ROOT / "tests"))

from support.pages import BLOCK, assert_same_output, text_of

COMMAND = "python -m release.first_minutes -o benches/record"
NAME = re.compile(r"""(["']?)hypernova-router(\[[\w,]+\])?\1""")
SHOWN_LINES = 40
START_S = 60
STEP_S = 900
# The scores to choose where the logs have several.
SMALL_LOGS: dict[str, tuple[str, ...]] = {
    "helm": ("exact_match",),
    "inspect": ("given",),
    "langfuse": (),
    "lm_eval/demo": ("acc", "exact_match,strict-match"),
    "openai_evals": ("accuracy",),
    "promptfoo": (),
}
# A line of a page that makes the environment, which the walk has made.
MAKES_ENVIRONMENT = "python3 -m venv "


class Step(NamedTuple):
    """A line that was run, how long it took and what it printed."""

    line: str
    seconds: float
    output: str


class Way:
    """A way of a newcomer: an environment, a home and an empty folder.

    Attributes:
        title: Where it begins and ends.
        folder: The folder in which the lines are run.
        steps: Those that were run.
    """

    def __init__(self, title: str, base: Path, python: str, wheel: Path) -> None:
        self.title = title
        self.folder = base / "folder"
        self.steps: list[Step] = []
        self._wheel = wheel
        self._port = _free_port()
        self.folder.mkdir(parents=True)
        (base / "home").mkdir()
        self._environment = {
            "PATH": f"{base / 'venv' / 'bin'}:/usr/bin:/bin",
            "HOME": str(base / "home"),
            "LANG": "C.UTF-8",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        print(f"\n{title}", flush=True)
        self.run("python3 -m venv .venv", [python, "-m", "venv", str(base / "venv")])

    @property
    def seconds(self) -> float:
        """The time of all steps together."""
        return sum(step.seconds for step in self.steps)

    def shell(self, line: str, *, code: int = 0) -> str:
        """Run a line in a shell, and return its standard output, or its error if that is meant."""
        command = line.replace(":8484", f":{self._port}")
        if line.startswith("pip "):
            command = NAME.sub(rf"'hypernova-router\2 @ {self._wheel.as_uri()}'", command)
        return self.run(line, ["bash", "-e", "-c", command], code=code)

    def run(self, line: str, command: list[str], *, code: int = 0) -> str:
        """Run a command, note it as a line, and return its output as `shell` does."""
        began = time.perf_counter()
        done = subprocess.run(
            command, cwd=self.folder, env=self._environment, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=STEP_S, check=False,
        )  # fmt: skip
        output, errors = (s.decode(errors="replace") for s in (done.stdout, done.stderr))
        self._note(Step(line, time.perf_counter() - began, output + errors))
        if done.returncode != code:
            last = (output + errors).strip().splitlines()[-1:] or ["nothing"]
            raise Fault(f"{line}: ended with {done.returncode} and printed {last[0]}")
        return output if code == 0 else errors

    def page(self, page: str) -> None:
        """Run the blocks of a page from top to bottom."""
        printed = ""
        with ExitStack() as servers:
            for language, block in BLOCK.findall(text_of(page)):
                if language == "text":
                    try:
                        assert_same_output(block, printed)
                    except AssertionError as error:
                        raise Fault(f"{page}: shows other output than {block!r}") from error
                elif language == "python":
                    code = block.replace(":8484", f":{self._port}")
                    printed = self.run(f"(Python)\n{block.rstrip()}", ["python3", "-c", code])
                elif language == "sh":
                    printed = ""
                    for line in block.replace("\\\n", " ").splitlines():
                        if line.startswith("hypernova serve"):
                            servers.enter_context(self._serving(line))
                        elif line.strip() and not line.startswith(MAKES_ENVIRONMENT):
                            said = self.shell(line)
                            printed += "" if line.startswith("pip ") else said

    @contextmanager
    def _serving(self, line: str) -> Iterator[None]:
        command = [*shlex.split(line.replace("--port 8484", "")), "--port", str(self._port)]
        began = time.perf_counter()
        log = self.folder / ".serve.log"
        with log.open("wb") as stream:
            server = subprocess.Popen(
                [str(Path(self._environment["PATH"].split(":")[0]) / command[0]), *command[1:]],
                cwd=self.folder, env=self._environment, stdout=stream, stderr=stream,
            )  # fmt: skip
        try:
            while b"serving at" not in log.read_bytes():
                if server.poll() is not None or time.perf_counter() - began > START_S:
                    raise Fault(f"{line}: did not serve: {log.read_text().strip()}")
                time.sleep(0.02)
            self._note(Step(line, time.perf_counter() - began, log.read_text()))
            yield
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(START_S)

    def _note(self, step: Step) -> None:
        self.steps.append(step)
        print(f"  {step.seconds:6.1f} s  {step.line.splitlines()[0]}", flush=True)


def readme(way: Way) -> None:
    """README from its first line, then a table of one's own with a spreadsheet's header."""
    way.page("README.md")
    rows = [
        (task["task_id"], task["prompt"], model, _score(outcome))
        for line in (way.folder / "examples" / "simulated.jsonl").read_text().splitlines()
        for task in [json.loads(line)]
        for model, outcome in task["outcomes"].items()
    ]
    own = way.folder / "own.csv"
    header = ["ID", "Question", "Model Name", "Score"]
    _write(own, header, rows)
    # What the message says is done: nothing else is known.
    said = way.shell("hypernova evaluate own.csv", code=1)
    renamed = dict(re.findall(r"rename '([^']+)' to '(\w+)'", said))
    _write(own, [renamed.get(name, name) for name in header], rows)
    way.shell("hypernova evaluate own.csv")
    way.shell("hypernova fit own.csv -o own.hnv")
    way.shell('hypernova route -a own.hnv --explain "Shorten this letter to our customers"')


def tutorial(way: Way) -> None:
    """The tutorial, to a router that is served, learns and is replaced."""
    way.page("docs/tutorial.md")


def logs(way: Way) -> None:
    """Logs that Inspect AI writes to a verdict, and small logs of every tool to their summary."""
    way.shell('pip install "hypernova-router[train]" inspect_ai')
    way.shell("hypernova examples")
    way.shell("python examples/mock_evaluation.py logs")
    way.shell("hypernova evaluate logs")
    for tool, scores in SMALL_LOGS.items():
        # Of several scores the message lists all, and asks for one.
        way.shell(f"hypernova import examples/logs/{tool} --dry-run", code=1 if scores else 0)
        if scores:
            choice = " ".join(f"--score {score}" for score in scores)
            way.shell(f"hypernova import examples/logs/{tool} --dry-run {choice}")


WAYS = {
    "readme": ("README to a decision on prompts of one's own", readme),
    "tutorial": ("the tutorial to a served router", tutorial),
    "logs": ("logs of evaluations to a verdict", logs),
}


def _score(outcome: float | dict[str, float]) -> float:
    return outcome["score"] if isinstance(outcome, dict) else outcome


def _write(path: Path, header: list[str], rows: Sequence[tuple[object, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=";").writerows([header, *rows])


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def page_of(ways: list[Way], python: str, wheel: Path) -> list[str]:
    """Return the record: the times, then what each step printed."""
    commit, changed = source_state()
    lines = [
        "# The first ten minutes",
        "",
        f"`{COMMAND}`, {processor()}, {python}, commit {commit} (sources changed: {changed}), "
        f"{wheel.name} of {wheel.stat().st_size / 1e6:.1f} MB. Each way began in an environment, a "
        "home and a folder that were empty; installing takes as long as its downloads.",
        "",
        "| way | steps | seconds | of them installing |",
        "| --- | ---: | ---: | ---: |",
    ]
    for way in ways:
        installing = sum(step.seconds for step in way.steps if step.line.startswith(("pip", "pyt")))
        lines.append(f"| {way.title} | {len(way.steps)} | {way.seconds:.0f} | {installing:.0f} |")
    for way in ways:
        lines += ["", f"## {way.title[0].upper()}{way.title[1:]}"]
        for step in way.steps:
            output = step.output.rstrip().splitlines()
            if step.line.startswith("pip"):
                output = output[-1:]
            kept = output[:SHOWN_LINES]
            more = [f"... {len(output) - len(kept)} more lines"] if len(output) > len(kept) else []
            lines += ["", f"{step.seconds:.1f} s", "", "````text", f"$ {step.line}", *kept, *more]
            lines.append("````")
    return lines


def main() -> int:
    """Walk all ways, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("ways", nargs="*", metavar="WAY", help=f"{', '.join(WAYS)}; by default all")
    parser.add_argument("--python", default=sys.executable, help="makes the environments")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="folder of the wheel")
    parser.add_argument("-o", "--output", type=Path, help="folder for the record")
    arguments = parser.parse_args()
    unknown = set(arguments.ways) - set(WAYS)
    if unknown:
        parser.error(f"there is no way {', '.join(sorted(unknown))}; there are {', '.join(WAYS)}")
    version = subprocess.run([arguments.python, "-V"], capture_output=True, text=True, check=True)

    def work() -> None:
        ways: list[Way] = []
        wheel = wheel_of_this_machine(arguments.dist)
        with tempfile.TemporaryDirectory(prefix="first-minutes-") as temporary:
            base = Path(temporary)
            for name in arguments.ways or WAYS:
                title, walk = WAYS[name]
                ways.append(Way(title, base / name, arguments.python, wheel))
                walk(ways[-1])
        page = page_of(ways, version.stdout.strip(), wheel)
        write_page(page, arguments.output, source_state()[0], "first-minutes")

    return command(work)


if __name__ == "__main__":
    sys.exit(main())
