"""Say what a release still lacks: `make release-check`.

    python -m release.check [--quick] [--only NAME]...

Each check is a line, `ok` or `missing` with what is wrong; at the end stands what to do. The exit
code is 1 if anything is missing. Not here: the checks themselves (release/checks/).
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from release.checks.dist import faulty_builds, other_builds
from release.checks.figures import untrue_figures
from release.checks.files import (
    changed_models,
    markers,
    missing_golden_files,
    missing_list_of_wheels,
)
from release.checks.recipes import running
from release.checks.records import stale_records
from release.checks.repository import GitError, Missing, Repository
from release.checks.ties import PAGES
from release.checks.versions import changelog_faults, other_versions, unclean_tree
from release.checks.workflows import workflow_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Check(NamedTuple):
    """One thing that a release needs.

    Attributes:
        name: For `--only`.
        about: What is checked.
        find: Returns what is missing.
    """

    name: str
    about: str
    find: Callable[[Repository], list[Missing]]


QUICK = (
    Check("tree", "all is committed", unclean_tree),
    Check("version", "one version everywhere, and its tag is free", other_versions),
    Check("changelog", "the version has a section and a date", changelog_faults),
    Check("records", "records are as new as the code that they describe", stale_records),
    Check("figures", "figures of pages are those of the records",
          lambda repository: untrue_figures(repository, PAGES)),
    Check("record-page", "the page of this version's figures is that of the records",
          running("python -m benches.release_record --check")),
    Check("format", "each version of the file format has golden files", missing_golden_files),
    Check("models", "embedders have the hashes that are stated", changed_models),
    Check("markers", "no mark of unfinished work", markers),
    Check("workflows", "workflows can be read and call what exists", workflow_faults),
    Check("licences", "licences of all that is linked in",
          running("python -m release.licences --check")),
    Check("bill", "the bill of materials", running("python -m release.bill --check")),
    Check("dist", "sdist and wheels are of this commit", other_builds),
    Check("contents", "sdist and wheels hold what they should", faulty_builds),
    Check("wheels-run", "where the wheels of this version were run", missing_list_of_wheels),
)  # fmt: skip
RECIPES = (
    Check("lint", "lints, types, stubs", running("make lint")),
    Check("docs", "the site and its links", running("make docs")),
    Check("sdist", "the sdist and the core's crate build and pass their tests alone",
          running("python -m release.sdist")),
    Check("reproduce", "another build gives the bytes that are in dist/",
          running("python -m release.reproduce --against dist")),
    Check("test", "the tests", running("make test")),
    Check("test-wheel", "the tests against the installed wheel", running("make test-wheel")),
    Check("test-browser", "the page in a browser", running("make test-browser")),
    Check("test-operate", "alerts and units", running("make test-operate")),
    Check("test-ray", "calls on a Ray cluster", running("make test-ray")),
    Check("test-litellm", "a real LiteLLM proxy", running("make test-litellm")),
    Check("test-beside", "the examples beside clients, frameworks and Ray Serve",
          running("make test-beside")),
    Check("test-eval-tools", "logs of real evaluation tools", running("make test-eval-tools")),
)  # fmt: skip


def main(arguments: Sequence[str] | None = None, repository: Repository | None = None) -> int:
    """Run the checks, and return the exit code."""
    names = [check.name for check in QUICK + RECIPES]
    parser = argparse.ArgumentParser(
        prog="python -m release.check", description="Say what a release still lacks."
    )
    parser.add_argument("--quick", action="store_true", help="leave out what runs recipes")
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        choices=names,
        help=f"one check, may be repeated: {', '.join(names)}",
    )
    options = parser.parse_args(arguments)
    repository = repository or Repository()
    chosen = [
        check
        for check in (QUICK if options.quick else QUICK + RECIPES)
        if not options.only or check.name in options.only
    ]
    if options.only and len(chosen) < len(set(options.only)):
        parser.error("--quick leaves out a check that --only names")
    todo = [missing for check in chosen for missing in _run(check, repository)]
    if not todo:
        print(f"{repository.version}: nothing is missing")
        return 0
    things = "1 thing is" if len(todo) == 1 else f"{len(todo)} things are"
    print(f"\n{things} missing for {repository.version}:")
    for i, missing in enumerate(todo, 1):
        print(f"{i:3d}. {missing.what}\n     -> {missing.remedy}")
    return 1


def _run(check: Check, repository: Repository) -> list[Missing]:
    """Run a check and print its line."""
    started = time.monotonic()
    try:
        found = check.find(repository)
    except (GitError, OSError, ValueError) as error:
        what = f"{check.name} could not be checked: {error}"
        found = [Missing(what, "mend that, and run it again")]
    said = found[0].what if found else check.about
    if found[1:]:
        said += f" (and {len(found) - 1} more)"
    if (seconds := time.monotonic() - started) >= 10:
        said += f" [{seconds:.0f} s]"
    print(f"{'missing' if found else 'ok':8} {check.name:16} {said}", flush=True)
    return found


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `... | head` ends it without a word
    sys.exit(main())
