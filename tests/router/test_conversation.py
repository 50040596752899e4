"""Which turns of a conversation are read, how they count, and how it stays with its model."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import hypernova
from hypernova.embedder import CallableEmbedder, Embedder
from hypernova.errors import MessagesError, PolicyError, TextError, UnknownModelError
from hypernova.router import turns_of
from hypernova.router.conversation import embed_turns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hypernova.events import DecisionEvent

TALK = [
    {"role": "system", "content": "You are a careful engineer."},
    {"role": "user", "content": "Fix the race in the scheduler"},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
    {"role": "tool", "content": "3 tests failed", "tool_call_id": "1"},
    {"role": "user", "content": "It still fails"},
    {"role": "assistant", "content": "Let me look."},
    {"role": "user", "content": [{"type": "text", "text": "Now write a test"}]},
]


# As agents of the responses protocol send them: the user's words among what has no role.
ITEMS: list[dict[str, Any]] = [
    {"role": "developer", "content": "You are a careful engineer."},
    {"type": "message", "role": "user", "content": "Fix the race in the scheduler"},
    {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
    {"type": "function_call", "call_id": "c1", "name": "ls", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "3 tests failed"},
    {"type": "item_reference", "id": "msg_7"},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "No"}]},
    {"type": "custom_item_of_next_year", "role": None, "content": {"text": 3}},
    {"role": "user", "content": [{"type": "input_text", "text": "Now write a test"}]},
    {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text"}]},
]


def test_the_first_and_the_last_turn_of_the_user_are_read() -> None:
    assert turns_of(TALK) == ("Fix the race in the scheduler", "Now write a test")
    assert turns_of(TALK[:4]) == ("Fix the race in the scheduler",)
    assert turns_of(tuple(TALK[:5])) == ("Fix the race in the scheduler", "It still fails")
    assert turns_of([OrderedDict(TALK[1])]) == ("Fix the race in the scheduler",)


def test_items_of_the_responses_protocol_are_passed_over() -> None:
    assert turns_of(ITEMS) == ("Fix the race in the scheduler", "Now write a test")
    assert turns_of(ITEMS[:-2]) == ("Fix the race in the scheduler",)
    router = hypernova.Router.open()
    by_items = router.route(messages=ITEMS)
    assert by_items.ranking[0].utility == router.route(messages=TALK).ranking[0].utility
    assert asyncio.run(router.aroute(messages=ITEMS)).model == by_items.model
    router.close()
    with pytest.raises(MessagesError, match="3 turns and no text of role 'user'"):
        turns_of(ITEMS[2:5])


def test_parts_that_are_no_text_are_passed_over() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    parts = [{"type": "text", "text": "What is"}, image, {"type": "input_text", "text": "this?"}]
    assert turns_of([{"role": "user", "content": parts}]) == ("What is\nthis?",)
    # A turn without text says nothing, so that the one before it is the last.
    silent = ([image], [], " \n", None, [{"type": "tool_result", "content": "3 tests failed"}])
    talk = [*TALK[:5], *({"role": "user", "content": content} for content in silent)]
    assert turns_of(talk) == ("Fix the race in the scheduler", "It still fails")
    assert turns_of([*talk, {"role": "user"}]) == turns_of(talk)


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
        ([TALK[1], {"role": None, "type": 3}], r"messages\[1\]: role is missing"),
        ([{"role": 1, "type": "message"}], r"messages\[0\]: role is of type int"),
        ([{"role": "user"}], "1 turns and no text of role 'user'"),
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


def test_messages_are_routed_by_the_mean_of_their_turns() -> None:
    router = hypernova.Router.open()
    first, last = (router.embedder.embed_one(text) for text in turns_of(TALK))
    mean = (first + last) / np.linalg.norm(first + last)
    by_vector, by_messages = router.decide(mean), router.route(messages=TALK)
    assert by_messages.distance == pytest.approx(by_vector.distance, abs=1e-6)
    assert by_messages.ranking[0].utility == pytest.approx(by_vector.ranking[0].utility, abs=1e-6)
    alone = router.route(messages=TALK[:2])
    assert alone.distance == router.route(turns_of(TALK)[0]).distance
    with pytest.raises(TypeError, match="both given"):
        router.route("Fix it", messages=TALK)
    with pytest.raises(TypeError, match="neither text nor"):
        router.route()


def said(*texts: str) -> list[dict[str, str]]:
    """Give a conversation in which the user said this, with an answer after each."""
    answer = {"role": "assistant", "content": "Done."}
    return [turn for text in texts for turn in ({"role": "user", "content": text}, answer)]


ABOUT = "The scheduler loses jobs when two workers start at once. " * 40
ASKS = (
    "Write a SQL query that joins both tables",
    "Prove that the square root of 2 is no fraction",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["static", "minilm"])
def test_the_last_turn_has_half_of_the_weight_whatever_comes_before(name: str) -> None:
    """After a first turn of 2,000 characters, of which minilm reads 96 tokens."""
    embedder = Embedder.load(name)
    prompts = [f"Sort {i} lists" if i % 2 else f"Cook {i} eggs" for i in range(12)]
    table = hypernova.OutcomeTable.from_arrays(
        task_ids=prompts, prompts=prompts, models=["a", "b"], score=[[1, 0], [0, 1]] * 6
    )
    artifact = hypernova.fit(table, embedder=embedder, clusters=2, describe=False)
    router = hypernova.Router(artifact, embedder=embedder)
    about = embedder.embed_one(ABOUT)
    distances = set()
    for ask in ASKS:
        mean = about + embedder.embed_one(ask)
        mean /= np.linalg.norm(mean)
        decision = router.route(messages=said(ABOUT, "Go on", ask))
        assert decision.distance == pytest.approx(router.decide(mean).distance, abs=1e-6)
        distances.add(decision.distance)
    assert len(distances) == 2


def test_the_same_turn_twice_is_embedded_once() -> None:
    router = hypernova.Router.open(cache=10)
    once = router.route(messages=said("Fix it"))
    again = router.route(messages=said("Fix it", "Go on", "Fix it"))
    assert again.distance == once.distance
    assert router.cache_info() == (1, 1, 10, 1)  # a hit for each conversation, not for each turn


def test_as_a_conversation_goes_on_only_its_last_turn_is_embedded() -> None:
    router = hypernova.Router.open(cache=10)
    asked = ["Fix the race", "It still fails", "Now write a test"]
    for count in (1, 2, 3):
        router.route(messages=said(*asked[:count]))
    assert router.cache_info()[:2] == (2, 3)


def test_a_turn_that_no_embedder_can_read_does_not_count() -> None:
    router = hypernova.Router.open()
    alone = router.route("Fix the race in the scheduler").distance
    unknown = "\ue000"  # of private use: no blank, and no token
    for texts in (
        ("Fix the race in the scheduler", unknown),
        (unknown, "Fix the race in the scheduler"),
    ):
        assert router.route(messages=said(*texts)).distance == alone
    with pytest.raises(TextError, match="no token"):
        router.route(messages=said(unknown, unknown + unknown))


def test_a_turn_of_invisible_marks_is_no_turn() -> None:
    assert turns_of(said("Fix the race", "\u200b\ufeff", "Go on", "\n ")) == (
        "Fix the race",
        "Go on",
    )


def test_of_two_turns_that_cancel_the_last_is_taken() -> None:
    def opposite(texts: list[str]) -> NDArray[np.float32]:
        return np.array([[1.0, 1e-7] if "yes" in text else [-1.0, 0.0] for text in texts])

    embedder = CallableEmbedder(opposite, name="opposite", dim=2)
    assert embed_turns(embedder, ("yes", "no")).tolist() == [-1.0, 0.0]
    assert embed_turns(embedder, ("no", "yes"))[0] == 1.0
    assert np.linalg.norm(embed_turns(embedder, ("yes", "yes!"))) == pytest.approx(1.0)


def test_observers_receive_one_event_for_both_turns() -> None:
    router = hypernova.Router.open()
    events: list[DecisionEvent] = []
    router.observe(events.append)
    decision = router.route(messages=TALK)
    assert events[0].decisions == (decision,)
    assert len(events) == 1
    assert events[0].embed_s > 0 < events[0].decide_s


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
    vectors = router.artifact.centroids[rng.integers(0, router.artifact.n_clusters, 200)]
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


def test_options_of_a_conversation_are_checked() -> None:
    router = hypernova.Router.open()
    with pytest.raises(UnknownModelError, match='previous_model names the model "gpt-9"'):
        router.route("Fix it", previous_model="gpt-9")
    with pytest.raises(PolicyError, match=r"switch_cost is -0.1; it must be a finite number"):
        router.route("Fix it", previous_model=router.artifact.default_model, switch_cost=-0.1)
    with pytest.raises(TypeError, match="previous_model: expected the name of a model"):
        router.route("Fix it", previous_model=3)
