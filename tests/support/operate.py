"""The files of examples/operate: the rules, and copies of them with short times.

Not here: the tests of these files (tests/operate).
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / "examples" / "operate"
RULES = FOLDER / "alerts.yml"
# A metric in PromQL; names of recording rules have colons.
METRIC = re.compile(r"\b(?:hypernova_\w+|(?:job|job_model|instance):hypernova_\w+:\w+)\b")


def needed(tool: str, package: str) -> str:
    """Return the path of a tool, or skip the test."""
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"NOT tested: {tool} is missing; on Debian: apt-get install {package}")
    return path


def rules() -> list[dict[str, Any]]:
    """Return all rules, those that record figures and those that alert."""
    return [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]


def shortened(text: str, seconds: float) -> str:
    """Return rules with every time in them brought to a few seconds.

    Ranges and offsets become ``seconds``, waiting times half a second, and numbers of decisions
    that an alert asks for a tenth. Expressions are otherwise untouched.
    """
    text = re.sub(r"\[\d+[smhd]\]", f"[{int(seconds * 1000)}ms]", text)
    text = re.sub(r"offset \d+[smhd]", f"offset {int(seconds * 1000)}ms", text)
    text = re.sub(r"for: \d+[smhd]", "for: 500ms", text)
    return text.replace(">= 100", ">= 10")


def metrics_of(expression: str) -> set[str]:
    """Return the metrics that an expression names."""
    return set(METRIC.findall(expression))


def write(folder: Path, name: str, text: str) -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.write_text(text)
    return path
