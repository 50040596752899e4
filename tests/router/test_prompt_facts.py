"""What a caller knows of a prompt besides its text: its group, and the tokens that it costs.

Not here: the rule (tests/core), or what is learned of groups and tokens (tests/training).
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

import hypernova
from hypernova.errors import PolicyError
from hypernova.integrations.gateway import rank
from hypernova.integrations.request_options import constrain_options
from hypernova.router.batch import StepwiseBatch
from support.commands import output_of, run
from support.server import assert_error, serving

if TYPE_CHECKING:
    from pathlib import Path

ADDER, POET = "adder", "poet"
CHATS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "rhyme the verses"},
    {"role": "assistant", "content": None},
    {"role": "user", "content": [{"type": "text", "text": "of case 3"}]},
]
CHARS_OF_CHATS = len("Be brief.rhyme the versesof case 3")
PRICES = {ADDER: (2.0, 8.0), POET: (1.0, 4.0)}


def usd(chars: float) -> dict[str, float]:
    """What the models cost for a prompt: one token for two characters, 100 and 30 tokens out."""
    return {ADDER: (2 * chars / 2 + 8 * 100) / 1e6, POET: (chars / 2 + 4 * 30) / 1e6}


def costs(decision: hypernova.Decision) -> dict[str, float | None]:
    return {entry.model: entry.cost_usd for entry in decision.ranking}


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact of groups that the text says nothing of, and of tokens."""
    prompts = [f"{'very ' * (i % 7)}hard case {i}" for i in range(120)]
    groups = ["sums", "verses"] * 60
    score = [[float(group == "sums"), float(group == "verses")] for group in groups]
    table = hypernova.OutcomeTable.from_arrays(
        task_ids=[str(i) for i in range(120)],
        prompts=prompts,
        models=[ADDER, POET],
        score=score,
        groups=groups,
        input_tokens=[[len(prompt) / 2] * 2 for prompt in prompts],
        output_tokens=[[100.0, 30.0]] * 120,
    )
    path = tmp_path_factory.mktemp("artifact") / "router.hnv"
    hypernova.fit(table, describe=False).save(path)
    return path


@pytest.fixture(scope="module")
def router(artifact: Path) -> hypernova.Router:
    return hypernova.Router.open(artifact)


class TestGroup:
    def test_every_way_to_decide_takes_it(self, router: hypernova.Router) -> None:
        texts = ["hard case 1", "hard case 2", "hard case 3"]
        vector = router.embedder.embed_one(texts[0])
        for group, model in (("sums", ADDER), ("verses", POET)):
            decisions = [
                router.route(texts[0], group=group),
                router.route(messages=CHATS, group=group),
                asyncio.run(router.aroute(texts[0], group=group)),
                router.decide(vector, group=group),
                router.explain(texts[0], group=group).decision,
                *router.route_many(texts, group=group),
                *router.decide_many(np.stack([vector] * 2), group=group),
            ]
            assert {(d.model, d.group) for d in decisions} == {(model, group)}
            explained = router.explain(texts[0], group=group)
            assert explained.estimates[0].success == decisions[0].ranking[0].success

    def test_a_batch_takes_one_for_each_prompt(self, router: hypernova.Router) -> None:
        texts = ["hard case 1", "hard case 2", "hard case 3", "hard case 4"]
        groups = ["verses", "sums", None, "unheard of"]
        batch = StepwiseBatch(router, texts, {"group": groups})
        while batch.step():
            pass
        for many in (router.route_many(texts, group=groups), batch.decide()):
            assert [d.model for d in many[:2]] == [POET, ADDER]
            assert [d.group for d in many] == ["verses", "sums", None, None]
            assert [d.unknown_group for d in many] == [False, False, False, True]
        with pytest.raises(PolicyError, match="group has 1 values for 4 prompts"):
            router.route_many(texts, group=["sums"])

    def test_an_unknown_one_changes_nothing_and_is_said(self, router: hypernova.Router) -> None:
        text = "hard case 1"
        unknown, without = router.route(text, group="odes"), router.route(text)
        assert (unknown.unknown_group, without.unknown_group) == (True, False)
        assert unknown.ranking == without.ranking
        assert unknown.to_dict()["unknown_group"] is True

    def test_a_table_of_prompts_takes_it(self, router: hypernova.Router, tmp_path: Path) -> None:
        import pyarrow.parquet as pq

        (tmp_path / "prompts.txt").write_text("hard case 1\nhard case 2\n")
        for group, model in (("sums", ADDER), ("verses", POET)):
            router.route_table(tmp_path / "prompts.txt", tmp_path / "out.parquet", group=group)
            table = pq.read_table(tmp_path / "out.parquet")
            assert table.column("model").to_pylist() == [model, model]

    def test_a_request_may_name_it_to_a_gateway(self, router: hypernova.Router) -> None:
        for group, model in (("sums", ADDER), ("verses", POET)):
            options = constrain_options(router.artifact, {}, {"group": group})
            ranking = asyncio.run(rank(router, CHATS, options, on_unreadable="error"))
            assert ranking.models[0] == model
        with pytest.raises(PolicyError, match="group is of type int"):
            constrain_options(router.artifact, {}, {"group": 7})
        with pytest.raises(PolicyError, match="prompt_chars is the operator's alone"):
            constrain_options(router.artifact, {}, {"prompt_chars": 7})


