"""Load the word pieces and the rows of a lookup embedder, one copy for all that name their bytes.

Not here: the settings that they are used with (see ``backend``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypernova._core import LookupTable, WordPieceTokenizer
from hypernova.embedder.files import MODEL, TOKENIZER, file_state, read_checked, sha256_of
from hypernova.embedder.loaded import LoadedCache, check_file, remember
from hypernova.errors import EmbedderError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

# Neither has threads of its own, so that a forked child shares them.
_tables: LoadedCache[LookupTable] = LoadedCache(survive_fork=True)
_tokenizers: LoadedCache[WordPieceTokenizer] = LoadedCache(survive_fork=True)


def load_table(folder: Path, settings: dict[str, Any], mmap: bool | Literal["auto"]) -> LookupTable:
    """Load the rows of a folder's ``model.onnx``, checked.

    Args:
        folder: The folder.
        settings: Of its ``embedder.json``.
        mmap: As in `hypernova.Artifact.open`.

    Raises:
        NotImplementedError: The model is no lookup; the message has the reason.
        EmbedderError: The file is missing, cannot be read, or has another sha256.
    """

    def load() -> LookupTable:
        path, sha256 = folder / MODEL, sha256_of(MODEL, settings)
        try:
            state = file_state(path)
            table = LookupTable.open(path, sha256=sha256, mmap=mmap)
        except (OSError, EmbedderError) as error:
            check_file(folder, MODEL, settings)
            raise NotImplementedError(str(error)) from error  # of the bytes that were expected
        if table is None:
            raise NotImplementedError(f"{MODEL} is no lookup")
        remember(path, state, sha256)
        return table

    key = sha256_of(MODEL, settings), mmap
    return _tables.get(key, load, lambda: check_file(folder, MODEL, settings))


def load_word_pieces(folder: Path, settings: dict[str, Any]) -> WordPieceTokenizer:
    """Load a folder's ``tokenizer.json``, checked.

    Raises:
        NotImplementedError: It is no tokenizer of BERT's kind.
        EmbedderError: The file is missing, cannot be read, or has another sha256.
    """

    def load() -> WordPieceTokenizer:
        data = read_checked(folder, TOKENIZER, settings)
        try:
            tokenizer = WordPieceTokenizer.from_json(data)
        except EmbedderError as error:
            raise NotImplementedError(str(error)) from error
        if tokenizer is None:
            raise NotImplementedError(f"{TOKENIZER} is of another kind than BERT's")
        return tokenizer

    key = sha256_of(TOKENIZER, settings)
    return _tokenizers.get(key, load, lambda: check_file(folder, TOKENIZER, settings))
