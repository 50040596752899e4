"""Say which libraries of the extra ``onnx`` are missing, and how to install them.

Most embedders of one's own need them, and so does ``minilm``; the core runs ``static`` without.

Not here: the imports, which stand where the libraries are used (see ``onnx.runtime``, ``files``).
"""

from __future__ import annotations

from typing import Final

from hypernova.errors import MissingExtraError

LIBRARIES: Final = ("onnxruntime", "tokenizers")


def missing_libraries() -> list[str]:
    """Return which of `LIBRARIES` are not installed; none of them is imported."""
    from importlib.util import find_spec

    return [name for name in LIBRARIES if find_spec(name) is None]


def check_libraries(name: str, reason: str, device: str) -> None:
    """Refuse to load an embedder where a library that runs it is not installed.

    Args:
        name: The name of the embedder.
        reason: Why the core does not run it.
        device: That was asked for.

    Raises:
        MissingExtraError: One is not installed; the message has the command that installs it.
    """
    missing = missing_libraries()
    if not missing:
        return
    which = "which is" if len(missing) == 1 else "which are"
    raise MissingExtraError(
        f"the embedder {name!r} needs {' and '.join(missing)} ({reason}), {which} not installed: "
        f"{install_command(device)}"
    )


def import_error(library: str, error: ImportError) -> MissingExtraError:
    """Return the error for a library whose import failed, installed or not."""
    found = "is not installed"
    if not (isinstance(error, ModuleNotFoundError) and error.name == library):
        lines = str(error).strip().splitlines() or [type(error).__name__]
        found = f"cannot be imported ({lines[0]})"
    return MissingExtraError(f"{library} {found}: {install_command()}")


def install_command(device: str = "cpu") -> str:
    """Return the command that installs what is missing, for a device."""
    # The package onnxruntime, put over onnxruntime-gpu, would take CUDA away.
    extra = "cuda" if device == "cuda" or is_installed("onnxruntime-gpu") else "onnx"
    return f'pip install "hypernova-router[{extra}]"'


def is_installed(distribution: str) -> bool:
    """Return whether a distribution is installed, by its name at PyPI."""
    from importlib import metadata  # 30 ms, which no request should wait for

    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
