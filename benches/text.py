"""Time a decision from text: tokenising, embedding, deciding, the whole; a fresh process.

Not here: other libraries; the search alone (`speed.py`). Prompts are real ones of the sample
tables (`paths.py`), 64 of each length; without those tables there are no rows.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
from benches.paths import sample_tables

import hypernova
from hypernova._core import WordPieceTokenizer
from hypernova.embedder import Embedder, bundled_embedders

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROMPTS, ROUNDS = 64, 15
LENGTHS = {"16 tokens": (13, 19), "200 tokens": (180, 220)}

# A fresh process runs this: seconds to the first decision, and resident memory after 200 more.
FRESH = """
import time; start = time.perf_counter()
import json, sys, hypernova
embedder, dim = sys.argv[1], int(sys.argv[2])
router = hypernova.Router.open(sys.argv[3])
router.route("Fix the race in the scheduler")
first = time.perf_counter() - start
for i in range(200):
    router.route(f"Task {i}: sort the list of customers by {'name ' * (i % 50)}")
pages = int(open("/proc/self/statm").read().split()[1])
print(json.dumps([first, pages * 4096]))
"""


def prompts() -> dict[str, list[str]]:
    """Choose real prompts of each length from all sample tables; empty without them."""
    found: dict[str, list[str]] = {name: [] for name in LENGTHS}
    path = bundled_embedders()["static"] / "tokenizer.json"
    tokenizer = WordPieceTokenizer.from_json(path.read_bytes())
    assert tokenizer is not None
    for path in sorted(sample_tables().glob("*/tasks.parquet")):
        import pyarrow.parquet

        texts = pyarrow.parquet.read_table(path, columns=["prompt"])["prompt"].to_pylist()
        for name, (shortest, longest) in LENGTHS.items():
            # A character is at least an eighth of a token: most texts need not be tokenised.
            fits = (t for t in texts if len(t) <= 8 * longest)
            some = (
                t for t in fits if shortest <= len(tokenizer.encode(t, special=True)) <= longest
            )
            found[name] += [t for t, _ in zip(some, range(PROMPTS), strict=False)]
    if not all(found.values()):
        return {}
    rng = np.random.default_rng(0)
    chosen = {
        name: [texts[i] for i in rng.permutation(len(texts))[:PROMPTS]]
        for name, texts in found.items()
    }
    joined = " ".join(chosen["200 tokens"])
    return chosen | {"1 MB": [(joined[i:] + joined * 40)[:1_000_000] for i in range(PROMPTS)]}


def artifact_for(embedder: Embedder) -> hypernova.Artifact:
    """Make an artifact of 100 clusters and 25 models for the texts of an embedder."""
    from benches.test_decide import make_artifact

    identity = {"kind": "text", "name": embedder.name, "dim": embedder.dim}
    return make_artifact(100, embedder.dim, identity | {"fingerprint": embedder.fingerprint})


def percentiles(call: Callable[[str], object], texts: list[str], rounds: int) -> dict[str, float]:
    """Time single calls: median, shortest and 99th percentile, in nanoseconds."""
    taken = []
    for _ in range(rounds):
        for text in texts:
            start = time.perf_counter_ns()
            call(text)
            taken.append(time.perf_counter_ns() - start)
    return {
        "median_ns": float(np.median(taken)),
        "least_ns": float(min(taken)),
        "p99_ns": float(np.percentile(taken, 99)),
    }


def text_rows(folder: Path) -> list[dict[str, object]]:
    """Measure both bundled embedders, in this process and in fresh ones."""
    rows: list[dict[str, object]] = []
    for name in ("static", "minilm"):
        embedder = Embedder.load(name)
        artifact = artifact_for(embedder)
        router = hypernova.Router(artifact, embedder=embedder)
        for length, texts in prompts().items():
            rounds = ROUNDS if name == "static" else 2
            vectors = {text: embedder.embed_one(text) for text in texts}
            assert np.allclose([vectors[text] for text in texts], embedder.embed(texts), atol=1e-5)
            stages: dict[str, Callable[[str], object]] = {
                "tokenise": embedder.key_of,  # and hash the tokens, which takes little
                "embed, tokenising too": embedder.embed_one,
                "decide": lambda text, a=artifact, v=vectors: a.decide(v[text]),
                "route, the whole": router.route,
            }
            for stage, call in stages.items():
                row = {"row": f"text of {length}: {stage}", "library": f"hypernova, {name}"}
                rows.append(row | percentiles(call, texts, rounds))
            fresh = hypernova.Router(artifact, embedder=Embedder.load(name))
            row = {"row": f"text of {length}: route, each for the first time"}
            row["library"] = f"hypernova, {name}"
            rows.append(row | percentiles(fresh.route, texts, 1))
        rows += fresh_rows(name, artifact, folder)
    return rows


def fresh_rows(name: str, artifact: hypernova.Artifact, folder: Path) -> list[dict[str, object]]:
    """Measure processes that import, open and decide: time to the first decision, and memory."""
    path = folder / f"{name}.hnv"
    artifact.save(path)
    command = [sys.executable, "-c", FRESH, name, str(artifact.dim), str(path)]
    first, memory = [], []
    for _ in range(7):
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
        seconds, resident = json.loads(done.stdout)
        first.append(seconds * 1e9)
        memory.append(resident)
    library = f"hypernova, {name}"
    return [
        {
            "row": "fresh process: import, open, first decision",
            "library": library,
            "median_ns": float(np.median(first)),
            "least_ns": min(first),
        },
        {
            "row": "fresh process: resident after 201 decisions",
            "library": library,
            "bytes": int(np.median(memory)),
        },
    ]
