"""WordPieceTokenizer that the glossary replaced stay gone from code, messages and documents.

Not here: words of files. Keys of JSON and names of sections are older than the glossary and stay,
as do records of what was measured, CHANGELOG and FORMAT.md.
"""

from __future__ import annotations

import re

import pytest

from support.paths import ROOT

# The word, and what stands in its place. Short: each of these was a riddle to readers.
GONE = {
    r"\bwish(es|ed)?\b": "route options",
    # As a verb it has an object: "infinity lifts the artifact's limit".
    r"\blifts?\b(?! (the|an|its)\b)": "linear correction",
    r"telling words?\b": "distinctive words",
    r"\bjudging\b|Judge[A-Z]|\bjudge[_(]|\w_judge\b": "evaluation",
    r"\b[Ff]olded(?!\w)": "sums; a fold is one part of a cross-validation",
    r"\b(least|most)_(?!common\b)\w+|\b(LEAST|MOST)_\w+": "min_ and max_",
}
PLACES = (
    "python/**/*.py", "python/**/*.pyi", "rust/**/*.rs", "docs/*.md", "README.md",
    "examples/**/*.py", "models/*.py", "models/*.md", "benches/**/*.py",
)  # fmt: skip
# Records of what was measured, and prompts that are made up for training.
EXEMPT = ("target/", "docs/experiments.md", "models/compose.py", "courtesy/words.rs")


@pytest.mark.parametrize(("word", "instead"), GONE.items(), ids=GONE.values())
def test_a_word_that_was_replaced_is_gone(word: str, instead: str) -> None:
    # Not within quotes: a key of JSON.
    pattern = re.compile(rf"(?<![\"'`])(?:{word})(?![\"'`])")
    found = []
    for place in PLACES:
        for path in sorted(ROOT.glob(place)):
            name = str(path.relative_to(ROOT))
            if not any(part in name for part in EXEMPT):
                lines = path.read_text(encoding="utf-8").splitlines()
                found += [f"{name}:{i}: {x}" for i, x in enumerate(lines, 1) if pattern.search(x)]
    assert not found, f"use the glossary's word ({instead}):\n" + "\n".join(found)
