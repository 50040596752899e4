"""Tokens put together word by word are the tokenizer's own, for any text and from any thread."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers

import hypernova
from hypernova.embedder.text import word_piece
from hypernova.embedder.text.word_piece import WordPieceTokenizer
from support.paths import PACKAGE

if TYPE_CHECKING:
    from pathlib import Path

TOKENIZER = PACKAGE / "bundled" / "static" / "tokenizer.json"
# Blanks of all kinds, controls, marks that combine, ideographs, half-blank format characters.
ODD = (
    "\x00\x0b\x0c\x1c\x1f\x7f\x85\xa0\xad\u0301\u1680\u200b\u2003\u2028\u3000\ufeff\ufffdßİéA中文🙂"
)
PIECES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.text(st.sampled_from(ODD + " \t\r\n.,-_[]'"), max_size=12),
    st.sampled_from(["the", "Scheduler", "don't", "x" * 40, "y" * 150, "[SEP]", "[sep]", "[CLS"]),
)


def fresh() -> Any:
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def encoded(words: WordPieceTokenizer, text: str) -> list[int]:
    tokens: list[int] = words.encode(text).tolist()
    return tokens


def whole(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids


def limited(limit: int) -> tuple[Any, WordPieceTokenizer]:
    """A tokenizer that cuts and adds special tokens itself, and the same for words."""
    cuts, ours = fresh(), fresh()
    cuts.enable_truncation(limit)
    ours.enable_truncation(limit)
    return cuts, WordPieceTokenizer(ours, special=True)


def tailed(limit: int, tail: int) -> tuple[Any, WordPieceTokenizer]:
    """A tokenizer that cuts nothing, and words that keep the last tokens of a text."""
    ours = fresh()
    ours.enable_truncation(limit)
    return fresh(), WordPieceTokenizer(ours, special=True, tail=tail)


TAILED = {both: tailed(*both) for both in ((8, 1), (8, 5), (12, 4), (256, 96))}
LIMITED = {limit: limited(limit) for limit in (3, 8, 256)}


@pytest.fixture(scope="module")
def words() -> WordPieceTokenizer:
    return WordPieceTokenizer(fresh())


@pytest.mark.slow
@settings(max_examples=1_000, deadline=None)
@given(pieces=st.lists(PIECES, max_size=20))
def test_tokens_are_those_of_the_whole_text(words: WordPieceTokenizer, pieces: list[str]) -> None:
    text = "".join(pieces)
    for _ in range(2):  # once learned, once known
        assert encoded(words, text) == whole(words._tokenizer, text)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [3, 8, 256])
@settings(max_examples=300, deadline=None)
@given(pieces=st.lists(PIECES, max_size=20), times=st.integers(1, 30))
def test_special_tokens_and_a_limit_are_those_of_the_tokenizer(
    limit: int, pieces: list[str], times: int
) -> None:
    text = "".join(pieces) * times
    cuts, ours = LIMITED[limit]
    for _ in range(2):
        assert encoded(ours, text) == cuts.encode(text).ids


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "tail"), [(8, 1), (8, 5), (12, 4), (256, 96)])
@settings(max_examples=200, deadline=None)
@given(pieces=st.lists(PIECES, max_size=20), times=st.integers(1, 30))
def test_a_tail_is_the_last_tokens_of_the_whole_text(
    limit: int, tail: int, pieces: list[str], times: int
) -> None:
    text = "".join(pieces) * times
    plain, ours = TAILED[limit, tail]
    cls, *own, sep = plain.encode(text).ids
    room = limit - 2
    if len(own) > room:
        own = own[: room - tail] + own[-tail:]
    for _ in range(2):
        assert encoded(ours, text) == [cls, *own, sep]


def test_a_tail_is_had_without_the_tokens_between(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = tailed(96, 32)[1]
    looked_up: list[str] = []
    learn = ours._learn
    monkeypatch.setattr(ours, "_learn", lambda words: looked_up.extend(words) or learn(words))
    encoded(ours, " ".join(f"w{i}" for i in range(100_000)))
    assert len(looked_up) < 200


@pytest.mark.slow
def test_real_prompts(words: WordPieceTokenizer, shared: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    paths = sorted(shared.glob("data/*/tasks.parquet"))
    assert paths
    cuts, ours = LIMITED[256]
    for path in paths:
        for prompt in parquet.read_table(path)["prompt"].to_pylist()[:100]:
            assert encoded(words, prompt) == whole(words._tokenizer, prompt)
            assert encoded(ours, prompt) == cuts.encode(prompt).ids


def test_an_added_token_is_left_to_the_tokenizer(words: WordPieceTokenizer) -> None:
    assert encoded(words, "a [SEP] b") == whole(words._tokenizer, "a [SEP] b")
    assert encoded(words, "a [SEP b") == whole(words._tokenizer, "a [SEP b")


def test_it_forgets_rather_than_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_piece, "_MAX_WORDS", 100)
    words = WordPieceTokenizer(fresh())
    for i in range(1_000):
        text = f"word{i} of many {'z' * (i % 60)}"
        assert encoded(words, text) == whole(words._tokenizer, text)
        assert len(words._known) <= 100
        assert all(len(word) <= 32 for word in words._known)


def test_one_text_of_more_words_than_it_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_piece, "_MAX_WORDS", 10)
    words = WordPieceTokenizer(fresh())
    text = " ".join(f"w{i}" for i in range(50))
    for _ in range(2):
        assert encoded(words, text) == whole(words._tokenizer, text)
        assert len(words._known) <= 10


def test_which_tokenizers_fit() -> None:
    assert WordPieceTokenizer.supports(fresh())
    other = fresh()
    other.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    assert not WordPieceTokenizer.supports(other)
    other = fresh()
    other.normalizer = normalizers.Lowercase()
    assert not WordPieceTokenizer.supports(other)
    other = fresh()
    other.enable_truncation(8)
    assert WordPieceTokenizer.supports(other)
    other.enable_truncation(8, direction="left")
    assert not WordPieceTokenizer.supports(other)
    other = fresh()
    other.add_tokens([AddedToken("New York", normalized=True)])
    assert not WordPieceTokenizer.supports(other)
    other = fresh()
    other.normalizer = None
    assert not WordPieceTokenizer.supports(other)


TEXTS = [
    *("Fix the race in the scheduler", "Ünïcödé \u2014 naïve café", "def f(x):\n    return x[0]"),
    *("数学の問題を解く", "\U0001f642 emoji and مرحبا", "a [SEP] b"),
    *("x" * 5_000, "\ud800 half a pair"),
    *(f"Task {i}: the {i * 7919} th of list {i % 13}, in {'SQL' * (i % 3)}" for i in range(40)),
]


def routed(router: hypernova.Router, text: str) -> tuple[object, ...]:
    decision = router.route(text)
    return decision.model, decision.cluster, decision.distance, decision.reason


@pytest.mark.slow
def test_sixteen_threads_get_what_one_gets() -> None:
    expected = [routed(hypernova.Router.open(), text) for text in TEXTS]
    router = hypernova.Router.open()
    wrong: list[object] = []
    start = threading.Barrier(16)

    def work(first: int) -> None:
        start.wait()
        for turn in range(3 * len(TEXTS)):
            i = (first * 7 + turn) % len(TEXTS)
            if (found := routed(router, TEXTS[i])) != expected[i]:
                wrong.append((TEXTS[i], found))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong
