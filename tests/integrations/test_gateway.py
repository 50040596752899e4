"""A gateway's request: its options within the operator's limits, and what is read of it.

Not here: a gateway (`test_litellm.py`).
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hypernova
from hypernova.errors import MessagesError, NoCandidateError, PolicyError, UnknownModelError
from hypernova.integrations.gateway import Ranking, messages_of, rank, rank_for_request
from hypernova.integrations.request_options import constrain_options
from support.factories import fitted_to_example

if TYPE_CHECKING:
    from pathlib import Path

LARGE, CODER, MATHS, WRITER, SMALL = (
    f"simulated-{name}" for name in ("large", "coder", "maths", "writer", "small")
)
TEXT = "Prove that the sum of two odd numbers is even"
CHAT = [{"role": "user", "content": TEXT}]
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


@pytest.fixture(scope="module")
def router() -> hypernova.Router:
    """Five models that cost 0.0003 to 0.0115 USD a task over the whole table."""
    return hypernova.Router(fitted_to_example(4))


@pytest.fixture(scope="module")
def artifact(router: hypernova.Router) -> hypernova.Artifact:
    return router.artifact


def limited(artifact: hypernova.Artifact, **limits: float) -> hypernova.Artifact:
    """Give the same artifact with limits of its own."""
    names = ("centroids", "counts", "mean", "success", "standard_error", "gain_error", "cost")
    return hypernova.Artifact.build(
        models=artifact.models,
        **{name: getattr(artifact, name) for name in (*names, "latency")},
        novelty=artifact.novelty_quantiles,
        embedder=artifact.embedder,
        metadata=artifact.metadata,
        default_model=artifact.models.index(artifact.default_model),
        **limits,
    )


MODELS = [LARGE, CODER, MATHS, WRITER, SMALL]
some = st.none() | st.lists(st.sampled_from(MODELS), max_size=5)
price = st.none() | st.sampled_from([0.0, 0.0005, 0.001, 0.003, 0.012, 1.0, math.inf])
options = st.fixed_dictionaries(
    {},
    optional={
        "allow": some,
        "deny": some,
        "max_cost_usd": price,
        "min_success": st.none() | st.sampled_from([0.0, 0.3, 0.6, 1.0]),
        "cost_weight": st.none() | st.sampled_from([0.0, 1.0, 1e6]),
        "previous_model": st.none() | st.sampled_from(MODELS),
        "switch_cost": st.none() | st.sampled_from([0.0, 9.0]),
        "on_novel": st.none() | st.sampled_from(["default", "best_overall"]),
    },
)


def meets(artifact: hypernova.Artifact, limits: dict[str, Any], entry: Any) -> bool:
    """Whether a place in a ranking is within someone's limits: the definition, read aloud."""
    allow, deny = limits.get("allow"), limits.get("deny")
    dearest, least = limits.get("max_cost_usd"), limits.get("min_success")
    return (
        (allow is None or entry.model in allow)
        and (deny is None or entry.model not in deny)
        and (dearest is None or dearest == math.inf or entry.cost_usd <= dearest)
        and (least is None or entry.success >= least)
    )


def rank_unread(artifact: hypernova.Artifact, options: Any) -> tuple[str, ...]:
    return tuple(entry.model for entry in artifact.rank_unread(**options))


