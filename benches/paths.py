"""Places of the repository and of the sample data.

Not here: the record of a benchmark, whose folder is an argument.
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"


def sample_tables() -> Path:
    """Return the folder of public outcome tables, which lies outside the repository.

    HYPERNOVA_SHARED names the folder above it. It need not exist: a benchmark that needs a
    table says so and skips it.
    """
    return Path(os.environ.get("HYPERNOVA_SHARED") or ROOT.parent / "shared") / "data"
