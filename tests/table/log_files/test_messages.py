"""The text of chat messages: what is text, what is media, whose message is the user's."""

from __future__ import annotations

import pytest

from hypernova.table.log_files.messages import sent_text, user_text

CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "First"}, {"type": "image", "image": 1}]},
    {"role": "assistant", "content": None, "tool_calls": []},
    {"role": "user", "content": [{"type": "input_text", "text": "Second"}, "and third"]},
]


def test_all_text_is_sent_with_blank_lines_between() -> None:
    assert sent_text(CHAT) == ("Be brief.\n\nFirst\n\nSecond\n\nand third", True)


def test_the_last_message_of_the_user_counts_and_its_media_alone() -> None:
    assert user_text(CHAT) == ("Second\n\nand third", False)
    assert user_text(CHAT[:2]) == ("First", True)
    assert user_text([{"role": "human", "content": "Hi"}]) == ("Hi", False)


@pytest.mark.parametrize(
    "messages", [[], [{"role": "assistant", "content": "No"}], [None, 1, {"role": ["user"]}]]
)
def test_without_a_user_there_is_no_text(messages: list[object]) -> None:
    assert user_text(messages) == ("", False)


@pytest.mark.parametrize("content", [None, 3, {}, [], [None, 3, {"type": 5}], {"text": None}])
def test_content_of_another_kind_is_no_text(content: object) -> None:
    assert sent_text([{"role": "user", "content": content}]) == ("", False)


@pytest.mark.parametrize("kind", ["image_url", "input_audio", "video", "file", "document"])
def test_a_part_of_media_is_told(kind: str) -> None:
    assert sent_text([{"role": "user", "content": [{"type": kind}]}]) == ("", True)


@pytest.mark.parametrize("kind", ["reasoning", "tool_use", "refusal"])
def test_a_call_of_a_tool_or_reasoning_is_no_media(kind: str) -> None:
    assert sent_text([{"role": "assistant", "content": [{"type": kind}]}]) == ("", False)


def test_plain_texts_are_messages_too() -> None:
    assert sent_text(["One", "", {"content": {"text": "Two"}}]) == ("One\n\nTwo", False)