class TestNarrow:
    @pytest.mark.slow
    @given(operator=options, request=options, on_table=st.booleans(), text=st.booleans())
    def test_what_answers_is_within_both_whatever_a_request_asks_for(
        self,
        router: hypernova.Router,
        artifact: hypernova.Artifact,
        operator: dict[str, Any],
        request: dict[str, Any],
        on_table: bool,
        text: bool,
    ) -> None:
        defaults = {"max_cost_usd": 0.003, "min_success": 0.3} if on_table else {}
        if on_table:
            artifact = limited(artifact, **defaults)
        # What the operator sets takes the place of the artifact's, and may lift it.
        if operator.get("max_cost_usd") == math.inf:
            operator = {**operator, "max_cost_usd": 1e12}
        own = {**defaults, **{k: v for k, v in operator.items() if v is not None}}
        constrained = constrain_options(artifact, operator, request)  # type: ignore[arg-type]
        vector = router.embedder.embed_one(TEXT)
        overall = artifact.success[-1], artifact.cost[-1]
        try:
            if text:
                ranking = artifact.decide(vector, **constrained).ranking
            else:
                ranking = tuple(
                    Place(model, *(float(row[artifact.models.index(model)]) for row in overall))
                    for model in rank_unread(artifact, constrained)
                )
        except NoCandidateError:
            ranking = ()
        places = (
            artifact.decide(vector, max_cost_usd=1e12, min_success=0.0).ranking
            if text
            else [
                Place(m, float(s), float(c))
                for m, s, c in zip(artifact.models, *overall, strict=True)
            ]
        )
        expected = {
            p.model for p in places if meets(artifact, own, p) and meets(artifact, request, p)
        }
        assert {p.model for p in ranking} == expected

    @pytest.mark.slow
    def test_a_price_cannot_be_talked_down_nor_a_draw_be_steered(
        self, artifact: hypernova.Artifact
    ) -> None:
        for name, value in (("prices", {LARGE: 0.0}), ("explore", 1.0), ("explore_seed", 3)):
            with pytest.raises(PolicyError, match=f"{name} is the operator's alone"):
                constrain_options(artifact, {"max_cost_usd": 0.001}, {name: value})
        own: Any = {"prices": {LARGE: 0.5}, "explore": 0.1}
        assert constrain_options(artifact, own, {"cost_weight": 1.0}) == {**own, "cost_weight": 1.0}

    def test_an_operators_refusal_of_novel_prompts_stands(
        self, artifact: hypernova.Artifact
    ) -> None:
        asked = {"on_novel": "best_overall"}
        assert constrain_options(artifact, {"on_novel": "error"}, asked)["on_novel"] == "error"
        assert (
            constrain_options(artifact, {"on_novel": "default"}, asked)["on_novel"]
            == "best_overall"
        )
        assert constrain_options(artifact, {}, {"on_novel": "error"})["on_novel"] == "error"

    def test_without_options_nothing_is_passed_on(self, artifact: hypernova.Artifact) -> None:
        for asked in (None, {}, {"allow": None, "max_cost_usd": None}):
            assert constrain_options(artifact, {"deny": None}, asked, served=MODELS) == {}
        assert constrain_options(artifact, {}, {}, served=[SMALL]) == {"allow": [SMALL]}
        assert constrain_options(artifact, {"cost_weight": 2.0}, {}) == {"cost_weight": 2.0}

    @pytest.mark.parametrize(
        ("asked", "message"),
        [
            ("x", "options are of type str, expected an object"),
            ([{"allow": []}], "options are of type list"),
            ({"cost_wieght": 1}, "'cost_wieght' is no option; a request may have allow, deny"),
            ({1: 1}, "1 is no option"),
            ({"allow": LARGE}, "allow is of type str, expected a list"),
            ({"allow": {LARGE: 1}}, "allow is of type dict, expected a list"),
            ({"deny": [3]}, "deny holds 3, expected the name of a model"),
            ({"previous_model": 3}, "previous_model holds 3"),
            ({"max_cost_usd": "1"}, "max_cost_usd is of type str, expected a number"),
            ({"max_cost_usd": True}, "max_cost_usd is of type bool"),
            ({"max_cost_usd": -1}, "max_cost_usd is -1; it must be a number, at least 0"),
            ({"max_cost_usd": math.nan}, "max_cost_usd is nan"),
            ({"max_cost_usd": 10**400}, "max_cost_usd is a number too large"),
            ({"min_success": -0.1}, "min_success is -0.1; it must be a number from 0 to 1"),
            ({"min_success": 1.5}, "min_success is 1.5"),
            ({"cost_weight": math.inf}, "cost_weight is inf; it must be a finite number"),
            ({"cost_weight": -1}, "cost_weight is -1"),
            ({"latency_weight": []}, "latency_weight is of type list"),
            ({"switch_cost": 10**400}, "switch_cost is a number too large"),
            ({"on_novel": "panic"}, "on_novel is 'panic'"),
            ({"on_novel": ["error"]}, r"on_novel is \['error'\]"),
        ],
    )
    def test_a_bad_option_is_an_error_and_not_passed_over(
        self, artifact: hypernova.Artifact, asked: Any, message: str
    ) -> None:
        with pytest.raises(PolicyError, match=message):
            constrain_options(artifact, {"max_cost_usd": 0.001, "min_success": 0.9}, asked)

    @pytest.mark.parametrize("name", ["allow", "deny"])
    def test_an_unknown_model_is_an_error_on_either_side(
        self, artifact: hypernova.Artifact, name: str
    ) -> None:
        for unknown in ("gpt-9", "\ud800"):
            with pytest.raises(
                UnknownModelError, match=f"^{name} names the model '(gpt-9|.ud800)'"
            ):
                constrain_options(artifact, {"allow": [LARGE]}, {name: [LARGE, unknown]})
        # Renamed in a new artifact, say: what was denied is not allowed by that.
        with pytest.raises(UnknownModelError, match=f"the operator's {name} names .*'gpt-9'"):
            constrain_options(artifact, {name: ["gpt-9"]}, {})  # type: ignore[misc]


