"""Each check is quiet about a complete release, and names the one thing that is taken away.

Not here: records and figures (test_release_records.py).
"""

from __future__ import annotations

import datetime
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("yaml", reason="workflows are YAML")

from release.check import QUICK, RECIPES, main
from release.checks.dist import faulty_builds, other_builds
from release.checks.files import (
    changed_models,
    markers,
    missing_golden_files,
    missing_list_of_wheels,
)
from release.checks.recipes import running
from release.checks.repository import Repository
from release.checks.source import code_of
from release.checks.versions import changelog_faults, other_versions, unclean_tree
from release.checks.workflows import workflow_faults

from support.paths import ROOT
from support.releases import FILES, Project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from release.checks.repository import Missing

WORKFLOW = ".github/workflows/checks.yml"
CHANGES: dict[str, tuple[Callable[[Repository], list[Missing]], str, str, str, str]] = {
    # check, file, what stands there, what takes its place, what is said
    "an edit": (unclean_tree, "Makefile", "true", "false", "not committed: Makefile"),
    "lock": (other_versions, "Cargo.lock", "1.2.3", "1.2.2", "Cargo.lock has hypernova-core 1.2.2"),
    "citation": (other_versions, "CITATION.cff", "1.2.3", "1.2.2", "CITATION.cff does not state"),
    "artifact": (
        other_versions, "python/hypernova/bundled/default.hnv", "1.2.3", "1.2.2",
        "was fitted by 1.2.2, not 1.2.3",
    ),
    "no version": (other_versions, "Cargo.toml", "1.2.3", "next", "states the version 'next'"),
    "placeholder": (changelog_faults, "CHANGELOG.md", "2026-11-20", "YYYY-MM-DD", "'YYYY-MM-DD'"),
    "no date": (changelog_faults, "CHANGELOG.md", " - 2026-11-20", "", "dates 1.2.3 None"),
    "tomorrow": (changelog_faults, "CHANGELOG.md", "2026", "9026", "which is to come"),
    "another day": (changelog_faults, "CITATION.cff", "2026-11-20", "2026-11-19", "2026-11-20"),
    "no section": (changelog_faults, "CHANGELOG.md", "1.2.3", "1.2.2", "no heading [1.2.3]"),
    "no entry": (changelog_faults, "CHANGELOG.md", "- New.\n", "", "says nothing of 1.2.3"),
    "unreleased": (
        changelog_faults, "CHANGELOG.md", "[Unreleased]\n", "[Unreleased]\n\n- More.\n",
        "entries under Unreleased",
    ),
    "format": (
        missing_golden_files, "rust/hypernova-core/FORMAT.md", "1.1", "1.2",
        "format 1.2 has no golden file",
    ),
    "model": (
        changed_models, "python/hypernova/bundled/static/model.onnx", "rows", "rowz",
        "static/model.onnx is not the file",
    ),
    "recipe": (workflow_faults, WORKFLOW, "make test", "make tests", "calls make tests"),
    "module": (
        workflow_faults, WORKFLOW, "make test", "python -m release.wheels", "calls python -m"
    ),
    "matrix": (
        workflow_faults, WORKFLOW, "runs-on: linux",
        "runs-on: linux\n    strategy: { matrix: { include: [{ recipe: test-x }] } }",
        "calls make test-x",
    ),
    "branch": (workflow_faults, WORKFLOW, "@v4", "@main", "uses actions/checkout@main"),
    "rights": (workflow_faults, WORKFLOW, "permissions: { contents: read }", "", "what it may"),
    "YAML": (workflow_faults, WORKFLOW, "on: push", "on: [push", "is no YAML"),
}  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.mark.parametrize("change", CHANGES)
def test_one_change_is_found_and_nothing_else(project: Project, change: str) -> None:
    check, name, old, new, said = CHANGES[change]
    assert project.missing(check) == []
    project.replace(name, old, new)
    found = project.missing(check)
    assert len(found) == 1, found
    assert said in found[0]


def test_a_version_is_released_once(project: Project) -> None:
    project.git("tag", "v1.2.3")
    assert project.missing(other_versions) == []
    project.write("README.md", "More.\n")
    project.commit("Go on")
    (found,) = project.missing(other_versions)
    assert "the tag v1.2.3 is that of another commit" in found


def test_a_date_is_good_from_its_own_day_on(project: Project) -> None:
    repository, day = Repository(project.root), datetime.date(2026, 11, 20)
    assert changelog_faults(repository, day) == []
    assert len(changelog_faults(repository, day - datetime.timedelta(days=1))) == 1


