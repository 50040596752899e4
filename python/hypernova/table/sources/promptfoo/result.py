"""One result of promptfoo: its parts, which test it is of, and its prompt.

Not here: the files that hold results (`reader`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hypernova.table.log_files.json_values import content_hash, require_object
from hypernova.table.log_files.messages import sent_text, user_text
from hypernova.table.source import quoted, quoted_list
from hypernova.table.sources.log import LeftOut

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hypernova.table.log_files.prompt_choice import PromptChoice
    from hypernova.table.source import Source

EXPORT = "export it as JSON: promptfoo export eval ID -o FILE.json"
_DAMAGED = f"the log is damaged, or no promptfoo wrote it; {EXPORT}"
_EXPRESSION = re.compile(r"\{\{(.*?)\}\}|\{%(.*?)%\}", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_]\w*")
_STRIPPED = "[prompt stripped]"
_ERROR = 2  # the failureReason of a result that no assertion judged


@dataclass(frozen=True, slots=True)
class PromptfooResult:
    """A result of promptfoo, its parts checked.

    Attributes:
        number: Its number in the log, from 1.
        source: The log, for messages.
        values: The result.
        model: Label of the provider, or else its id; empty without one.
        raw: The prompt as it was rendered.
        prompt: What else the result says of its prompt.
        variables: The variables of the test.
        test: The test.
        response: The answer of the provider.
        named: Scores by the name of a metric.
    """

    number: int
    source: Source
    values: Mapping[str, Any]
    model: str
    raw: str
    prompt: Mapping[str, Any]
    variables: Mapping[str, Any]
    test: Mapping[str, Any]
    response: Mapping[str, Any]
    named: Mapping[str, Any]

    @classmethod
    def read(cls, value: object, source: Source, number: int) -> PromptfooResult:
        """Check a result.

        Args:
            value: A result as it stands in the log.
            source: The log, for messages.
            number: The number of the result in the log, from 1.

        Raises:
            TableError: the result, or a part of it, is of another type than promptfoo writes.
        """
        values = require_object(value, "the result", source, number, _DAMAGED)

        def part(name: str) -> Mapping[str, Any]:
            return require_object(values.get(name) or {}, name, source, number, _DAMAGED)

        given = values.get("provider")
        provider = {"id": given} if isinstance(given, str) else part("provider")
        model = provider.get("label") or provider.get("id") or ""
        given = values.get("prompt")
        prompt = {"raw": given} if isinstance(given, str) else part("prompt")
        raw = prompt.get("raw", "")
        for name, found, expected in (
            ("provider", model, str),
            ("prompt.raw", raw, str),
            ("success", values.get("success", False), bool),
        ):
            if not isinstance(found, expected):
                raise source.error(f"{name} is {quoted(found)}", _DAMAGED, at=number)
        test = part("testCase")
        # Those of the result may hold what the model answered to an earlier test, too.
        variables = test.get("vars") or values.get("vars") or {}
        return cls(
            number,
            source,
            values,
            model,
            raw,
            prompt,
            require_object(variables, "vars", source, number, _DAMAGED),
            test,
            part("response"),
            part("namedScores"),
        )

    @property
    def success(self) -> bool:
        """Whether the test passed."""
        return self.values.get("success") is True

    @property
    def left_out(self) -> LeftOut | None:
        """Why the result is no outcome, as far as promptfoo tells."""
        graded = self.values.get("gradingResult")
        graded = graded if isinstance(graded, dict) else {}
        failed = self.values.get("error") or self.response.get("error")
        if self.values.get("failureReason") == _ERROR or (
            failed and not self.success and not graded
        ):
            return LeftOut.ERROR
        # promptfoo passes a test that nothing judges.
        judged = self.test.get("assert") or graded.get("componentResults")
        if graded.get("reason") == "No assertions" or (self.test and not judged):
            return LeftOut.UNSCORED
        return None

    @property
    def template_id(self) -> str:
        """Whatever tells the template of the prompt from others."""
        found = self.values.get("promptId") or self.prompt.get("label") or ""
        return found if isinstance(found, str) else json.dumps(found)

    @property
    def document(self) -> str:
        """A hash of the test: its variables and assertions, whatever the template or the model."""
        # Those that begin with an underscore hold the conversation and the number of the run.
        given = {name: v for name, v in self.variables.items() if not name.startswith("_")}
        task = {"vars": given} if given else {"prompt": self.raw}
        judged = {"assert": self.test.get("assert"), "threshold": self.test.get("threshold")}
        return content_hash({**task, **judged})

    @property
    def group(self) -> str | None:
        """The category in the metadata of the test, or the plugin of a red team."""
        metadata = self.test.get("metadata")
        for name in ("category", "pluginId"):
            found = metadata.get(name) if isinstance(metadata, dict) else None
            if isinstance(found, str) and found.strip():
                return found
        return None

    def prompt_text(self, choice: PromptChoice, template: str | None) -> tuple[str | None, bool]:
        """Return the prompt and whether media is left out of it.

        Args:
            choice: Which text is the prompt.
            template: The template that the log states for the prompt, if it does.

        Returns:
            The text, or None without any; whether the test or the prompt has images or other media.

        Raises:
            TableError: the test has no variable of the name that was chosen.
        """
        media = any(_is_media(value) for value in self.variables.values())
        if choice.kind == "field":
            text = _field(self, choice.field)
        else:
            found = _only_variable(self, template) if choice.kind == "auto" else None
            if found is None:
                found, has_media = _rendered(self.raw, sent=choice.kind == "sent")
                media = media or has_media
            text = found
        return text if text.strip() and text != _STRIPPED else None, media


def _only_variable(row: PromptfooResult, template: str | None) -> str | None:
    """Return the text of the one variable that the template uses; None if it is not one."""
    candidates = (template, row.prompt.get("template"), row.prompt.get("label"))
    known = [t for t in candidates if isinstance(t, str) and _EXPRESSION.search(t)]
    if known:
        words = _template_words(known[0])
        used = [name for name in row.variables if name in words]
    else:
        # A variable that the prompt does not show may be the expected answer.
        used = [n for n, v in row.variables.items() if (t := _variable_text(v)) and t in row.raw]
    texts = [_variable_text(row.variables[name]) for name in used]
    return texts[0] if len(texts) == 1 else None


@lru_cache(maxsize=64)
def _template_words(template: str) -> frozenset[str]:
    """Return the words in the expressions of a template."""
    expressions = " ".join("".join(found) for found in _EXPRESSION.findall(template))
    return frozenset(_WORD.findall(expressions))


def _rendered(raw: str, *, sent: bool) -> tuple[str, bool]:
    """Return the rendered prompt: of chat messages all of them, or the last of the user."""
    messages = _messages(raw)
    if messages is None:
        return raw, False
    text, media = sent_text(messages) if sent else user_text(messages)
    return (text, media) if text or media else sent_text(messages)


def _messages(raw: str) -> list[dict[str, Any]] | None:
    """Return the chat messages that a prompt is, or None if it is plain text."""
    if not raw.lstrip().startswith(("[", "{")):
        return None
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, dict):
        found = found.get("messages", found.get("contents"))
    if not (isinstance(found, list) and found):
        return None
    if not all(isinstance(message, dict) and "role" in message for message in found):
        return None
    return [{**m, "content": m.get("content", m.get("parts"))} for m in found]


def _field(row: PromptfooResult, name: str) -> str:
    if name not in row.variables:
        raise row.source.error(
            f"has no variable {quoted(name)}, found {quoted_list(row.variables)}",
            "choose one of these with --prompt field:NAME",
            at=row.number,
        )
    value = row.variables[name]
    text = _variable_text(value)
    return json.dumps(value, ensure_ascii=False) if text is None else text


def _variable_text(value: object) -> str | None:
    if isinstance(value, str) and not _is_media(value):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _is_media(value: object) -> bool:
    return isinstance(value, str) and value.startswith("data:") and ";base64," in value[:200]
