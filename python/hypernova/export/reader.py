"""Read a sentence-transformers folder of a BERT encoder, or refuse what the export lacks.

Any feature that is not supported is refused by name, never ignored. Not here: the graph (`bert`),
and models that look vectors up (`static_model`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.errors import ExportError
from hypernova.export.bert import Bert, Dense, build
from hypernova.export.files import (
    MODULES,
    TOKENIZER,
    WEIGHTS,
    locate,
    read_modules,
    read_object,
    read_prompt,
    read_tensors,
)
from hypernova.export.reference import forward

if TYPE_CHECKING:
    from pathlib import Path

    from hypernova.export.graph import Array

# First position of a text: RoBERTa's table begins with that of the padding.
FIRST_POSITION = {"bert": 0, "roberta": 2, "xlm-roberta": 2, "camembert": 2}
CHARS_PER_TOKEN = 32  # far more than any token: the cut saves time and changes no vector
_POOLING = "pooling_mode_"
_KNOWN_POOLING = {"mean_tokens": "mean", "cls_token": "cls"}


@dataclass(frozen=True)
class SourceModel:
    """A model as read from a sentence-transformers folder."""

    folder: Path
    model: Bert
    tokenizer: str  # JSON, without truncation and padding
    prompt: str  # put before every text

    @property
    def dim(self) -> int:
        """Dimension of a vector."""
        return self.model.dim

    @property
    def max_tokens(self) -> int:
        """The most tokens of a text, special ones among them."""
        return self.model.max_tokens

    @property
    def max_chars(self) -> int:
        """Characters of a text that are read."""
        return self.max_tokens * CHARS_PER_TOKEN

    @property
    def settings(self) -> dict[str, object]:
        """Fields of ``embedder.json`` that say how a text becomes tokens."""
        return {
            "max_tokens": self.max_tokens,
            "head_chars": self.max_chars,
            "tail_chars": 0,
            "special_tokens": True,
        }

    def build(self, *, int8: bool, half: bool, title: str) -> bytes:
        """Return the serialised graph."""
        return build(self.model, int8=int8, half=half, title=title)

    def forward(self, tokens: list[int]) -> Array:
        """Return the vector of a text by the model's definition: float64 (dim,) of unit length."""
        return forward(self.model, tokens)


def read_model(source: str | Path, *, prompt: str | None = None) -> SourceModel:
    """Read a model.

    Args:
        source: A folder that sentence-transformers saved, or a package that holds one.
        prompt: Name of one of the model's prompts; by default the model's default.

    Raises:
        NotFoundError: No such folder or package exists.
        ExportError: A file is missing or malformed, or has a feature that is not supported.
    """
    folder = locate(source)
    listed = read_modules(folder)
    kinds = [kind for kind, _ in listed]
    inner = [kind for kind in kinds[2:] if kind != "Dense"]
    if (
        kinds[:2] != ["Transformer", "Pooling"]
        or inner not in ([], ["Normalize"])
        or (inner and kinds[-1] != "Normalize")
    ):
        raise ExportError(
            f"{folder / MODULES}: modules {', '.join(kinds)}: supported are Transformer, Pooling, "
            "any number of Dense, and Normalize, in this order, or StaticEmbedding and Normalize"
        )
    transformer = listed[0][1]
    text, limit = _tokenizer(transformer)
    model = _bert(transformer, _pooling(listed[1][1]), limit)
    dense = tuple(_dense(path) for kind, path in listed if kind == "Dense")
    model = Bert(**{**vars(model), "dense": dense})
    _check(transformer, model)
    return SourceModel(folder, model, text, _prompt(folder, prompt, listed[1][1]))


def _pooling(folder: Path) -> str:
    path = folder / "config.json"
    config = read_object(path)
    modes = [key[len(_POOLING) :] for key, on in config.items() if key.startswith(_POOLING) and on]
    # Newer versions write the one mode as a word.
    mode = config.get("pooling_mode")
    modes += [{"mean": "mean_tokens", "cls": "cls_token"}.get(mode, str(mode))] if mode else []
    if len(modes) != 1 or modes[0] not in _KNOWN_POOLING:
        raise ExportError(
            f"{path}: pooling {' with '.join(modes) or 'not stated'}: supported is one of "
            f"{', '.join(_KNOWN_POOLING)}"
        )
    return _KNOWN_POOLING[modes[0]]


def _prompt(folder: Path, name: str | None, pooling: Path) -> str:
    text = read_prompt(folder, name)
    if text and read_object(pooling / "config.json").get("include_prompt", True) is False:
        raise ExportError(
            f"{pooling / 'config.json'}: include_prompt false, with the prompt {text!r}: pooling "
            "that leaves out the prompt is not supported"
        )
    return text


def _tokenizer(folder: Path) -> tuple[str, int | None]:
    """Return the tokenizer as JSON, and the most tokens of a text."""
    path = folder / TOKENIZER
    if not path.exists():
        raise ExportError(
            f"{path}: missing; write it with transformers: "
            "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"
        )
    tokenizer = read_object(path)
    tokenizer["truncation"] = tokenizer["padding"] = None
    config = read_object(folder / "sentence_bert_config.json", optional=True)
    if config.get("do_lower_case"):
        parts = [{"type": "Lowercase"}, tokenizer.get("normalizer")]
        tokenizer["normalizer"] = {"type": "Sequence", "normalizers": [p for p in parts if p]}
    limit = config.get("max_seq_length")
    if limit is None:
        limit = read_object(folder / "tokenizer_config.json", optional=True).get("model_max_length")
    if not (limit is None or (type(limit) in (int, float) and limit >= 1)):
        raise ExportError(
            f"{folder / 'sentence_bert_config.json'}: max_seq_length {limit!r}: expected a number "
            "from 1"
        )
    text = json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))
    return text, None if limit is None else int(min(limit, 2**30))


