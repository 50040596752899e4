"""Tokenizers for tests: BERT's with a vocabulary of characters, by the package and by the core.

Not here: the questions (``tests/core/test_word_piece_tokenizer.py``, ``benches/word_pieces.py``).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer, normalizers

from hypernova._core import WordPieceTokenizer

if TYPE_CHECKING:
    from collections.abc import Iterable

FLAGS = ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")


def tokenizer_json(
    words: Iterable[str],
    flags: tuple[bool, bool, bool | None, bool] = (True, True, None, True),
    *,
    added: Iterable[str] = (),
    max_chars: int = 100,
) -> dict[str, Any]:
    """Return the contents of a ``tokenizer.json`` with a vocabulary of these words."""
    vocab = {word: i for i, word in enumerate(dict.fromkeys(["[UNK]", *words]))}
    new = (text for text in added if text not in vocab)
    ids = vocab | {text: i for i, text in enumerate(new, len(vocab))}
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": ids[text], "content": text, "special": False} | plain for text in added
        ],
        "normalizer": {"type": "BertNormalizer"} | dict(zip(FLAGS, flags, strict=True)),
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": max_chars,
            "vocab": vocab,
        },
    }


def both(contents: dict[str, Any] | bytes) -> tuple[Any, WordPieceTokenizer]:
    """Return a tokenizer of the package and of the core."""
    data = contents if isinstance(contents, bytes) else json.dumps(contents).encode()
    ours = WordPieceTokenizer.from_json(data)
    assert ours is not None
    theirs = Tokenizer.from_buffer(data)
    theirs.no_truncation()
    theirs.no_padding()
    return theirs, ours


def of_characters(
    codes: Iterable[int], flags: tuple[bool, bool, bool | None, bool]
) -> tuple[Any, WordPieceTokenizer]:
    """Return tokenizers that know each character which normalising some others can give."""
    normalizer = normalizers.BertNormalizer(**dict(zip(FLAGS, flags, strict=True)))
    chars = sorted(set(normalizer.normalize_str("ae" + "".join(map(chr, codes)))))
    return both(tokenizer_json([*chars, *(f"##{char}" for char in chars)], flags))


def differing_codes(codes: list[int], tokenizers: tuple[Any, WordPieceTokenizer]) -> list[int]:
    """Return the characters that differ, alone, in a word, behind an accent and before one."""
    theirs, ours = tokenizers
    differing: list[int] = []

    def differ(some: list[int]) -> bool:
        text = " ".join(f"{c} a{c}e a\u0301{c}\u0327\u302e{c}" for c in map(chr, some))
        ids: list[int] = theirs.encode(text, add_special_tokens=False).ids
        return ids != ours.encode(text).tolist()

    for start in range(0, len(codes), 500):
        some = codes[start : start + 500]
        if differ(some):
            differing += [code for code in some if differ([code])]
    return differing
