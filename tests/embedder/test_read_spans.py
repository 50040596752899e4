"""Which characters of a text are read, and which texts are the same to an embedder.

Not here: the cut by characters; that is in test_cut.py.

The oracle: other characters where nothing is read leave the vector as it is, to the bit.
"""

from __future__ import annotations

import functools
import hashlib
import json
import random
import shutil
import tempfile
import unicodedata
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypernova._core import is_blank
from hypernova.embedder import CachedEmbedder, CallableEmbedder, Embedder, bundled_embedders
from hypernova.errors import TextError
from support.paths import EXPORTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.embedder.base import TextEmbedder

ROBERTA = EXPORTS / "roberta-mean" / "tokenizer.json"
# Settings by name, with a lead unless they say otherwise; all run the model of ``static``, which
# takes any tokens and little time.
KINDS: dict[str, dict[str, Any]] = {
    "static": {"lead_weight": 0},
    "lead": {},
    "short": {"head_chars": 400, "tail_chars": 90},
    "head alone": {"head_chars": 400, "tail_chars": 0},
    "tokens": {"max_tokens": 12, "special_tokens": True},
    "tail tokens": {"max_tokens": 14, "tail_tokens": 4, "special_tokens": True},
    "both": {"max_tokens": 9, "tail_tokens": 3, "head_chars": 400, "tail_chars": 90},
    "no lead": {"max_tokens": 9, "tail_tokens": 3, "lead_weight": 0},
    "long lead": {"max_tokens": 9, "tail_tokens": 6, "head_chars": 90, "lead_chars": 60},
    "prompt": {"max_tokens": 12, "tail_tokens": 4, "prompt": "query: ", "head_chars": 400},
    "bytes": {"max_tokens": 14, "tail_tokens": 4, "special_tokens": True},
    "bytes, prompt": {"max_tokens": 12, "prompt": "query: ", "tail_chars": 9},
}


@functools.cache
def made(kind: str) -> Embedder:
    """The embedder of that kind; loaded once, for the examples of hypothesis."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "embedder"
        shutil.copytree(bundled_embedders()["static"], folder)
        described = json.loads((folder / "embedder.json").read_text(encoding="utf-8"))
        if "bytes" in kind:
            shutil.copy(ROBERTA, folder / "tokenizer.json")
            digest = hashlib.sha256(ROBERTA.read_bytes()).hexdigest()
            described["tokenizer_sha256"] = digest
        path = folder / "embedder.json"
        described |= {"lead_weight": 2, "skip_courtesy": 0}
        path.write_text(json.dumps(described | KINDS[kind]), encoding="utf-8")
        return Embedder.load(folder)


@functools.cache
def minilm() -> Embedder:
    """The bundled `minilm`, made to read all of a text within its limits."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "embedder"
        shutil.copytree(bundled_embedders()["minilm"], folder)
        path = folder / "embedder.json"
        described = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(described | {"skip_courtesy": 0}), encoding="utf-8")
        return Embedder.load(folder)


def read(embedder: TextEmbedder, text: str) -> str:
    """The characters that are read, with a bar where some are left out."""
    return "|".join(text[a:b] for a, b in embedder.read_spans(text))


def elsewhere(text: str, spans: Sequence[tuple[int, int]]) -> list[int]:
    """The places of the characters that are not read."""
    kept = {i for a, b in spans for i in range(a, b)}
    return [i for i in range(len(text)) if i not in kept]


PIECES = st.one_of(
    st.sampled_from(
        [
            *(
                "the",
                "scheduler",
                "unbelievability",
                "don't",
                "a.b",
                "f(x)",
                "[SEP]",
                "[MASK",
                "SEP]",
            ),
            *(
                "<mask>",
                "中文字",
                "é",
                "e\u0301",
                "🙂",
                "\ud83d",
                "\u200b",
                "\ufeff",
                "\x00",
                "x" * 120,
            ),
            *(
                " ",
                " ",
                " ",
                "  ",
                "\t",
                "\n",
                "\r\n",
                " " * 70,
                "\n" * 300,
                " " * 200 + "\n" * 200,
            ),
        ]
    ),
    st.text(max_size=6),
)
TEXTS = st.lists(PIECES, max_size=60).map("".join)
VISIBLE, SPACES, MARKS = "xX9,.-[]中é\u0301\ue000\ufffd🙂\ud83d", " \t\u2003", "\u200b\x00\ufeff"


