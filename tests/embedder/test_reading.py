"""The core reads a text by the stated rules: as the plain definitions do, on every text.

Not here: which parts are courtesies (test_courtesy.py), and what the cut keeps (test_cut.py).
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hypernova import OutcomeTable
from hypernova._core import ReadingRules, cut, cut_spans, is_blank, kept_spans, visible_span
from support import plain_reading
from support.plain_reading import ALIKE, BLANKS, WORDS

if TYPE_CHECKING:
    from pathlib import Path

RULES = ReadingRules(1536, 512, lead_chars=160, has_lead=True, skip_courtesy=True)
SHORT = ReadingRules(40, 12, lead_chars=9, has_lead=True, skip_courtesy=True)

NUMBERS = (
    "0 7 12 31 99 007 1999 2024 12345 ٣ ² 7.6.2024 2024-6-07 2024-06-071 6/7/24 06.07.20245 18:44 "
    "18:44:10 18:44:1 18:445 12. 3.5 1:2"
)
STAMPS = (
    "a@b.org|ab+c.d@e-f|ä@ö|a@|@b|a+@b@c|x.@y|+0200|-0700|ago|AGO|days ago|day|years|page|of|"
    "messages|replies|comment|comments|attachments|May|june|Sept.|septembers|Januaryyyyyy|"
    "Januaryyyyyyy|juneabcdefg|dec.,|\u017fept|Page 1 of 22|7 June 2024|12. May, 2024|June 7, 2024|"
    "Jun 7 2024|3 days ago|1234 messages|12 repliesx|On|wrote:|From:|To:|cc|---|x:|"
    f"10:00\u201312:30|{'n' * 64}@{'n' * 64}"
)
FORMS = (
    "Hi|Dear|thanks|Thank you|sorry|regards,|Yours,|cheers ,|Best wishes,|Anna|ÉMILE|émile|ǅ|"
    "head|Q:|Problem|exercise|You are|you are a|act as|imagine you are|pretend|SYSTEM|"
    "system you are|poet|expert|bot|p.s|P.S|than\u212as|``````|```|~~~|```c++|``` py x|~~~~js|"
    '# |###### |#######|>|> |>>>|* |*|**|***|****|- |-|+ |"|\'|`|"""|'
    "\u201c|\u201d|\u2013|\u2026|_|\\|$|x|sort|İ|ß|"
    "名|答案\uff1a|word's|3rd"
)
ENDS = (
    ". |.|! |?|: |; |;\t|, |\n|\n\n|\r\n|\r| |  |\t|\n |\n\t|\x0b|\x0c|\x1c|\x1f|\x85|\xa0|\u2028|"
    "\u3000|\u200b|\x00|\ufeff|\ud800|\udfff|\ufffd|,\n|,\n|\n"
)
PIECES = (FORMS, FORMS, ENDS, ENDS, NUMBERS.replace(" ", "|"), STAMPS)
TEXTS = st.lists(
    st.one_of(
        *(st.sampled_from(pieces.split("|")) for pieces in PIECES),
        st.sampled_from(sorted(WORDS)), st.sampled_from(BLANKS), st.text(ALIKE, max_size=6),
    ),
    max_size=30,
).map("".join)  # fmt: skip


def characters(text: str) -> str:
    """A text with half surrogate pairs replaced, as the core has them."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


@settings(max_examples=600, deadline=None)
@given(TEXTS)
@example("")
@example("Hi")
def test_a_text_is_read_as_the_plain_definitions_have_it(text: str) -> None:
    assert kept_spans(text) == plain_reading.kept_spans(characters(text))
    assert is_blank(text) == plain_reading.is_blank(text)
    assert visible_span(text) == plain_reading.visible_span(text)
    assert RULES.read(text) == plain_reading.read(text, 1536, 512, 160)
    assert SHORT.read(text) == plain_reading.read(text, 40, 12, 9)
    for rules in (RULES, SHORT):
        if reading := rules.read(text):
            assert rules.read(cut(text, 1536, 512)) == reading
            assert not is_blank(reading[0])


def test_prompts_are_read_as_the_plain_definitions_have_them(shared: Path) -> None:
    """Each ninetieth; all of them, in a minute: ``python benches/reading.py``."""
    for folder in sorted(path for path in (shared / "data").iterdir() if path.is_dir()):
        for text in OutcomeTable.read(folder).prompts[::90]:
            assert RULES.read(text) == plain_reading.read(text, 1536, 512, 160), text
            assert cut(text, 1536, 512) == plain_reading.cut(text, 1536, 512), text


@pytest.mark.parametrize("character", ["x", " ", "\n", "é", "\u200b", "名", "🙂", "\ud800", "\x00"])
def test_ten_megabytes_of_one_character_are_read(character: str) -> None:
    text = character * (10_000_000 // len(character.encode("utf-8", "surrogatepass")))
    expected = characters(character) * 1536 + " " + characters(character) * 512
    assert RULES.read(text) == (None if is_blank(character) else (expected, (0, 160)))
    assert len(cut(text, 1536, 512)) == (256 if is_blank(character) else 2049)
    # Of a long text, Python's copy in UTF-8 would stay with the object.
    assert sys.getsizeof(text) < len(text) * (4 if character > "\uffff" else 2) + 1000


def test_half_a_surrogate_pair_is_read_as_one_character() -> None:
    text = "a\ud800b\udfffc" + "\udfff\ud800" * 2000
    assert RULES.read(text) == plain_reading.read(text, 1536, 512, 160)
    assert cut(text, 3, 2) == "a\ud800b \udfff\ud800"
    assert cut_spans(text, 3, 2) == ([(0, 3)], [(4003, 4005)])


def test_what_is_no_str_is_refused() -> None:
    for function in (is_blank, visible_span, kept_spans, RULES.read):
        with pytest.raises(TypeError, match="str"):
            function(b"Hi")  # type: ignore[arg-type]