def test_a_golden_file_needs_its_answers(project: Project) -> None:
    project.git("rm", "--quiet", "tests/golden/v1_0_small.json")
    assert project.missing(missing_golden_files) == [
        "format 1.0 has no golden file with its answers"
    ]


def test_a_model_that_is_not_listed_is_found(project: Project) -> None:
    project.write("python/hypernova/bundled/static/embedder.json", "{}")
    project.commit("Add settings")
    (found,) = project.missing(changed_models)
    assert found.endswith("does not list python/hypernova/bundled/static/embedder.json")


def test_marks_of_unfinished_work_are_found_as_words(project: Project) -> None:
    mark = "TO" + "DO"
    project.write("a.py", f"x = 1  # {mark}: more\n")
    project.write("b.rs", f'const NAME: &str = "G{mark}S";\n')
    project.commit("Add")
    assert project.missing(markers) == [f"a.py:1 says {mark}"]


def test_the_list_of_wheels_is_of_those_that_were_built(project: Project) -> None:
    (missing,) = project.missing(missing_list_of_wheels)
    assert missing == "there is no record of where the wheels were run"
    project.write("dist/hypernova_router-1.2.3-cp311-abi3-any.whl", "bytes")
    digest = hashlib.sha256(b"bytes").hexdigest()
    name = "benches/record/2026-11-20-abcdef0-wheels.md"
    for version, held, wrong in (
        ("1.2.2", digest, [f"{name} is not of version 1.2.3"]),
        (
            "1.2.3",
            "0" * 64,
            [f"{name} is of another dist/hypernova_router-1.2.3-cp311-abi3-any.whl"],
        ),
        ("1.2.3", digest, []),
    ):
        project.write(name, f"| hypernova_router-{version}-cp311-abi3-any.whl | {held} |\n")
        project.git("add", name)
        assert project.missing(missing_list_of_wheels) == wrong


def build(project: Project, **other: str) -> None:
    """Write an sdist and a wheel of the tree into dist/, some files with other content."""
    dist = project.root / "dist"
    dist.mkdir(exist_ok=True)
    files = {name: other.get(name, text).encode() for name, text in FILES.items()}
    with tarfile.open(dist / "hypernova_router-1.2.3.tar.gz", "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"hypernova_router-1.2.3/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    wheel = dist / "hypernova_router-1.2.3-cp311-abi3-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            if name.startswith("python/"):
                archive.writestr(name.removeprefix("python/"), content)


def test_distributions_are_of_the_tree(project: Project) -> None:
    assert len(project.missing(other_builds)) == 2
    build(project)
    assert project.missing(other_builds) == []
    (project.root / "dist" / "hypernova_router-1.2.2.tar.gz").write_bytes(b"")
    (found,) = project.missing(other_builds)
    assert "hypernova_router-1.2.2.tar.gz is of another version" in found


def test_distributions_of_an_earlier_commit_are_found(project: Project) -> None:
    build(project)
    project.replace("rust/hypernova-core/src/lib.rs", "1", "2")
    (found,) = project.missing(other_builds)  # a wheel holds no sources of Rust
    assert "tar.gz was built of another rust/hypernova-core/src/lib.rs" in found
    build(project)
    project.write("python/hypernova/new.py", "x = 1\n")
    project.commit("Add a module")
    assert any("whl was built of another python/hypernova/new.py" in each
               for each in project.missing(other_builds))  # fmt: skip


def test_faults_of_distributions_are_told(project: Project) -> None:
    assert project.missing(faulty_builds) == ["there is nothing in dist/"]
    build(project)
    project.write("release/__init__.py", "")
    project.write("release/contents.py", "import sys; sys.exit(' '.join(sys.argv[1:]))\n")
    project.git("add", "--all")
    (found,) = project.missing(faulty_builds)
    assert "1.2.3-cp311-abi3-any.whl dist/hypernova_router-1.2.3.tar.gz ends with code 1" in found


def test_a_command_is_missing_if_it_fails_or_is_not_there(project: Project) -> None:
    assert project.missing(running("git status")) == []
    (failed,) = project.missing(running("git nonsense"))
    assert failed.startswith("git nonsense ends with code 1: ")
    assert project.missing(running("python -m release.bill")) == ["there is no release.bill"]
    (absent,) = project.missing(running("no-such-program-at-all"))
    assert absent == "no-such-program-at-all does not start: No such file or directory"
    project.write("release/__init__.py", "")
    project.write("release/bill.py", "print('two crates'); raise SystemExit(1)\n")
    project.git("add", "--all")
    assert project.missing(running("python -m release.bill")) == [
        "python -m release.bill ends with code 1: two crates"
    ]


def test_the_command_says_what_is_missing_and_what_to_do(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ("--quick", "--only", "tree", "--only", "changelog")
    assert main(chosen, Repository(project.root)) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1.2.3: nothing is missing"
    project.replace("CHANGELOG.md", "- New.\n", "")
    assert main(chosen, Repository(project.root)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "missing",
        "tree",
        *["changes", "that", "are", "not", "committed:", "CHANGELOG.md"],
    ]
    assert lines[-2:] == ["  2. CHANGELOG.md says nothing of 1.2.3", "     -> write what changed"]
    with pytest.raises(SystemExit) as stopped:
        main(("--quick", "--only", "lint"), Repository(project.root))
    assert stopped.value.code == 2


def test_a_folder_without_git_is_a_line_and_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(("--quick", "--only", "markers"), Repository(tmp_path)) == 1
    assert "markers could not be checked: fatal: not a git repository" in capsys.readouterr().out


def test_each_name_is_that_of_one_check() -> None:
    names = [check.name for check in QUICK + RECIPES]
    assert len(names) == len(set(names))


def test_recipes_that_are_run_are_in_the_makefile() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "release.check", "--help"],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "1000"},
        capture_output=True,
        text=True,
        check=True,
    )
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for check in RECIPES:
        assert check.name in done.stdout
        if check.name.startswith("test") or check.name in ("lint", "docs"):
            assert f"\n{check.name}:" in makefile