def _bert(folder: Path, pooling: str, limit: int | None) -> Bert:
    path = folder / "config.json"
    config = read_object(path)
    kind = config.get("model_type")
    if kind not in FIRST_POSITION:
        raise ExportError(
            f"{path}: model_type {kind!r}: supported are {', '.join(FIRST_POSITION)}; of another, "
            "make model.onnx with its own exporter (see docs/embedders.md)"
        )
    for field, only in {
        "hidden_act": "gelu",
        "position_embedding_type": "absolute",
        "is_decoder": False,
        "add_cross_attention": False,
    }.items():
        if config.get(field, only) != only:
            raise ExportError(f"{path}: {field} {config[field]!r}: supported is {only!r}")

    def size(name: str) -> int:
        found = config.get(name)
        if type(found) is not int or found < 1:
            raise ExportError(f"{path}: {name} {found!r}: expected an integer from 1")
        return found

    first = FIRST_POSITION[kind]
    longest = size("max_position_embeddings") - first
    return Bert(
        layers=size("num_hidden_layers"),
        heads=size("num_attention_heads"),
        epsilon=float(config.get("layer_norm_eps", 1e-12)),
        first_position=first,
        max_tokens=longest if limit is None else min(limit, longest),
        pooling=pooling,
        weights=_weights(folder, kind.removeprefix("xlm-").replace("camembert", "roberta")),
    )


def _weights(folder: Path, prefix: str = "") -> dict[str, Array]:
    """Return the tensors of model.safetensors as float32, by name without the model's prefix."""
    tensors = read_tensors(folder / WEIGHTS)
    named = {name.removeprefix(f"{prefix}."): tensor for name, tensor in tensors.items()}
    return {
        name: np.ascontiguousarray(tensor, np.float32)
        for name, tensor in named.items()
        if tensor.dtype.kind == "f"
    }


def _dense(folder: Path) -> Dense:
    config, path = read_object(folder / "config.json"), folder / WEIGHTS
    activation = str(config.get("activation_function", "")).rpartition(".")[2]
    if activation not in ("Tanh", "Identity"):
        raise ExportError(
            f"{folder / 'config.json'}: activation_function {activation!r}: supported are Tanh "
            "and Identity"
        )
    tensors = _weights(folder)
    weight = tensors.get("linear.weight")
    if weight is None or weight.ndim != 2:
        raise ExportError(f"{path}: linear.weight is missing or not a matrix")
    bias = tensors.get("linear.bias", np.zeros(len(weight), np.float32))
    return Dense(weight, bias, tanh=activation == "Tanh")


def _check(folder: Path, model: Bert) -> None:
    """Raise ExportError if weights are missing or their shapes do not fit."""
    path, weights = folder / WEIGHTS, model.weights
    words = weights.get("embeddings.word_embeddings.weight")
    if words is None or words.ndim != 2:
        raise ExportError(f"{path}: embeddings.word_embeddings.weight is missing or no matrix")
    width = words.shape[1]
    expected: dict[str, tuple[int | None, ...]] = {
        "embeddings.position_embeddings.weight": (None, width),
        "embeddings.token_type_embeddings.weight": (None, width),
        "embeddings.LayerNorm": (width,),
    }
    for i in range(model.layers):
        layer = f"encoder.layer.{i}"
        inner = weights.get(f"{layer}.intermediate.dense.bias", np.zeros(0)).shape[0]
        for part in ("attention.self.query", "attention.self.key", "attention.self.value"):
            expected[f"{layer}.{part}"] = (width, width)
        expected[f"{layer}.attention.output.dense"] = (width, width)
        expected[f"{layer}.attention.output.LayerNorm"] = (width,)
        expected[f"{layer}.intermediate.dense"] = (inner, width)
        expected[f"{layer}.output.dense"] = (width, inner)
        expected[f"{layer}.output.LayerNorm"] = (width,)
    shapes: dict[str, tuple[int | None, ...]] = {}
    for name, shape in expected.items():
        if name.endswith(".weight"):
            shapes[name] = shape
        else:
            shapes[f"{name}.weight"], shapes[f"{name}.bias"] = shape, shape[:1]
    for name, shape in shapes.items():
        if name not in weights:
            raise ExportError(f"{path}: {name} is missing")
        found = weights[name].shape
        if len(found) != len(shape) or any(
            e is not None and e != f for e, f in zip(shape, found, strict=True)
        ):
            raise ExportError(f"{path}: {name} has shape {found}, expected {shape}")
    if width % model.heads:
        raise ExportError(f"{folder / 'config.json'}: {model.heads} heads do not divide {width}")
    if len(model.position_embeddings) < model.max_tokens:
        raise ExportError(
            f"{path}: {len(model.position_embeddings)} positions for {model.max_tokens} tokens"
        )
    for dense in model.dense:
        if dense.weight.shape[1] != width or dense.bias.shape != dense.weight.shape[:1]:
            raise ExportError(
                f"{folder}: a Dense of shape {dense.weight.shape} after a vector of {width}"
            )
        width = dense.weight.shape[0]
