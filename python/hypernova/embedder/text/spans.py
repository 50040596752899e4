"""Tell which characters of a text count, where a limit leaves some of its tokens out.

Not here: the limit itself (see ``embedder`` and ``words``), and the cut by characters (``cut``).

A token is a part of a word, and a word may go on where the last token that counts ends. So all of
that word counts, and as much beside it as could become a part of it if it were changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hypernova.embedder.text.cut import Span

# Between two of these, no tokenizer of a kind that hypernova reads makes one word.
_SURE_BLANKS = frozenset(" \t\n\r")


def spans_of_tokens(
    text: str, encoding: Any, head: int, tail: int, *, beside: int, added: list[str]
) -> list[Span]:
    """Give the spans of a text that can change its first ``head`` or its last ``tail`` tokens.

    Args:
        text: The text.
        encoding: All its tokens, without special ones, as the tokenizer gives them.
        head: How many of the first tokens count.
        tail: How many of the last.
        beside: How many whole words beside one have a say in its tokens: 0 for BERT's tokenizer,
            which cuts at every blank first, 1 for those of which less is known.
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
        for _ in range(1 + beside):
            token = _end_of_word(words, token)
            if token == len(words):
                return [(0, len(text))]
        spans.append((0, _end(text, offsets, token, added)))
    if tail:
        token = len(words) - tail
        for turn in range(1 + beside):
            token = _start_of_word(words, token - bool(turn))
            if token == 0:
                return [(0, len(text))]
        spans.append((_start(text, offsets, token, added), len(text)))
    return merge(spans)


def in_the_text(spans: list[Span], first: list[Span], last: list[Span]) -> list[Span]:
    """Carry spans of a cut text over to the text that it was cut from.

    Args:
        spans: Spans of the cut text.
        first: What ``cut_spans`` gives for the text: what stands before the space.
        last: And what stands behind it.

    Returns:
        Spans of the text, rising and disjoint.
    """
    found, at = [], 0
    for kept in (first, last):
        for begin, end in kept:
            shift = begin - at
            for a, b in spans:
                a, b = max(begin, a + shift), min(end, b + shift)
                if a < b:
                    found.append((a, b))
            at += end - begin
        at += 1  # the space
    return merge(found)


def merge(spans: list[Span]) -> list[Span]:
    """Put spans in rising order, and those that overlap or touch into one."""
    merged: list[Span] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((begin, end))
    return merged


def _end(text: str, offsets: list[Span], token: int, added: list[str]) -> int:
    """Where the text that may touch the word before ``token`` ends."""
    end, following = offsets[token - 1][1], offsets[token][0]
    if _SURE_BLANKS.isdisjoint(text[end:following]):
        following += 1
    end = min(max(end, following), len(text))
    # What has begun may go on to be an added token.
    begun = [len(a) - n for a in added for n in range(1, len(a)) if text.endswith(a[:n], 0, end)]
    return min(end + max(begun, default=0), len(text))


def _start(text: str, offsets: list[Span], token: int, added: list[str]) -> int:
    """Where the text that may touch the word from ``token`` on starts."""
    start, before = offsets[token][0], offsets[token - 1][1]
    if _SURE_BLANKS.isdisjoint(text[before:start]):
        before -= 1
    start = max(min(start, before), 0)
    ended = [len(a) - n for a in added for n in range(1, len(a)) if text.startswith(a[-n:], start)]
    return max(start - max(ended, default=0), 0)


def _end_of_word(words: list[int | None], token: int) -> int:
    """Where the word of ``token`` ends: the place of the first token that is not of it."""
    end = token + 1
    while end < len(words) and words[token] is not None and words[end] == words[token]:
        end += 1
    return end


def _start_of_word(words: list[int | None], token: int) -> int:
    """The place of the first token of the word of ``token``."""
    start = token
    while start and words[token] is not None and words[start - 1] == words[token]:
        start -= 1
    return start
