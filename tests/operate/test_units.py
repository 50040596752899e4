"""The units of systemd, checked by systemd; the server within their limits; and logrotate.

Not here: the access log's own tests (`tests/integrations/test_access_log.py`).
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING

import httpx
import pytest

import hypernova
from hypernova.integrations.server import AccessLog
from support.operate import FOLDER, needed, write
from support.paths import TABLE
from support.tracing import strace

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.operate

UNITS = sorted(path.name for path in FOLDER.iterdir() if path.suffix in (".service", ".timer"))
PROGRAM = "/opt/hypernova/bin/hypernova"


def analyzed(*arguments: object, code: int | None = 0) -> str:
    command = [needed("systemd-analyze", "systemd"), "--no-pager", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert code in (None, done.returncode), done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units in a folder, with a program that is there."""
    program = shutil.which("true")
    for name in UNITS:
        text = (FOLDER / name).read_text()
        write(tmp_path, name, text.replace(PROGRAM, str(program)))
    return tmp_path


def test_systemd_accepts_the_units(installed: Path) -> None:
    assert UNITS == [
        "hypernova-monitor.service", "hypernova-monitor.timer", "hypernova.service"
    ]  # fmt: skip
    assert analyzed("verify", "--man=no", *(installed / name for name in UNITS)) == ""


@pytest.mark.parametrize("name", [name for name in UNITS if name.endswith(".service")])
def test_the_services_are_hardened(name: str) -> None:
    """systemd's own measure: 0 is nothing exposed, 10 all."""
    found = analyzed("security", "--offline=true", "--threshold=15", FOLDER / name)
    overall = re.search(r"Overall exposure level for \S+: (\d+\.\d)", found)
    assert overall is not None, found
    assert float(overall[1]) <= 1.5


def test_the_timer_is_daily() -> None:
    (when,) = re.findall(r"OnCalendar=(.*)", (FOLDER / "hypernova-monitor.timer").read_text())
    assert "Normalized form: *-*-* 06:00:00" in analyzed("calendar", when)


def test_logrotate_loses_no_line(tmp_path: Path) -> None:
    """Twice, with a log that stays open; the second time the first file is compressed."""
    file = tmp_path / "access.jsonl"
    text = (FOLDER / "logrotate.conf").read_text()
    text = text.replace("/var/log/hypernova/access.jsonl", str(file))
    # Names hold the second of the rotation, and here there are two in one.
    config = write(tmp_path, "rotate.conf", re.sub(r"\n +date\w+.*", "", text))
    command = [needed("logrotate", "logrotate"), "--force", "--state", tmp_path / "state", config]
    log = AccessLog(file)
    for rotation in range(2):
        for number in range(100):
            log.write({"number": 100 * rotation + number})
        log.flush()
        subprocess.run(command, check=True, timeout=60)
        assert not file.exists()
    log.write({"number": 200})
    log.close()
    oldest = gzip.decompress((tmp_path / "access.jsonl.2.gz").read_bytes()).decode()
    lines = (oldest + (tmp_path / "access.jsonl.1").read_text() + file.read_text()).splitlines()
    assert [json.loads(line)["number"] for line in lines] == list(range(201))


@cache
def calls_of(group: str) -> frozenset[str]:
    """Return the system calls of a group of systemd's, and of the groups in it."""
    found: set[str] = set()
    for line in analyzed("syscall-filter", group).splitlines()[1:]:
        name = line.strip()
        if name and not name.startswith("#"):
            found |= calls_of(name) if name.startswith("@") else {name}
    return frozenset(found)


def allowed_calls() -> frozenset[str]:
    """Return the system calls that the unit allows."""
    text = (FOLDER / "hypernova.service").read_text()
    allowed = set(calls_of("@default"))
    for line in re.findall(r"^SystemCallFilter=(.*)$", text, re.MULTILINE):
        for group in line.removeprefix("~").split():
            calls = calls_of(group)
            allowed = allowed - calls if line.startswith("~") else allowed | calls
    return frozenset(allowed | calls_of("@default"))


@pytest.mark.parametrize("embedder", ["static", "minilm"])
def test_the_server_works_within_the_limits_of_the_unit(embedder: str, tmp_path: Path) -> None:
    """Each call that the unit forbids fails with EPERM, and no memory becomes executable.

    `strace` makes the calls fail, and the kernel itself refuses the memory.
    """
    if strace() is None:
        pytest.skip("limits NOT tested: strace is missing, or may not trace here")
    table = hypernova.OutcomeTable.read(TABLE)
    hypernova.fit(table, embedder=embedder, clusters=3).save(tmp_path / "r.hnv")
    program = """
import ctypes, mmap, os, sys
print("process", os.getpid(), file=sys.stderr, flush=True)
from hypernova import cli
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(65, 1, 0, 0, 0) == 0  # PR_SET_MDWE: what MemoryDenyWriteExecute= uses
try:
    os.sched_setaffinity(0, os.sched_getaffinity(0))
    sys.exit("a call that is forbidden is not")
except PermissionError:
    pass
try:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
except PermissionError:
    sys.exit(cli.main(sys.argv[1:]))
sys.exit("memory is not protected")
"""
    forbidden = "!" + ",".join(f"?{call}" for call in sorted(allowed_calls()))
    trace = tmp_path / "trace"
    command = [
        *(str(strace()), "-f", "--seccomp-bpf", "-qq", "-o", str(trace)),
        *(f"--trace={forbidden}", f"--inject={forbidden}:error=EPERM"),
        *(sys.executable, "-c", program, "serve", "--port", "0"),
        *("-a", str(tmp_path / "r.hnv"), "--workers", "2"),
        *("--log", str(tmp_path / "log"), "--access-log", str(tmp_path / "access.jsonl")),
    ]
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)  # by which systemd hears of it
    told.bind(str(tmp_path / "notify"))
    env = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
    with told, subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env) as process:
        assert process.stderr is not None
        lines = [process.stderr.readline()]
        for line in process.stderr:
            lines.append(line)
            if "serving at" in line:
                break
        else:
            raise AssertionError("".join(lines))
        assert told.recv(100) == b"READY=1"
        url = line.split("serving at ")[1].split()[0]
        with httpx.Client(base_url=url, timeout=60) as client:
            decided = client.post("/v1/route", json={"text": "Fix the race"}).raise_for_status()
            body = {"id": decided.json()["id"], "score": 1}
            client.post("/v1/outcomes", json=body).raise_for_status()
            client.get("/metrics").raise_for_status()
        os.kill(int(lines[0].split()[1]), signal.SIGTERM)
        rest = process.stderr.read()
    assert process.returncode == 0, rest
    assert "Traceback" not in "".join(lines) + rest
    assert (tmp_path / "access.jsonl").read_text().count("\n") == 3
