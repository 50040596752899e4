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


class Words:
    """The words that a tokenizer has met, with their tokens. Safe to share among threads.

    It holds words of the texts that it was given, at most 32,768 of at most 32 characters, in
    memory alone.
    """

    def __init__(self, tokenizer: Any) -> None:
        """Take a tokenizer for which ``fits`` is true, and which does not change."""
        self._tokenizer = tokenizer
        self._added = [added.content for added in tokenizer.get_added_tokens_decoder().values()]
        self._known: dict[str, bytes] = {}  # of a word's tokens, as int64

    @staticmethod
    def fits(tokenizer: Any) -> bool:
        """Whether a tokenizer cuts texts as BERT's does, and truncates nothing."""
        parts = tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.model
        names = tuple(type(part).__name__ for part in parts)
        return (
            names == ("BertNormalizer", "BertPreTokenizer", "WordPiece")
            and tokenizer.truncation is None
            # One that is looked for in the normalised text may be there and not in the text.
            and not any(a.normalized for a in tokenizer.get_added_tokens_decoder().values())
        )

    def encode(self, text: str) -> Tokens | None:
        """Give the tokens of a text, without special ones; None if it has to be left whole.

        The text holds no lone surrogates.
        """
        for added in self._added:
            if added in text:  # the tokenizer takes it for one token, blanks or not
                return None
        words = _WORD.findall(text)
        found = list(map(self._known.get, words))
        if None in found:
            new = self._learn([word for word, ids in zip(words, found, strict=True) if ids is None])
            found = [ids or new.get(word, b"") for word, ids in zip(words, found, strict=True)]
        # Bytes are put together in a third of the time that a list of numbers takes.
        return np.frombuffer(b"".join(found), dtype=np.int64)  # type: ignore[arg-type]

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
        new = {
            word: np.array(ids, dtype=np.int64).tobytes()
            for word, ids in zip(words, tokens, strict=True)
        }
        kept = [(word, ids) for word, ids in new.items() if len(word) <= _LONGEST][:_MOST_WORDS]
        if len(self._known) + len(kept) > _MOST_WORDS:
            self._known.clear()  # words of today are worth more than those of yesterday
        self._known.update(kept)
        return new