MANIFEST, LOCK = FILES["Cargo.toml"], FILES["Cargo.lock"]
PYTHON = 'def f(x):\n    """Doc."""\n    return x  # why\n'
RUST = (
    "//! A crate.\n/// Doc.\nfn f() -> &'static str {\n"
    '    "// no comment" /* /* in */ */ // why\n}\n'
    "#[cfg(test)]\nmod tests {\n    #[test]\n    fn g() {}\n}\n"
)
SAME = {
    "docstring": ("a.py", PYTHON, PYTHON.replace("Doc.", "Other.")),
    "no docstring": ("a.py", PYTHON, PYTHON.replace('    """Doc."""\n', "")),
    "comment": ("a.py", PYTHON, PYTHON.replace("  # why", "")),
    "Rust docs": ("a.rs", RUST, RUST.replace("/// Doc.\n", "").replace("A crate", "It")),
    "Rust comment": ("a.rs", RUST, RUST.replace("/* in */", "/* \" */")),
    "unit test": ("a.rs", RUST, RUST.replace("fn g() {}", "fn g() { f(); }")),
    "own version": ("Cargo.toml", MANIFEST, MANIFEST.replace("1.2.3", "2.0.0")),
    "own package": ("Cargo.lock", LOCK, LOCK.replace("1.2.3", "2.0.0")),
    "page": ("a.md", "a", "b"),
}  # fmt: skip
OTHER = {
    "value": ("a.py", PYTHON, PYTHON.replace("return x", "return 2 * x")),
    "text": ("a.py", "x = 'a'\n", "x = 'b'\n"),
    "Rust": ("a.rs", RUST, RUST.replace("fn f()", "fn h()")),
    "Rust text": ("a.rs", RUST, RUST.replace("// no comment", "// a comment")),
    "quote": ("a.rs", "let q = '\"'; // a \" b\nf();", "let q = '\"'; // a \" b\ng();"),
    "lifetime": ("a.rs", "fn f<'a>(x: &'a str) {} // 'x", "fn f<'a>(x: &'a [u8]) {} // 'x"),
    "raw": ("a.rs", 'let r = r#"a" // b"#;', 'let r = r#"a" // c"#;'),
    "crate": ("Cargo.lock", LOCK, LOCK.replace("7.0.0", "7.0.1")),
    "bytes": ("model.onnx", "a", "b"),
    "no Python": ("a.py", "def", "def "),
}


@pytest.mark.parametrize("case", SAME)
def test_prose_is_no_code(case: str) -> None:
    name, before, after = SAME[case]
    assert before != after
    assert code_of(name, before.encode()) == code_of(name, after.encode())


@pytest.mark.parametrize("case", OTHER)
def test_other_code_is_other(case: str) -> None:
    name, before, after = OTHER[case]
    assert code_of(name, before.encode()) != code_of(name, after.encode())
