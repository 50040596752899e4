"""Parts of a text that say nothing of its task: which are skipped, and what follows for decisions.

The oracle of the spans: the text without them has the same tokens.
"""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hypernova
from hypernova._core import is_blank, kept_spans
from hypernova.embedder import Embedder, bundled_embedders

EXAMPLE = Path(__file__).parents[2] / "examples" / "simulated.jsonl"
TASK = "Sort the customers of each shop by revenue"
# Of each rule, some that no development line of benches/robustness has.
COURTESIES = (
    "Hello again, and thank you so much!",
    "Dear Maria,",
    "Q:",
    "Please explain your answer.",
    "You are an experienced and friendly engineer.",
    "Act as a professional writer with a warm style.",
    "-----",
    "## Instructions",
    "Exercise 12:",
    "```python",
    "From: Lee Chang <lee@example.org>",
    "On Friday, 7 June 2024, Lee Chang wrote:",
    "2024-06-07 18:44",
    "lee 18:44",
    "Warm regards,\nLee Chang\nSupport Team",
)
PIECES = st.sampled_from(
    [
        *("Hi", "thanks", "sort", "Löwe", "12:30", "a@b.org", "#", ">", '"', "```", "-", ".", ": "),
        *("\n", " ", "\r\n", "\u200b", "\x00", "yours,\n", "Anna", "you are a bot", "İ"),
    ]
)


def read(text: str) -> str:
    """What is read of a text."""
    return "\n".join(text[a:b] for a, b in kept_spans(text)) or text


@pytest.fixture(scope="module", params=["static", "minilm"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    return Embedder.load(request.param)


@pytest.mark.parametrize("line", COURTESIES)
def test_a_courtesy_is_skipped_wherever_it_stands(line: str) -> None:
    assert read(f"{line}\n{TASK}") == TASK
    assert read(f"{TASK}\n\n{line}") == TASK
    assert read(f"{TASK}\n{line}\nand drop the closed ones") == f"{TASK}\nand drop the closed ones"


@pytest.mark.parametrize(
    "text",
    [
        TASK,
        "Hello world in COBOL, how is it written?",
        "What is 3 + 4?",
        "x = y",
        "On Monday the queue stalls at 10:02 when two workers start",
        "You are a farmer with a wolf, a goat and a cabbage",
        "Paris to Rome, which trains are there?",
        "    def f(n):\n        return n + 1",
        "#include <stdio.h>",
        "-3 apples",
        'don\'t "quote" me, said the king',
    ],
)
def test_what_names_a_task_is_read_as_it_is(text: str) -> None:
    assert kept_spans(text) == []


@pytest.mark.parametrize("text", ["Thanks!", "Hi!\nHow are you?", "---", "Hi\n\u200b", "", " \n "])
def test_a_text_of_courtesies_alone_is_read_whole(text: str) -> None:
    assert kept_spans(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"# {TASK}", TASK),
        (f"> {TASK}\n> by shop", f"{TASK}\nby shop"),
        (f"**{TASK}**", TASK),
        (f'"{TASK}"', TASK),
        (f"Q: {TASK}?\nA:", f"{TASK}?"),
        (f"{TASK}. Thanks in advance! It runs nightly.", f"{TASK}.\nIt runs nightly."),
        (f"```\n{TASK}\n```", TASK),
    ],
)
def test_marks_and_sentences_within_a_line_are_skipped(text: str, expected: str) -> None:
    assert read(text) == expected


def test_code_is_read_as_it_is() -> None:
    """Indented lines, doctests and docstrings hold words that are courtesies elsewhere."""
    code = (
        "def add(x, y):\n"
        '    """Give the sum.\n\n'
        "    Example:\n"
        "    >>> add(1, 2)\n"
        "    3\n"
        '    """\n'
        "\tOutput: 3"
    )
    assert kept_spans(code) == []
    polite = f"Thanks in advance!\n{code}"
    assert [polite[a:b] for a, b in kept_spans(polite)] == [code]
    assert kept_spans('"""Sort a list of shops."""') == []
    assert kept_spans(">>> sort(shops)") == []


def test_names_belong_to_a_signature_only_after_a_line_that_signs_off() -> None:
    assert read(f"{TASK}\nBest regards,\nAnna Maria\nHead of Sales") == TASK
    assert read(f"{TASK}\nCheers!\nAnna Maria") == f"{TASK}\nAnna Maria"
    five = "\n".join(["Anna", "Maria", "Sales", "Berlin", "Germany"])
    assert read(f"{TASK}\nYours,\n{five}") == f"{TASK}\nGermany"


@given(st.lists(PIECES, max_size=40).map("".join))
def test_spans_rise_and_hold_something_to_read(text: str) -> None:
    spans = kept_spans(text)
    assert all(0 <= a < b <= len(text) for a, b in spans)
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))
    assert spans == [] or not is_blank(read(text))


@given(st.lists(st.sampled_from(COURTESIES), max_size=4), st.integers(0, 4))
def test_courtesies_around_a_task_change_no_word_of_it(lines: list[str], at: int) -> None:
    text = "\n".join([*lines[:at], "", TASK, "", *lines[at:]])
    # A line with a name may belong to the signature before it, never the task.
    assert read(text) == TASK


def test_both_bundled_embedders_skip_and_say_what_they_read(embedder: Embedder) -> None:
    text = f"Hi,\n\n{TASK}\n\nBest regards,\nAnna"
    assert [text[a:b] for a, b in embedder.read_spans(text)] == [TASK]
    assert embedder.key_of(text) == embedder.key_of(TASK)
    alone = embedder.embed_one(TASK)
    assert embedder.embed_one(text).tobytes() == alone.tobytes()
    assert abs(embedder.embed([text, *[TASK] * 20]) - alone).max() < 1e-6
    assert embedder.key_of("Thanks!") != embedder.key_of("Good morning!")


def test_a_folder_without_the_setting_reads_all(tmp_path: Path, embedder: Embedder) -> None:
    folder = tmp_path / "whole"
    shutil.copytree(bundled_embedders()[embedder.name], folder)
    path = folder / "embedder.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    del settings["skip_courtesy"]
    path.write_text(json.dumps(settings), encoding="utf-8")
    whole = Embedder.load(folder)
    text = f"Hi!\n{TASK}"
    assert whole.read_spans(text) == ((0, len(text)),)
    assert whole.key_of(text) != whole.key_of(TASK)
    assert whole.fingerprint != embedder.fingerprint
    assert np.array_equal(whole.embed_one(TASK), embedder.embed_one(TASK))


def test_lines_around_a_prompt_change_at_most_a_twentieth_of_the_decisions() -> None:
    table = hypernova.OutcomeTable.read(EXAMPLE)
    artifact = hypernova.fit(table, embedder="static", jobs=1, describe=False)
    router = hypernova.Router(artifact)
    prompts = list(table.prompts)[::2]
    before = np.array([decision.model for decision in router.route_many(prompts)])
    assert len(set(before)) > 1
    lines = ("Thanks for reading this far", "Hello from Oslo", *COURTESIES[::4])
    for line in lines:
        after = [d.model for d in router.route_many([f"{line}\n{prompt}" for prompt in prompts])]
        assert np.mean(before != after) <= 0.05, line
    # A line that names a task is read, and moves decisions.
    moved = [d.model for d in router.route_many([f"{prompts[0]}\n{p}" for p in prompts])]
    assert np.mean(before != moved) > 0.05
