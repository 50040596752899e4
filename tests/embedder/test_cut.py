"""The cut of a long text is the stated rule, and its spans are what it keeps.

Not here: what an embedder makes of a cut text; that is in test_embedder.py.
"""

from __future__ import annotations

import time
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypernova._core import cut, cut_spans, is_blank, visible_span
from support import plain_reading
from support.plain_reading import BLANKS

ALL = [chr(code) for code in range(0x110000)]


PIECES = st.one_of(
    st.sampled_from(["x", "word", "a, b", "é", "\ud800", "🙂"]),
    st.sampled_from([" ", "\n", "\t", "\u200b", "\ufeff", "\x00", "\r\n"]),
    st.tuples(st.sampled_from(BLANKS), st.integers(1, 600)).map(lambda p: p[0] * p[1]),
    st.tuples(st.integers(0, 400), st.integers(0, 400)).map(lambda p: " " * p[0] + "\n" * p[1]),
    st.tuples(st.sampled_from("xyz"), st.integers(250, 260)).map(lambda p: p[0] * p[1]),
)


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(
    pieces=st.lists(PIECES, max_size=12),
    head=st.integers(1, 700),
    tail=st.one_of(st.just(0), st.integers(1, 700)),
)
def test_the_cut_is_the_stated_rule_and_cutting_again_changes_nothing(
    pieces: list[str], head: int, tail: int
) -> None:
    text = "".join(pieces)
    found = cut(text, head, tail)
    assert found == plain_reading.cut(text, head, tail)
    assert cut(found, head, tail) == found
    assert len(found) <= head + 1 + tail
    begin, end = visible_span(text)
    assert text[begin:end] == text.strip(BLANKS)
    if head > 256:
        assert is_blank(found) == is_blank(text)


@settings(max_examples=300, deadline=None)
@given(
    pieces=st.lists(PIECES, max_size=12),
    head=st.integers(1, 700),
    tail=st.one_of(st.just(0), st.integers(1, 700)),
)
def test_the_spans_are_rising_disjoint_and_what_is_kept(
    pieces: list[str], head: int, tail: int
) -> None:
    text = "".join(pieces)
    first, last = cut_spans(text, head, tail)
    kept = ["".join(text[a:b] for a, b in spans) for spans in (first, last)]
    assert (" ".join(kept) if last else kept[0]) == cut(text, head, tail)
    for spans in (first, last):
        assert all(a < b for a, b in spans)
        assert all(b < c for (_, b), (c, _) in pairwise(spans))
    if first and last:
        assert first[-1][1] <= last[0][0]


def test_blanks_are_what_shows_nothing() -> None:
    assert {c for c in ALL if is_blank(c)} == set(BLANKS)
    assert {c for c in ALL if c.isspace()} <= set(BLANKS)
    for character in BLANKS:
        kind = unicodedata.category(character)
        assert character.isspace() or kind in ("Cc", "Cf") or character == "\u2065", character
    invisible = "\x00\xad\u200b\u200c\u200d\u200e\u200f\u202e\u2060\ufeff"
    assert set(invisible) <= set(BLANKS)
    assert is_blank("")
    assert not is_blank(" \ufeff.")


@pytest.mark.slow
@pytest.mark.parametrize("blank", [" ", "\n", "\u200b", " \ufeff\t"])
def test_ten_megabytes_of_blanks_take_little_time(blank: str) -> None:
    blanks = blank * (10_000_000 // len(blank))
    began = time.perf_counter()
    assert len(cut(blanks, 1536, 512)) == 256
    assert cut(blanks + "a", 1536, 512).strip(BLANKS) == "a"
    assert cut("a" + blanks, 1536, 512).strip(BLANKS) == "a"
    assert visible_span("a" + blanks) == (0, 1)
    assert visible_span(blanks + "a") == (len(blanks), len(blanks) + 1)
    found = cut("a" + blanks + "b", 1536, 512)
    assert (found[0], found[-1], len(found)) == ("a", "b", 258)
    assert is_blank(blanks)
    # 0.4 s on two old cores; an expression over the whole text takes seconds.
    assert time.perf_counter() - began < 10
