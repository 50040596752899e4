"""The clients beside the router reach the server that they are told of, and write nothing.

Not here: the router itself (`test_closed.py`), and Ray, which docs/scale.md describes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from support.factories import fitted_to_example
from support.paths import EXAMPLES, PACKAGES
from support.tracing import strace
from support.upstream import Upstream

if TYPE_CHECKING:
    from pathlib import Path

PROGRAMS = {
    "openai_client": ("router.hnv", "outcomes", "Join two tables"),
    "langchain_chat": ("router.hnv", "Join two tables"),
}
# An interrupted call is resumed with its name alone.
CONNECT = re.compile(r"^\d+ +(?:connect|sendto|sendmsg)\(\d+, (.*)", re.MULTILINE)


@pytest.mark.skipif(
    find_spec("langchain_openai") is None, reason="clients NOT traced: `make test-beside`"
)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_client_reaches_its_server_alone_and_writes_nothing(name: str, tmp_path: Path) -> None:
    if strace() is None:
        pytest.skip("connections NOT traced: strace is missing, or may not trace here")
    for folder in ("home", "tmp", "work"):
        (tmp_path / folder).mkdir()
    fitted_to_example(4).save(tmp_path / "work" / "router.hnv")
    trace = tmp_path / "trace"
    with Upstream() as upstream:
        done = subprocess.run(
            [
                *(str(strace()), "-f", "-qq", "-e", "trace=%network", "-o", str(trace)),
                *(sys.executable, str(EXAMPLES / "beside" / f"{name}.py"), *PROGRAMS[name]),
            ],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(PACKAGES),
                "PYTHONDONTWRITEBYTECODE": "1",
                "HOME": str(tmp_path / "home"),
                "TMPDIR": str(tmp_path / "tmp"),
                "OPENAI_API_KEY": "none",
                "OPENAI_BASE_URL": upstream.url,
            },
            cwd=tmp_path / "work",
            input="1\n",
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        [model] = upstream.seen
    assert done.stdout.startswith(f"from {model}")
    port = upstream.url.split(":")[-1].partition("/")[0]
    reached = CONNECT.findall(trace.read_text(errors="replace"))
    there = f'sin_port=htons({port}), sin_addr=inet_addr("127.0.0.1")'
    assert [call for call in reached if there in call]
    assert [call for call in reached if "sin" in call and there not in call] == []
    assert list((tmp_path / "home").iterdir()) == []
    assert list((tmp_path / "tmp").iterdir()) == []
    assert {path.name for path in (tmp_path / "work").iterdir()} <= {"router.hnv", "outcomes"}