class Place:
    """The estimates that the whole table gives for a model."""

    def __init__(self, model: str, success: float, cost_usd: float) -> None:
        self.model, self.success, self.cost_usd = model, success, cost_usd


class TestUnread:
    def test_the_default_model_answers_where_the_limits_allow_it(
        self, artifact: hypernova.Artifact
    ) -> None:
        default = artifact.default_model
        ranked = rank_unread(artifact, {})
        assert ranked[0] == default
        assert sorted(ranked) == sorted(artifact.models)
        success = dict(zip(artifact.models, artifact.success[-1].tolist(), strict=True))
        assert list(ranked[1:]) == sorted(ranked[1:], key=lambda m: -success[m])
        assert rank_unread(artifact, {"deny": [default]}) == ranked[1:]
        assert rank_unread(artifact, {"allow": [SMALL]}) == (SMALL,)

    def test_the_others_come_by_their_overall_utility(self, artifact: hypernova.Artifact) -> None:
        default = artifact.default_model
        by_cost = sorted(
            (m for m in artifact.models if m != default),
            key=lambda m: artifact.cost[-1][artifact.models.index(m)],
        )
        assert list(rank_unread(artifact, {"cost_weight": 1e6})) == [default, *by_cost]
        cheap = {by_cost[-1]: 0.0}
        assert rank_unread(artifact, {"cost_weight": 1e6, "prices": cheap})[1] == by_cost[-1]

    def test_a_model_of_unknown_cost_meets_no_limit(self, artifact: hypernova.Artifact) -> None:
        cost = artifact.cost.copy()
        cost[:, artifact.models.index(SMALL)] = np.nan
        names = ("centroids", "counts", "mean", "success", "standard_error", "gain_error")
        unknown = hypernova.Artifact.build(
            models=artifact.models,
            **{name: getattr(artifact, name) for name in (*names, "latency")},
            cost=cost,
            novelty=artifact.novelty_quantiles,
            embedder=artifact.embedder,
            metadata=artifact.metadata,
            default_model=0,
        )
        assert SMALL in rank_unread(unknown, {"max_cost_usd": math.inf})
        assert SMALL not in rank_unread(unknown, {"max_cost_usd": 9.0})
        # Under a weight it counts as the dearest that is known: last of those as good.
        assert rank_unread(unknown, {"cost_weight": 1e6})[-1] == SMALL

    def test_a_conversation_stays_with_its_model(self, artifact: hypernova.Artifact) -> None:
        rest = [m for m in rank_unread(artifact, {}) if m != SMALL]
        stays = rank_unread(artifact, {"previous_model": SMALL, "switch_cost": 1.0})
        assert list(stays) == [SMALL, *rest]
        assert rank_unread(artifact, {"previous_model": SMALL})[0] == artifact.default_model
        denied: Any = {"previous_model": SMALL, "switch_cost": 1.0, "deny": [SMALL]}
        assert rank_unread(artifact, denied)[0] == artifact.default_model

    def test_limits_that_leave_nothing_are_an_error(self, router: hypernova.Router) -> None:
        for limits in ({"allow": []}, {"max_cost_usd": 0.0}, {"min_success": 1.0}):
            assert rank_unread(router.artifact, limits) == ()
            with pytest.raises(NoCandidateError, match="no model is left for a request without"):
                ranked(router, {}, options=limits)