def with_others(text: str, places: list[int], seed: int) -> str:
    """The text with others of the same kind at places; line ends stay what they are."""
    choose = random.Random(seed).choice
    characters = list(text)
    for i in places:
        if text[i] not in "\r\n":
            kind = SPACES if text[i].isspace() else MARKS if is_blank(text[i]) else VISIBLE
            characters[i] = choose(kind)
    return "".join(characters)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None)
@given(text=TEXTS, seed=st.integers(0, 2**32))
def test_characters_that_are_not_read_make_no_difference(kind: str, text: str, seed: int) -> None:
    embedder = made(kind)
    try:
        expected = embedder.embed_one(text)
    except TextError:
        for call in (embedder.read_spans, embedder.key_of):
            with pytest.raises(TextError):
                call(text)
        return
    spans = embedder.read_spans(text)
    assert all(0 <= a < b <= len(text) for a, b in spans)
    assert all(b < c for (_, b), (c, _) in pairwise(spans))
    places = elsewhere(text, spans)
    if not places:
        return
    # All of them at once, and each next to what is read: where a mistake would show.
    edges = {i for a, b in spans for i in (a - 1, b) if 0 <= i < len(text)}
    for change in (places, *([i] for i in edges)):
        changed = with_others(text, change, seed)
        assert np.array_equal(embedder.embed_one(changed), expected), (text, changed, spans)
        assert embedder.key_of(changed) == embedder.key_of(text)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None)
@given(text=TEXTS, other=TEXTS, blanks=st.text(" \n\t\u200b", max_size=3))
def test_texts_of_one_key_have_one_vector(kind: str, text: str, other: str, blanks: str) -> None:
    embedder = made(kind)
    vectors: dict[bytes, np.ndarray] = {}
    for one in (text, blanks + text, text + blanks, embedder.cut(text), other, text + other):
        try:
            vector = embedder.embed_one(one)
        except TextError:
            continue
        assert np.array_equal(vectors.setdefault(embedder.key_of(one), vector), vector)


def test_a_word_that_is_read_makes_a_difference() -> None:
    text = "Sort a list\n" + "of many numbers, " * 300 + "by size"
    embedder = made("both")
    spans = embedder.read_spans(text)
    for a, b in spans:
        changed = text[:a] + text[a:b].replace("o", "u").replace("s", "z") + text[b:]
        assert changed != text
        assert embedder.key_of(changed) != embedder.key_of(text)


def test_what_is_read_of_a_long_text() -> None:
    numbers = " ".join(f"n{i}" for i in range(200))
    assert read(made("static"), numbers) == numbers
    # Twelve tokens less the two special ones; a number takes two.
    assert read(made("tokens"), "one two " * 3 + "three four five six seven") == (
        "one two " * 3 + "three four five six "
    )
    text = "The first line\n" + "one two three " * 4 + "and so on " * 9 + "x y z"
    assert read(made("no lead"), text) == "The first line\none two three | x y z"
    assert read(made("short"), "a" * 500 + "b" * 500) == "a" * 400 + "|" + "b" * 90


def test_the_end_of_a_long_prompt_is_read_by_both_that_ship() -> None:
    preamble = "You are a helpful assistant. Answer the question at the end. " * 40
    end = " What is the capital of {}? Give the name of one city, and no more than that."
    for embedder in (made("static"), minilm()):
        texts = [preamble + end.format(land) for land in ("France", "Peru")]
        for text, land in zip(texts, ("France", "Peru"), strict=True):
            begin, stop = embedder.read_spans(text)[-1]
            assert text[begin:stop].endswith(end.format(land))
            assert stop == len(text)
        assert embedder.key_of(texts[0]) != embedder.key_of(texts[1])
        assert not np.array_equal(*map(embedder.embed_one, texts))


def test_what_minilm_reads_of_a_long_prompt() -> None:
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"] * 100
    kept = read(minilm(), "\n".join(words)).split("|")
    assert kept[0].split() == words[:62]
    assert kept[1].split() == words[-32:]


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(text=st.lists(PIECES, min_size=40, max_size=300).map("".join), seed=st.integers(0, 2**32))
def test_characters_that_minilm_does_not_read_make_no_difference(text: str, seed: int) -> None:
    text = "word " + text
    spans = minilm().read_spans(text)
    changed = with_others(text, elsewhere(text, spans), seed)
    assert np.array_equal(minilm().embed_one(changed), minilm().embed_one(text))


