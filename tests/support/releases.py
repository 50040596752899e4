"""A small repository of git with all that a release needs, to take things away from.

Not here: the checks (release/checks/).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from typing import TYPE_CHECKING

from release.checks.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from release.checks.repository import Missing

WHO = {
    **{f"GIT_{who}_NAME": "A tester" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "tester@example.org" for who in ("AUTHOR", "COMMITTER")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}
MODEL = b"rows"
FILES = {
    "Cargo.toml": '[workspace.package]\nversion = "1.2.3"\n',
    "Cargo.lock": '[[package]]\nname = "hypernova-core"\nversion = "1.2.3"\n\n'
    '[[package]]\nname = "other"\nversion = "7.0.0"\nsource = "elsewhere"\n',
    "CITATION.cff": "title: it\nversion: 1.2.3\ndate-released: 2026-11-20\n",
    "CHANGELOG.md": "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-20\n\n- New.\n",
    "python/hypernova/__init__.py": '"""It."""\ndef f():\n    """Return one."""\n    return 1\n',
    "python/hypernova/bundled/default.hnv": 'HNV {"hypernova":"1.2.3"}',
    "python/hypernova/bundled/static/model.onnx": MODEL.decode(),
    "models/SHA256SUMS": f"{hashlib.sha256(MODEL).hexdigest()}"
    "  python/hypernova/bundled/static/model.onnx\n",
    "rust/hypernova-core/FORMAT.md": "# The hypernova artifact, version 1.1\n",
    "rust/hypernova-core/src/lib.rs": "/// One.\nfn one() -> u8 {\n    1\n}\n",
    **{f"tests/golden/v1_{minor}_small.{end}": "{}" for minor in (0, 1) for end in ("hnv", "json")},
    "Makefile": "test: ## the tests\n\ttrue\n\nbench-speed:\n\ttrue\n",
    ".github/workflows/checks.yml": "on: push\npermissions: { contents: read }\njobs:\n"
    "  test:\n    runs-on: linux\n    steps:\n      - uses: actions/checkout@v4\n"
    "      - run: make test\n",
}


class Project:
    """A repository below a folder, clean and complete until something is changed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.git("init", "--quiet", "--initial-branch=main")
        for name, text in FILES.items():
            self.write(name, text)
        self.commit("Begin")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            env=os.environ | WHO,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def replace(self, name: str, old: str, new: str) -> None:
        text = (self.root / name).read_text(encoding="utf-8")
        assert old in text
        self.write(name, text.replace(old, new))

    def commit(self, subject: str) -> str:
        """Commit all changes, and return the short hash."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", subject)
        return self.git("rev-parse", "--short=7", "HEAD")

    def missing(self, check: Callable[[Repository], list[Missing]]) -> list[str]:
        """What a check finds missing now."""
        return [missing.what for missing in check(Repository(self.root))]
