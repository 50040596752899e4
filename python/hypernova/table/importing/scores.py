"""Values of tools as scores, 0..1, and the metric of each group that counts.

Not here: where values are collected (`gather`) and merged (`collect`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from hypernova.errors import TableError
from hypernova.table.source import quoted, quoted_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hypernova.table.columns import Floats, Ints

# The letters that Inspect's scorers give; None as a text is what an absent grade becomes.
LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
WORDS = {
    "true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "correct": 1.0, "incorrect": 0.0,
    "pass": 1.0, "fail": 0.0, "passed": 1.0, "failed": 0.0,
}  # fmt: skip
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?(\s*%)?")
_UNSCORED = ("", "nan")
# How far beyond the scale a number may lie that was computed with rounding.
_ROUNDING = 1e-9
_MAX_CLAUSES = 3
_MAX_NAMES = 12
# Words that a refusal names: a metric may be free text, with another value in each sample.
_MAX_WORDS = 12
_CHOOSE = "hypernova import --score, or read_logs(..., score=...)"


@dataclass(frozen=True, slots=True)
class Refused:
    """A value that is no score.

    Attributes:
        problem: What it is, with the value.
        remedy: What to do.
        place: Log and place of the first such value.
        words: Of texts that `choices` could score, this one and others of the metric.
    """

    problem: str
    remedy: str
    place: str = ""
    words: tuple[str, ...] = ()

    def with_words(self, other: Refused) -> Refused:
        """Return the same with the words of another value, so that all are named at once."""
        full = len(self.words) == _MAX_WORDS
        if full or not self.words or set(other.words) <= set(self.words):
            return self
        words = tuple(dict.fromkeys(self.words + other.words))
        return replace(self, words=words[:_MAX_WORDS])


@dataclass(frozen=True)
class ScoreRules:
    """The rules by which a value becomes a score.

    Attributes:
        scale: The lowest and the highest number, which become 0 and 1; None for 0 and 1.
        choices: Score of texts, beyond those that are known.
    """

    scale: tuple[float, float] | None = None
    choices: Mapping[str, float] = field(default_factory=dict)

    def score(self, value: object) -> float | Refused:
        """Return the score of a value, NaN for an unscored one, or why it is none.

        Args:
            value: As in `hypernova.table.sources.log.Sample.scores`.
        """
        if value is None:
            return math.nan
        if isinstance(value, np.generic):
            value = value.item()
        if self.choices and not isinstance(value, Mapping | list | tuple):
            text = str(value)
            # Around a text that a model wrote may stand blanks, which no one types.
            chosen = self.choices.get(text, self.choices.get(text.strip()))
            if chosen is not None:
                return float(chosen)
        if isinstance(value, bool):
            return float(value)
        if isinstance(value, int | float):
            return self._number(value, value)
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Decimal):
            return self._number(float(value), value)
        return _compound(value)

    def stated(self, value: float) -> float:
        """Return a figure in the unit of the scores on the scale of the table."""
        low, high = self.scale or (0.0, 1.0)
        return (value - low) / (high - low)

    def _number(self, number: float, value: object) -> float | Refused:
        try:
            number = float(number)
        except OverflowError:
            number = math.inf
        if number != number:
            return number
        found = self.stated(number)
        if 0.0 <= found <= 1.0:
            return found
        if -_ROUNDING <= found <= 1.0 + _ROUNDING:
            return min(max(found, 0.0), 1.0)
        if self.scale is not None:
            low, high = self.scale
            return Refused(f"found {quoted(value)}, beyond the scale {low:g} to {high:g}", _SCALE)
        return Refused(f"found {quoted(value)}, and a score is a number in 0..1", _SCALE)

    def _text(self, value: str) -> float | Refused:
        letter = LETTERS.get(value)
        if letter is not None:
            return letter
        text = value.strip()
        word = WORDS.get(text.lower())
        if word is not None:
            return word
        if text.lower() in _UNSCORED:
            return math.nan
        number = _NUMBER.fullmatch(text)
        if number and number[3]:
            share = float(text[:-1]) / 100
            if 0.0 <= share <= 1.0:
                return share
            return Refused(f"found {quoted(value)}, beyond 0% to 100%", "leave the log out")
        if number:
            return self._number(float(text), value)
        return Refused(
            f"found the text {quoted(value)}",
            "give it a score",
            words=(value,),
        )


_SCALE = (
    "if this metric is the score, give its scale: hypernova import --scale LOW HIGH, or "
    "read_logs(..., scale=(low, high))"
)


def _compound(value: object) -> Refused:
    remedy = f"choose a metric of single values: {_CHOOSE}"
    if isinstance(value, Mapping):
        return Refused(f"found a mapping, {quoted(value)}", remedy)
    if isinstance(value, list | tuple):
        kind = "a pair" if len(value) == len(("gold", "prediction")) else "a list"
        return Refused(f"found {kind}, {quoted(value)}", remedy)
    return Refused(f"found {quoted(value)}, a {type(value).__name__}", remedy)


@dataclass(slots=True)
class GroupMetrics:
    """The metrics that samples of a group have.

    Attributes:
        group: The group; None for samples without one.
        logs: Of each metric, the first log that has it and the number of logs.
        refused: Of each metric with a value that is no score, the first.
        n_logs: Number of logs with samples of the group.
    """

    group: str | None
    logs: dict[str, tuple[str, int]] = field(default_factory=dict)
    refused: dict[str, Refused] = field(default_factory=dict)
    n_logs: int = 0

    @property
    def usable(self) -> tuple[str, ...]:
        """The metrics all of whose values are scores."""
        return tuple(name for name in self.logs if name not in self.refused)


def choose_metrics(
    groups: Sequence[GroupMetrics], wanted: Sequence[str]
) -> tuple[dict[str | None, str], list[str]]:
    """Choose the metric of each group.

    Of a group, that which `wanted` names for it counts, or else the first that `wanted` names for
    all, or else the only one whose values are scores.

    Args:
        groups: The groups, with the metrics of each.
        wanted: Names, and names for one group, as in `ImportOptions.score`.

    Returns:
        The metric of each group that has any, and sentences on metrics that were passed over.

    Raises:
        TableError: a group has several, or none whose values are scores, or the chosen one has a
            value that is none; or no group has a name in `wanted`.
    """
    by_name = {group.group: group for group in groups}
    general, special = _wanted(by_name, wanted)
    chosen: dict[str | None, str] = {}
    ambiguous: list[GroupMetrics] = []
    passed_over: dict[tuple[str, str], int] = {}
    for group in groups:
        named = special.get(group.group) or next((n for n in general if n in group.logs), None)
        if named is not None:
            if named in group.refused:
                raise _refused(group, named)
            chosen[group.group] = named
        elif len(group.usable) > 1:
            ambiguous.append(group)
        elif group.usable:
            chosen[group.group] = group.usable[0]
            for name, refused in group.refused.items():
                key = name, refused.problem.removeprefix("found ")
                passed_over[key] = passed_over.get(key, 0) + 1
        elif group.refused:
            raise _refused(group, next(iter(group.refused)))
    if ambiguous:
        raise _ambiguous(ambiguous)
    unused = [name for name in dict.fromkeys(general) if name not in chosen.values()]
    notes = [
        f"--score {quoted(name)} counts nowhere: each group that has it has one that comes before"
        for name in unused
    ]
    return chosen, notes + [
        f"the metric {quoted(name)} was passed over: its values are no scores ({example})"
        for (name, example) in passed_over
    ]


def low_on_scale(
    scale: tuple[float, float] | None, groups: Sequence[str | None], score: Floats, group: Ints
) -> list[str]:
    """Name groups whose numbers were 0..1 before a scale for greater ones shrank them.

    Args:
        scale: The lowest and the highest number, if any were given.
        groups: Names of the groups.
        score: The score of each sample, NaN without one (samples,).
        group: Index into `groups` (samples,).

    Returns:
        A sentence on each such group.
    """
    if scale is None:
        return []
    low, high = scale
    first, last = ((end - low) / (high - low) for end in (0.0, 1.0))
    if first < 0.0 or last >= 1.0:
        return []
    lowest, highest = np.full((2, len(groups)), np.nan)
    np.fmin.at(lowest, group, score)
    np.fmax.at(highest, group, score)
    # Nothing but zeros says nothing of the scale.
    doubtful = (lowest >= first) & (first < highest) & (highest <= last)
    return [
        f"the scores of {'samples without a group' if name is None else quoted(name)} lie in 0..1, "
        f"of which --scale {low:g} {high:g} makes {first:.3g} to {last:.3g}: if they are on no "
        "such scale, import their logs without it"
        for name, doubts in zip(groups, doubtful, strict=True)
        if doubts
    ]


def _wanted(
    groups: Mapping[str | None, GroupMetrics], wanted: Sequence[str]
) -> tuple[list[str], dict[str | None, str]]:
    """Return the names for all groups, and the name for one group each."""
    general: list[str] = []
    special: dict[str | None, str] = {}
    every = dict.fromkeys(name for group in groups.values() for name in group.logs)
    for text in wanted:
        if text in every:
            general.append(text)
            continue
        # A group or a metric may hold "=" itself.
        parts = text.split("=")
        pairs = [("=".join(parts[:n]), "=".join(parts[n:])) for n in range(1, len(parts))]
        pair = next((pair for pair in pairs if pair[0] in groups), None)
        if pair is None:
            what = quoted(pairs[0][1] if pairs else text)
            no_group = f"no group {quoted(pairs[0][0])}, and " if pairs else ""
            raise TableError(
                f"score: the logs have {no_group}no metric {what}; give one of "
                f"{quoted_list(every)}" + (f" of {_some(groups)}" if pairs else "")
            )
        group, name = pair
        if name not in groups[group].logs:
            raise TableError(
                f"score: group {quoted(group)} has no metric {quoted(name)}; give one of "
                f"{quoted_list(groups[group].logs)}"
            )
        special[group] = name
    return general, special


def _some(groups: Iterable[str | None]) -> str:
    return "the groups " + quoted_list(name for name in groups if name is not None)


def _of(group: GroupMetrics) -> str:
    return "samples without a group" if group.group is None else f"group {quoted(group.group)}"


def _refused(group: GroupMetrics, name: str) -> TableError:
    refused = group.refused[name]
    problem, remedy = refused.problem, refused.remedy
    if refused.words:
        others = refused.words[1:]
        problem += f", and elsewhere {quoted_list(others)}" if others else ""
        options = " ".join(f"--choice {quoted(word)}=SCORE" for word in refused.words)
        remedy = (
            f"give {'each' if others else 'it'} a score: hypernova import {options}, or "
            "read_logs(..., choices={...})"
        )
    return TableError(f"{refused.place}, score {quoted(name)} of {_of(group)}: {problem}; {remedy}")


def _ambiguous(groups: Sequence[GroupMetrics]) -> TableError:
    """Return the error for groups with several scores: groups with the same ones are one clause."""
    alike: dict[frozenset[str], list[GroupMetrics]] = {}
    for group in groups:
        alike.setdefault(frozenset(group.usable), []).append(group)
    clauses = [_several(same) for same in alike.values()]
    if len(clauses) > _MAX_CLAUSES:
        others = len(groups) - sum(map(len, list(alike.values())[:_MAX_CLAUSES]))
        have = "1 more group has" if others == 1 else f"{others} more groups have"
        clauses = [*clauses[:_MAX_CLAUSES], f"{have} other ones"]
    first = next((group for group in groups if group.group is not None), groups[0])
    example = first.usable[0]
    of_group = "" if first.group is None else f" or --score {quoted(f'{first.group}={example}')}"
    of_each = " of each" if len(clauses) > 1 else ""
    return TableError(
        f"{'; '.join(clauses)}; choose one{of_each}: hypernova import LOGS --score "
        f"{quoted(example)}{of_group}, or read_logs(..., score={quoted(example)})"
    )


def _several(groups: Sequence[GroupMetrics]) -> str:
    """Return the clause on groups that have the same scores."""
    first = groups[0]
    # Where all logs have all of them, no log is worth naming.
    everywhere = all(first.logs[name][1] == first.n_logs for name in first.usable)
    names = [
        quoted(name) + ("" if everywhere else f" (in {_logs(first, name)})")
        for name in first.usable[:_MAX_NAMES]
    ]
    if len(first.usable) > _MAX_NAMES:
        names.append(f"{len(first.usable) - _MAX_NAMES} more")
    listed = f"{_of(first)} has several scores: {', '.join(names[:-1])} and {names[-1]}"
    if len(groups) > 1:
        more = "1 more group" if len(groups) == 2 else f"{len(groups) - 1} more groups"
        listed += f", and so {'has' if len(groups) == 2 else 'have'} {more}"
    return listed


def _logs(group: GroupMetrics, name: str) -> str:
    log, n = group.logs[name]
    return log if n == 1 else f"{log} and {n - 1} more"
