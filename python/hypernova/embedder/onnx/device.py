"""Choose where onnxruntime runs a model: on the processor or on a GPU.

Not here: the model, and what its inputs have to be (see ``files``).
"""

from __future__ import annotations

import contextlib
import io
import re
from typing import Any, Final, Literal

from hypernova.embedder.onnx.runtime import import_onnxruntime
from hypernova.errors import DeviceError, MissingExtraError

Device = Literal["cpu", "cuda", "auto"]
DEVICES: Final = ("cpu", "cuda", "auto")

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
# Products in TF32 keep 10 bits of a number, and vectors would differ from those of a processor
# in the third digit; an artifact made on one device has to serve on another.
_CUDA_OPTIONS = {"use_tf32": "0"}


def check_device(device: str) -> None:
    """Refuse a device that is not known."""
    if device not in DEVICES:
        raise ValueError(f"device is {device!r}, expected 'cpu', 'cuda' or 'auto'")


def open_session(model: bytes, options: Any, device: Device) -> tuple[Any, Literal["cpu", "cuda"]]:
    """Open an onnxruntime session on a device.

    Args:
        model: an ONNX file.
        options: onnxruntime's SessionOptions.
        device: ``"auto"`` is CUDA where it works, and the processor where it does not.

    Returns:
        The session and the device that it runs on.

    Raises:
        MissingExtraError: ``"cuda"``, and this onnxruntime has no CUDA.
        DeviceError: ``"cuda"``, and CUDA does not start.
        Exception: what onnxruntime raises for a model that it cannot load.
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
    # A model that no device can load is not the device's fault: this raises what is wrong.
    session = _session(model, options, [_CPU])
    if device == "cuda":
        raise error
    return session, "cpu"


_CHECKS = (
    "check that nvidia-smi shows a GPU and that CUDA and cuDNN are those of the installed "
    "onnxruntime-gpu, or use device='cpu' or 'auto'"
)


def _reason(failure: BaseException) -> str:
    """What CUDA says, without the C++ that onnxruntime puts around it."""
    text = str(failure).strip()
    said = re.search(r"(?:CUDA|CUDNN|CUBLAS) failure \d+: [^;]*", text)
    lines = text.splitlines() or [type(failure).__name__]
    return (said[0] if said else lines[0][:200]).strip()


def _session(model: bytes, options: Any, providers: list[Any]) -> Any:
    onnxruntime = import_onnxruntime()

    # Without the fallback what fails is raised, not printed and tried again elsewhere.
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
        # Finds the CUDA libraries that pip has installed. It prints what it does not find, and
        # standard output belongs to the caller; what is missing shows below.
        with contextlib.redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()
    return _session(model, options, [(_CUDA, _CUDA_OPTIONS), _CPU])


def _what_to_install(version: str) -> str:
    if not _installed("onnxruntime-gpu"):
        return (
            f"device 'cuda' needs onnxruntime-gpu, and onnxruntime {version} here has no CUDA: "
            "pip uninstall onnxruntime, then pip install 'hypernova-router[cuda]' and pip install "
            "--force-reinstall --no-deps onnxruntime-gpu, or use device='cpu' or 'auto'"
        )
    return (
        "device 'cuda': onnxruntime-gpu is installed, and the package onnxruntime has written "
        "over its files, which lie in the same folder: pip uninstall onnxruntime, then pip "
        "install --force-reinstall --no-deps onnxruntime-gpu, or use device='cpu' or 'auto'"
    )


def _installed(name: str) -> bool:
    from importlib import metadata  # 30 ms, which no request should wait for

    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
