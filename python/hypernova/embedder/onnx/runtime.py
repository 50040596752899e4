"""Import onnxruntime with its telemetry off, and run models on the processor or a GPU.

Not here: a model's inputs and outputs (see ``model``). No other module imports onnxruntime.

On POSIX, onnxruntime's import starts a thread that looks up the address of its vendor's collector,
and writes a device id and a database under the user's cache folder. `TELEMETRY` stops all of it,
if it is in the environment before the first import (see docs/closed.md).
"""

from __future__ import annotations

import os
from typing import Any, Final, Literal

from hypernova.embedder.onnx_extra import import_error, is_installed
from hypernova.errors import DeviceError, MissingExtraError

TELEMETRY: Final = "ORT_DISABLE_TELEMETRY"

Device = Literal["cpu", "cuda", "auto"]
DEVICES: Final = ("cpu", "cuda", "auto")

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
# Products in TF32 keep 10 bits of a number, and vectors would differ from those of a processor
# in the third digit; an artifact made on one device has to serve on another.
_CUDA_OPTIONS = {"use_tf32": "0"}
_CHECKS = (
    "check that nvidia-smi shows a GPU and that CUDA and cuDNN are those of the installed "
    "onnxruntime-gpu, or use device='cpu' or 'auto'"
)


def disable_telemetry() -> None:
    """Turn onnxruntime's telemetry off for this process and those that it starts.

    A value that is set is left alone. One that is empty counts as unset: onnxruntime would read
    it as leave to report.
    """
    if not os.environ.get(TELEMETRY):
        os.environ[TELEMETRY] = "1"


def import_onnxruntime() -> Any:
    """Import onnxruntime, with its telemetry off unless the program has imported it before.

    Raises:
        MissingExtraError: It is not installed, or cannot be imported.
    """
    disable_telemetry()  # once more: the program may have cleared its environment
    try:
        import onnxruntime
    except ImportError as error:
        raise import_error("onnxruntime", error) from error

    return onnxruntime


# With `import hypernova`, which loads this module: a program that goes on to import onnxruntime
# itself does so before a router first needs it.
disable_telemetry()


def check_device(device: str) -> None:
    """Refuse a device that is not one of `DEVICES`.

    Raises:
        ValueError: ``device`` is unknown.
    """
    if device not in DEVICES:
        raise ValueError(f"device is {device!r}, expected 'cpu', 'cuda' or 'auto'")


def open_session(model: bytes, options: Any, device: Device) -> tuple[Any, Literal["cpu", "cuda"]]:
    """Open an onnxruntime session on a device.

    Args:
        model: Contents of an ONNX file.
        options: onnxruntime's SessionOptions.
        device: ``"auto"`` is CUDA where it works, and the processor where it does not.

    Returns:
        The session and the device that it runs on.

    Raises:
        MissingExtraError: ``"cuda"``, and this onnxruntime has no CUDA; or there is no onnxruntime.
        DeviceError: ``"cuda"``, and CUDA does not start.
        Exception: Whatever onnxruntime raises for a model that it cannot load.
    """
    onnxruntime = import_onnxruntime()

    if device == "cpu":
        return _session(model, options, [_CPU]), "cpu"
    error: MissingExtraError | DeviceError
    if _CUDA not in onnxruntime.get_available_providers():
        error = MissingExtraError(_what_to_install(onnxruntime.__version__))
    else:
        try:
            session = _cuda_session(model, options)
        except Exception as failure:
            reason = _reason(failure)
            error = DeviceError(f"device 'cuda': CUDA does not start here: {reason}; {_CHECKS}")
        else:
            # Without a working driver or library onnxruntime goes on with the processor alone.
            if _CUDA in session.get_providers():
                return session, "cuda"
            error = DeviceError(
                "device 'cuda': onnxruntime's CUDAExecutionProvider could not be created, only "
                f"{', '.join(session.get_providers())}; {_CHECKS}"
            )
    # A model that no device can load is not the device's fault: this raises the model's error.
    session = _session(model, options, [_CPU])
    if device == "cuda":
        raise error
    return session, "cpu"


def _session(model: bytes, options: Any, providers: list[Any]) -> Any:
    onnxruntime = import_onnxruntime()

    # With the fallback, onnxruntime would print a failure and try another provider.
    session = onnxruntime.InferenceSession(
        model, sess_options=options, providers=providers, enable_fallback=0
    )
    # Kept for that fallback, and as large as the model.
    if hasattr(session, "_model_bytes"):
        session._model_bytes = None
    return session


def _cuda_session(model: bytes, options: Any) -> Any:
    onnxruntime = import_onnxruntime()

    if hasattr(onnxruntime, "preload_dlls"):
        # Finds the CUDA libraries that pip has installed. It prints the names of those that it
        # does not find, and standard output belongs to the caller; opening the session fails then.
        import contextlib
        import io

        with contextlib.redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()
    return _session(model, options, [(_CUDA, _CUDA_OPTIONS), _CPU])


def _reason(failure: BaseException) -> str:
    """Return CUDA's own message, without the C++ that onnxruntime puts around it."""
    import re

    text = str(failure).strip()
    message = re.search(r"(?:CUDA|CUDNN|CUBLAS) failure \d+: [^;]*", text)
    lines = text.splitlines() or [type(failure).__name__]
    return (message[0] if message else lines[0][:200]).strip()


def _what_to_install(version: str) -> str:
    if not is_installed("onnxruntime-gpu"):
        return (
            f"device 'cuda' needs onnxruntime-gpu, and onnxruntime {version} here has no CUDA: "
            'pip uninstall onnxruntime, then pip install "hypernova-router[cuda]", or use '
            "device='cpu' or 'auto'"
        )
    return (
        "device 'cuda': onnxruntime-gpu is installed, and the package onnxruntime has written "
        "over its files, which lie in the same folder: pip uninstall onnxruntime, then pip "
        "install --force-reinstall --no-deps onnxruntime-gpu, or use device='cpu' or 'auto'"
    )
