"""Compare an exported static model with the package model2vec that it comes from.

Not here: `static` (`text.py`), and whether a static model routes well (`quality`). The model has
the tokenizer of `static` and 256 random numbers for each of its 30,522 tokens, which take the time
that learned ones do. Both sides run in one process on one thread and take turns over the same
prompts, which are real ones (`paths.py`); their vectors are compared before anything is timed.
Each prompt is met several times, so that hypernova knows its words. Without the sample tables there
are no rows. model2vec is among the packages of the tests.

    python -m benches.static_models [--record FOLDER]
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one thread; read when a text is first tokenised

import numpy as np
from benches.paths import sample_tables
from benches.record import processor, source_state, write_page
from benches.text import prompts
from tokenizers import Tokenizer

from hypernova.embedder import Embedder, bundled_embedders
from hypernova.export import export_embedder

if TYPE_CHECKING:
    from collections.abc import Callable

DIM = 256
ROUNDS = 9
MANY = "llmrouter_mixed"
KINDS = {"float32": False, "int8": True}


def quickest(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Call each in turn, and return the seconds of the quickest call of each."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - start)
    return {name: min(seconds) for name, seconds in taken.items()}


def one_by_one(calls: dict[str, Callable[[str], object]], texts: list[str]) -> dict[str, float]:
    """Time each call with each text; the median over the texts of the quickest, in seconds."""
    best = [quickest({n: (lambda c=c, t=t: c(t)) for n, c in calls.items()}, 5) for t in texts]
    return {name: float(np.median([row[name] for row in best])) for name in calls}


def make(folder: Path) -> tuple[Any, dict[str, Embedder]]:
    """Save a model by model2vec and export it: the package's own, and the embedders."""
    from model2vec import StaticModel

    tokenizer = Tokenizer.from_file(str(bundled_embedders()["static"] / "tokenizer.json"))
    rows = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), DIM))
    StaticModel(rows.astype(np.float32), tokenizer, normalize=True).save_pretrained(
        folder / "model"
    )
    embedders = {}
    for kind, int8 in KINDS.items():
        export_embedder(folder / "model", folder / kind, int8=int8)
        embedders[kind] = Embedder.load(folder / kind)
    return StaticModel.from_pretrained(folder / "model"), embedders


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", type=Path, metavar="FOLDER", help="write the page there, too")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    lengths = prompts()
    if not lengths:
        raise SystemExit(f"no sample tables in {sample_tables()}")
    lengths["1 MB"] = lengths["1 MB"][:8]
    import pyarrow.parquet

    path = sample_tables() / MANY / "tasks.parquet"
    many = pyarrow.parquet.read_table(path, columns=["prompt"])["prompt"].to_pylist()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        theirs, ours = make(Path(folder))
        for length, texts in lengths.items():
            expected = theirs.encode(texts)
            found = np.stack([ours["float32"].embed_one(text) for text in texts])
            # In float32 each side rounds its sum of up to 512 rows.
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
            calls = {"model2vec": theirs.encode} | {k: e.embed_one for k, e in ours.items()}
            seconds = one_by_one(calls, texts)
            row = [f"one of {length}, µs"] + [f"{s * 1e6:.1f}" for s in seconds.values()]
            rows.append([*row, f"{seconds['model2vec'] / seconds['float32']:.1f}"])
        calls = {"model2vec": lambda: theirs.encode(many)}
        calls |= {kind: (lambda e=e: e.embed(many)) for kind, e in ours.items()}
        seconds = quickest(calls, arguments.rounds)
        row = [f"{len(many):,} of `{MANY}` in one call, a second"]
        row += [f"{len(many) / s:,.0f}" for s in seconds.values()]
        rows.append([*row, f"{seconds['model2vec'] / seconds['float32']:.1f}"])
    commit, changed = source_state()
    lines = [
        f"# A static model beside model2vec, commit {commit}",
        "",
        f"{processor()}, Python {platform.python_version()}; model2vec "
        f"{metadata.version('model2vec')}, sources changed: {changed}. 30,522 tokens of {DIM} "
        "dimensions, text to vector, one thread each, in turns; of one text the median over the "
        f"prompts of the quickest of 5 calls, of many the quickest of {arguments.rounds}. "
        "`python -m benches.static_models`.",
        "",
        "| texts | model2vec | hypernova, float32 | hypernova, int8 | model2vec to float32 |",
        "| --- | ---: | ---: | ---: | ---: |",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
    print("\n".join(lines))
    write_page(lines, arguments.record, commit, "static-models")


if __name__ == "__main__":
    main()
