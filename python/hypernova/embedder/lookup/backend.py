"""Make the vectors of a lookup embedder in the core, without NumPy, onnxruntime or tokenizers.

Not here: the files (see ``files``); the rules and the arithmetic, which are the core's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hypernova._core import LookupEmbedder, cut, cut_spans, kept_spans
from hypernova.embedder.files import MODEL, TOKENIZER, read_checked
from hypernova.embedder.lookup.files import load_table, load_word_pieces
from hypernova.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hypernova.embedder.backend import LoadOptions
    from hypernova.embedder.base import Vectors


class LookupBackend:
    """Rows of word pieces, added by the core. Safe to share among threads.

    Args:
        folder: The embedder's folder.
        settings: Of its ``embedder.json``, or those of an identity.
        options: How it is loaded.

    Raises:
        NotImplementedError: The core does not know the graph, the tokenizer or a setting; the
            message has the reason.
        EmbedderError: A file is missing, cannot be read, or has another sha256.
        DeviceError: ``options`` ask for CUDA.
    """

    runtime: Final = "core"
    device: Final = "cpu"
    # No text is padded for another: parts of any size give the same vectors to the bit.
    min_batch: Final = 1
    max_batch: Final = 2048

    def __init__(self, folder: Path, settings: dict[str, Any], options: LoadOptions) -> None:
        if options.device == "cuda":
            raise DeviceError(
                "device 'cuda': the core runs this embedder on the processor alone; use "
                "device='cpu' or 'auto'"
            )
        table = load_table(folder, settings, options.mmap)
        tokenizer = load_word_pieces(folder, settings)
        self.lookup = LookupEmbedder(tokenizer, table, settings, folder / MODEL)
        self._loaded = table, tokenizer  # for others, while this one uses them
        self._folder = folder
        self._settings = settings
        self._head: int = settings["head_chars"]
        self._tail: int = settings["tail_chars"]
        self._threads = options.threads
        # The place of each token is known to the package tokenizers alone.
        limited = settings["max_tokens"] is not None
        self._limited = read_checked(folder, TOKENIZER, settings) if limited else None

    def embed_one(self, text: str) -> Vectors:
        """Return the vector of a text; see `Embedder.embed_one`."""
        return self.lookup.embed_one(text)

    def embed_indexed(
        self,
        texts: Sequence[str],
        indices: Sequence[int],
        progress: Callable[[int], None] | None,
    ) -> Vectors:
        """Return the vectors of texts, each to the bit that of `embed_one`."""
        return self.lookup.embed_many(
            texts, indices=indices, threads=self._threads, progress=progress
        )

    def cut(self, text: str) -> str:
        """Return a text after the cut; see `Embedder.cut`."""
        return cut(text, self._head, self._tail)

    def key_of(self, text: str) -> bytes:
        """Return a key of the tokens of a text; see `Embedder.key_of`."""
        return self.lookup.key_of(text)

    def read_spans(self, text: str) -> tuple[tuple[int, int], ...]:
        """Return the parts of a text that its vector depends on; see `Embedder.read_spans`."""
        self.lookup.key_of(text)  # refuses what has no tokens
        if self._limited is not None:
            from hypernova.embedder.onnx.backend import load_prompt_tokenizer

            return load_prompt_tokenizer(self._folder, self._limited, self._settings).read_spans(
                text
            )
        from hypernova.embedder.text.spans import uncut_spans

        first, last = cut_spans(text, self._head, self._tail)
        read = self.cut(text)
        kept = kept_spans(read) if self._settings.get("skip_courtesy") else []
        spans = [(0, len(read))]
        if kept:
            spans = uncut_spans(spans, *([span] for span in kept))
        return tuple(uncut_spans(spans, first, last))
