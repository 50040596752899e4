"""Build the ``minilm`` embedder: all-MiniLM-L6-v2 as one int8 ONNX file.

Not here: the graph, which is that of ``hypernova export-embedder``. This script has the pinned
weights, the settings and the title of the embedder that ships.

    python models/build_minilm.py
"""

from __future__ import annotations

from typing import Any

from hypernova.export import reader
from hypernova.export.bert import build as graph_of
from pack import BUNDLED, model_folder, write_embedder, write_sums

SETTINGS: dict[str, Any] = {
    "name": "minilm",
    "dim": 384,
    "pooling": "model",
    "normalize": True,
    "max_tokens": 96,
    "tail_tokens": 32,
    "head_chars": 1536,
    "tail_chars": 512,
    "special_tokens": True,
    "lead_chars": 200,
    "lead_weight": 0,
    "skip_courtesy": 1,
}


def build(*, int8: bool) -> bytes:
    """Build the whole model: ids and mask (batch, seq) in, ``embedding`` (batch, 384) out."""
    kind = "int8" if int8 else "float32"
    title = f"all-MiniLM-L6-v2, {kind}; Apache-2.0; see models/README.md of hypernova"
    return graph_of(reader.read_model(model_folder()).model, int8=int8, title=title)


if __name__ == "__main__":
    write_embedder(BUNDLED / "minilm", build(int8=True), **SETTINGS)
    write_sums()
