"""Turn a text into the token ids that a model is given: read it, tokenise it, keep to the limit.

Not here: the rules of reading (the cut, courtesies and the lead, which the core has), BERT's
word pieces, which the core has too, and the model (see ``hypernova.embedder.onnx.model``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hypernova._core import ReadingRules, cut, cut_spans, kept_spans, visible_span
from hypernova.embedder.files import first_line
from hypernova.embedder.text.checks import check_is_text, empty_error, text_label
from hypernova.embedder.text.spans import merge_spans, token_spans, uncut_spans
from hypernova.errors import EmbedderError, TextError

if TYPE_CHECKING:
    from hypernova._core import WordPieceTokenizer
    from hypernova.embedder.text.spans import Span

Tokens = npt.NDArray[np.int64]  # (tokens,)

_LINE_END = re.compile("[\r\n]")


class PromptTokenizer:
    """A tokenizer with an embedder's rules for prompts: the cut, the lead and the limits.

    Safe to share among threads: the tokenizer does not change after this.

    Args:
        tokenizer: Of the library tokenizers, truncated at ``max_tokens``; not used by others.
        settings: Of ``embedder.json``, validated.
        words: The same tokenizer in the core, which is quicker; None if it has none of its kind.
    """

    def __init__(
        self, tokenizer: Any, settings: dict[str, Any], words: WordPieceTokenizer | None = None
    ) -> None:
        self._tokenizer = tokenizer
        self._name: str = settings["name"]
        self._head: int = settings["head_chars"]
        self._tail: int = settings["tail_chars"]
        self._tail_tokens: int = settings.get("tail_tokens", 0)
        self._special: bool = settings["special_tokens"]
        self._lead_chars: int = settings["lead_chars"]
        self._skips_courtesy = bool(settings.get("skip_courtesy"))
        self._rules = ReadingRules(
            self._head,
            self._tail,
            lead_chars=self._lead_chars,
            has_lead=bool(settings["lead_weight"]),
            skip_courtesy=self._skips_courtesy,
        )
        self._prompt: str = settings.get("prompt", "")
        # Tokens that a text may have, without special ones.
        self._limit: int | None = settings["max_tokens"]
        if self._limit is not None and self._special:
            self._limit -= tokenizer.num_special_tokens_to_add(False)
        self._words = words
        tokenizer.no_truncation()
        # Special tokens and those of the prompt: a text with no more than these holds none.
        self._n_added = len(self._encode("")) if self._special or self._prompt else 0

    @property
    def max_token(self) -> int | None:
        """The highest token id; None if the vocabulary is empty."""
        return max(self._tokenizer.get_vocab().values(), default=None)

    def cut(self, text: str) -> str:
        """Return a text after the cut."""
        return cut(text, self._head, self._tail)

    def tokenize(self, text: str, index: int | None) -> tuple[Tokens, Tokens | None]:
        """Return the tokens of a text and those of its lead.

        Args:
            text: Any text.
            index: Its index among several texts, for messages; None if it is the only one.

        Returns:
            Token ids of the text, and of its lead; None where the lead has no weight, is all of
            the text, or holds no token.

        Raises:
            TypeError: ``text`` is not a str.
            TextError: The text is empty, only blanks, or holds no token.
        """
        check_is_text(text, index)
        reading = self._rules.read(text)
        if reading is None:
            raise empty_error(index)
        text, lead = reading
        tokens = self._encode(text)
        if len(tokens) <= self._n_added:
            raise TextError(f"{text_label(index)} holds no token that {self._name!r} knows of")
        if lead is None:
            return tokens, None
        lead_tokens = self._encode(text[slice(*lead)])
        return tokens, lead_tokens if len(lead_tokens) > self._n_added else None

    def read_spans(self, text: str) -> tuple[tuple[int, int], ...]:
        """Return the parts of a text that `tokenize` depends on; see `Embedder.read_spans`."""
        self.tokenize(text, None)  # refuses a text without tokens
        reading = self._rules.read(text)
        assert reading is not None
        read, lead = reading
        spans = self._encoded_spans(read)
        if lead is not None:
            start, end = lead
            spans += [(start + a, start + b) for a, b in self._encoded_spans(read[start:end])]
            # Blanks behind the lead, and the line end: others would be a part of it.
            stop = visible_span(read)[1]
            line_end = _LINE_END.search(read, start, stop)
            stop = stop if line_end is None else line_end.end()
            spans.append((end, max(end, min(stop, start + self._lead_chars))))
        spans = merge_spans(spans)
        if self._skips_courtesy and (kept := kept_spans(self.cut(text))):
            spans = uncut_spans(spans, *([span] for span in kept))
        return tuple(uncut_spans(spans, *cut_spans(text, self._head, self._tail)))

    def _encode(self, text: str) -> Tokens:
        """Return the token ids that the model is given for a cut text or a lead."""
        if self._words is not None:
            limit = None if self._limit is None else (self._limit, self._tail_tokens)
            return self._words.encode(self._prompt + text, limit, special=self._special)
        _, encoding = self._encoding(text, special=self._special)
        ids = np.array(encoding.ids, dtype=np.int64)
        if self._limit is None:
            return ids
        own = np.flatnonzero(np.array(encoding.special_tokens_mask) == 0)
        if len(own) <= self._limit:
            return ids
        return np.delete(ids, own[self._limit - self._tail_tokens : len(own) - self._tail_tokens])

    def _encoding(self, text: str, *, special: bool) -> tuple[str, Any]:
        """Return the text that is tokenised for a cut text or a lead, and all its tokens."""
        # One text at a time: the tokenizer's own batches start threads on every core, which a
        # server that forks or pins its workers does not want.
        whole = self._prompt + text
        encoding = self._tokens_of(whole, special)
        if self._limit is not None and encoding.special_tokens_mask.count(0) > self._limit:
            # Not every tokenizer drops blanks: around a text they leave no room for the text.
            start, stop = visible_span(text)
            if stop - start < len(text):
                stripped = self._prompt + text[start:stop]
                return stripped, self._tokens_of(stripped, special)
        return whole, encoding

    def _tokens_of(self, text: str, special: bool) -> Any:
        try:
            return self._tokenizer.encode(text, add_special_tokens=special)
        except Exception as error:  # the library has no kind of its own
            raise EmbedderError(
                f"the tokenizer of {self._name!r} fails: {first_line(error)}; export the embedder "
                "again"
            ) from error

    def _encoded_spans(self, text: str) -> list[Span]:
        """Return the spans of a cut text, or of a lead, that `_encode` depends on."""
        if self._limit is None:
            return [(0, len(text))]
        whole, encoding = self._encoding(text, special=False)
        spans = token_spans(
            whole,
            encoding,
            self._limit - self._tail_tokens,
            self._tail_tokens,
            neighbours=0 if self._words else 1,
            added=[a.content for a in self._tokenizer.get_added_tokens_decoder().values()],
        )
        before = len(self._prompt)
        if len(whole) == before + len(text):
            return [(max(a - before, 0), b - before) for a, b in spans if b > before]
        # The blanks around the text were left out, and fewer of them would not have been.
        start, stop = visible_span(text)
        spans = [(a - before + start, b - before + start) for a, b in spans if b > before]
        return merge_spans([(0, start), *((max(a, 0), b) for a, b in spans), (stop, len(text))])
