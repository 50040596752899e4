"""Records that are older than their code, and figures that are not those of a record.

In a repository of git with a history of its own; and the figures of this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from benches.records import UNITS, RecordError
from release.checks.cells import SIZES, Figure, value_of
from release.checks.figures import Page, Tie, is_rounded, untrue_figures
from release.checks.records import KINDS, ONCE, Kind, latest_of, stale_records
from release.checks.repository import Repository
from release.checks.ties import PAGES

from support.paths import ROOT
from support.releases import Project

if TYPE_CHECKING:
    from pathlib import Path

    from release.checks.repository import Missing

CODE = "python/hypernova/__init__.py"
SPEEDS = "# Speed\n\n## now\n\n| row | before | now (9.9) |\n| --- | ---: | ---: |\n"
RECORD = f"{SPEEDS}| route, **16** tokens | 76.44 us, 80 us | 5.216 us |\n| rate | 950 | 3,513 |\n"
LINE = "16 tokens take {} us, {} at worst, and {} requests are answered."


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def has_history() -> bool:
    """Whether this is a clone with all commits, in which records are ordered."""
    if not (ROOT / ".git").exists():
        return False
    return Repository(ROOT).git("rev-parse", "--is-shallow-repository").strip() == "false"


def add_record(project: Project, kind: str, text: str = RECORD, date: str = "2026-11-21") -> str:
    commit = project.git("rev-parse", "--short=7", "HEAD")
    name = f"benches/record/{date}-{commit}-{kind}.md"
    project.write(name, text)
    project.commit(f"Record {kind}")
    return name


def stale(project: Project) -> list[str]:
    kinds = {"speed": Kind("make bench-speed", ("python/hypernova", "rust/hypernova-core/src"))}
    return [each.what for each in stale_records(Repository(project.root), kinds)]


def test_a_record_is_stale_when_code_changed_and_not_when_prose_did(project: Project) -> None:
    name = add_record(project, "speed")
    project.replace(CODE, "Return one.", "Return the number one.")
    project.replace("rust/hypernova-core/src/lib.rs", "/// One.", "/// The number one.")
    project.commit("Say it better")
    project.replace("Makefile", "true", "false")
    project.commit("Change what no figure depends on")
    assert stale(project) == []
    project.replace(CODE, "return 1", "return 1 + 0")
    first = project.commit("Compute it")
    assert stale(project) == [f"{name} is older than the code: {first} Compute it"]
    project.replace(CODE, "return 1 + 0", "return 1")
    project.commit("Take it back")
    assert stale(project) == []


def test_commits_are_named_the_latest_first_and_not_all(project: Project) -> None:
    add_record(project, "speed")
    for i in range(4):
        project.write(CODE, f"x = {i}\n")
        last = project.commit(f"Change {i}")
    (found,) = stale(project)
    assert f": {last} Change 3; " in found
    assert found.endswith("; and 2 more")


def test_only_the_latest_record_of_a_kind_counts(project: Project) -> None:
    add_record(project, "speed")
    project.write(CODE, "x = 1\n")
    project.commit("Change")
    assert len(stale(project)) == 1
    second = add_record(project, "speed")  # of the same day, and of a later commit
    assert latest_of(Repository(project.root))["speed"].name == second
    assert stale(project) == []


def test_a_record_of_an_unknown_kind_or_commit_is_reported(project: Project) -> None:
    project.write("benches/record/2026-11-21-0123456-speed.md", RECORD)
    add_record(project, "colour")
    assert sorted(each.partition(": ")[2] for each in stale(project)) == [
        "its commit is not in this repository",
        "records of kind 'colour' are not known",
    ]


def test_every_path_of_a_kind_is_there() -> None:
    places = {path.removeprefix(":!") for kind in KINDS.values() for path in kind.paths}
    assert [place for place in sorted(places) if not (ROOT / place).exists()] == []


def test_every_kind_of_record_is_known() -> None:
    if (ROOT / ".git").exists():
        assert set(latest_of(Repository(ROOT))) <= set(KINDS) | set(ONCE)


def untrue(project: Project, text: str, *figures: Figure) -> list[Missing]:
    page = Page("README.md", "", (Tie(text, figures),), (r"\d{4}-\d\d-\d\d",))
    return untrue_figures(Repository(project.root), [page])


TEXT = (
    Figure("speed", "route, 16 tokens", "now"),
    Figure("speed", "route, 16 tokens", 1, nth=1),
    Figure("speed", "rate", "now", digits=3),
)


def test_figures_are_those_of_the_record(project: Project) -> None:
    name = add_record(project, "speed")
    line = LINE.format("5.2", "80", "3,510")
    page = f"# It\n\n{line} 2026-11-21, [record]({name})\n"
    project.write("README.md", page)
    assert untrue(project, LINE, *TEXT) == []
    for old, new, where in (
        ("5.2 us", "5.3 us", "5.216"),
        ("80 at", "81 at", "80"),
        ("3,510", "3,520", "3513"),
    ):
        project.write("README.md", page.replace(old, new))
        (found,) = untrue(project, LINE, *TEXT)
        assert found.what.startswith(f"README.md says {new.split()[0]} in ")
        assert found.what.endswith(where)


@pytest.mark.parametrize("more", ["It takes 7 s.", "| a row | 0.5 |", "+3%"])
def test_a_figure_without_a_tie_is_reported(project: Project, more: str) -> None:
    add_record(project, "speed")
    project.write(
        "README.md", f"{LINE.format('5.2', '80', '3,510')}\n\n{more}\n\n```sh\nrun 9\n```\n"
    )
    (found,) = untrue(project, LINE, *TEXT)
    assert "figures without a tie: " in found.what


def test_a_tie_whose_piece_is_gone_is_reported(project: Project) -> None:
    add_record(project, "speed")
    project.write("README.md", "Nothing is said.\n")
    (found,) = untrue(project, LINE, *TEXT)
    assert found.what.startswith("README.md has no piece ")


def test_a_link_to_an_older_record_is_reported(project: Project) -> None:
    first = add_record(project, "speed", date="2026-11-21")
    add_record(project, "speed", date="2026-11-22")
    project.write("README.md", f"{LINE.format('5.2', '80', '3,510')} [Record]({first})\n")
    (found,) = untrue(project, LINE, *TEXT)
    assert found.what == f"README.md links to {first.removesuffix('.md')}, an older record"


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        (Figure("time", "rate", "now"), "there is no record of kind time"),
        (Figure("speed", "ratio", "now"), "0 times a row 'ratio'"),
        (Figure("speed", "rate", "then"), "0 times a column 'then'"),
        (Figure("speed", "r", "now"), "2 times a row 'r'"),
        (Figure("speed", "rate", "now", nth=1), "has 1 numbers, and not number 1"),
        (Figure("speed", "rate", "now", section="then"), "no table below 'then'"),
    ],
)
def test_a_figure_that_is_not_there_is_named(project: Project, figure: Figure, said: str) -> None:
    add_record(project, "speed")
    with pytest.raises(RecordError, match=said):
        value_of(Repository(project.root), figure)


def test_each_unit_of_records_has_a_size() -> None:
    assert set(SIZES) == set(UNITS)


def test_a_sheet_is_read_in_place_of_its_page(project: Project) -> None:
    name = add_record(project, "speed")
    sheet = 'row,library,median_ns\n"decide, one",ours,1250.4\n"decide, one","ours, two",3.0\n'
    project.write(name.replace(".md", ".csv"), sheet)
    figure = Figure("speed", "decide, one / ours", "median_ns")
    value, has_unit = value_of(Repository(project.root), figure)
    assert has_unit
    assert is_rounded("1.25", value / 1e-6)


@pytest.mark.parametrize(
    ("shown", "value", "digits", "rounded"),
    [
        ("5.2", 5.249, 0, True),
        ("5.2", 5.251, 0, False),
        ("5.2", 5.15, 0, True),  # a half goes either way
        ("-0.03", -0.034, 0, True),
        ("0.03", -0.034, 0, False),
        ("5,550", 5554, 3, True),
        ("5,550", 5554, 0, False),
        ("5,560", 5554, 3, False),
        ("0", 0.0, 3, True),
    ],
)
def test_rounding(shown: str, value: float, digits: int, rounded: bool) -> None:
    assert is_rounded(shown, value, digits) is rounded


def test_the_figures_of_the_pages_are_those_of_their_records() -> None:
    """Those that have a tie: what has none keeps a release, and no change."""
    if not has_history():
        pytest.skip("which record is the latest is known to git alone")
    found = [each.what for each in untrue_figures(Repository(ROOT), PAGES)]
    assert [what for what in found if "without a tie" not in what] == []
