"""The core's BERT tokenizer gives the tokens of the package tokenizers, whatever the text.

Not here: all prompts of all sample tables, and all characters (`benches/word_pieces.py`).
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypernova._core import WordPieceTokenizer
from hypernova.errors import EmbedderError
from support.paths import EXPORTS, PACKAGE
from support.word_pieces import both, differing_codes, of_characters, tokenizer_json

if TYPE_CHECKING:
    from pathlib import Path

BUNDLED = (PACKAGE / "bundled" / "static" / "tokenizer.json").read_bytes()
THEIRS, OURS = both(BUNDLED)

# Blanks of all kinds, controls, marks that stay and that change places, ideographs, emoji, Hangul,
# right to left.
ODD = (
    "\x00\x0b\x0c\x1c\x1f\x7f\x85\xa0\xad\u0301\u0327\u034f\u0345\u1680\u200b\u2003\u2028\u3000"
    "\ufeff\ufffdßİéA中文🙂\U0001d165\U0001d15e\U0001d16d\u302e\u302f\u0344\u0f73\u0ddd가각\u0645\u0631\u062d\u0628\u0627"
    "\u037e\u1fef\uf900\U0002f800\U000e0001\uac00\u1b44"
)
PIECES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.text(st.sampled_from(ODD + " \t\r\n.,-_[]'ab"), max_size=12),
    st.sampled_from(["the", "Scheduler", "don't", "x" * 40, "y" * 150, "[SEP]", "[sep]", "[CLS"]),
)
TEXTS = st.lists(PIECES, max_size=20).map("".join)


def package(text: str, tokenizer: Any = THEIRS, *, special: bool = False) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=special).ids
    return ids


def limited(ids: list[int], limit: tuple[int, int]) -> list[int]:
    kept, last = limit
    return ids if len(ids) <= kept else ids[: kept - last] + ids[len(ids) - last :]


@settings(max_examples=500)
@given(text=TEXTS)
def test_any_text(text: str) -> None:
    assert OURS.encode(text).tolist() == package(text)
    assert OURS.encode(text, special=True).tolist() == package(text, special=True)


FLAGS: list[tuple[bool, bool, bool | None, bool]] = [
    (True, True, None, True),
    (False, False, False, True),
    (False, True, True, False),
    (True, False, None, False),
]
# Without most ideographs, Hangul and private characters, each of which are all alike.
CODES = [
    *(*range(0x3400), *range(0x4DB0, 0x4E10), *range(0x9FF0, 0xAC40), *range(0xD780, 0xD800)),
    *(*range(0xE000, 0xE010), *range(0xF8F0, 0x12000), *range(0x16800, 0x17000)),
    *(*range(0x1AFF0, 0x1F000), *range(0x20000, 0x110000, 499)),
    *(*range(0x2F7F0, 0x2FA30), *range(0xE0000, 0xE0200), 0x2A6DF, 0x2A6E0, 0x2B81F, 0x2B820),
]


@pytest.mark.parametrize("flags", FLAGS)
def test_each_character(flags: tuple[bool, bool, bool | None, bool]) -> None:
    codes = CODES if flags == FLAGS[0] else CODES[::4]
    assert not differing_codes(codes, of_characters(codes, flags))


CHARACTERS = {flags: of_characters(range(0x2000), flags) for flags in FLAGS}


@settings(max_examples=300)
@given(text=TEXTS, flags=st.sampled_from(FLAGS))
def test_any_text_and_flags(text: str, flags: tuple[bool, bool, bool | None, bool]) -> None:
    theirs, ours = CHARACTERS[flags]
    assert ours.encode(text).tolist() == package(text, theirs)


ADDED = ["[SEP]", "[SEP", "ab", "éa", "New York", "<x>", "\u3000", "b<x>b"]
WITH_ADDED = [
    both(tokenizer_json(["a", "##a", "b", "##b", "e", "[SEP]"], added=ADDED[:n])) for n in range(9)
]


@settings(max_examples=400)
@given(
    pieces=st.lists(st.sampled_from([*ADDED, *"[SEPab<x>é .\u0301", "New"]), max_size=12),
    tokenizers=st.sampled_from(WITH_ADDED),
    limit=st.tuples(st.integers(5, 9), st.integers(0, 5)),
)
def test_added_tokens(
    pieces: list[str], tokenizers: tuple[Any, WordPieceTokenizer], limit: tuple[int, int]
) -> None:
    theirs, ours = tokenizers
    text = "".join(pieces)
    assert ours.encode(text).tolist() == package(text, theirs)
    assert ours.encode(text * 9, limit).tolist() == limited(package(text * 9, theirs), limit)


@pytest.mark.parametrize("limit", [(1, 0), (1, 1), (6, 1), (6, 6), (10, 4), (254, 96), (0, 0)])
@settings(max_examples=60)
@given(text=TEXTS, times=st.integers(1, 30))
def test_a_limit_keeps_the_first_and_the_last(
    limit: tuple[int, int], text: str, times: int
) -> None:
    expected = limited(package(text * times), limit)
    assert OURS.encode(text * times, limit).tolist() == expected
    assert OURS.encode(text * times, limit, special=True).tolist() == [101, *expected, 102]


def test_real_prompts(shared: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    paths = sorted(shared.glob("data/*/tasks.parquet"))
    assert paths
    for path in paths:
        prompts = parquet.read_table(path, columns=["prompt"])["prompt"].to_pylist()
        for prompt in prompts[:: len(prompts) // 120]:
            assert OURS.encode(prompt).tolist() == package(prompt)


@pytest.mark.parametrize(
    ("char", "tokens"),
    [("x", [100]), (" ", []), ("\0", []), ("\u0301", []), ("\U0001d165", [100]), ("é", [100])],
)
def test_ten_megabytes_of_one_character(char: str, tokens: list[int]) -> None:
    text = char * (10_000_000 // len(char.encode()))
    assert OURS.encode(text).tolist() == tokens
    assert OURS.encode(text, (254, 96)).tolist() == tokens


def test_ten_megabytes_of_words() -> None:
    for char, token in ((".", 1012), ("中", 1746)):
        text = char * (10_000_000 // len(char.encode()))
        assert OURS.encode(text, (254, 96)).tolist() == [token] * 254
        assert (OURS.encode(text) == token).all()


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        OURS.encode("half \ud800")


def test_what_it_returns() -> None:
    ids = OURS.encode("Hello")
    assert ids.dtype == np.int64
    assert ids.shape == (1,)
    assert not ids.flags.writeable
    assert OURS.encode("").shape == (0,)
    assert OURS.vocabulary == THEIRS.get_vocab_size(with_added_tokens=True)
    assert OURS.max_token == max(THEIRS.get_vocab(with_added_tokens=True).values())
    assert OURS.special_tokens == ([101], [102])


def test_threads_get_what_one_gets() -> None:
    texts = [f"Task {i}: naïve {'schedulers ' * (i % 7)}[SEP] 中文 {i * 7919}" for i in range(200)]
    texts += ["word " * 2_000 + str(i) for i in range(5)]  # without the interpreter's lock
    expected = [OURS.encode(text).tolist() for text in texts]
    found: list[list[list[int]]] = []

    def work() -> None:
        found.append([OURS.encode(text).tolist() for text in texts])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 8


def test_golden_tokenizers() -> None:
    for path in sorted(EXPORTS.glob("*/tokenizer.json")):
        data = path.read_bytes()
        if "bert" not in path.parent.name or "roberta" in path.parent.name:
            assert WordPieceTokenizer.from_json(data) is None
            continue
        theirs, ours = both(data)
        for text in ("Hello, world", "naïve 中文 [SEP] x", ODD, "y" * 150):
            assert ours.encode(text, special=True).tolist() == package(text, theirs, special=True)


def test_a_large_vocabulary() -> None:
    words = [f"word{i}" for i in range(100_000)]
    contents = tokenizer_json(words)
    theirs, ours = both(contents)
    assert ours.vocabulary == 100_001
    text = "word0 word99999 WORD123 word100000 wordword1"
    assert ours.encode(text).tolist() == package(text, theirs)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "EOF"),
        (b"[]", "expected a tokenizer"),
        (b"\xff", "line 1"),
        (b'{"model": ' + b"[" * 100_000, "line 1"),
        (json.dumps(tokenizer_json(["a"])).replace('"a": 1', '"a": -1').encode(), "-1"),
        (json.dumps(tokenizer_json(["a"])).replace('"a": 1', '"a": "1"').encode(), "a token id"),
    ],
)
def test_no_tokenizer(data: bytes, said: str) -> None:
    with pytest.raises(EmbedderError, match="not a tokenizer") as raised:
        WordPieceTokenizer.from_json(data)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_large_part_is_left_to_the_package() -> None:
    contents = tokenizer_json(["a"])
    contents["normalizer"]["more"] = [0] * 1_000_000
    assert WordPieceTokenizer.from_json(json.dumps(contents).encode()) is None