UNREADABLE: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": [IMAGE]}]},
    {"messages": [{"role": "user", "content": None}, {"role": "assistant"}]},
    {"messages": [{"role": "user", "content": "\u200b"}]},  # no token
    {"messages": [{"role": "system", "content": TEXT}]},
    {"messages": []},
    {"messages": None},
    {"messages": 7},
    {"messages": {"role": "user"}},
    {"messages": [3]},
    {"messages": [{"content": TEXT}]},
    {},
    {"prompt": ""},
    {"prompt": [1, 2, 3]},  # token ids
    {"prompt": [[1, 2], [3]]},
    {"prompt": [" ", ""]},
    {"input": []},
    {"input": [{"type": "function_call_output", "call_id": "c", "output": TEXT}]},
    {"previous_response_id": "resp_1", "input": None},
    {"contents": [{"role": "model", "parts": [{"text": TEXT}]}]},
    {"contents": [{"role": "user", "parts": [{"inline_data": {"data": "AAAA"}}]}]},
    {"contents": [3]},
    {"contents": {"parts": None}},
]
READABLE: list[dict[str, Any]] = [
    {"messages": CHAT},
    {"messages": [{"role": "user", "content": [IMAGE, {"type": "text", "text": TEXT}]}]},
    {"messages": [*CHAT, {"role": "assistant", "content": None}, {"role": "tool", "content": "3"}]},
    {"messages": [*CHAT, {"role": "system", "content": "Be brief."}]},
    {"messages": [{"role": "developer", "content": "Be brief."}, *CHAT]},
    {"prompt": TEXT},
    {"prompt": [TEXT]},
    {"prompt": [TEXT, TEXT]},
    {"input": TEXT},
    {"input": [{"type": "reasoning", "summary": []}, {"type": "message", **CHAT[0]}]},
    {"contents": TEXT},
    {"contents": [{"role": "user", "parts": [{"text": TEXT}, {"inline_data": {}}]}]},
    {"contents": {"parts": {"text": TEXT}}},
]


def ranked(router: hypernova.Router, data: dict[str, Any], **settings: Any) -> Ranking:
    settings = {"on_unreadable": "default", "options": {}, **settings}
    return asyncio.run(rank(router, messages_of(data), **settings))


def test_the_limits_are_those_of_the_artifact_that_decides(
    artifact: hypernova.Artifact, tmp_path: Path
) -> None:
    renamed = hypernova.rename_model(artifact, artifact.default_model, "brand-new")
    dearer = limited(renamed, max_cost_usd=0.003)
    dearer.save(tmp_path / "new.hnv")
    router = hypernova.Router(artifact)

    def is_served(model: str) -> bool:
        # Another artifact takes over when the limits of the first have been read.
        if router.artifact is artifact:
            router.reload(tmp_path / "new.hnv")
        return model != "brand-new"

    asked = {"max_cost_usd": 0.01}
    call = rank_for_request(
        router, messages_of(READABLE[0]), {}, asked, is_served=is_served, on_unreadable="error"
    )
    found = asyncio.run(call)
    assert found.artifact == dearer.sha256
    assert "brand-new" not in found.models
    costs = {e.model: e.cost_usd for e in router.route(TEXT, max_cost_usd=math.inf).ranking}
    assert all(costs[model] <= 0.003 for model in found.models)


class TestRank:
    @pytest.mark.parametrize("data", READABLE, ids=str)
    def test_the_users_text_is_read_in_every_protocol(
        self, router: hypernova.Router, data: dict[str, Any]
    ) -> None:
        decision = router.route(TEXT)
        found = ranked(router, data, on_unreadable="error")
        assert found.models == tuple(entry.model for entry in decision.ranking)
        assert (found.reason, found.artifact) == (decision.reason, decision.artifact)
        assert found.id is not None

    @pytest.mark.parametrize("data", UNREADABLE, ids=str)
    def test_where_nothing_can_be_read_the_default_answers_unless_an_error_is_asked_for(
        self, router: hypernova.Router, data: dict[str, Any]
    ) -> None:
        found = ranked(router, data)
        assert found.models == rank_unread(router.artifact, {})
        assert (found.id, found.reason) == (None, "unread")
        without = [router.artifact.default_model]
        assert ranked(router, data, options={"deny": without}).models == found.models[1:]
        with pytest.raises((MessagesError, hypernova.errors.TextError)):
            ranked(router, data, on_unreadable="error")

    def test_several_prompts_are_read_as_turns(self) -> None:
        assert messages_of({"prompt": ["a", "b"]}) == [
            {"role": "user", "content": "a"},
            {"role": "user", "content": "b"},
        ]

    def test_no_messages_at_all_are_nothing_to_read(self, router: hypernova.Router) -> None:
        found = asyncio.run(rank(router, None, {}, on_unreadable="default"))
        assert (found.models[0], found.reason) == (router.artifact.default_model, "unread")
        with pytest.raises(MessagesError):
            asyncio.run(rank(router, None, {}, on_unreadable="error"))

    def test_half_a_surrogate_pair_is_read(self, router: hypernova.Router) -> None:
        assert ranked(router, {"prompt": f"{TEXT} \ud83d"}).reason != "unread"
