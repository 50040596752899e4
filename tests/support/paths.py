"""Places of the repository, of the package under test and of the sample data.

Not here: files that a test writes; those are below pytest's ``tmp_path``.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
# Artifacts and lookup tables, with which the core is tested too, and in its own crate.
GOLDEN = ROOT / "rust" / "hypernova-core" / "tests" / "golden"
# Embedders as sentence-transformers saved them.
EXPORTS = TESTS / "golden" / "export"
EXAMPLES = ROOT / "examples"
TABLE = EXAMPLES / "simulated.jsonl"
MODELS = ROOT / "models"

# The sample data lie outside the repository; conftest's fixture `shared` skips without them.
SHARED = Path(os.environ.get("HYPERNOVA_SHARED") or ROOT.parent / "shared")

# Found without an import: conftest sets the environment of numpy and faiss before they load.
_spec = find_spec("hypernova")
assert _spec is not None
assert _spec.origin is not None
PACKAGE = Path(_spec.origin).parent
# For PYTHONPATH of a process that is to import the same package.
PACKAGES = PACKAGE.parent
