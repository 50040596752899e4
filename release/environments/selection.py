"""The tests that are run where, the libraries they need, and how long they may take.

Not here: the tests. On a platform for which few libraries have wheels, and under emulation, which
is some twenty times slower, fewer are run than on the machine of a developer.
"""

from __future__ import annotations

from dataclasses import dataclass

QUICK = "not slow and not real_data and not operate and not browser and not ray"

# Files that earlier versions wrote, and what each has to give: read, decided and written again.
GOLDEN = (
    "tests/core/test_format.py",
    "tests/core/test_vectors.py",
    "tests/core/test_word_piece_tokenizer.py",
    "tests/embedder/test_lookup_table.py",
)
# What serves: needs NumPy and the tests' own libraries alone.
_SERVING = (
    "tests/core",
    "tests/artifact",
    "tests/router",
    "tests/outcome_log",
    "tests/embedder/test_static.py",
    "tests/embedder/test_cut.py",
    "tests/embedder/test_courtesy.py",
    "tests/test_paths.py",
)
# The same without tests of many processes or of many random examples.
_KERNELS = (
    "tests/core/test_rule.py",
    "tests/core/test_arguments.py",
    "tests/core/test_route_options.py",
    "tests/artifact/test_artifact_metadata.py",
    "tests/outcome_log/test_outcome_log.py",
    "tests/embedder/test_static.py",
    "tests/router/test_explain.py",
    "tests/router/test_many_threads.py",
)


@dataclass(frozen=True)
class Selection:
    """Tests, by path, and what they take.

    Attributes:
        paths: Files and folders of tests.
        extras: The package's extras; empty for its base alone.
        group: Whether the whole group of test libraries is installed, or those that all tests need.
        limit_s: Seconds after which a run is ended.
    """

    paths: tuple[str, ...]
    extras: tuple[str, ...] = ()
    group: bool = False
    limit_s: int = 1800


NATIVE = Selection(("tests",), ("onnx", "train", "server", "otel"), group=True, limit_s=3600)
PORTABLE = Selection(_SERVING)
EMULATED = Selection(_KERNELS, limit_s=2400)
# Every test has them in use.
LIBRARIES = ("numpy", "pytest>=8", "hypothesis>=6.100")
