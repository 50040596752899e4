"""A BERT tokenizer that keeps the tokens of each word, so that a word is tokenised once.

Not here: tokenising itself; every token comes from the tokenizer of the embedder's folder.

BERT's tokenizer first cuts a text at blanks and at punctuation, and a word's tokens do not depend
on the words around it. So the tokens of a text are those of its words, and words recur: looking
them up takes a sixth of the time. A text that holds an added token goes to the tokenizer whole.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

Tokens = npt.NDArray[np.int64]  # (tokens,)

# Where BERT's tokenizer always cuts: at the blanks that it knows, and around ASCII punctuation,
# each character of which is a word. Other blanks and punctuation stay inside, for the tokenizer.
_WORD = re.compile(r"[^ \t\n\r!-/:-@\[-`{-~]+|[!-/:-@\[-`{-~]")

# About 5 MB of words; longer ones are rarely words at all.
_MAX_WORDS, _MAX_WORD_CHARS = 1 << 15, 32
_TOKEN_BYTES = 8
# A run of the tokenizer keeps other threads of Python waiting, so it is short.
_LEARNED_AT_ONCE = 1024


class WordPieceTokenizer:
    """A BERT tokenizer with the tokens of the words that it has met. Safe to share among threads.

    It keeps at most 32,768 words of at most 32 characters, in memory alone.

    Args:
        tokenizer: One that `supports` accepts, and that nobody else uses. Its truncation is taken
            over.
        special: Whether its special tokens are put around a text.
        tail: Number of the last tokens of a longer text that are kept; the others that the
            truncation allows are the first.
    """

    def __init__(self, tokenizer: Any, *, special: bool = False, tail: int = 0) -> None:
        max_length = (tokenizer.truncation or {}).get("max_length")
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self._added = [added.content for added in tokenizer.get_added_tokens_decoder().values()]
        self._known: dict[str, bytes] = {}  # word -> its tokens, as int64
        around = tokenizer.encode("", add_special_tokens=special).ids
        before = tokenizer.encode("a", add_special_tokens=special).ids
        before = before[: before.index(tokenizer.encode("a", add_special_tokens=False).ids[0])]
        self._before, self._after = _bytes(before), _bytes(around[len(before) :])
        # Tokens that a text may have, without special ones.
        self._limit: int | None = None if max_length is None else max_length - len(around)
        self._tail = tail

    @staticmethod
    def supports(tokenizer: Any) -> bool:
        """Return whether a tokenizer splits texts as BERT's does, and truncates at the end."""
        parts = tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.model
        names = tuple(type(part).__name__ for part in parts)
        return (
            names == ("BertNormalizer", "BertPreTokenizer", "WordPiece")
            and (tokenizer.truncation or {"direction": "right"})["direction"] == "right"
            # A normalized one may occur in the normalised text and not in the text itself.
            and not any(a.normalized for a in tokenizer.get_added_tokens_decoder().values())
            and len(tokenizer.encode("a", add_special_tokens=False).ids) > 0
        )

    def encode(self, text: str) -> Tokens:
        """Return the tokens of a text without lone surrogates, equal to the tokenizer's own."""
        for added in self._added:
            if added in text:  # one token, even if it holds blanks
                own = _bytes(self._tokenizer.encode(text, add_special_tokens=False).ids)
                break
        else:
            own = self._encode_words(_WORD.findall(text))
        if self._limit is not None and len(own) > _TOKEN_BYTES * self._limit:
            last = own[len(own) - _TOKEN_BYTES * self._tail :]
            own = own[: _TOKEN_BYTES * (self._limit - self._tail)] + last
        return np.frombuffer(self._before + own + self._after, dtype=np.int64)

    def learn(self, texts: Sequence[str]) -> None:
        """Keep the tokens of the words of texts that are to be encoded, in one run for many texts.

        Nothing is learned where texts have a limit: most of their words may need no tokens.
        """
        if self._limit is not None:
            return
        words = {word for text in texts for word in _WORD.findall(text)}
        new = [word for word in words if len(word) <= _MAX_WORD_CHARS and word not in self._known]
        for start in range(0, len(new), _LEARNED_AT_ONCE):
            self._learn(new[start : start + _LEARNED_AT_ONCE])

    def _encode_words(self, words: list[str]) -> bytes:
        """Return the tokens of words; of more than the limit, the first and the last are exact."""
        if self._limit is None or len(words) <= self._limit:
            return self._look_up(words)
        # Words between need no tokens. The tokenizer would tokenise all of them, and keep all
        # other threads of Python waiting meanwhile.
        own, at = b"", 0
        while len(own) <= _TOKEN_BYTES * self._limit:
            if at >= len(words):
                return own
            own += self._look_up(words[at : at + self._limit])
            at += self._limit
        last, end = b"", len(words)
        while len(last) < _TOKEN_BYTES * self._tail and end > at:
            begin = max(at, end - self._tail)
            last = self._look_up(words[begin:end]) + last
            end = begin
        return own + last

    def _look_up(self, words: list[str]) -> bytes:
        found = list(map(self._known.get, words))
        if None in found:
            new = self._learn([word for word, ids in zip(words, found, strict=True) if ids is None])
            found = [ids or new.get(word, b"") for word, ids in zip(words, found, strict=True)]
        # Joining bytes takes a third of the time of joining lists of numbers.
        return b"".join(found)  # type: ignore[arg-type]

    def _learn(self, words: list[str]) -> dict[str, bytes]:
        """Tokenise unknown words in one run of the tokenizer, and keep their tokens."""
        words = list(dict.fromkeys(words))
        encoding = self._tokenizer.encode(" ".join(words), add_special_tokens=False)
        tokens: list[list[int]] = [[] for _ in words]
        at, end = 0, len(words[0])
        for token, (start, _) in zip(encoding.ids, encoding.offsets, strict=True):
            while start >= end:
                at += 1
                end += 1 + len(words[at])
            tokens[at].append(token)
        new = {word: _bytes(ids) for word, ids in zip(words, tokens, strict=True)}
        kept = [(word, ids) for word, ids in new.items() if len(word) <= _MAX_WORD_CHARS]
        kept = kept[:_MAX_WORDS]
        if len(self._known) + len(kept) > _MAX_WORDS:
            self._known.clear()  # recent words are more likely to recur than old ones
        self._known.update(kept)
        return new


def _bytes(ids: list[int]) -> bytes:
    return np.array(ids, dtype=np.int64).tobytes()
