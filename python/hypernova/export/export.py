"""Export a model: read it, write the three files, and check them before they are in place.

Not here: the steps themselves (`reader`, `bert`, `reference`; `static_model`, `lookup`).
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hypernova.embedder import Embedder
from hypernova.embedder.files import load_tokenizer
from hypernova.embedder.onnx_extra import missing_libraries
from hypernova.errors import ExportError, MissingExtraError
from hypernova.paths import cannot_write, check_folder, escaped, path_label, replacing

if TYPE_CHECKING:
    from hypernova.export.graph import Array

# Texts that check an export: short and long, prose, code, a log, other scripts, odd characters.
SAMPLES = (
    "What is the capital of Australia?",
    "Fix the race in the scheduler",
    "x",
    "A train leaves at 9:40 and covers 240 km in 2.5 hours. What is its average speed?",
    "def mean(values):\n    return sum(values) / len(values)\n",
    "Traceback (most recent call last):\n  File \"app.py\", line 3, in <module>\nKeyError: 'id'",
    "Résumé naïve café — “quotes”, ½ and €",
    "Где находится библиотека?",
    "图书馆在哪里",
    "أين المكتبة؟",
    "🙂 works on my machine 🚀",
    "SELECT name, COUNT(*) FROM users GROUP BY name HAVING COUNT(*) > 1;",
    "Write a short story about a lighthouse keeper who finds a letter. " * 4,
    "The memory use of the worker grows without bound when the queue is empty. " * 40,
)
MIN_COSINE = {False: 0.9999, True: 0.98}  # to the reference, by int8


class _Source(Protocol):
    """A model as read from its folder."""

    @property
    def folder(self) -> Path: ...
    @property
    def tokenizer(self) -> str: ...
    @property
    def prompt(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def max_tokens(self) -> int | None: ...
    @property
    def max_chars(self) -> int: ...
    @property
    def settings(self) -> dict[str, object]: ...
    def build(self, *, int8: bool, half: bool, title: str) -> bytes: ...
    def forward(self, tokens: list[int]) -> Array: ...


@dataclass(frozen=True)
class ExportResult:
    """An exported embedder: its folder, its sizes, and how close it is to the model."""

    folder: Path
    name: str
    dim: int
    max_tokens: int | None  # None: no limit
    prompt: str
    fingerprint: str
    worst_cosine: float  # of SAMPLES, to the reference in float64
    median_cosine: float
    samples: int


def export_embedder(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    int8: bool = False,
    half: bool = False,
    name: str | None = None,
    prompt: str | None = None,
    lead_weight: float = 0,
) -> ExportResult:
    """Turn a model of sentence-transformers or model2vec into an embedder folder.

    Pooling, prompt and number of tokens are those of the model's files. Vectors always have unit
    length, as all vectors of hypernova.

    Args:
        source: A folder that sentence-transformers saved, of a BERT or RoBERTa encoder; a folder
            of a static model, that model2vec or sentence-transformers saved; or the name
            of an installed package that holds one; the package is not imported.
        out: The folder to make; a folder that exists must be empty.
        int8: Store weights with 8 bits, at a fourth of the size, and multiply in them. A static
            model that is stored with 8 bits stays as it is either way.
        half: Compute an encoder in float16, at half the size: for a GPU. A processor computes it
            in float32, from the rounded weights. Not with ``int8``, nor for a static model.
        name: Name of the embedder; by default that of the folder or package.
        prompt: Name of the model's prompt to put before each text; by default the model's default.
        lead_weight: Extra weight of a text's first line; see models/README.md. With 0, vectors
            are those of the model.

    Returns:
        The embedder, and its cosines to the model computed from its definition.

    Raises:
        NotFoundError: No such folder or package exists.
        ExportError: The source is unsupported or damaged, ``out`` is in use, or the export
            deviates from the model.
        WriteError: The folder cannot be made.
        MissingExtraError: The extra ``export`` is not installed.
    """
    try:
        from hypernova.export import files, reader, static_model
    except ModuleNotFoundError as error:
        raise _missing(str(error.name)) from error
    if missing := missing_libraries():
        raise _missing(missing[0])

    if int8 and half:
        raise ExportError("int8 and half are both asked for; choose one")
    target = Path(out)
    try:
        taken = target.exists() and not (target.is_dir() and not any(target.iterdir()))
    except OSError as error:
        raise cannot_write(target, error) from error
    if taken:
        raise ExportError(f"{path_label(target)}: exists already; name a folder that does not")
    check_folder(target)  # before the work, not after it
    folder = files.locate(os.fspath(source))
    read: _Source = (
        static_model.read_static(folder, prompt=prompt)
        if static_model.is_static(folder)
        else reader.read_model(folder, prompt=prompt)
    )
    if name is None:
        name = escaped(Path(source).resolve().name)
    if not name.strip() or not name.isprintable():
        raise ExportError(f"{name!r} is no name of an embedder; give one line of text")
    model, tokenizer = read.build(int8=int8, half=half, title=name), read.tokenizer.encode()
    settings: dict[str, object] = {
        "format": 1,
        "name": name,
        "dim": read.dim,
        "pooling": "model",
        "normalize": True,
        **read.settings,
        "lead_chars": 200,
        "lead_weight": lead_weight,
    }
    if read.prompt:
        settings["prompt"] = read.prompt
    settings["model_sha256"] = hashlib.sha256(model).hexdigest()
    settings["tokenizer_sha256"] = hashlib.sha256(tokenizer).hexdigest()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(target, error) from error
    with replacing(target) as made:  # made and checked beside its place, then moved there whole
        made.mkdir()
        made.chmod(0o755)
        (made / "model.onnx").write_bytes(model)
        (made / "tokenizer.json").write_bytes(tokenizer)
        plain = {**settings, "lead_weight": 0}
        (made / "embedder.json").write_text(_dump(plain), encoding="utf-8", newline="\n")
        # Loading checks what the reference assumes, such as ids within the table.
        embedder = Embedder.load(made)
        tokens = load_tokenizer(made, tokenizer, settings)
        samples = _expected_vectors(read, tokens)
        cosines = np.sum(embedder.embed(list(samples)) * np.array(list(samples.values())), 1)
        if not cosines.min() >= MIN_COSINE[int8]:
            worst = int(cosines.argmin())
            raise ExportError(
                f"{read.folder}: the export deviates from the model: cosine {cosines[worst]:.6f} "
                f"for {list(samples)[worst][:40]!r}, expected at least {MIN_COSINE[int8]}"
            )
        (made / "embedder.json").write_text(_dump(settings), encoding="utf-8", newline="\n")
        embedder = Embedder.load(made)
    return ExportResult(
        folder=target,
        name=name,
        dim=read.dim,
        max_tokens=read.max_tokens,
        prompt=read.prompt,
        fingerprint=embedder.fingerprint,
        worst_cosine=float(cosines.min()),
        median_cosine=float(np.median(cosines)),
        samples=len(samples),
    )


def _missing(library: str) -> MissingExtraError:
    return MissingExtraError(
        f'export-embedder needs {library}: pip install "hypernova-router[export]"'
    )


def _expected_vectors(read: _Source, tokenizer: Any) -> dict[str, Array]:
    """Return the vectors of SAMPLES by the model's definition; of those that have one."""
    special = bool(read.settings["special_tokens"])
    expected = {}
    for text in SAMPLES:
        whole = read.prompt + text[: read.max_chars]
        vector = read.forward(tokenizer.encode(whole, add_special_tokens=special).ids)
        if vector.any():
            expected[text] = vector
    if not expected:
        raise ExportError(
            f"{read.folder}: no token of {len(SAMPLES)} sample texts has a vector; "
            "is the tokenizer that of the model?"
        )
    return expected


def _dump(settings: dict[str, object]) -> str:
    return json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
