"""Any text gives a decision or a clear error, the same one each time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hypernova
from hypernova import errors

ROUTER = hypernova.Router.open()
ODD = [
    *("", " ", "\n\t\r ", "\u2003\u3000", "\x00", "\x00" * 5_000, "\u200b\ufeff", "\x85\x1c"),
    *("\ud800", "\udfff text \ud800", "\ud83d\ude00", "\U0010ffff", "\ufffd", "\ue000" * 40),
    *(
        "مرحبا بالعالم",
        "\u202eשלם",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "e\u0301" * 300,
    ),
    *("[CLS] [SEP] [MASK]", "[UNK]", "a\x00b", "\r\n".join("ab"), "\u0301" * 100),
]


def outcome(router: hypernova.Router, text: str) -> tuple[object, ...]:
    try:
        decision = router.route(text)
    except errors.TextError as error:
        return ("refused", str(error))
    return decision.model, decision.cluster, decision.distance, decision.novelty, decision.reason


@pytest.mark.slow
@pytest.mark.parametrize("text", ODD, ids=[ascii(text[:12]) for text in ODD])
def test_odd_texts_are_decided_or_refused_in_one_line(text: str) -> None:
    first = outcome(ROUTER, text)
    assert "\n" not in str(first[1])
    assert outcome(ROUTER, text) == first
    assert outcome(hypernova.Router.open(), text) == first


@pytest.mark.parametrize("text", ["", " \n", "\u3000"])
def test_blank_texts_are_refused(text: str) -> None:
    assert outcome(ROUTER, text) == (
        "refused",
        "the text is empty: expected at least one visible character",
    )


@pytest.mark.slow
@pytest.mark.parametrize("letter", ["a", " ", "\x00", "\n", ".", "\ud800", "中", "\U0001f642"])
def test_ten_megabytes_of_one_character(letter: str) -> None:
    text = letter * 10_000_000
    first = outcome(ROUTER, text)
    assert outcome(ROUTER, text) == first
    # What the cut leaves decides: a shorter text of the same character gives the same.
    assert outcome(ROUTER, letter * 100_000) == first


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(), max_size=300))
def test_any_text(text: str) -> None:
    first = outcome(ROUTER, text)
    assert outcome(ROUTER, text) == first
    if first[0] != "refused":
        assert ROUTER.route_many([text, "Sort a list"])[0].model == first[0]
