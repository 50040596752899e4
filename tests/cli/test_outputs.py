"""Places that cannot be written: said before the work, by name, and nothing half-written stays.

Not here: what is written. Full disks are real ones: a small memory disk where the tests may mount
one, a limit on the size of files, and /dev/full.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import hypernova
from hypernova.cli import main
from hypernova.errors import HypernovaError, WriteError
from hypernova.paths import check_file, write_file
from support import commands
from support.factories import fitted_to_example
from support.paths import TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

QUICK = ("--folds", 2, "--repeats", 1, "--clusters", 2, "--jobs", 1, "--no-learning-curve")


def run(
    *arguments: object, largest_file: int | None = None, **options: object
) -> subprocess.CompletedProcess[str]:
    """Run ``hypernova``, with a limit on the size of files where one is given."""

    def limit() -> None:
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    return commands.run(*arguments, preexec_fn=limit, **options)


@contextlib.contextmanager
def mounted(at: Path, options: str) -> Iterator[Path]:
    """A memory disk, or a skip where the tests may mount none."""
    at.mkdir()
    tried = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", at], capture_output=True, check=False
    )
    if tried.returncode:
        pytest.skip("no disk of its own: mounting one takes root and CAP_SYS_ADMIN")
    try:
        yield at
    finally:
        subprocess.run(["umount", at], check=True)


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """Twenty tasks: quick to judge."""
    path = tmp_path_factory.mktemp("table") / "small.jsonl"
    path.write_text("".join(TABLE.read_text().splitlines(keepends=True)[:40]))
    return path


@pytest.fixture(scope="module")
def fitted(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("fit") / "router.hnv"
    fitted_to_example(2).save(path)
    return path


# Every command that writes, with inputs that are not there: to name the output instead of them
# is to have looked at it first.
COMMANDS = [
    ("fit", "none.jsonl", "-o"),
    ("evaluate", "none.jsonl", "--json"),
    ("evaluate", "none.jsonl", "--html"),
    ("import", "none", "-o"),
    ("next-prompts", "none.hnv", "none.jsonl", "-o"),
    ("add-model", "none.hnv", "none.jsonl", "-o"),
    ("recalibrate", "none.hnv", "none", "-o"),
    ("remove-model", "none.hnv", "m", "-o"),
    ("rename-model", "none.hnv", "m", "n", "-o"),
    ("datasets", "convert", "routerbench", "none.csv", "-o"),
    ("datasets", "convert", "swebench", "none.json", "none.jsonl", "-o"),
    ("export-embedder", "none", "-o"),
    ("route", "--input", "none.csv", "--output"),
]
BY_NAME = pytest.mark.parametrize(
    "command", COMMANDS, ids=["-".join((*c[:3], c[-1])) for c in COMMANDS]
)


def refused_first(capsys, command: tuple[str, ...], output: Path | str) -> str:
    """One line that names the output, and exit code 1; returns the line."""
    assert main([*command, str(output)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"hypernova: {output}"), said.err
    assert said.err.count("\n") == 1
    return said.err


@BY_NAME
def test_an_output_is_looked_at_before_the_work(command, capsys, tmp_path) -> None:
    # In /proc nothing can be made, not even by root.
    assert "cannot be written" in refused_first(capsys, command, Path("/proc/self/out"))
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "file").touch()
    refused_first(capsys, command, taken)
    if command[0] != "export-embedder":  # which makes the folders above its own
        missing = tmp_path / "none" / "out"
        assert "does not exist; make it first" in refused_first(capsys, command, missing)
    if command[0] not in ("datasets", "export-embedder", "import"):  # which may write a folder
        named = refused_first(capsys, command, f"{tmp_path}/out/")
        assert "is the name of a folder; name a file" in named
    refused_first(capsys, command, taken / "file" / "out")
    refused_first(capsys, command, tmp_path / ("n" * 300))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "taken"]


def test_a_read_only_disk_and_a_full_one_are_found_before_the_work(capsys, tmp_path) -> None:
    with mounted(tmp_path / "read-only", "ro") as disk:
        for command in COMMANDS:
            assert "Read-only" in refused_first(capsys, command, disk / "out")
    with mounted(tmp_path / "full", "size=4k") as disk:
        (disk / "fill").write_bytes(bytes(4096))
        for command in COMMANDS:
            assert "No space left" in refused_first(capsys, command, disk / "out")
        assert [path.name for path in disk.iterdir()] == ["fill"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write in every folder")
def test_a_folder_without_permission_is_found_before_the_work(capsys, tmp_path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    for command in COMMANDS:
        assert "Permission denied" in refused_first(capsys, command, closed / "out")


@pytest.mark.slow
def test_a_full_disk_does_not_cost_the_verdict(table, tmp_path) -> None:
    with mounted(tmp_path / "disk", "size=32k") as disk:
        done = run(
            "evaluate", table, *QUICK, "--html", disk / "page.html", "--json", tmp_path / "f.json"
        )
        assert list(disk.iterdir()) == []
    assert done.returncode == 1
    assert done.stdout.startswith(json.loads((tmp_path / "f.json").read_text())["verdict"])
    assert done.stderr.startswith(f"hypernova: {disk / 'page.html'}: cannot be written (No space")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_limit_on_files_does_not_cost_the_verdict_and_every_file_is_named(
    table, tmp_path
) -> None:
    page, figures = tmp_path / "page.html", tmp_path / "figures.json"
    page.write_text("before")
    done = run("evaluate", table, *QUICK, "--html", page, "--json", figures, largest_file=512)
    assert done.returncode == 1
    assert "held-out" in done.stdout
    first, second = done.stderr.splitlines()
    assert f"{figures}: cannot be written (File too large)" in first
    assert f"{page}: cannot be written (File too large)" in second
    assert page.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


@pytest.fixture
def full(tmp_path) -> Path:
    """A device whose disk is always full; root has one of its own, which no fault can cost."""
    if os.geteuid():
        return Path("/dev/full")
    device = tmp_path / "full"
    try:
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 7))
        with device.open("wb"):
            pass
    except PermissionError:
        pytest.skip("no device of its own: making one takes CAP_MKNOD")
    return device


@pytest.mark.slow
def test_a_report_goes_to_a_device_or_a_pipe(table, full, tmp_path) -> None:
    done = run("evaluate", table, *QUICK, "--json", "/dev/fd/1", "--html", full)
    assert done.returncode == 1
    assert done.stderr == (
        f"hypernova: {full}: cannot be written (No space left on device); "
        "check the space and the permissions there\n"
    )
    assert full.is_char_device()
    report, _, figures = done.stdout.partition("\n{")
    assert report.startswith(json.loads("{" + figures)["verdict"])
    # Standard output may be a file that has a beginning.
    with (tmp_path / "out").open("w") as out:
        done = run("evaluate", table, *QUICK, "--json", "/dev/fd/1", stdout=out)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out").read_text() == report + "\n{" + figures
    with (tmp_path / "out").open("w") as out:
        assert "no regular file" in run("fit", table, "-o", "/dev/fd/1", stdout=out).stderr


@pytest.mark.slow
def test_full_standard_output_does_not_cost_the_files(table, tmp_path) -> None:
    with Path("/dev/full").open("w") as full:
        done = run("evaluate", table, *QUICK, "--json", tmp_path / "f.json", stdout=full)
    assert done.returncode == 1
    assert done.stderr.startswith("hypernova: standard output cannot be written (No space")
    assert done.stderr.count("\n") == 1
    assert "verdict" in json.loads((tmp_path / "f.json").read_text())


@pytest.mark.slow
def test_an_artifact_that_does_not_fit_leaves_the_old_one(fitted, tmp_path) -> None:
    with mounted(tmp_path / "disk", "size=8k") as disk:
        old = disk / "r.hnv"
        old.write_bytes(b"old")
        done = run("rename-model", fitted, "simulated-large", "large", "-o", old)
        assert (done.returncode, done.stdout) == (1, ""), done
        assert str(old) in done.stderr
        assert "No space left" in done.stderr
        assert [path.name for path in disk.iterdir()] == ["r.hnv"]
        assert old.read_bytes() == b"old"
    done = run("rename-model", fitted, "simulated-large", "large", "-o", tmp_path / "r.hnv",
               largest_file=512)  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert f"{tmp_path / 'r.hnv'}" in done.stderr
    assert not (tmp_path / "r.hnv").exists()


@pytest.mark.slow
def test_no_device_is_replaced_by_a_file(fitted, tmp_path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for place in (pipe, "/dev/fd/1"):
        with pytest.raises(hypernova.errors.ArtifactWriteError, match="no regular file"):
            hypernova.Artifact.open(fitted).save(place)
    done = run("fit", TABLE, "-o", pipe)
    assert "no regular file" in done.stderr
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.slow
def test_an_input_is_not_overwritten(table, fitted, tmp_path) -> None:
    before = table.read_bytes()
    other = tmp_path / "link.hnv"
    other.symlink_to(table)
    for arguments in (
        ("fit", table, "-o", table),
        ("fit", table, "-o", other),
        ("evaluate", table, "--json", table),
        ("add-model", fitted, table, "-o", table),
    ):
        done = run(*arguments)
        assert done.returncode == 1
        assert "would be overwritten" in done.stderr
    assert "name two files" in run("evaluate", table, "--json", "x", "--html", "x").stderr
    assert table.read_bytes() == before


def test_python_says_the_same(tmp_path) -> None:
    for path in (tmp_path, Path("/proc/self/out"), tmp_path / "none" / "x"):
        for write in (check_file, lambda path: write_file(path, b"x")):
            with pytest.raises((WriteError, FileNotFoundError)) as caught:
                write(path)
            assert isinstance(caught.value, HypernovaError)
            assert str(caught.value).startswith(str(path))
    write_file(tmp_path / ("n" * 255), b"a name as long as the system allows")
    odd = tmp_path / "a\nb" / "x"
    with pytest.raises(FileNotFoundError, match=r"a\\nb") as caught:
        check_file(odd)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "words", [("route", "-a", ".", "Sort a list"), ("inspect", "."), ("monitor", ".", "log")]
)
def test_a_folder_for_an_artifact_is_refused_with_what_to_do(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    assert "is a folder; name a file" in commands.fails_in_one_line(*words, cwd=tmp_path)
