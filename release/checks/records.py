"""Records that are older than the code that they describe.

A record names its commit, `DATE-COMMIT-KIND`, and `KINDS` says which code its figures depend on.
If that code has changed since, other than in comments, docstrings and unit tests, the record is
stale. The latest record of each kind is looked at; earlier ones are history, which README does
not link to.

Not here: whether pages show the records' figures (figures.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from release.checks.repository import GitError, Missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from release.checks.repository import Repository

FOLDER = "benches/record"
NAME = re.compile(r"(?P<date>\d{4}-\d\d-\d\d)-(?P<commit>[0-9a-f]{7,40})(?:-(?P<kind>.+))?\.\w+")
# Of the commits that made a record stale, so many are named.
SHOWN_COMMITS = 2


@dataclass(frozen=True)
class Kind:
    """One kind of record.

    Attributes:
        command: What makes it anew.
        paths: Files and folders that its figures depend on.
    """

    command: str
    paths: tuple[str, ...]


_CORE = ("Cargo.toml", "Cargo.lock", "rust/hypernova-core/src")
_BINDING = (*_CORE, "rust/hypernova-py/src")
_STATIC = ("python/hypernova/bundled/static",)
_MINILM = ("python/hypernova/bundled/minilm",)
_ROUTER = (
    *("python/hypernova/router/router.py", "python/hypernova/router/serving.py"),
    *("python/hypernova/router/batch.py", "python/hypernova/router/routed.py"),
    *("python/hypernova/embedder/embedder.py", "python/hypernova/embedder/lookup"),
    "python/hypernova/embedder/loaded.py",
)
_TEXT = (*_BINDING, *_ROUTER, *_STATIC, "benches/text.py")
# All that an import and a command load before the first decision.
_START = (
    *_TEXT,
    *("python/hypernova/__init__.py", "python/hypernova/lazy.py", "python/hypernova/embedder"),
    *("python/hypernova/cli/__init__.py", "python/hypernova/cli/route.py"),
)
# What is learned: not how fast, and so without the core's kernels.
_LEARNING = (
    *("python/hypernova/training", "python/hypernova/table/repeats.py"),
    *(":!python/hypernova/training/online", ":!python/hypernova/training/model_pool"),
    *("rust/hypernova-core/src/decide.rs", "rust/hypernova-core/src/estimate.rs"),
    *("rust/hypernova-core/src/policy.rs", "rust/hypernova-core/src/text"),
    *_STATIC,
)
_EVALUATING = (*_LEARNING, "python/hypernova/evaluation")
_SERVER = (
    *_TEXT,
    *("python/hypernova/integrations/server", "python/hypernova/integrations/request_options.py"),
    *("python/hypernova/outcome_log", "benches/http_load.py"),
)

KINDS: dict[str, Kind] = {
    "embedders": Kind(
        "python -m benches.embedders", (*_EVALUATING, *_MINILM, "benches/embedders.py")
    ),
    "event-loop": Kind("python -m benches.event_loop", (*_TEXT, "benches/event_loop.py")),
    "first-minutes": Kind(
        "make first-minutes", ("python/hypernova/cli", "examples", "release/first_minutes.py")
    ),
    "few-tasks": Kind("make bench-few-tasks", (*_LEARNING, "benches/few_tasks.py")),
    "holes": Kind("make bench-holes", (*_EVALUATING, "benches/holes.py")),
    "importing": Kind(
        "make bench-importing",
        (
            *("python/hypernova/table/sources", "python/hypernova/table/importing"),
            *("python/hypernova/table/log_files", "python/hypernova/table/logs.py"),
            "benches/importing.py",
        ),
    ),
    "learning": Kind("make bench-learning", (*_EVALUATING, "benches/learning_versions.py")),
    "learning-from-use": Kind(
        "make bench-from-use",
        (
            *("python/hypernova/training", "python/hypernova/outcome_log"),
            "benches/learning_from_use.py",
        ),
    ),
    "lying-tables": Kind(
        "make bench-lying-tables", ("python/hypernova/table/notes", "benches/lying_tables.py")
    ),
    "many-models": Kind("make bench-many-models", (*_LEARNING, "benches/many_models.py")),
    "many-routers": Kind("make bench-many-routers", (*_START, "benches/many_routers.py")),
    "monitoring-worlds": Kind(
        "make bench-monitoring", ("python/hypernova/monitoring", "benches/monitoring_worlds.py")
    ),
    "processes": Kind("make bench-processes", (*_START, "benches/processes.py")),
    "quality": Kind("make bench-quality", (*_EVALUATING, "benches/quality")),
    "robustness-minilm": Kind(
        'make bench-robustness ROBUSTNESS="TABLE... --embedder minilm"',
        (*_LEARNING, *_MINILM, "benches/robustness"),
    ),
    "robustness-static": Kind("make bench-robustness", (*_LEARNING, "benches/robustness")),
    "routerdc-split": Kind(
        "python -m benches.routerdc_split", (*_LEARNING, "benches/routerdc_split.py")
    ),
    "scale": Kind(
        "make bench-scale",
        (
            *_LEARNING,
            *("python/hypernova/table/scan", "python/hypernova/parallel"),
            *("python/hypernova/router/table.py", "python/hypernova/router/table_rows.py"),
            "benches/scale.py",
        ),
    ),
    "serve-load": Kind(
        "python -m benches.serve_load --rate 500 --seconds 60 --workers 2 --kill --p99-ms 5 "
        f"-o {FOLDER}",
        (*_SERVER, "benches/serve_load.py"),
    ),
    "serve-versions": Kind("make bench-serve", (*_SERVER, "benches/serve_versions.py")),
    "runtimes": Kind("python -m benches.runtimes", (*_TEXT, *_MINILM, "benches/runtimes.py")),
    "sizes": Kind("make sizes", ("Cargo.lock", "pyproject.toml", "release/sizes.py")),
    "speed": Kind("make bench", (*_TEXT, *_MINILM, "benches/speed.py", "benches/fitted.py")),
    "stability": Kind("make bench-stability", (*_LEARNING, "benches/stability.py")),
    "static-models": Kind("python -m benches.static_models", (*_TEXT, "benches/static_models.py")),
    "text-versions": Kind("make bench-text", (*_TEXT, "benches/text_versions.py")),
    "unseen": Kind("make bench-unseen", (*_EVALUATING, "benches/unseen.py")),
    "verdicts": Kind("python -m benches.verdicts", (*_EVALUATING, "benches/verdicts.py")),
    "versions": Kind("python -m benches.versions PYTHON", (*_BINDING, "benches/versions.py")),
    "wheels": Kind(
        "python -m release.run_wheels",
        ("Cargo.toml", "Cargo.lock", "pyproject.toml", "rust", "python/hypernova"),
    ),
}
# Measured once, with what a release does not have at hand; pages state them with their commit.
ONCE: dict[str, str] = {
    "": "a record of the first form, before kinds had names",
    "cuda": "needs a GPU",
    "new-model": "compares ways of adding a model, of which one was taken",
    "nordlys": "needs an environment with torch",
    "release": "says how each step of the record of a version ended",
}
# Commits that changed code on which figures depend, and no figure, each with the reason: a person
# has read the change. Whoever doubts it measures again.
HARMLESS: dict[str, str] = {
    "4827f71": "moves the function that gives a sketch its vector",
    "dd662af": "moves the lines of benchmarks that write a page",
    "c2f56ea": "writes one line, prompt, cluster or group without an s",
    "f86dec3": "reads prompts a third sooner, which is at most 2% of the time to route them",
    "62d0aef": "refuses numbers above 1e12 in tables, of which these hold none",
    "79645f5": "changes words of errors; in turns with before, decisions take as long",
    "80eb3ab": "refuses empty paths, and changes exit codes of wrong usage",
    "d3cc2a8": "changes words of errors",
    "bb01f4b": "refuses empty paths",
    "af4b341": "changes codes of faulty requests; in turns with before, others take as long",
    "902b69f": "changes words of errors",
    "3823007": "changes words of errors; in turns with before, decisions take as long",
    "3766f09": "loads less",
    "39bf3d3": "changes words of errors of classes that override `Router.decide`",
}


class Record(NamedTuple):
    """A file of `benches/record/`."""

    name: str
    date: str
    commit: str
    kind: str


def records_of(repository: Repository) -> list[Record]:
    """List the records, by date."""
    found = []
    for name in repository.files:
        match = NAME.fullmatch(name.removeprefix(f"{FOLDER}/"))
        if name.startswith(f"{FOLDER}/") and match:
            found.append(Record(name, match["date"], match["commit"], match["kind"] or ""))
    return sorted(found, key=lambda record: (record.date, record.name))


@cache
def latest_of(repository: Repository) -> dict[str, Record]:
    """Return the latest record of each kind: of a day, that of the latest commit."""
    latest: dict[str, Record] = {}
    for record in records_of(repository):
        before = latest.get(record.kind)
        if before is None or before.date < record.date or _follows(repository, before, record):
            latest[record.kind] = record
    return latest


def _follows(repository: Repository, before: Record, record: Record) -> bool:
    try:
        repository.git("merge-base", "--is-ancestor", before.commit, record.commit)
    except GitError:
        return False
    return True


def stale_records(repository: Repository, kinds: dict[str, Kind] = KINDS) -> list[Missing]:
    """Find records whose code has changed since, and those of an unknown kind."""
    found = []
    for name, record in latest_of(repository).items():
        if name in ONCE:
            continue
        kind = kinds.get(name)
        if kind is None:
            remedy = "say in release/checks/records.py which code it describes"
            found.append(Missing(f"{record.name}: records of kind {name!r} are not known", remedy))
            continue
        try:
            changed = list(commits_since(repository, record.commit, kind.paths))
        except GitError:
            what = f"{record.name}: its commit is not in this repository"
            found.append(Missing(what, kind.command))
            continue
        if changed:
            shown = "; ".join(changed[:SHOWN_COMMITS])
            more = len(changed) - SHOWN_COMMITS
            shown += f"; and {more} more" if more > 0 else ""
            what = f"{record.name} is older than the code: {shown}"
            found.append(Missing(what, f"make it anew: {kind.command}"))
    return found


def commits_since(repository: Repository, commit: str, paths: tuple[str, ...]) -> Iterator[str]:
    """Yield the commits that changed code, the latest first, as `HASH SUBJECT`.

    A change that was taken back since is none: only files whose code differs now count.
    """
    raw = ("--raw", "--no-abbrev", "--no-renames")
    changes = repository.git("diff", *raw, commit, "HEAD", "--", *paths)
    differing = _changed_files(repository, changes)
    if not differing:
        return
    # A commit begins with NUL, which no name of a file holds.
    form = ("--no-merges", "--format=%x00%H %s", f"{commit}..HEAD", "--", *sorted(differing))
    log = repository.git("log", *raw, *form)
    for entry in log.split("\0")[1:]:
        subject, _, changes = entry.partition("\n")
        identity, _, subject = subject.partition(" ")
        if identity[:7] not in HARMLESS and _changed_files(repository, changes):
            yield f"{identity[:7]} {subject}"


def _changed_files(repository: Repository, raw: str) -> set[str]:
    """Return the files of git's raw format whose code differs."""
    changes = []
    for line in raw.splitlines():
        if line.startswith(":"):
            _, _, before, after, rest = line.split(" ", 4)
            changes.append((before, after, rest.partition("\t")[2]))
    code = repository.code_of(
        {identity: name for before, after, name in changes for identity in (before, after)}
    )
    return {name for before, after, name in changes if code[before] != code[after]}
