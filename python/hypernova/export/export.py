"""Export a model: read it, write the three files, and check them before they are in place.

Not here: the steps themselves (`reader`, `bert`, `reference`).
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hypernova.embedder import Embedder
from hypernova.embedder.files import load_tokenizer
from hypernova.errors import ExportError, MissingExtraError
from hypernova.paths import cannot_write, check_folder, escaped, path_label, replacing

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
CHARS_PER_TOKEN = 32  # far more than any token: the cut saves time and changes no vector


@dataclass(frozen=True)
class ExportResult:
    """An exported embedder: its folder, its sizes, and how close it is to the model."""

    folder: Path
    name: str
    dim: int
    max_tokens: int
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
    name: str | None = None,
    prompt: str | None = None,
    lead_weight: float = 0,
) -> ExportResult:
    """Turn a sentence-transformers model into an embedder folder.

    Pooling, prompt, normalisation and number of tokens are those of the model's files. Vectors
    always have unit length, as all vectors of hypernova.

    Args:
        source: A folder that sentence-transformers saved, of a BERT or RoBERTa encoder, or the name
            of an installed package that holds one; the package is not imported.
        out: The folder to make; a folder that exists must be empty.
        int8: Store weights and multiply with 8 bits, at a fourth of the size.
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
        from hypernova.export import reader
        from hypernova.export.bert import build
        from hypernova.export.reference import forward
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{error.name} is not installed; pip install 'hypernova-router[export]'"
        ) from error

    target = Path(out)
    try:
        taken = target.exists() and not (target.is_dir() and not any(target.iterdir()))
    except OSError as error:
        raise cannot_write(target, error) from error
    if taken:
        raise ExportError(f"{path_label(target)}: exists already; name a folder that does not")
    check_folder(target)  # before the work, not after it
    read = reader.read_model(os.fspath(source), prompt=prompt)
    if name is None:
        name = escaped(Path(source).resolve().name)
    if not name.strip() or not name.isprintable():
        raise ExportError(f"{name!r} is no name of an embedder; give one line of text")
    model, tokenizer = build(read.model, int8=int8, title=name), read.tokenizer.encode()
    settings: dict[str, object] = {
        "format": 1,
        "name": name,
        "dim": read.model.dim,
        "pooling": "model",
        "normalize": True,
        "max_tokens": read.model.max_tokens,
        "head_chars": read.model.max_tokens * CHARS_PER_TOKEN,
        "tail_chars": 0,
        "special_tokens": True,
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
        (made / "embedder.json").write_text(_dump(plain), encoding="utf-8")
        # Loading checks what the reference assumes, such as ids within the table.
        vectors = Embedder.load(made).embed(SAMPLES)
        tokens = load_tokenizer(made, tokenizer, settings)
        ids = [tokens.encode(read.prompt + text).ids for text in SAMPLES]
        cosines = (vectors * np.array([forward(read.model, row) for row in ids])).sum(1)
        if not cosines.min() >= MIN_COSINE[int8]:
            worst = int(cosines.argmin())
            raise ExportError(
                f"{read.folder}: the export deviates from the model: cosine {cosines[worst]:.6f} "
                f"for {SAMPLES[worst][:40]!r}, expected at least {MIN_COSINE[int8]}"
            )
        (made / "embedder.json").write_text(_dump(settings), encoding="utf-8")
        embedder = Embedder.load(made)
    return ExportResult(
        folder=target,
        name=name,
        dim=read.model.dim,
        max_tokens=read.model.max_tokens,
        prompt=read.prompt,
        fingerprint=embedder.fingerprint,
        worst_cosine=float(cosines.min()),
        median_cosine=float(np.median(cosines)),
        samples=len(SAMPLES),
    )


def _dump(settings: dict[str, object]) -> str:
    return json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
