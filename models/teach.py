"""Embed every text of the corpus, and every token alone, with MiniLM: the targets of ``static``.

Not here: the training. The teacher is the ``minilm`` that ships (int8), without the lead. Two cores
take about 40 minutes.

    python models/teach.py build/corpus [--processes 2]
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from hypernova.embedder.onnx.runtime import import_onnxruntime
from pack import BUNDLED, stateless_tokenizer

Array = np.ndarray[Any, Any]
TEXTS, TOKENS = 16, 256  # texts of a batch, tokens of a text


def run(batches: list[list[list[int]]]) -> list[Array]:
    """Embed each batch of token ids, padded within the batch."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a fixed order of summation
    session = onnxruntime.InferenceSession(
        BUNDLED / "minilm" / "model.onnx", options, providers=["CPUExecutionProvider"]
    )
    done = []
    for batch in batches:
        ids = np.zeros((len(batch), max(map(len, batch))), np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
        [vectors] = session.run(None, {"input_ids": ids, "attention_mask": mask})
        done.append(vectors)
    return done


def vectors_of(ids: list[list[int]], processes: int) -> Array:
    """Embed texts of token ids to (texts, 384), float16; a batch has texts of similar length."""
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    batches = [order[at : at + TEXTS] for at in range(0, len(order), TEXTS)]
    # Each portion mixes lengths, so that all take about the same time.
    portions = [batches[at::200] for at in range(200)]
    found = np.zeros((len(ids), 384), np.float16)
    work = [[[ids[i] for i in batch] for batch in portion] for portion in portions]
    with ProcessPoolExecutor(processes) as pool:
        for n, (portion, done) in enumerate(zip(portions, pool.map(run, work), strict=True)):
            for batch, vectors in zip(portion, done, strict=True):
                found[batch] = vectors
            print(f"{n + 1} of {len(portions)}", end="\r", flush=True)
    print()
    return found


def main() -> None:
    """Write ``teacher.npy`` and ``tokens.npy`` beside ``texts.jsonl``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    tokenizer = Tokenizer.from_str(stateless_tokenizer())
    tokenizer.enable_truncation(TOKENS)
    vocabulary = tokenizer.get_vocab()
    alone = [[vocabulary["[CLS]"], i, vocabulary["[SEP]"]] for i in range(len(vocabulary))]
    np.save(arguments.folder / "tokens.npy", vectors_of(alone, arguments.processes))
    with (arguments.folder / "texts.jsonl").open(encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    ids = [encoded.ids for encoded in tokenizer.encode_batch_fast(texts)]
    np.save(arguments.folder / "teacher.npy", vectors_of(ids, arguments.processes))


if __name__ == "__main__":
    main()
