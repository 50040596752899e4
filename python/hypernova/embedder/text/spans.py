"""Find the characters of a text that can change its tokens within the limit.

Not here: the limit itself (see ``tokenizer``), and the cut, which the core has.

A token is a part of a word, and a word may go on where the last token within the limit ends. So
all of that word counts, and the characters beside it that could become a part of it.
"""

from __future__ import annotations

from typing import Any

Span = tuple[int, int]  # from the first character to the one after the last

# Between two of these, no tokenizer of a kind that hypernova reads makes one word.
_SURE_BLANKS = frozenset(" \t\n\r")


def token_spans(
    text: str, encoding: Any, head: int, tail: int, *, neighbours: int, added: list[str]
) -> list[Span]:
    """Return the spans of a text that can change its first ``head`` or its last ``tail`` tokens.

    Args:
        text: The text.
        encoding: All its tokens, without special ones, as the tokenizer gives them.
        head: Number of tokens that count at the beginning.
        tail: Number of tokens that count at the end.
        neighbours: Number of whole words beside a word that can change its tokens: 0 for BERT's
            tokenizer, which first cuts at every blank, 1 for tokenizers of other kinds.
        added: The added tokens of the tokenizer, which it looks for before it looks for words.

    Returns:
        The spans, rising and disjoint; all of the text where no token is left out.
    """
    words: list[int | None] = encoding.word_ids
    offsets: list[Span] = encoding.offsets
    if len(words) <= head + tail:
        return [(0, len(text))]
    spans = []
    if head:
        token = head - 1
        for _ in range(1 + neighbours):
            token = _end_of_word(words, token)
            if token == len(words):
                return [(0, len(text))]
        spans.append((0, _end(text, offsets, token, added)))
    if tail:
        token = len(words) - tail
        for turn in range(1 + neighbours):
            token = _start_of_word(words, token - bool(turn))
            if token == 0:
                return [(0, len(text))]
        spans.append((_start(text, offsets, token, added), len(text)))
    return merge_spans(spans)


def uncut_spans(spans: list[Span], *parts: list[Span]) -> list[Span]:
    """Map spans of a text that was joined from parts of another one to that one.

    Args:
        spans: Spans of the joined text.
        parts: Spans of the other text: those of each part follow one another, and between two
            parts stands a blank. Those of ``cut_spans``, for a cut text.

    Returns:
        Spans of the other text, rising and disjoint.
    """
    mapped, at = [], 0
    for kept in parts:
        for begin, end in kept:
            shift = begin - at
            for a, b in spans:
                a, b = max(begin, a + shift), min(end, b + shift)
                if a < b:
                    mapped.append((a, b))
            at += end - begin
        at += 1  # the blank
    return merge_spans(mapped)


def merge_spans(spans: list[Span]) -> list[Span]:
    """Sort spans, and join those that overlap or touch."""
    merged: list[Span] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((begin, end))
    return merged


def _end(text: str, offsets: list[Span], token: int, added: list[str]) -> int:
    """Return where the characters end that may change the word before ``token``."""
    end, following = offsets[token - 1][1], offsets[token][0]
    if _SURE_BLANKS.isdisjoint(text[end:following]):
        following += 1
    end = min(max(end, following), len(text))
    # The beginning of an added token may go on to be one.
    begun = [len(a) - n for a in added for n in range(1, len(a)) if text.endswith(a[:n], 0, end)]
    return min(end + max(begun, default=0), len(text))


def _start(text: str, offsets: list[Span], token: int, added: list[str]) -> int:
    """Return where the characters start that may change the word from ``token`` on."""
    start, before = offsets[token][0], offsets[token - 1][1]
    if _SURE_BLANKS.isdisjoint(text[before:start]):
        before -= 1
    start = max(min(start, before), 0)
    ended = [len(a) - n for a in added for n in range(1, len(a)) if text.startswith(a[-n:], start)]
    return max(start - max(ended, default=0), 0)


def _end_of_word(words: list[int | None], token: int) -> int:
    """Return the index of the first token after the word of ``token``."""
    end = token + 1
    while end < len(words) and words[token] is not None and words[end] == words[token]:
        end += 1
    return end


def _start_of_word(words: list[int | None], token: int) -> int:
    """Return the index of the first token of the word of ``token``."""
    start = token
    while start and words[token] is not None and words[start - 1] == words[token]:
        start -= 1
    return start
