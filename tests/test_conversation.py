"""Which turns of a conversation are read, and how it stays with its model."""

from __future__ import annotations

import numpy as np
import pytest

import hypernova
from hypernova.errors import MessagesError, PolicyError, UnknownModelError
from hypernova.router import text_of

TALK = [
    {"role": "system", "content": "You are a careful engineer."},
    {"role": "user", "content": "Fix the race in the scheduler"},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
    {"role": "tool", "content": "3 tests failed", "tool_call_id": "1"},
    {"role": "user", "content": "It still fails"},
    {"role": "assistant", "content": "Let me look."},
    {"role": "user", "content": [{"type": "text", "text": "Now write a test"}]},
]


def test_the_first_and_the_last_turn_of_the_user_are_read() -> None:
    assert text_of(TALK) == "Fix the race in the scheduler\n\nNow write a test"
    assert text_of(TALK[:4]) == "Fix the race in the scheduler"
    assert text_of(tuple(TALK[:5])) == "Fix the race in the scheduler\n\nIt still fails"


def test_parts_that_are_no_text_are_passed_over() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    parts = [{"type": "text", "text": "What is"}, image, {"type": "input_text", "text": "this?"}]
    assert text_of([{"role": "user", "content": parts}]) == "What is\nthis?"
    # A turn without text says nothing, so that the one before it is the last.
    talk = [*TALK[:5], {"role": "user", "content": [image]}, {"role": "user", "content": " \n"}]
    assert text_of(talk) == "Fix the race in the scheduler\n\nIt still fails"


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ("Fix it", "messages is of type str, expected a list"),
        ({"role": "user", "content": "Fix it"}, "messages is of type dict, expected a list"),
        (7, "messages is of type int"),
        ([], "0 turns and no text of role 'user'"),
        ([{"role": "system", "content": "Be brief"}], "1 turns and no text of role 'user'"),
        ([{"role": "user", "content": "  "}], "no text of role 'user'"),
        (["Fix it"], r"messages\[0\] is of type str, expected a dict"),
        ([TALK[1], {"content": "Fix it"}], r"messages\[1\]: role is missing"),
        ([{"role": 1, "content": "Fix it"}], r"messages\[0\]: role is of type int"),
        ([{"role": "user"}], r"messages\[0\]: content is None, expected a str or a list"),
        ([{"role": "user", "content": 5}], r"messages\[0\]: content is of type int"),
        ([{"role": "user", "content": ["Fix"]}], r"content\[0\] is no part with a type"),
        ([{"role": "user", "content": [{"type": "text"}]}], r"content\[0\]: text is None"),
    ],
)
def test_malformed_messages_are_refused(messages: object, message: str) -> None:
    router = hypernova.Router.open()
    for _ in range(2):
        with pytest.raises(MessagesError, match=message):
            router.route(messages=messages)


def test_messages_are_routed_by_their_text() -> None:
    router = hypernova.Router.open()
    by_text, by_messages = router.route(text_of(TALK)), router.route(messages=TALK)
    assert by_text.distance == by_messages.distance
    assert by_text.ranking[0].utility == by_messages.ranking[0].utility
    with pytest.raises(TypeError, match="not both"):
        router.route("Fix it", messages=TALK)
    with pytest.raises(TypeError, match="takes a text"):
        router.route()


def test_a_conversation_stays_with_its_model_until_leaving_pays() -> None:
    router = hypernova.Router.open()
    free = router.route(messages=TALK)
    other = free.ranking[3]
    gain = free.ranking[0].utility - other.utility
    assert gain > 0
    stays = router.route(messages=TALK, previous_model=other.model, switch_cost=gain + 1e-9)
    assert (stays.model, stays.reason) == (other.model, "stayed")
    assert stays.ranking[0].model == other.model
    rest = [entry.model for entry in free.ranking if entry.model != other.model]
    assert [entry.model for entry in stays.ranking[1:]] == rest
    leaves = router.route(messages=TALK, previous_model=other.model, switch_cost=gain - 1e-9)
    assert (leaves.model, leaves.reason) == (free.model, free.reason)
    # It is a function of its arguments: nothing of the calls before is left.
    assert router.route(messages=TALK).model == free.model
    denied = router.route(
        messages=TALK, previous_model=other.model, switch_cost=9.0, deny=[other.model]
    )
    assert denied.model == free.model


def test_turn_by_turn_a_talk_changes_models_only_where_it_pays() -> None:
    """Walk through random prompts: what is bought by each change is more than its price."""
    router = hypernova.Router.open()
    rng = np.random.default_rng(0)
    vectors = router.artifact.centroids[rng.integers(0, router.artifact.clusters, 200)]
    vectors = vectors + rng.normal(scale=0.02, size=vectors.shape).astype(np.float32)
    changes = {}
    for price in (0.0, 0.02, 1.0):
        model, count = router.artifact.default_model, 0
        for vector in vectors.astype(np.float32):
            decision = router.decide(vector, previous_model=model, switch_cost=price)
            if decision.model != model:
                by_model = {entry.model: entry.utility for entry in decision.ranking}
                assert by_model[decision.model] - by_model[model] > price
                model, count = decision.model, count + 1
        changes[price] = count
    assert changes[0.0] > changes[0.02] >= changes[1.0] == 0


def test_wishes_of_a_conversation_are_checked() -> None:
    router = hypernova.Router.open()
    with pytest.raises(UnknownModelError, match='previous_model names the model "gpt-9"'):
        router.route("Fix it", previous_model="gpt-9")
    with pytest.raises(PolicyError, match=r"switch_cost is -0.1; it must be a finite number"):
        router.route("Fix it", previous_model=router.artifact.default_model, switch_cost=-0.1)
    with pytest.raises(TypeError, match="previous_model: expected the name of a model"):
        router.route("Fix it", previous_model=3)
