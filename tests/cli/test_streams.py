"""Standard streams of a command: full, closed, in another encoding; JSON that is JSON.

Not here: files (test_outputs).
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

import hypernova
from hypernova.cli.streams import as_json
from hypernova.router import BUNDLED_ARTIFACT
from support.commands import output_in_terminal
from support.factories import fitted_to_example
from support.paths import TABLE

NAME = "café 🚀"


@pytest.fixture(scope="module")
def fitted(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("fit") / "router.hnv"
    artifact = fitted_to_example(2)
    hypernova.rename_model(artifact, artifact.default_model, NAME).save(path)
    return path


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", line.replace("hypernova", f"{sys.executable} -m hypernova.cli", 1)],
        capture_output=True, check=False, timeout=60, env=os.environ | environment,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "unbuffered"),
    [
        ("route hi", ""),
        ("route hi", "1"),
        ("inspect --json", ""),
        ("datasets", ""),
        ("--help", ""),
        ("route - < <(yes | head -999)", ""),
    ],
)
def test_full_standard_output_is_reported_in_one_line(command, unbuffered) -> None:
    done = shell(f"hypernova {command} > /dev/full", PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 1
    assert done.stderr == (
        b"hypernova: standard output cannot be written (No space left on device); "
        b"check the space where it goes\n"
    )


@pytest.mark.slow
def test_closed_streams() -> None:
    done = shell("hypernova inspect >&-")
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"standard output is closed" in done.stderr
    done = shell("hypernova route - <&-")
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"standard input is closed" in done.stderr
    # Nothing to say it with; and it is not said on standard output instead.
    done = shell("hypernova route '' 2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")
    done = shell("hypernova route '' 2>/dev/full")
    assert (done.returncode, done.stdout) == (1, b"")


@pytest.mark.slow
def test_no_file_becomes_standard_output(fitted, tmp_path) -> None:
    """With descriptor 1 closed, the next file opened would be it, and take what is printed."""
    out = tmp_path / "r.hnv"
    done = shell(f"hypernova rename-model {fitted} simulated-small small -o {out} >&-")
    assert done.returncode == 1
    assert not out.exists()


@pytest.mark.slow
def test_a_name_that_the_encoding_lacks_is_escaped(fitted) -> None:
    encoding = "ascii"
    for command in ("route hi", "inspect", "next-prompts"):
        line = f"hypernova {command} -a {fitted}"
        if command != "route hi":
            line = f"hypernova {command} {fitted}" + f" {TABLE}" * (command == "next-prompts")
        done = shell(line, PYTHONIOENCODING=encoding)
        assert (done.returncode, done.stderr) == (0, b""), done
        if command == "route hi":
            written = NAME.encode(encoding, errors="backslashreplace")
            assert done.stdout.splitlines()[0] == written
    for command in (f"route hi --json -a {fitted}", f"inspect --json {fitted}"):
        done = shell(f"hypernova {command}", PYTHONIOENCODING=encoding)
        assert NAME in json.dumps(json.loads(done.stdout.decode(encoding)), ensure_ascii=False)


@pytest.mark.slow
def test_arguments_and_file_names_that_are_no_text(fitted, tmp_path) -> None:
    odd = os.fsencode(tmp_path) + b"/\xff\nname.jsonl"
    Path(os.fsdecode(odd)).write_bytes(b"".join(TABLE.read_bytes().splitlines(True)[:40]))
    shown = str(tmp_path) + "/\\udcff\\nname"
    quoted = f"$'{tmp_path}/\\xff\\nname"
    done = shell(f"hypernova fit {quoted}.jsonl' -o {quoted}.hnv' --clusters 2")
    assert (done.returncode, done.stderr) == (0, b""), done
    made = hypernova.Artifact.open(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\nname.hnv"))
    assert made.metadata["table"] == "\\udcff\\nname"
    for command in (
        f"fit {quoted}.none' -o {tmp_path}/x.hnv",
        f"fit {TABLE} -o {quoted}/x.hnv'",
        f"route hi -a {quoted}.none'",
        f"inspect {quoted}.none'",
        f"evaluate {TABLE} --html {quoted}/x'",
        f"recalibrate {fitted} {quoted}.none' -o {tmp_path}/x.hnv",
    ):
        done = shell(f"hypernova {command}")
        assert (done.returncode, done.stdout) == (1, b""), done
        assert done.stderr.count(b"\n") == 1, done
        assert "Traceback" not in done.stderr.decode()
        assert "name" in done.stderr.decode(), shown
    # A prompt that is no UTF-8 is read as far as it can be.
    assert shell(f"hypernova route $'caf\\xe9 \\xff' -a {fitted}").returncode == 0
    for command in (
        f"remove-model {fitted} $'\\xe9' -o {tmp_path}/x.hnv",
        f"rename-model {fitted} simulated-small $'\\xe9' -o {tmp_path}/x.hnv",
        f"next-prompts {fitted} {TABLE} --model $'\\xe9'",
        f"export-embedder {tmp_path} -o {tmp_path}/e --name $'\\xe9'",
    ):
        done = shell(f"hypernova {command}")
        assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (1, b"", 1), done


@pytest.mark.slow
def test_json_holds_no_infinity(fitted) -> None:
    for options in ("--cost-weight 1e308 --price simulated-small=1e308",
                   "--latency-weight 1e308 --cost-weight 1e308"):  # fmt: skip
        for line in (f"hypernova route hi --json -a {fitted} {options}",
                     f"hypernova route - --json -a {fitted} {options} <<< hi"):  # fmt: skip
            done = shell(line)
            assert done.returncode == 0, done

            def refuse(word: str) -> None:
                raise AssertionError(word)

            decision = json.loads(done.stdout, parse_constant=refuse)
            assert len(decision["ranking"]) == 5
    value = {"a": [math.nan, (1.5, -math.inf)], "b": {"c": math.inf, "d": True}}
    assert json.loads(as_json(value)) == {"a": [None, [1.5, None]], "b": {"c": None, "d": True}}


def test_inspect_without_a_file_shows_the_artifact_that_route_uses() -> None:
    seen = json.loads(shell("hypernova inspect --json").stdout)
    assert seen["sha256"] == hypernova.Artifact.open(BUNDLED_ARTIFACT).sha256
    assert seen["sha256"] == json.loads(shell("hypernova route hi --json").stdout)["artifact"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": ""}, True),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, True),
    ],
)
def test_colours_are_for_terminals_that_have_them(environment, coloured) -> None:
    assert (
        "\x1b[" in output_in_terminal("inspect", str(BUNDLED_ARTIFACT), **environment)
    ) == coloured