class TestPrices:
    def test_tokens_follow_from_the_length_of_the_prompt(self, router: hypernova.Router) -> None:
        text = "a " * 300
        assert costs(router.route(text, prices=PRICES)) == pytest.approx(usd(600), rel=1e-4)
        chats = router.route(messages=CHATS, prices=PRICES)
        assert costs(chats) == pytest.approx(usd(CHARS_OF_CHATS), rel=1e-4)
        stated = router.route(text, prices=PRICES, prompt_chars=10)
        assert costs(stated) == pytest.approx(usd(10), rel=1e-4)
        exact = router.route(text, prices=PRICES, input_tokens=40)
        assert costs(exact) == pytest.approx(usd(80), rel=1e-4)
        many = router.route_many([text, "hard case"], prices=PRICES)
        for decision, chars in zip(many, (600, 9), strict=True):
            assert costs(decision) == pytest.approx(usd(chars), rel=1e-4)

    def test_a_vector_has_no_length_so_that_of_the_table_is_expected(
        self, router: hypernova.Router
    ) -> None:
        vector = router.embedder.embed_one("hard case 1")
        tokens = router.artifact.token_profiles
        assert tokens is not None
        found = costs(router.decide(vector, prices=PRICES))[POET]
        means = tokens["input"][:, 1]
        assert (means.min() + 120) / 1e6 <= found <= (means.max() + 120) / 1e6

    def test_a_long_prompt_can_be_too_dear_for_a_model(self, router: hypernova.Router) -> None:
        options = {"prices": PRICES, "cost_weight": 200.0, "group": "sums"}
        assert router.route("hard case 1", **options).model == ADDER
        assert router.route("hard case 1 " * 20_000, **options).model == POET

    def test_a_price_of_a_task_stays_as_it_is(self, router: hypernova.Router) -> None:
        found = router.route("hard case 1", prices={ADDER: 0.25, POET: (1.0, 4.0)})
        assert costs(found)[ADDER] == 0.25


class TestCommand:
    def test_group_and_prices(self, artifact: Path, tmp_path: Path) -> None:
        prices = tmp_path / "prices.json"
        prices.write_text(json.dumps({**{m: list(p) for m, p in PRICES.items()}, "other": 1}))
        said = output_of("route", "hard case 1", "-a", artifact, "--group", "sums", "--json",
                         "--prices", prices, "--price", "poet=3,12")  # fmt: skip
        decision = json.loads(said)
        assert (decision["model"], decision["group"]) == (ADDER, "sums")
        found = {entry["model"]: entry["cost_usd"] for entry in decision["ranking"]}
        expected = usd(11) | {POET: 3 * usd(11)[POET]}
        assert found == pytest.approx(expected, rel=1e-4)
        unknown = run("route", "hard case 1", "-a", artifact, "--group", "odes")
        assert unknown.returncode == 0
        assert "no group 'odes'" in unknown.stderr
        assert "sums, verses" in unknown.stderr
        assert "2 groups, with tasks: sums 60, verses 60" in output_of("inspect", artifact)

    def test_a_price_without_tokens_keeps_the_table_s_cost(self, tmp_path: Path) -> None:
        prices = tmp_path / "prices.json"
        name = hypernova.Router.open().artifact.models[0]
        prices.write_text(json.dumps({name: [2, 8]}))
        found = run("route", "hard case 1", "--prices", prices)
        assert found.returncode == 0
        assert f"does not know tokens of models whose costs stay those of the table: {name}" in (
            found.stderr
        )


class TestServer:
    @pytest.mark.slow
    def test_groups_and_prices(self, artifact: Path, tmp_path: Path) -> None:
        prices = tmp_path / "prices.json"
        prices.write_text(json.dumps(PRICES))
        with serving("-a", artifact, "--prices", prices) as server, server.client() as client:
            body = {"text": "hard case 1", "group": "sums"}
            answer = client.post("/v1/route", json=body).json()
            assert (answer["model"], answer["group"], answer["unknown_group"]) == (
                ADDER,
                "sums",
                False,
            )
            found = {entry["model"]: entry["cost_usd"] for entry in answer["ranking"]}
            assert found == pytest.approx(usd(11), rel=1e-4)
            own = client.post("/v1/route", json={**body, "prices": {POET: [3, 12]}}).json()
            own_costs = {entry["model"]: entry["cost_usd"] for entry in own["ranking"]}
            assert own_costs[POET] == pytest.approx(3 * usd(11)[POET], rel=1e-4)
            batch = {"texts": ["hard case 1", "hard case 2"], "groups": ["verses", "odes"]}
            decisions = client.post("/v1/route/batch", json=batch).json()["decisions"]
            assert [d["group"] for d in decisions] == ["verses", None]
            assert [d["unknown_group"] for d in decisions] == [False, True]
            assert client.get("/v1/artifact").json()["groups"] == {"sums": 60.0, "verses": 60.0}
            for wrong in ({"groups": ["verses"]}, {"groups": ["a", "b"], "group": "a"}):
                answer = client.post("/v1/route/batch", json={**batch, **wrong})
                assert_error(answer, 400, "bad_request")
            for price in ([1], [1, 2, 3], [1, -2], "1", True):
                answer = client.post("/v1/route", json={**body, "prices": {POET: price}})
                assert_error(answer, 400, "bad_request")
