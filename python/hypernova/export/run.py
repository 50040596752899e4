"""Export: read the source, write the three files, and check them before they are in place."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hypernova.embedder import Embedder
from hypernova.embedder.onnx.files import load_tokenizer
from hypernova.errors import ExportError, MissingExtraError
from hypernova.paths import cannot_write, check_folder, escaped, path_label, replacing

# What an export is tried on: short and long, prose, code, a log, other scripts, odd characters.
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
LEAST = {False: 0.9999, True: 0.98}  # cosine to the definition, for float32 and for int8
CHARS_PER_TOKEN = 32  # far more than a token has: the cut spares work and changes no vector


@dataclass(frozen=True)
class Exported:
    """What an export did: where, the embedder's sizes, and the check."""

    folder: Path
    name: str
    dim: int
    max_tokens: int
    prompt: str
    fingerprint: str
    worst_cosine: float  # of SAMPLES, to a plain computation of the model in float64
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
) -> Exported:
    """Turn a sentence-transformers folder into an embedder folder.

    Pooling, prompt, normalisation and the number of tokens are those of the model's own files.
    Vectors are brought to length 1 in any case, as all vectors of hypernova are.

    Args:
        source: A folder as sentence-transformers saves it, of a BERT or RoBERTa encoder, or the
            name of an installed package that holds one; it is not imported.
        out: The folder to make; it must not exist, or be empty.
        int8: Store weights with 8 bits and multiply in them, a fourth of the size.
        name: What the embedder is called; by default as the source's folder or package.
        prompt: Which of the model's prompts is put before each text; None for its default.
        lead_weight: How much the first line of a text counts once more; see models/README.md.
            With 0, vectors are those of the model.

    Returns:
        What was made, and how it compares with the model computed from its definition.

    Raises:
        NotFoundError: There is neither such a folder nor such a package.
        ExportError: The source is not supported or damaged, ``out`` is in use, or the export
            is not the model.
        WriteError: The folder cannot be made.
        MissingExtraError: The extra ``export`` is not installed.
    """
    try:
        from hypernova.export import source as reader
        from hypernova.export.bert import build
        from hypernova.export.forward import forward
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
    check_folder(target)  # said before the work, not after it
    read = reader.read(os.fspath(source), prompt=prompt)
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
        # Loading it checks what the definition takes for granted, such as ids within the table.
        vectors = Embedder.load(made).embed(SAMPLES)
        tokens = load_tokenizer(made, tokenizer, settings)
        ids = [tokens.encode(read.prompt + text).ids for text in SAMPLES]
        cosines = (vectors * np.array([forward(read.model, row) for row in ids])).sum(1)
        if not cosines.min() >= LEAST[int8]:
            worst = int(cosines.argmin())
            raise ExportError(
                f"{read.folder}: the export is not the model: cosine {cosines[worst]:.6f} for "
                f"{SAMPLES[worst][:40]!r}, expected at least {LEAST[int8]}"
            )
        (made / "embedder.json").write_text(_dump(settings), encoding="utf-8")
        embedder = Embedder.load(made)
    return Exported(
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
