"""The file of the access log: rotated, shared, forked, full, and never in the way.

Not here: what a served process writes there (`test_serve_operation.py`).
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from hypernova.errors import WriteError
from hypernova.integrations.server import AccessLog
from support.commands import run_python
from support.process_tree import until

if TYPE_CHECKING:
    from pathlib import Path


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines() if line]


class TestFile:
    def test_every_line_is_written_once_and_in_order(self, tmp_path: Path) -> None:
        file = tmp_path / "a.jsonl"
        log = AccessLog(file)
        for number in range(1000):
            log.write({"number": number})
        log.close()
        log.close()
        assert [line["number"] for line in lines_of(file)] == list(range(1000))
        assert file.stat().st_mode & 0o007 == 0  # others may not read it

    def test_lines_appear_while_it_is_open(self, tmp_path: Path) -> None:
        log = AccessLog(tmp_path / "a.jsonl")
        for number in range(3):
            log.write({"number": number})
            assert until(lambda n=number: len(lines_of(tmp_path / "a.jsonl")) == n + 1)
        log.close()

    def test_a_renamed_or_truncated_file_goes_on(self, tmp_path: Path) -> None:
        """The two ways in which logrotate rotates, without any signal."""
        file, old = tmp_path / "a.jsonl", tmp_path / "a.jsonl.1"
        log = AccessLog(file)
        log.write({"number": 1})
        assert until(lambda: bool(lines_of(file)))
        file.rename(old)
        log.write({"number": 2})
        assert until(file.exists)
        assert until(lambda: bool(lines_of(file)))
        os.truncate(file, 0)
        log.write({"number": 3})
        log.close()
        assert [line["number"] for line in lines_of(old)] == [1]
        assert [line["number"] for line in lines_of(file)] == [3]

    def test_processes_share_a_file(self, tmp_path: Path) -> None:
        """A child that opens the file itself, and one that was forked with the log open."""
        program = """
import os, sys
from hypernova.integrations.server import AccessLog
log = AccessLog(sys.argv[1])
log.write({"from": "parent", "n": 0})
children = []
for name in ("opened", "inherited"):
    child = os.fork()
    if child == 0:
        if name == "opened":
            log = AccessLog(sys.argv[1])
        for n in range(400):
            log.write({"from": name, "n": n, "long": "x" * n})
        log.close()
        os._exit(0)
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
log.close()
"""
        run_python("-c", program, tmp_path / "a.jsonl", code=0)
        found = lines_of(tmp_path / "a.jsonl")
        for name, number in (("parent", 1), ("opened", 400), ("inherited", 400)):
            assert [line["n"] for line in found if line["from"] == name] == list(range(number))

    def test_a_full_disk_loses_lines_and_says_so_once(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        log = AccessLog("/dev/full")
        lost: list[int] = []
        log.on_lost = lost.append
        for number in range(100):
            log.write({"number": number})
            assert until(lambda n=number: sum(lost) == n + 1 if n in (0, 99) else True)
        log.close()
        assert sum(lost) == 100
        assert caplog.text.count("No space left") == 1

    def test_a_line_cut_short_spoils_no_other(self, tmp_path: Path) -> None:
        """A limit on the file's size cuts a write as a full disk does."""
        program = """
import resource, sys, time
from hypernova.integrations.server import AccessLog
log, lost = AccessLog(sys.argv[1]), []
log.on_lost = lost.append
resource.setrlimit(resource.RLIMIT_FSIZE, (150, resource.RLIM_INFINITY))
log.write({"n": 1, "long": "x" * 100})
log.write({"n": 2, "long": "x" * 100})
while sum(lost) < 1: time.sleep(0.005)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.write({"n": 3})
log.close()
out = AccessLog("-")
out.write({"lost": lost})
out.close()
"""
        done = run_python("-c", program, tmp_path / "a.jsonl", code=0)
        assert done.stdout == '{"lost":[1]}\n'
        whole, torn, last = (tmp_path / "a.jsonl").read_text().splitlines()
        assert (json.loads(whole)["n"], json.loads(last)) == (1, {"n": 3})
        assert torn == '{"n":2,"long":"x' + "x" * (150 - len(whole) - 1 - 16)

    def test_a_pipe_that_nobody_reads_holds_nobody_up(self) -> None:
        reading, writing = os.pipe()
        log = AccessLog(f"/dev/fd/{writing}")
        lost: list[int] = []
        log.on_lost = lost.append
        long = "x" * (1 << 20)
        for _ in range(16):
            log.write({"long": long})
        assert sum(lost) > 0
        # The thread ends once the pipe does.
        os.close(reading)
        log.close()
        os.close(writing)

    @pytest.mark.parametrize("name", ["no folder/a.jsonl", "", "a\0b"])
    def test_a_file_that_cannot_be_made(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(WriteError, match="cannot be written"):
            AccessLog(f"{tmp_path}/{name}")


def test_a_closed_standard_output_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number may be that of another file by then; Python has None where it was closed."""
    monkeypatch.setattr(sys, "__stdout__", None)
    with pytest.raises(WriteError, match=r"standard output: cannot be written \(Bad file"):
        AccessLog("-")
