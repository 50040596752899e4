"""The interface of what makes an embedder's vectors: the core, or onnxruntime.

Not here: either of them (see ``lookup`` and ``onnx``), and the choice (see ``embedder``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

from hypernova.embedder.onnx.runtime import Device, check_device

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hypernova.embedder.base import Vectors

Runtime = Literal["auto", "core", "onnxruntime"]
RUNTIMES: Final = ("auto", "core", "onnxruntime")


class LoadOptions(NamedTuple):
    """How an embedder is loaded, as the caller has asked for it.

    Attributes:
        threads: Number of threads, from 1.
        device: ``"cpu"``, ``"cuda"`` or ``"auto"``.
        runtime: ``"auto"``, ``"core"`` or ``"onnxruntime"``.
        mmap: As in `hypernova.Artifact.open`, for the model's file.
    """

    threads: int = 1
    device: Device = "cpu"
    runtime: Runtime = "auto"
    mmap: bool | Literal["auto"] = "auto"

    def check(self) -> None:
        """Refuse values that no embedder can be loaded with.

        Raises:
            TypeError: ``threads`` is no integer.
            ValueError: ``threads`` is out of range, or another value is unknown.
        """
        check_device(self.device)
        if self.runtime not in RUNTIMES:
            raise ValueError(
                f"runtime is {self.runtime!r}, expected 'auto', 'core' or 'onnxruntime'"
            )
        if not hasattr(type(self.threads), "__index__"):
            raise TypeError(f"threads is {self.threads!r}, expected an integer")
        if not 1 <= self.threads < 2**31:
            raise ValueError(f"threads is {self.threads}, expected at least 1, below 2**31")
        if self.mmap not in (True, False, "auto"):
            raise ValueError(f"mmap is {self.mmap!r}, expected 'auto', True or False")


class Backend(Protocol):
    """Makes the vectors and the keys of texts; safe to share among threads."""

    @property
    def runtime(self) -> Literal["core", "onnxruntime"]:
        """The library that makes the vectors."""

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """The device that it uses."""

    @property
    def max_batch(self) -> int:
        """Number of texts that are embedded together."""

    @property
    def min_batch(self) -> int:
        """Number of texts that take about as long as one text."""

    def embed_one(self, text: str) -> Vectors:
        """See `TextEmbedder.embed_one`."""

    def embed_indexed(
        self,
        texts: Sequence[str],
        indices: Sequence[int],
        progress: Callable[[int], None] | None,
    ) -> Vectors:
        """See `TextEmbedder.embed`; ``indices`` name the texts in messages."""

    def cut(self, text: str) -> str:
        """See `TextEmbedder.cut`."""

    def key_of(self, text: str) -> bytes:
        """See `TextEmbedder.key_of`."""

    def read_spans(self, text: str) -> tuple[tuple[int, int], ...]:
        """See `TextEmbedder.read_spans`."""