@pytest.mark.slow
def test_blanks_around_a_long_text_do_not_hide_it() -> None:
    question = "What is the capital of France?\nAnswer in one word."
    for blank in (" ", "\n", "\ufeff", "\u200b", "\x00", " \t\r\n"):
        blanks = blank * (5_000 // len(blank))
        for embedder in (made("static"), minilm(), made("both")):
            expected = embedder.embed_one(question)
            for text in (blanks + question, question + blanks, blanks + question + blanks):
                assert np.array_equal(embedder.embed_one(text), expected)
                assert np.array_equal(embedder.embed([text])[0], embedder.embed([question])[0])
                assert len(embedder.cut(text)) <= len(question) + 2 * 256
                assert embedder.key_of(text) == embedder.key_of(question)
                if embedder is not made("both"):
                    assert question in read(embedder, text)


def test_blanks_within_a_long_text_do_not_hide_what_follows() -> None:
    code = "def f(x):" + " " * 3_000 + "return x + 1  # the answer" + "\n" * 3_000 + "f(1)"
    shorter = "def f(x):" + " " * 256 + "return x + 1  # the answer" + "\n" * 256 + "f(1)"
    for embedder in (made("static"), minilm()):
        assert np.array_equal(embedder.embed_one(code), embedder.embed_one(shorter))
        kept = read(embedder, code)
        assert "return x + 1  # the answer" in kept
        assert kept.endswith("f(1)")


def test_blanks_leave_room_where_they_are_tokens() -> None:
    embedder = made("bytes")
    question = "hello world"
    assert not np.array_equal(embedder.embed_one(" hi"), embedder.embed_one("hi"))
    for text in ("\n" * 500 + question, question + "\n" * 500, "\n\t " * 99 + question + " " * 99):
        assert np.array_equal(embedder.embed_one(text), embedder.embed_one(question))
        assert question in read(embedder, text)


def test_a_text_of_blanks_is_empty_for_any_tokenizer() -> None:
    for blanks in ("\u200b", "\x00\ufeff", " " * 5_000, "\u200e\n" * 5_000):
        for embedder in (made("static"), minilm(), made("bytes")):
            with pytest.raises(TextError, match="the text is empty: expected at least one visible"):
                embedder.embed_one(blanks)


def test_a_cache_reads_what_the_embedder_within_reads() -> None:
    cached = CachedEmbedder(made("both"), 10)
    text = "Sort a list\n" + "of many numbers " * 300 + "by size"
    assert cached.read_spans(text) == made("both").read_spans(text)
    assert cached.key_of(text) == made("both").key_of(text)
    assert cached.cache_info().currsize == 0


def test_a_function_is_given_all_and_refuses_the_same_texts_as_empty() -> None:
    seen: list[str] = []

    def function(texts: list[str]) -> np.ndarray:
        seen.extend(texts)
        return np.ones((len(texts), 2))

    embedder = CallableEmbedder(function, name="ours", dim=2)
    text = " " * 5_000 + "What is it?\n" + "\ud83d" * 5_000
    embedder.embed_one(text)
    assert seen == [text]
    assert embedder.read_spans(text) == ((0, len(text)),)
    assert embedder.key_of(text) != embedder.key_of(text + " ")
    for blank in ("", " \n", "\x00", "\u200b\ufeff", "\u202e \u2028"):
        for call in (embedder.embed_one, embedder.read_spans, embedder.key_of):
            with pytest.raises(TextError, match="the text is empty: expected at least one visible"):
                call(blank)
        with pytest.raises(TextError, match="text 1 is empty"):
            embedder.embed(["a", blank])


@pytest.mark.parametrize("text", [None, 3, b"bytes"])
def test_what_is_no_text_is_a_type_error(text: Any) -> None:
    for embedder in (made("static"), CallableEmbedder(np.ones, name="ours", dim=2)):
        for call in (embedder.read_spans, embedder.key_of):
            with pytest.raises(TypeError, match=f"the text is {type(text).__name__}, expected str"):
                call(text)


def test_the_letters_of_the_oracle_are_of_both_kinds() -> None:
    assert is_blank("\u200b\x00\u2003 ")
    assert {unicodedata.category(c) for c in "\ue000\ud83d\u0301"} == {"Co", "Cs", "Mn"}
