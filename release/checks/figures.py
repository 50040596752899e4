"""Figures of pages, held against those of records.

A tie is a piece of a page with `{}` in the place of each figure, and names the figure of a record
that stands there. A number of a page that is in no tie, and in no phrase that is known to measure
nothing, is reported: nobody would see when it is no longer true.

Not here: the ties (ties.py), and whether records are older than the code (records.py).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benches.records import RecordError

from release.checks.cells import NUMBER, SIZES, UNIT, Figure, file_of, value_of
from release.checks.records import FOLDER, latest_of
from release.checks.repository import Missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from release.checks.repository import Repository

_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]*)\)")
_UNIT = re.compile(rf"(?<!\w)({UNIT})(?!\w)")
_LEFT = re.compile(r"\S*\d\S*")


@dataclass(frozen=True)
class Tie:
    """A piece of a page, and the figures in it.

    Attributes:
        text: The piece, with `{}` for each figure. The unit of a figure is the next one in the
            cell or the text, else the one before: "{} / {} us" are two times in microseconds.
        figures: The figures, in order.
    """

    text: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Page:
    """A page whose figures are tied.

    Attributes:
        name: Its path.
        section: The heading of the part that is looked at; empty for all of it.
        ties: Its ties.
        not_measured: Phrases with numbers that state no measurement, as regular expressions.
    """

    name: str
    section: str
    ties: tuple[Tie, ...]
    not_measured: tuple[str, ...]


def untrue_figures(repository: Repository, pages: Iterable[Page]) -> list[Missing]:
    """Find figures of pages that are not those of the records, and those that have no tie."""
    found: list[Missing] = []
    for page in pages:
        text = _part_of(repository.text(page.name), page.section)
        found += [*_old_links(repository, page, text)]
        left = _CODE.sub(_blank, text)
        left = _LINK.sub(lambda link: "]" + " " * (len(link[0]) - 1), left)
        for tie in page.ties:
            match = _pattern(tie.text).search(text)
            if match is None:
                what = f"{page.name} has no piece {tie.text!r}"
                found.append(Missing(what, "mend the page, or the tie in release/checks/ties.py"))
                continue
            left = left[: match.start()] + _blank(match) + left[match.end() :]
            found += _differences(repository, page, tie, match)
        for phrase in page.not_measured:
            left = re.sub(phrase, _blank, left)
        for line in left.splitlines():
            if numbers := _LEFT.findall(line):
                what = f"{page.name} has figures without a tie: {' '.join(numbers)}"
                found.append(Missing(what, "tie them to a record in release/checks/ties.py"))
    return found


def _part_of(text: str, section: str) -> str:
    if not section:
        return text
    _, _, rest = text.partition(f"## {section}\n")
    return rest.partition("\n## ")[0]


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text).replace(r"\{\}", f"({NUMBER})"))


def _old_links(repository: Repository, page: Page, text: str) -> Iterator[Missing]:
    """Find links to a record that is not the latest of its kind."""
    latest = {
        record.name.rpartition(".")[0]: kind for kind, record in latest_of(repository).items()
    }
    for link in _LINK.findall(text):
        name = f"{FOLDER}/{link.rpartition('/')[2]}".rpartition(".")[0]
        if f"{FOLDER}/" in link and name not in latest:
            yield Missing(f"{page.name} links to {name}, an older record", "link the latest one")


def _differences(
    repository: Repository, page: Page, tie: Tie, match: re.Match[str]
) -> Iterator[Missing]:
    pieces = tie.text.split("{}")
    for i, (figure, shown) in enumerate(zip(tie.figures, match.groups(), strict=True)):
        after = _UNIT.findall(" ".join(pieces[i + 1 :]).partition("|")[0])
        before = _UNIT.findall(" ".join(pieces[: i + 1]).rpartition("|")[2])
        unit = SIZES[(after[:1] or before[-1:] or ["s"])[0]]
        try:
            value, has_unit = value_of(repository, figure)
        except RecordError as error:
            yield Missing(f"{page.name}: {error}", "mend the tie in release/checks/ties.py")
            continue
        value /= unit if has_unit else 1.0
        if not is_rounded(shown, value, figure.digits):
            where = file_of(repository, figure)
            what = f"{page.name} says {shown} in {match[0]!r}, {where} {value:.6g}"
            yield Missing(what, "state the record's figure")


def is_rounded(shown: str, value: float, digits: int = 0) -> bool:
    """Tell whether a number as it is shown is a value, rounded.

    Args:
        shown: The number, with its decimals.
        value: The value.
        digits: Significant digits of the number; 0 for its decimals.
    """
    decimals = len(shown.partition(".")[2])
    if digits and value:
        decimals = digits - 1 - math.floor(math.log10(abs(value)))
    # A half may go either way: the record's figure was rounded before.
    return abs(float(shown.replace(",", "")) - value) <= 0.5 * 10.0**-decimals * (1 + 1e-9)
