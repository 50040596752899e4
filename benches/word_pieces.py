"""Compare the core's tokens with those of the package tokenizers: all prompts, all characters.

Not here: the same in minutes less (``tests/core/test_word_piece_tokenizer.py``).

``python benches/word_pieces.py`` takes some minutes on one core and ends with 1 if any differ. It
also says how long each takes for the prompts, and reads those of the sample tables
(`benches/paths.py`).
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from benches.paths import sample_tables
from tests.support.word_pieces import both, differing_codes, of_characters

import hypernova

PACKAGE = Path(hypernova.__file__).parent
FLAGS: list[tuple[bool, bool, bool | None, bool]] = [
    (True, True, None, True),
    (False, False, True, False),
    (False, True, False, True),
]
CODES = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]


def compare_prompts() -> int:
    """Compare the tokens of all prompts; return how many differ."""
    import pyarrow.parquet

    theirs, ours = both((PACKAGE / "bundled" / "static" / "tokenizer.json").read_bytes())
    differing = 0
    for path in sorted(sample_tables().glob("*/tasks.parquet")):
        prompts = pyarrow.parquet.read_table(path, columns=["prompt"])["prompt"].to_pylist()
        start = time.perf_counter()
        expected = [theirs.encode(prompt, add_special_tokens=False).ids for prompt in prompts]
        middle = time.perf_counter()
        found = [ours.encode(prompt) for prompt in prompts]
        end = time.perf_counter()
        wrong = sum(ids != tokens.tolist() for ids, tokens in zip(expected, found, strict=True))
        differing += wrong
        print(
            f"{path.parent.name}: {len(prompts):,} prompts, {sum(map(len, expected)):,} tokens, "
            f"{wrong} prompts differ; package {middle - start:.2f} s, core {end - middle:.2f} s",
            flush=True,
        )
    return differing


def compare_characters() -> int:
    """Compare what becomes of every character; return how many differ."""
    differing = 0
    for flags in FLAGS:
        # A quarter at a time: the vocabulary has each of them twice.
        for part in range(4):
            codes = CODES[part::4]
            differing += len(differing_codes(codes, of_characters(codes, flags)))
        print(f"all characters, flags {flags}: {differing} differ so far", flush=True)
    return differing


if __name__ == "__main__":
    sys.exit(compare_prompts() + compare_characters() > 0)
