"""Compare a GPU with the CPU: the vectors, the time of one request, and the rate of many.

Not here: the CPU alone (`text.py`). Run where onnxruntime has CUDA, with the sample tables
(`paths.py`).

    python -m benches.cuda static minilm FOLDER... > record.md
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from benches.paths import sample_tables
from benches.record import output_of, processor
from benches.text import artifact_for, percentiles, prompts

import hypernova
from hypernova.embedder import Embedder
from hypernova.embedder.onnx.runtime import import_onnxruntime

if TYPE_CHECKING:
    from collections.abc import Callable

MANY = "llmrouter_mixed"
ON_CPU = 200  # prompts for which the CPU is timed or compared
PARITY = 0.9999  # smallest cosine of a GPU vector to the CPU vector that is no failure


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


def table(head: list[str], rows: list[list[str]]) -> str:
    """Format a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("embedders", nargs="+", help="bundled names or folders")
    parser.add_argument("--commit", default=output_of("git", "rev-parse", "--short", "HEAD"))
    parser.add_argument(
        "--prompts", type=int, help="for the rate of many; by default all of the table"
    )
    arguments = parser.parse_args()

    import pyarrow.parquet

    path = sample_tables() / MANY / "tasks.parquet"
    many = pyarrow.parquet.read_table(path, columns=["prompt"])["prompt"].to_pylist()[
        : arguments.prompts
    ]
    singles = prompts()
    parity, single, throughput = [], [], []
    for source in arguments.embedders:
        print(source, file=sys.stderr)
        cpu, gpu = (Embedder.load(source, device=device) for device in ("cpu", "cuda"))
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
    if worst := [row[0] for row in parity if min(float(row[2]), float(row[3])) < PARITY]:
        print(f"under {PARITY}: {', '.join(worst)}", file=sys.stderr)


if __name__ == "__main__":
    main()
