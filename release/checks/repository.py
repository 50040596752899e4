"""The repository that is released, and what a check finds missing in it.

Not here: any check.
"""

from __future__ import annotations

import hashlib
import subprocess
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from release.checks.source import code_of

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Missing:
    """One thing that a release lacks.

    Attributes:
        what: What is wrong, and where.
        remedy: What to do.
    """

    what: str
    remedy: str


class GitError(Exception):
    """Git refused a command."""


class Repository:
    """A working tree of git."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self._code: dict[str, bytes] = {}

    def git(self, *arguments: str) -> str:
        """Return what a command of git prints."""
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise GitError(done.stderr.strip() or f"git {arguments[0]} failed")
        return done.stdout

    def has(self, name: str) -> bool:
        """Tell whether a file is there."""
        return (self.root / name).is_file()

    def text(self, name: str) -> str:
        """Return the text of a file, empty if it is not there."""
        path = self.root / name
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    @cached_property
    def files(self) -> list[str]:
        """The names of all files that git knows."""
        return self.git("ls-files", "-z").split("\0")[:-1]

    @cached_property
    def version(self) -> str:
        """The version that `Cargo.toml` states, from which Python takes it."""
        stated = tomllib.loads(self.text("Cargo.toml"))
        return str(stated.get("workspace", {}).get("package", {}).get("version", ""))

    def code_of(self, names: dict[str, str]) -> dict[str, bytes]:
        """Return a digest of what counts of each of some objects of git.

        Args:
            names: For each object's identity, the name of its file. The identity of nothing,
                all zeros, stands for a file that is not there.
        """
        wanted = [identity for identity in names if identity not in self._code]
        done = subprocess.run(
            ["git", "cat-file", "--batch"],
            cwd=self.root,
            input="".join(f"{identity}\n" for identity in wanted).encode(),
            capture_output=True,
            check=True,
        )
        rest = done.stdout
        for identity in wanted:
            head, _, rest = rest.partition(b"\n")
            size = -1 if head.endswith(b" missing") else int(head.split()[2])
            code = code_of(names[identity], rest[:size]) if size >= 0 else b"missing"
            self._code[identity], rest = hashlib.sha256(code).digest(), rest[size + 1 :]
        return {identity: self._code[identity] for identity in names}
