"""Tokens of a text, word by word, each word tokenised once.

Not here: tokenising; every token comes from the tokenizer of the embedder's folder.

BERT's tokenizer cuts a text at blanks and at punctuation before it looks at anything, and what
it makes of a word does not depend on the words around it. So the tokens of a text are those of
its words, and words recur: to look them up takes a sixth of the time. Texts for which that does
not hold are left to the tokenizer.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.int64]  # (tokens,)

# Where BERT's tokenizer always cuts: at what it takes for a blank, and around ASCII punctuation,
# each character of which is a word. Other blanks and punctuation stay inside, for the tokenizer.
_WORD = re.compile(r"[^ \t\n\r!-/:-@\[-`{-~]+|[!-/:-@\[-`{-~]")

# Some 5 MB of words; longer ones are rarely words at all.
_MOST_WORDS, _LONGEST = 1 << 15, 32
_SIZE = 8  # bytes of a token


class Words:
    """The words that a tokenizer has met, with their tokens. Safe to share among threads.

    It holds words of the texts that it was given, at most 32,768 of at most 32 characters, in
    memory alone.
    """

    def __init__(self, tokenizer: Any, *, special: bool = False, tail: int = 0) -> None:
        """Take a tokenizer for which ``fits`` is true, and which others do not use.

        Args:
            tokenizer: Its truncation is taken over.
            special: Whether its special tokens are put around a text.
            tail: Of the tokens that a text may have, how many are its last where it has more;
                the others are its first.
        """
        limit = (tokenizer.truncation or {}).get("max_length")
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self._added = [added.content for added in tokenizer.get_added_tokens_decoder().values()]
        self._known: dict[str, bytes] = {}  # of a word's tokens, as int64
        around = tokenizer.encode("", add_special_tokens=special).ids
        before = tokenizer.encode("a", add_special_tokens=special).ids
        before = before[: before.index(tokenizer.encode("a", add_special_tokens=False).ids[0])]
        self._before, self._after = _bytes(before), _bytes(around[len(before) :])
        # How many tokens of its own a text may have.
        self._room: int | None = None if limit is None else limit - len(around)
        self._tail = tail

    @staticmethod
    def fits(tokenizer: Any) -> bool:
        """Whether a tokenizer cuts texts as BERT's does, and a long one after its beginning."""
        parts = tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.model
        names = tuple(type(part).__name__ for part in parts)
        return (
            names == ("BertNormalizer", "BertPreTokenizer", "WordPiece")
            and (tokenizer.truncation or {"direction": "right"})["direction"] == "right"
            # One that is looked for in the normalised text may be there and not in the text.
            and not any(a.normalized for a in tokenizer.get_added_tokens_decoder().values())
            and len(tokenizer.encode("a", add_special_tokens=False).ids) > 0
        )

    def encode(self, text: str) -> Tokens:
        """Give the tokens of a text that holds no lone surrogates, as the tokenizer would."""
        for added in self._added:
            if added in text:  # the tokenizer takes it for one token, blanks or not
                own = _bytes(self._tokenizer.encode(text, add_special_tokens=False).ids)
                break
        else:
            own = self._own(_WORD.findall(text))
        if self._room is not None and len(own) > _SIZE * self._room:
            last = own[len(own) - _SIZE * self._tail :]
            own = own[: _SIZE * (self._room - self._tail)] + last
        return np.frombuffer(self._before + own + self._after, dtype=np.int64)

    def _own(self, words: list[str]) -> bytes:
        """The tokens of words; where there is no room for all, more than there is room for.

        Of those, the first and the last that there is room for are those of the words.
        """
        if self._room is None or len(words) <= self._room:
            return self._look_up(words)
        # What does not count need not be looked at. The tokenizer would tokenise all of it, and
        # keep all other threads of Python waiting meanwhile.
        own, at = b"", 0
        while len(own) <= _SIZE * self._room:
            if at >= len(words):
                return own
            own += self._look_up(words[at : at + self._room])
            at += self._room
        last, end = b"", len(words)
        while len(last) < _SIZE * self._tail and end > at:
            begin = max(at, end - self._tail)
            last = self._look_up(words[begin:end]) + last
            end = begin
        return own + last

    def _look_up(self, words: list[str]) -> bytes:
        found = list(map(self._known.get, words))
        if None in found:
            new = self._learn([word for word, ids in zip(words, found, strict=True) if ids is None])
            found = [ids or new.get(word, b"") for word, ids in zip(words, found, strict=True)]
        # Bytes are put together in a third of the time that a list of numbers takes.
        return b"".join(found)  # type: ignore[arg-type]

    def _learn(self, words: list[str]) -> dict[str, bytes]:
        """The tokens of words that are not known; all of them in one run of the tokenizer."""
        words = list(dict.fromkeys(words))
        encoded = self._tokenizer.encode(" ".join(words), add_special_tokens=False)
        tokens: list[list[int]] = [[] for _ in words]
        at, end = 0, len(words[0])
        for token, (start, _) in zip(encoded.ids, encoded.offsets, strict=True):
            while start >= end:
                at += 1
                end += 1 + len(words[at])
            tokens[at].append(token)
        new = {word: _bytes(ids) for word, ids in zip(words, tokens, strict=True)}
        kept = [(word, ids) for word, ids in new.items() if len(word) <= _LONGEST][:_MOST_WORDS]
        if len(self._known) + len(kept) > _MOST_WORDS:
            self._known.clear()  # words of today are worth more than those of yesterday
        self._known.update(kept)
        return new


def _bytes(ids: list[int]) -> bytes:
    return np.array(ids, dtype=np.int64).tobytes()
