"""Choose the prompt of a sample of lm-evaluation-harness, without its few-shot examples.

Templates are filled in only where they are plain substitutions; nothing is executed. Not here:
the files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hypernova.table.sources.messages import sent_text, user_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypernova.table.sources.lm_eval_results import Results
    from hypernova.table.sources.prompt_choice import PromptChoice

# {{name}}, {{name.part}}, {{name[0]}} and {{name['part']}}, maybe with .strip() or |trim.
_PART = r"\.[A-Za-z_]\w*(?!\w*\()|\[\d+\]|\['[^'\\\]]*'\]|\[\"[^\"\\\]]*\"\]"
_FIELD = re.compile(rf"\{{\{{\s*([A-Za-z_]\w*)((?:{_PART})*)(\.strip\(\)|\s*\|\s*trim)?\s*\}}\}}")
_STEP = re.compile(_PART)
_MEDIA = ("visual", "audio")
_LONG = 32


class PromptTexts:
    """The prompts of the samples of a task, by the choice of a text.

    Attributes:
        n_samples: Number of samples that were asked for.
        n_uncut: Of these, those whose examples or instructions could not be taken off.
        n_without_field: Of these, those without the field that is to be the prompt.
        fields: Fields of the documents.
        choice: Which text is the prompt.
    """

    def __init__(self, choice: PromptChoice, results: Results | None, task: str) -> None:
        self.n_samples = self.n_uncut = self.n_without_field = 0
        self.fields: dict[str, None] = {}
        self.choice = choice
        self._known = results is not None
        config: Mapping[str, Any] = {}
        if results is not None:
            found = results.configs.get(task)
            config = found if isinstance(found, Mapping) else {}
        self._template = _Template.of(config.get("doc_to_text"))
        self._description = _Template.of(config.get("description") or "")
        self._system = results.system_instruction if results is not None else ""
        self._rendered = results is not None and results.chat_template
        delimiter = config.get("fewshot_delimiter")
        self._delimiter = delimiter if isinstance(delimiter, str) and delimiter else "\n\n"
        shots = config.get("num_fewshot")
        if shots is None and results is not None:
            shots = results.shots.get(task)
        self._shots = max(shots, 0) if isinstance(shots, int) else 0

    def of(self, row: Mapping[str, Any]) -> tuple[str | None, bool]:
        """Return the prompt of a sample, None without one, and whether it has media."""
        self.n_samples += 1
        first, others, media = _sent(row["arguments"])
        doc = row["doc"]
        messages = _messages(first)
        kind = self.choice.kind
        if kind == "field":
            return self._field(doc), media
        if messages is not None:
            text, has_media = sent_text(messages) if kind == "sent" else user_text(messages)
            media = media or has_media
        else:
            text = first if isinstance(first, str) else ""
        if kind == "auto" or (kind == "user" and messages is None and self._rendered):
            if others:
                # Each choice is written into the text: what all have in common is the question.
                text = _common_beginning([text, *others]) or text
            text = self._own(text, doc, messages, filled=not others)
        return text or None, media

    def _field(self, doc: object) -> str | None:
        if isinstance(doc, Mapping):
            self.fields.update(dict.fromkeys(doc))
        name = self.choice.field
        found = doc.get(name) if isinstance(doc, Mapping) else None
        if found is None:
            found = doc
            for step in name.split("."):
                found = _step(found, int(step) if step.isdecimal() else step)
        if isinstance(found, list):
            found = user_text(found)[0] or None
        if not isinstance(found, str):
            self.n_without_field += 1
            return None
        return found

    def _own(self, text: str, doc: object, messages: list[Any] | None, *, filled: bool) -> str:
        """Return the text of the document alone, without what lm_eval put before it."""
        if filled and self._template is not None:
            own = self._template.fill(doc)
            # A chat template may strip what it is given.
            if own is not None and (stripped := own.strip()) and stripped in text:
                return stripped
        if messages is not None:
            turns = sum(isinstance(m, Mapping) and m.get("role") == "user" for m in messages)
            if turns > 1:
                return text.strip()  # the examples are messages of their own
        elif self._rendered:
            # Examples and the last turn stand between marks of an unknown template.
            self.n_uncut += 1
            return text
        found = self._cut(text, doc)
        if found is None:
            self.n_uncut += 1
            return text
        return found.strip()

    def _cut(self, text: str, doc: object) -> str | None:
        """Return a text after its instruction and examples, or None if nothing says where."""
        if not self._known or self._description is None:
            return None if not self._known or not self._shots else self._after_shots(text, doc)
        description = self._description.fill(doc)
        before = _joined(self._system, description or "", self._delimiter)
        if before and text.startswith(before):
            text = text[len(before) :]
        if not self._shots:
            return text
        return self._after_shots(text, doc)

    def _after_shots(self, text: str, doc: object) -> str | None:
        """Return the text after the examples; each ends with the delimiter."""
        pieces = text.split(self._delimiter)
        inside, rest = divmod(len(pieces) - 1 - self._shots, self._shots + 1)
        if rest == 0 and inside == 0:
            return pieces[-1]
        # The document's longest text in the prompt stands in its last part, after every example.
        own = max(_found(doc, text), key=len, default="")
        own_at = text.rfind(own) if own else len(text)
        # Every document has the delimiter as often, after the same words of the template.
        first = self._shots * (inside + 1)
        if rest == 0 and inside > 0 and pieces[first] == pieces[0]:
            found = self._delimiter.join(pieces[first:])
            if len(text) - len(found) <= own_at:
                return found
        cut = text.rfind(self._delimiter, 0, own_at) if own else -1
        if cut >= 0 and text.count(self._delimiter, 0, cut) + 1 >= self._shots:
            return text[cut + len(self._delimiter) :]
        return None


class _Template:
    """A text with fields of a document in it."""

    def __init__(self, parts: tuple[str | tuple[str | int, ...], ...], whole: str) -> None:
        self._parts = parts
        self._whole = whole

    @classmethod
    def of(cls, text: object) -> _Template | None:
        """Return the template, or None if it is anything but a plain substitution."""
        if not isinstance(text, str):
            return None
        parts: list[str | tuple[str | int, ...]] = []
        end = 0
        for found in _FIELD.finditer(text):
            parts += [text[end : found.start()], _path(found)]
            end = found.end()
        parts.append(text[end:])
        if any(isinstance(p, str) and any(m in p for m in ("{{", "{%", "{#")) for p in parts):
            return None
        return cls(tuple(parts), text)

    def fill(self, doc: object) -> str | None:
        """Return the text for a document, or None if it lacks a field, or one is no text."""
        if isinstance(doc, Mapping) and self._whole in doc:
            found = doc[self._whole]
            return found if isinstance(found, str) else None
        texts = []
        for part in self._parts:
            if isinstance(part, str):
                texts.append(part)
                continue
            value = doc
            for step in part[:-1]:
                value = _step(value, step)
            if not isinstance(value, str | int | float):
                return None
            text = str(value)
            texts.append(text.strip() if part[-1] else text)
        return "".join(texts)


def _path(found: re.Match[str]) -> tuple[str | int, ...]:
    """Return the steps to a field, and 1 if it is stripped, or else 0."""
    steps: list[str | int] = [found[1]]
    for step in _STEP.findall(found[2]):
        if step.startswith("."):
            steps.append(step[1:])
        else:
            inner = step[1:-1]
            steps.append(int(inner) if inner.isdecimal() else inner[1:-1])
    return (*steps, int(bool(found[3])))


def _step(value: object, step: str | int) -> object:
    if isinstance(value, Mapping):
        return value.get(step, value.get(str(step)))
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return None


def _sent(arguments: object) -> tuple[object, list[str], bool]:
    """Return the context of the first request, those that differ from it, and whether it has media.

    Multiple choice has a request for each choice, all with one context, or one context each.
    """
    requests = list(arguments.values()) if isinstance(arguments, Mapping) else arguments
    if not isinstance(requests, list) or not requests:
        return None, [], False
    contexts: list[object] = []
    media = False
    for request in requests:
        # Before 0.4.3 a request was a list.
        values = list(request.values()) if isinstance(request, Mapping) else request
        if isinstance(values, list) and values:
            contexts.append(values[0])
            media = media or any(
                isinstance(value, Mapping) and any(kind in value for kind in _MEDIA)
                for value in values[2:]
            )
    if not contexts:
        return None, [], media
    # Without a context a choice is weighed for itself.
    others = [c for c in contexts[1:] if isinstance(c, str) and c and c != contexts[0]]
    return contexts[0], others, media


def _common_beginning(texts: list[str]) -> str:
    # The first and the last in order differ soonest.
    first, last = min(texts), max(texts)
    same = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), None)
    return first[:same]


def _messages(context: object) -> list[Any] | None:
    """Return the messages of a chat, which are JSON in a list of one text, or None."""
    if not isinstance(context, list):
        return None
    if len(context) == 1 and isinstance(context[0], str):
        try:
            found = json.loads(context[0])
        except (ValueError, RecursionError):
            return context
        return found if isinstance(found, list) else context
    return context


def _joined(system: str, description: str, delimiter: str) -> str:
    """Return what stands before the examples, joined as lm_eval joins it."""
    if not (system and description):
        return system or description
    if system[-1].isspace() or description[0].isspace():
        return system + description
    return system + delimiter + description


def _found(doc: object, text: str) -> Iterator[str]:
    """Yield the texts of a document that a prompt has, or the first half of a long one."""
    for own in _texts(doc):
        if own.strip() and own in text:
            yield own
        elif len(own) >= _LONG and own[: len(own) // 2] in text:
            yield own[: len(own) // 2]  # the rest may be what the model was to write


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
