"""Read a static model of model2vec or sentence-transformers: a vector for each token, added up.

Such a model returns the mean of its tokens' rows. The graph adds them up: mean and sum have one
direction, and vectors of hypernova have length 1 in any case, so that ``normalize`` of the model
changes nothing here. The unknown token, which the model leaves out, keeps its row at 2**-40 of its
length: beside any other row that is lost in the rounding of float32, and a text of unknown tokens
alone, whose mean has no direction, gets that of the unknown token.

Not here: the graph (`lookup`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hypernova.errors import ExportError
from hypernova.export.files import (
    MODULES,
    TOKENIZER,
    WEIGHTS,
    read_modules,
    read_object,
    read_prompt,
    read_tensors,
)
from hypernova.export.lookup import LookupPart, lookup_graph

if TYPE_CHECKING:
    from pathlib import Path

    from hypernova.export.graph import Array

DEFAULT_MAX_TOKENS = 512  # of model2vec, where the model states none
NO_LIMIT = 2**31 - 1  # characters
_FAINT = 2.0**-40  # factor of a row that counts where no other does


@dataclass(frozen=True)
class StaticModel:
    """A static model as read from its folder."""

    folder: Path
    tokenizer: str  # JSON, without truncation and padding
    prompt: str  # put before every text
    max_tokens: int | None
    max_chars: int  # of a text; what is beyond is not read
    embeddings: Array  # (rows, dim): int8 or float
    mapping: Array | None  # (tokens,): the row of each token; None: row i is that of token i
    weights: Array | None  # (tokens,): the factor of each token
    dropped: int | None  # the token that is left out, wherever it occurs

    @property
    def dim(self) -> int:
        """Dimension of a vector."""
        return int(self.embeddings.shape[1])

    @property
    def settings(self) -> dict[str, object]:
        """Fields of ``embedder.json`` that say how a text becomes tokens."""
        return {
            "max_tokens": self.max_tokens,
            "head_chars": self.max_chars,
            "tail_chars": 0,
            "special_tokens": False,
        }

    def build(self, *, int8: bool, half: bool, title: str) -> bytes:
        """Return the serialised graph: one row for each token, of mapping and weights.

        Rows that are stored with 8 bits stay as they are, with the weights as their scales.

        Raises:
            ExportError: ``half``, or a product of rows and weights is beyond float32.
        """
        if half:
            raise ExportError(
                f"{self.folder}: half precision is for encoders: rows of a static model are "
                "float32, or with --int8 8 bits"
            )
        rows = self.embeddings if self.mapping is None else self.embeddings[self.mapping]
        stays = rows.dtype == np.int8
        factors = np.ones(len(rows)) if self.weights is None else self.weights.astype(np.float64)
        if self.dropped is not None:
            factors[self.dropped] *= _FAINT
        if stays:
            scale = factors.astype(np.float32)
            return lookup_graph(
                [LookupPart(name="tokens", rows=rows, scale=scale, unit=False)], title
            )
        rows = rows * factors[:, None]
        _check_finite(self.folder, "embeddings times weights", rows)
        if int8:
            part = LookupPart.int8("tokens", rows, unit=False)
        else:
            part = LookupPart(name="tokens", rows=rows.astype(np.float32), unit=False)
        return lookup_graph([part], title)

    def forward(self, tokens: list[int]) -> Array:
        """Return the vector of a text by the model's definition.

        Returns:
            float64 (dim,) of length 1; zeros if no token counts.
        """
        ids = [token for token in tokens if token != self.dropped]
        vectors = self.embeddings[ids if self.mapping is None else self.mapping[ids]]
        vectors = vectors.astype(np.float64)
        if self.weights is not None:
            vectors = vectors * self.weights[ids].astype(np.float64)[:, None]
        total: Array = vectors.sum(0)
        length = float(np.linalg.norm(total))
        return total / length if length else total


def is_static(folder: Path) -> bool:
    """Return whether a folder, as `locate` gives it, holds a static model."""
    if not (folder / MODULES).is_file():
        return True
    modules = read_modules(folder)
    return bool(modules) and modules[0][0] == "StaticEmbedding"


def read_static(folder: Path, *, prompt: str | None = None) -> StaticModel:
    """Read a static model.

    Args:
        folder: As model2vec or sentence-transformers saves it.
        prompt: Name of one of the model's prompts; by default the model's default.

    Raises:
        ExportError: A file is missing or malformed, or has a feature that is not supported.
    """
    place = folder
    if (folder / MODULES).is_file():
        modules = read_modules(folder)
        if [kind for kind, _ in modules[1:]] not in ([], ["Normalize"]):
            raise ExportError(
                f"{folder / MODULES}: modules {', '.join(kind for kind, _ in modules)}: supported "
                "behind StaticEmbedding is Normalize alone"
            )
        place = modules[0][1]
    path = place / WEIGHTS
    tensors = read_tensors(path)
    named = {"embeddings", "weights", "mapping"}
    of_model2vec = "embeddings" in tensors
    if not of_model2vec and "embedding.weight" in tensors:
        tensors["embeddings"] = tensors.pop("embedding.weight")
        named = {"embeddings"}
    if "embeddings" not in tensors or set(tensors) - named:
        raise ExportError(
            f"{path}: tensors {', '.join(sorted(tensors)) or 'none'}: expected embeddings, and "
            "with it at most weights and mapping, or embedding.weight alone"
        )
    text, vocabulary, unknown = _read_tokenizer(place / TOKENIZER)
    embeddings = _checked(path, "embeddings", tensors["embeddings"], (None, None))
    tokens, highest = len(vocabulary), max(vocabulary.values(), default=-1)
    if highest >= tokens:
        raise ExportError(
            f"{place / TOKENIZER}: token {highest} of {tokens}: expected the ids 0 to {tokens - 1}"
        )
    mapping = tensors.get("mapping")
    if mapping is not None:
        mapping = _checked_mapping(path, mapping, tokens, len(embeddings))
    elif len(embeddings) != tokens:
        raise ExportError(
            f"{path}: embeddings has {len(embeddings)} rows, and {place / TOKENIZER} "
            f"{tokens} tokens: expected one row for each token, or mapping"
        )
    weights = tensors.get("weights")
    if weights is not None:
        weights = _checked(path, "weights", weights, (tokens,))
    limit, chars = None, NO_LIMIT
    if of_model2vec:
        limit = _max_tokens(place / "config.json")
    if limit is not None:
        # As model2vec cuts a text before it makes tokens of it.
        chars = min(NO_LIMIT, limit * max(1, int(np.median([len(t) for t in vocabulary]))))
    return StaticModel(
        folder=folder,
        tokenizer=text,
        prompt=read_prompt(folder, prompt),
        max_tokens=limit,
        max_chars=chars,
        embeddings=embeddings,
        mapping=mapping,
        weights=weights,
        dropped=unknown if of_model2vec else None,
    )


def _read_tokenizer(path: Path) -> tuple[str, dict[str, int], int | None]:
    """Return a tokenizer as JSON, its vocabulary, and its unknown token."""
    from tokenizers import Tokenizer

    stored = read_object(path)
    stored["truncation"] = stored["padding"] = None
    text = json.dumps(stored, ensure_ascii=False, separators=(",", ":"))
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # the library raises no class of its own
        raise ExportError(f"{path}: not a tokenizer: {error}") from error
    model: dict[str, Any] = stored["model"]
    unknown = model.get("unk_id")  # of Unigram; of the others it is named
    if model.get("unk_token") is not None:
        unknown = tokenizer.token_to_id(model["unk_token"])
    return text, tokenizer.get_vocab(), unknown


def _max_tokens(path: Path) -> int | None:
    limit = read_object(path).get("max_length", DEFAULT_MAX_TOKENS)
    if limit is not None and (type(limit) is not int or not 1 <= limit <= NO_LIMIT):
        raise ExportError(f"{path}: max_length {limit!r}: expected null or an integer from 1")
    return limit


def _checked(path: Path, name: str, found: Array, shape: tuple[int | None, ...]) -> Array:
    """Return a tensor of numbers, or raise ExportError for another type or shape, or NaN."""
    if found.dtype.kind != "f" and not (name == "embeddings" and found.dtype == np.int8):
        raise ExportError(
            f"{path}: {name} is {found.dtype}: expected float16, float32 or float64"
            + (", or int8" if name == "embeddings" else "")
        )
    if (
        len(found.shape) != len(shape)
        or not found.size
        or any(e is not None and e != f for e, f in zip(shape, found.shape, strict=True))
    ):
        expected = "a matrix" if len(shape) > 1 else f"{shape[0]} numbers, one for each token"
        raise ExportError(f"{path}: {name} has shape {found.shape}, expected {expected}")
    _check_finite(path, name, found)
    return found


def _check_finite(path: Path, name: str, found: Array) -> None:
    if not np.abs(found).max() < np.finfo(np.float32).max:  # false for NaN, too
        raise ExportError(f"{path}: {name} holds a number that is not finite")


def _checked_mapping(path: Path, found: Array, tokens: int, rows: int) -> Array:
    if found.dtype.kind not in "iu" or found.shape != (tokens,):
        raise ExportError(
            f"{path}: mapping is {found.dtype} of shape {found.shape}: expected an integer for "
            f"each of {tokens} tokens"
        )
    if found.size and not (int(found.min()) >= 0 and int(found.max()) < rows):
        raise ExportError(
            f"{path}: mapping names row {int(found.max() if found.min() >= 0 else found.min())}: "
            f"embeddings has {rows} rows"
        )
    return found.astype(np.int64)
