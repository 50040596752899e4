"""Skip, aloud, the tests of libraries that an environment lacks.

On by HYPERNOVA_SKIP_MISSING=1, for platforms on which few libraries have wheels. Elsewhere a
library that is missing fails the tests, so that none is lost unseen.
Not here: which tests are run where (``release/environments``).
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

ON = os.environ.get("HYPERNOVA_SKIP_MISSING") == "1"
# Those of the extras and of the group of test libraries, and a part of CPython that is left out
# where libffi is not at hand; never one of the package's own modules.
OPTIONAL = frozenset(
    {
        "_ctypes",
        "cyclonedx",
        "duckdb",
        "faiss",
        "fastapi",
        "gunicorn",
        "httptools",
        "httpx",
        "model2vec",
        "onnx",
        "onnxruntime",
        "opentelemetry",
        "prometheus_client",
        "pyarrow",
        "pydantic",
        "pytest_benchmark",
        "ray",
        "safetensors",
        "schemathesis",
        "scipy",
        "sklearn",
        "starlette",
        "threadpoolctl",
        "tokenizers",
        "tqdm",
        "uvicorn",
        "uvloop",
    }
)


def missing_library(error: BaseException | None) -> str | None:
    """Name the optional library whose absence an exception is due to; None for any other."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError):
            library = (error.name or "").partition(".")[0]
            return library if library in OPTIONAL else None
        # The package is not imported here; this error of its own names libraries.
        if type(error).__name__ == "MissingExtraError":
            named = re.findall(r"\w+", str(error))
            return next((name for name in named if name in OPTIONAL), None)
        error = error.__cause__ or error.__context__
    return None


def skip_if_missing(error: BaseException) -> None:
    """Skip the test or the module if the exception is due to a library that is not there."""
    library = missing_library(error) if ON else None
    if library is not None:
        pytest.skip(f"NOT tested: {library} is missing", allow_module_level=True)


class Module(pytest.Module):
    """A module of tests, skipped as a whole where it imports a library that is not there."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        try:
            return super().collect()
        except self.CollectError as error:
            skip_if_missing(error)
            raise
