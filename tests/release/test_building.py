"""What a build is made of, and what it depends on.

Not here: a build itself, which takes minutes, or the checks of its files (`test_contents.py`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from typing import TYPE_CHECKING

import pytest

from release import build, targets, tools
from support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

COMMITTED, LATER = 1_700_000_000, 1_800_000_000
ignoring = pytest.mark.skipif(shutil.which("git") is None, reason="NOT tested: no git")


def git(folder: Path, *arguments: str, at: int = COMMITTED) -> None:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    dates = dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), f"@{at} +0000")
    subprocess.run(["git", *who, *arguments], cwd=folder, env={**os.environ, **dates}, check=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A checkout with files that were built in it, and one that is not known to git."""
    root = tmp_path / "repository"
    (root / "package" / "__pycache__").mkdir(parents=True)
    for name in ("package/a.py", "package/b é.txt", "package/__pycache__/a.pyc", "new.txt"):
        (root / name).write_text(name, encoding="utf-8")
    (root / "package" / "a.py").chmod(0o755)
    git(root, "init", "--quiet")
    git(root, "add", "package/a.py", "package/b é.txt")
    git(root, "commit", "--quiet", "--message", "One")
    return root


@ignoring
class TestSources:
    def test_they_are_what_git_tracks(self, repository: Path) -> None:
        assert build.source_files(repository) == ["package/a.py", "package/b é.txt"]

    def test_a_copy_has_one_mode_whatever_the_umask(self, repository: Path, tmp_path: Path) -> None:
        before = os.umask(0o077)
        try:
            build.copy_sources(repository, tmp_path / "copy")
        finally:
            os.umask(before)
        copied = [p for p in sorted((tmp_path / "copy").rglob("*")) if p.is_file()]
        assert [p.name for p in copied] == ["a.py", "b é.txt"]
        assert {p.stat().st_mode & 0o777 for p in copied} == {0o644}

    def test_a_file_that_was_removed_is_not_copied(self, repository: Path) -> None:
        (repository / "package" / "a.py").unlink()
        assert build.source_files(repository) == ["package/b é.txt"]

    def test_a_list_of_where_wheels_were_run_changes_no_build(
        self, repository: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
        sources = build.source_files(repository)
        records = repository / "benches" / "record"
        records.mkdir(parents=True)
        for name, is_source in (("2026-11-28-abcdef0-wheels.md", False), ("x-speed.md", True)):
            (records / name).touch()
            git(repository, "add", "--all", "benches")
            git(repository, "commit", "--quiet", "--message", name, at=LATER)
            added = [f"benches/record/{name}"] if is_source else []
            assert build.source_files(repository) == added + sources
            assert build.epoch(repository) == (LATER if is_source else COMMITTED)

    def test_the_time_is_the_commits(
        self, repository: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
        assert build.epoch(repository) == COMMITTED
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1600000000")
        assert build.epoch(repository) == 1_600_000_000
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "today")
        with pytest.raises(tools.Fault, match="give seconds since 1970"):
            build.epoch(repository)


def test_an_unpacked_sdist_is_built_from_its_files_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    for name in ("p/a.py", "p/_core.abi3.so", "p/a.pyc", "build/x", "target/x", ".venv/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "PKG-INFO").touch()
    os.utime(tmp_path / "PKG-INFO", (1, 1_500_000_000))
    assert build.source_files(tmp_path) == ["p/a.py"]
    assert build.epoch(tmp_path) == 1_500_000_000


def test_unpacking_refuses_what_is_no_plain_file(tmp_path: Path) -> None:
    path = tmp_path / "x-1.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo("x-1/link")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(tools.Fault, match="x-1/link is no plain file"):
        build.unpack(path, tmp_path / "folder")


@pytest.mark.skipif(shutil.which("rustc") is None, reason="NOT tested: no Rust")
class TestEnvironment:
    def test_no_flag_of_the_user_comes_in(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("RUSTFLAGS", "CFLAGS", "CARGO_PROFILE_RELEASE_LTO", "PYO3_PYTHON"):
            monkeypatch.setenv(name, "own")
        env = build.environment(tmp_path, tmp_path / "target", 7, targets.TARGETS["native"])
        assert "own" not in env.values()
        assert env["SOURCE_DATE_EPOCH"] == "7"

    def test_the_compiler_gives_a_folder_its_fixed_name(self, tmp_path: Path) -> None:
        """Real: a panic's place in a program that is compiled in two folders."""
        programs = []
        for name in ("one", "another place"):
            source = tmp_path / name / "src"
            source.mkdir(parents=True)
            main = source / "main.rs"
            main.write_text("fn main() { std::env::args().nth(9).unwrap(); }", encoding="utf-8")
            env = build.environment(
                source, tmp_path / name / "target", 7, targets.TARGETS["native"]
            )
            flags = env["CARGO_ENCODED_RUSTFLAGS"].split("\x1f")
            # In its own folder, so that the linker's temporary names are the same.
            command = ["rustc", *flags, "-Cstrip=symbols", str(main), "-o", "made"]
            subprocess.run(command, cwd=source, env=env, check=True)
            programs.append((source / "made").read_bytes())
        assert b"/hypernova/main.rs" in programs[0]
        assert b"another place" not in programs[1]
        assert str(tmp_path).encode() not in programs[0]

    def test_what_a_target_lacks_is_said_with_the_way_to_get_it(self) -> None:
        nowhere = targets.Target("x-y", "riscv64a23-unknown-linux-gnu", "manylinux_2_39_riscv64")
        assert targets.missing(nowhere).endswith("rustup target add riscv64a23-unknown-linux-gnu")
        linker = targets.Target("x-y", "", linker="no-such-cc", package="cc")
        assert targets.missing(linker).endswith("no-such-cc is missing; on Debian: apt install cc")
        assert targets.missing(targets.TARGETS["native"]) == ""


class TestCommand:
    @staticmethod
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    @pytest.mark.parametrize("name", ["wheels", "reproduce"])
    def test_an_unknown_target_is_one_line(self, name: str) -> None:
        done = self.run(f"release.{name}", "x86_64-plan9")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("there is no target x86_64-plan9; those that there are: ")
        assert done.stderr.count("\n") == 1

    @pytest.mark.skipif(
        bool(sysconfig.get_config_var("Py_GIL_DISABLED")), reason="this interpreter has no GIL"
    )
    def test_an_interpreter_with_a_gil_has_the_stable_abi(self) -> None:
        done = self.run("release.wheels", "--keep", "--free-threaded", sys.executable, "native")
        assert done.returncode == 1
        assert done.stderr.endswith("has a GIL, and the abi3 wheel is for it\n")


def test_the_crate_has_the_licence_of_the_repository() -> None:
    licence = (ROOT / "rust" / "hypernova-core" / "LICENSE").read_bytes()
    assert licence == (ROOT / "LICENSE").read_bytes()


def test_targets_have_the_names_of_their_platforms() -> None:
    for target in targets.TARGETS.values():
        processor = target.name.partition("-")[0]
        assert target.rust.partition("-")[0] in (processor, "")
        if "linux" in target.platform:
            assert target.policy + "_" + processor == target.platform
            assert (target.rust.endswith("-musl")) == ("musl" in target.name)


@pytest.mark.skipif(shutil.which("make") is None, reason="NOT tested: no make")
@pytest.mark.parametrize("recipe", ["wheels", "reproduce"])
def test_a_recipe_without_options_names_no_target(recipe: str) -> None:
    """A variable of another recipe once had the name of this option."""
    env = {name: value for name, value in os.environ.items() if name != "TARGETS"}
    done = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", recipe],
        cwd=ROOT, env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1].split()[-2:] == ["-m", f"release.{recipe}"]
