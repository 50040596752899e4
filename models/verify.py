"""Print how close the embedders are to their source, and how much a batch changes a vector.

Not here: the limits that the shipped files keep; ``tests/embedder/test_models.py`` holds them.

    python models/verify.py FOLDER
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq

import build_minilm
from hypernova.embedder import Embedder
from pack import BUNDLED, write_embedder

if TYPE_CHECKING:
    from hypernova.export.graph import Array


# The reference embeds whole texts, up to 256 tokens of the beginning.
TOKENS = 256
AS_THE_REFERENCE = {"max_tokens": TOKENS, "head_chars": 8192, "tail_chars": 0}


def reference(shared: Path) -> tuple[list[str], Array]:
    """Read the reference texts and the vectors of sentence-transformers: (n, 384)."""
    with np.load(shared / "reference" / "minilm_l6_v2_vectors.npz") as stored:
        keys = list(zip(stored["dataset"].tolist(), stored["task_id"].tolist(), strict=True))
        vectors = stored["vectors"]
    prompts = {}
    for dataset in {dataset for dataset, _ in keys}:
        tasks = pq.read_table(shared / "data" / dataset / "tasks.parquet").to_pydict()
        for task_id, prompt in zip(tasks["task_id"], tasks["prompt"], strict=True):
            prompts[dataset, task_id] = prompt
    return [prompts[key] for key in keys], vectors


def as_the_reference(name: str, folder: Path) -> Embedder:
    """Copy a bundled embedder to ``folder``; one with a limit gets the cut of the reference."""
    shutil.copytree(BUNDLED / name, folder)
    path = folder / "embedder.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    del settings["skip_courtesy"]  # the reference leaves nothing out
    if settings.pop("tail_tokens", None) is not None:
        settings |= AS_THE_REFERENCE
    path.write_text(json.dumps(settings), encoding="utf-8")
    return Embedder.load(folder)


def one_by_one(embedder: Embedder, texts: list[str]) -> Array:
    """Embed each text by itself, as a service does: (n, dim)."""
    return np.stack([embedder.embed_one(text) for text in texts])


def show(name: str, cosine: Array) -> None:
    """Print the median and minimum of cosines that should be 1."""
    print(f"{name:34s} n={len(cosine)} median={np.median(cosine):.6f} min={cosine.min():.6f}")


def agreement(a: Array, b: Array) -> float:
    """Correlate the cosines of two embedders over all pairs of texts."""
    pairs = np.triu_indices(len(a), 1)
    return float(np.corrcoef((a @ a.T)[pairs], (b @ b.T)[pairs])[0, 1])


def main() -> None:
    """Compare float32, the shipped int8 and static with the reference and with their batches."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="with the reference and its outcome tables")
    texts, expected = reference(parser.parse_args().folder)
    with tempfile.TemporaryDirectory() as temporary:
        folders = Path(temporary)
        settings = build_minilm.SETTINGS | AS_THE_REFERENCE
        del settings["tail_tokens"], settings["skip_courtesy"]
        write_embedder(folders / "float32", build_minilm.build(int8=False), **settings)
        float32 = one_by_one(Embedder.load(folders / "float32"), texts)
        plain = {name: as_the_reference(name, folders / name) for name in ("minilm", "static")}
        whole = {name: one_by_one(embedder, texts) for name, embedder in plain.items()}
    show("float32 to reference", (float32 * expected).sum(1))
    show("minilm to reference", (whole["minilm"] * expected).sum(1))
    for name in ("minilm", "static"):
        embedder = Embedder.load(name)
        alone, together = one_by_one(embedder, texts), embedder.embed(texts)
        show(f"{name} in a batch to alone", (alone * together).sum(1))
        print(f"{name} in a batch to alone: largest difference {abs(alone - together).max():.2e}")
        size = (BUNDLED / name / "model.onnx").stat().st_size
        print(
            f"{name}: {size:,} bytes, pairwise {agreement(whole[name], expected):.4f} to reference"
        )


if __name__ == "__main__":
    main()
