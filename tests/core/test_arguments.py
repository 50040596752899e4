"""Arguments that are none: one line that says which one and why, of a class that users catch.

Not here: numbers out of range and wrong types (test_rule.py), and arrays (test_vectors.py).
"""

from __future__ import annotations

import itertools
import json
import math
import re
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hypernova
from hypernova import Artifact, errors
from hypernova.router.watch import file_state

HUGE = 10**400
LONE = "gpt\udcff"  # half of a surrogate pair, which no UTF-8 holds
SEEDS = "a whole number from 0 to 18446744073709551615"
ONES = np.ones((2, 1), np.float32)
NUMBERS = (
    "cost_weight", "latency_weight", "max_cost_usd", "min_success", "switch_cost", "explore"
)  # fmt: skip


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return hypernova.Router.open().artifact


def refusal(kind: type[Exception], call: Any, *arguments: Any, **more: Any) -> str:
    """The message of a call that is refused: one line that can be written anywhere."""
    with pytest.raises(kind) as caught:
        call(*arguments, **more)
    assert type(caught.value) is kind
    message = str(caught.value)
    assert "\n" not in message
    assert message.encode(), "it can be written anywhere"
    return message


def build(**changed: Any) -> Artifact:
    identity = {"kind": "vectors", "name": "t", "dim": 2, "fingerprint": "ab" * 32}
    arguments: dict[str, Any] = {
        "models": ["m"],
        "centroids": np.ones((1, 2), np.float32),
        "counts": np.ones((2, 1)),
        "mean": ONES,
        "success": ONES,
        "standard_error": ONES,
        "gain_error": ONES,
        "cost": ONES,
        "latency": ONES,
        "novelty": np.array([0, 1], np.float32),
        "embedder": json.dumps(identity),
        "metadata": "{}",
        "default_model": 0,
        "sharpness": 1.0,
    }
    return Artifact.build(**(arguments | changed))


class TestWishes:
    @pytest.mark.parametrize("many", [False, True])
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("allow", [LONE]),
            ("allow", (LONE,)),
            ("deny", [LONE]),
            ("deny", {LONE}),
            ("prices", {LONE: 1.0}),
            ("previous_model", LONE),
        ],
    )
    def test_half_a_surrogate_pair_is_no_model(
        self, artifact: Artifact, name: str, value: object, many: bool
    ) -> None:
        ask, vector = artifact.decide, artifact.centroids[0]
        if many:
            ask, vector = artifact.decide_many, artifact.centroids
        message = refusal(errors.UnknownModelError, ask, vector, **{name: value})
        assert message.startswith(f"{name} names the model ")
        assert "udcff" in message

    def test_a_name_that_stands_for_it_is_not_taken_for_it(self) -> None:
        """Neither the replacement character nor the escape is the model that was named."""
        names = ["gpt\ufffd", "gpt\\udcff"]
        cells = np.ones((2, 2), np.float32)
        profile = ("mean", "success", "standard_error", "gain_error", "cost", "latency")
        made = build(models=names, counts=np.ones((2, 2)), **dict.fromkeys(profile, cells))
        decision = made.decide(made.centroids[0])
        refusal(errors.UnknownModelError, made.decide, made.centroids[0], allow=[LONE])
        refusal(errors.UnknownModelError, decision.after_failure, LONE)
        for name in names:
            assert made.decide(made.centroids[0], allow=[name]).model == name

    def test_half_a_surrogate_pair_is_no_answer_to_a_novel_prompt(self, artifact) -> None:
        message = refusal(errors.PolicyError, artifact.decide, artifact.centroids[0], on_novel=LONE)
        assert message.startswith("on_novel is ")

    def test_what_failed_is_named(self, artifact: Artifact) -> None:
        decision = artifact.decide(artifact.centroids[0])
        message = refusal(errors.UnknownModelError, decision.after_failure, LONE)
        assert message.startswith("after_failure names the model ")
        for value, kind in ((None, "NoneType"), (3, "int"), (b"m", "bytes")):
            message = refusal(TypeError, decision.after_failure, value)
            assert message == f"after_failure: expected the name of a model, got {kind}"

    @pytest.mark.parametrize("value", [HUGE, -HUGE, Fraction(HUGE)])
    @pytest.mark.parametrize("name", NUMBERS)
    def test_a_number_beyond_floats_is_named(self, artifact, name: str, value: object) -> None:
        message = refusal(
            errors.PolicyError, artifact.decide, artifact.centroids[0], **{name: value}
        )
        assert message == f"{name} is beyond the range of a float; it must be a number within it"

    def test_a_price_beyond_floats_is_named(self, artifact: Artifact) -> None:
        prices = {artifact.models[0]: HUGE}
        message = refusal(errors.PolicyError, artifact.decide, artifact.centroids[0], prices=prices)
        assert message.startswith("prices is beyond the range of a float")

    @pytest.mark.parametrize(
        "value", [0.25, np.float64(0.25), np.float32(0.25), np.array(0.25), Decimal("0.25")]
    )
    def test_what_is_a_number_is_taken(self, artifact: Artifact, value: Any) -> None:
        for name in NUMBERS:
            vector = artifact.centroids[0]
            found = artifact.decide(vector, **{name: value}, explore_seed=1)
            plain = artifact.decide(vector, **{name: 0.25}, explore_seed=1)
            assert found.model == plain.model

    @pytest.mark.parametrize("explore", [None, 0.5])
    @pytest.mark.parametrize(
        "seed", [-1, 2**64, np.int64(-3), HUGE, pytest.param(-(10**5000), id="5000 digits")]
    )
    def test_a_seed_out_of_range_is_told_the_range(self, artifact, seed: int, explore) -> None:
        arguments = {"explore": explore, "explore_seed": seed}
        message = refusal(errors.PolicyError, artifact.decide, artifact.centroids[0], **arguments)
        assert message.startswith("explore_seed is ")
        assert message.endswith(f"; it must be {SEEDS}")
        assert len(message) < 120

    @pytest.mark.parametrize("seed", [1.5, "1", [1]])
    def test_a_seed_of_the_wrong_type_is_told_the_range(self, artifact, seed: object) -> None:
        message = refusal(TypeError, artifact.decide, artifact.centroids[0], explore_seed=seed)
        assert message == f"explore_seed: expected {SEEDS}, got {type(seed).__name__}"

    @pytest.mark.parametrize("seed", [0, 2**64 - 1, np.uint64(7), None])
    def test_every_seed_in_range_is_taken(self, artifact: Artifact, seed: Any) -> None:
        assert artifact.decide(artifact.centroids[0], explore=0.5, explore_seed=seed).model


def priced() -> Artifact:
    """Give a model whose tokens are known, ``m``, and one whose are not, ``n``, in one group."""
    cells, known = np.ones((2, 2), np.float32), np.array([[1.0, np.nan]] * 2, np.float32)
    profile = ("mean", "success", "standard_error", "gain_error", "cost", "latency")
    groups = dict.fromkeys(profile, cells[:1])
    groups |= {"names": ["sql"], "tasks": np.ones(1), "counts": np.ones((1, 2))}
    tokens = {"per_prompt": cells, "input": known, "output": known}
    return build(
        models=["m", "n"],
        counts=np.ones((2, 2)),
        **dict.fromkeys(profile, cells),
        group_profiles=groups,
        token_profiles=tokens | {"group_input": known[:1], "group_output": known[:1]},
    )


PAIR = "USD of a million input tokens and of a million output tokens"
OF_A_PRICE = "prices: expected a number, or a pair of numbers for tokens, got "


class TestPrices:
    @pytest.mark.parametrize(
        ("price", "kind", "message"),
        [
            ((), errors.PolicyError, 'prices["m"] has 0 numbers; it must be USD of a task'),
            ((1.0,), errors.PolicyError, 'prices["m"] has 1 numbers; it must be USD of a task'),
            ([1, 2, 3], errors.PolicyError, f'prices["m"] has 3 numbers; .*or a pair: {PAIR}'),
            ((-1.0, 0.0), errors.PolicyError, 'prices["m"][0] is -1.0; .*at least 0'),
            ((0.0, math.nan), errors.PolicyError, 'prices["m"][1] is NaN; .*at least 0'),
            ((math.inf, 0.0), errors.PolicyError, 'prices["m"][0] is inf; .*finite'),
            ((HUGE, 0.0), errors.PolicyError, "prices is beyond the range of a float"),
            (("1", 2.0), TypeError, OF_A_PRICE + "str"),
            ((1.0, None), TypeError, OF_A_PRICE + "NoneType"),
            (((1.0, 2.0), 3.0), TypeError, OF_A_PRICE + "tuple"),
            ("1.0, 2.0", TypeError, OF_A_PRICE + "str"),
            ({"in": 1.0, "out": 2.0}, TypeError, OF_A_PRICE + "dict"),
            (np.ones(2), TypeError, OF_A_PRICE + "ndarray"),
            (1j, TypeError, OF_A_PRICE + "complex"),
        ],
    )
    def test_a_price_that_is_none(self, price: Any, kind: type[Exception], message: str) -> None:
        made = priced()
        for ask, vector in (
            (made.decide, made.centroids[0]),
            (made.decide_many, made.centroids),
            (made.explain, made.centroids[0]),
        ):
            found = refusal(kind, ask, vector, prices={"m": price})
            pattern = message.replace("[", r"\[").replace("]", r"\]")
            assert re.match(pattern, found), found

    @pytest.mark.parametrize(
        "price", [(1, 2), [1.0, 2.0], (np.float32(1), np.int64(2)), (Fraction(1), Decimal(2))]
    )
    def test_a_pair_of_any_numbers_is_taken(self, price: Any) -> None:
        made = priced()
        decision = made.decide(made.centroids[0], prices={"m": price}, input_tokens=1e6)
        cost = {entry.model: entry.cost_usd for entry in decision.ranking}["m"]
        assert cost == (1e6 + 2.0) / 1e6

    def test_a_price_for_tokens_that_are_unknown_says_what_to_do(self) -> None:
        made = priced()
        message = refusal(
            errors.PolicyError, made.decide, made.centroids[0], prices={"n": (1.0, 2.0)}
        )
        assert '"n"' in message
        assert "give USD of a task, or fit on outcomes with input_tokens" in message
        assert made.decide(made.centroids[0], prices={"n": 1.0})
        without = made.replace(token_profiles=None)
        refusal(errors.PolicyError, without.decide, made.centroids[0], prices={"m": (1.0, 2.0)})
        refusal(errors.UnknownModelError, made.decide, made.centroids[0], prices={"x": (1.0, 2.0)})


class TestFacts:
    @pytest.mark.parametrize("many", [False, True])
    @pytest.mark.parametrize(
        ("name", "value", "kind", "message"),
        [
            ("group", 3, TypeError, "group: expected the name of a group, got int"),
            ("group", True, TypeError, "group: expected the name of a group, got bool"),
            ("group", math.nan, TypeError, "group: expected the name of a group, got float"),
            ("group", b"sql", TypeError, "group: expected .*, got bytes"),
            ("group", {"sql"}, TypeError, "group: expected .*, got set"),
            ("group", {"sql": 1}, TypeError, "group: expected .*, got dict"),
            ("prompt_chars", "9", TypeError, "prompt_chars: expected a number, got str"),
            ("prompt_chars", -1, errors.PolicyError, "prompt_chars is -1.0; .*at least 0"),
            ("prompt_chars", math.inf, errors.PolicyError, "prompt_chars is inf; .*finite"),
            ("prompt_chars", HUGE, errors.PolicyError, "prompt_chars is beyond the range"),
            ("input_tokens", math.nan, errors.PolicyError, "input_tokens is NaN; .*finite"),
            ("input_tokens", {1.0}, TypeError, "input_tokens: expected .*, got set"),
            ("input_tokens", 1j, TypeError, "input_tokens: expected a number, got complex"),
        ],
    )
    def test_what_is_no_fact_is_refused(
        self, name: str, value: Any, kind: type[Exception], message: str, many: bool
    ) -> None:
        made = priced()
        calls = [(made.decide, made.centroids[0]), (made.explain, made.centroids[0])]
        if many:
            calls = [(made.decide_many, made.centroids)]
        for ask, vector in calls:
            assert re.match(message, refusal(kind, ask, vector, **{name: value}))
        if many and name != "group" and not isinstance(value, set):
            found = refusal(kind, made.decide_many, made.centroids, **{name: [value]})
            assert re.match(message, found)

    @pytest.mark.parametrize("name", ["", "SQL", "sql ", "m", LONE, "sq\0l", "x" * 100_000])
    def test_a_group_that_is_not_there_is_no_error(self, name: str) -> None:
        made = priced()
        for decision in (
            made.decide(made.centroids[0], group=name),
            made.decide_many(made.centroids, group=name)[0],
            made.decide_many(made.centroids, group=[name])[0],
        ):
            assert (decision.group, decision.unknown_group) == (None, True)
        assert not made.decide(made.centroids[0], group=None).unknown_group
        assert made.decide(made.centroids[0], group=np.str_("sql")).group == "sql"

    @pytest.mark.parametrize(
        ("values", "found"),
        [
            ([], "0"),
            (["sql"], "1"),
            (["sql"] * 4, "more"),
            ((None,), "1"),
            (np.array(["sql"] * 9), "more"),
            (itertools.repeat("sql"), "more"),
            (iter(["sql"]), "1"),
        ],
    )
    def test_a_list_of_another_length(self, values: Any, found: str) -> None:
        made = priced()
        matrix = np.stack([made.centroids[0]] * 3)
        message = refusal(errors.PolicyError, made.decide_many, matrix, group=values)
        assert message == (
            f"group has {found} values for 3 prompts; it must be one value, or a list of the names "
            "of groups for all prompts"
        )
        refusal(TypeError, made.decide, matrix[0], group=["sql"])
        refusal(TypeError, made.decide, matrix[0], prompt_chars=[1.0])

    def test_a_value_of_the_wrong_type_in_a_list(self) -> None:
        made = priced()
        matrix = np.stack([made.centroids[0]] * 3)
        message = refusal(TypeError, made.decide_many, matrix, group=["sql", None, 3])
        assert message == "group: expected the name of a group, got int"
        message = refusal(TypeError, made.decide_many, matrix, input_tokens=[1, None, "3"])
        assert message == "input_tokens: expected a number, got str"

        def broken() -> Any:
            yield "sql"
            raise KeyError("of the caller's")

        with pytest.raises(KeyError, match="of the caller's"):
            made.decide_many(matrix, group=broken())

    def test_lists_of_any_kind_and_a_number_of_tokens_that_goes_first(self) -> None:
        made = priced()
        matrix = np.stack([made.centroids[0]] * 3)
        prices = {"m": (1e6, 0.0)}

        def costs(**facts: Any) -> list[float | None]:
            decided = made.decide_many(matrix, prices=prices, **facts)
            return [{e.model: e.cost_usd for e in d.ranking}["m"] for d in decided]

        assert costs(prompt_chars=[3, None, 5.5]) == [4.0, 1.0, 6.5]
        assert costs(prompt_chars=np.array([3, 4, 5])) == [4.0, 5.0, 6.0]
        for tokens in ([7, None, 0], (7.0, None, 0.0), iter([7, None, 0])):
            assert costs(prompt_chars=3, input_tokens=tokens) == [7.0, 4.0, 0.0]
        # One number of tokens for all goes before a list of characters, too.
        assert costs(prompt_chars=[1, 2, 3], input_tokens=9) == [9.0, 9.0, 9.0]
        assert costs(prompt_chars=[1, 2, 3], input_tokens=[None, 9, None]) == [2.0, 9.0, 4.0]
        empty = made.decide_many(matrix[:0], group=[], prompt_chars=np.zeros(0))
        assert len(empty) == 0


class TestRows:
    """A message names the row of a batch, and no row where there is one vector."""

    def both(self, artifact: Artifact, kind: type[Exception], vector: Any, **options: Any):
        good = artifact.centroids[0]
        assert artifact.decide(good)
        one = refusal(kind, artifact.decide, vector, **options)
        matrix = np.stack([vector, vector])
        return one, refusal(kind, artifact.decide_many, matrix, **options)

    def test_a_value_that_is_not_finite(self, artifact: Artifact) -> None:
        bad = artifact.centroids[0].copy()
        bad[3] = np.nan
        one, many = self.both(artifact, errors.VectorError, bad)
        assert one == "the vector holds NaN at position 3; every value must be finite"
        assert many == "vector 0 holds NaN at position 3; every value must be finite"

    def test_no_candidate(self, artifact: Artifact) -> None:
        centre = artifact.centroids[2]
        one, many = self.both(artifact, errors.NoCandidateError, centre, max_cost_usd=0.0)
        assert one.startswith("no model is left in cluster 2: of 24 models 24 are allowed")
        assert many.startswith("no model is left for vector 0 in cluster 2: of 24 models 24 are")
        last = artifact.decide(centre, allow=[artifact.models[0]])
        message = refusal(errors.NoCandidateError, last.after_failure, artifact.models[0])
        assert message.startswith("no model is left in cluster 2: ")

    def test_a_novel_prompt(self, artifact: Artifact) -> None:
        far = np.full(artifact.dim, 9.0, np.float32)
        one, many = self.both(artifact, errors.NovelPromptError, far, on_novel="error")
        assert one.startswith("the prompt is novel: 100.0% of the training prompts lie nearer")
        assert many.startswith("vector 0 is novel: 100.0% of the training prompts lie nearer")

    def test_a_router_speaks_of_the_prompt_and_a_batch_of_its_index(self) -> None:
        router = hypernova.Router.open()
        text = "Quelle est la couleur du ciel ?" * 9
        for options in ({"on_novel": "error"}, {"max_cost_usd": 0.0}):
            with pytest.raises(errors.HypernovaError) as caught:
                router.route(text, **options)
            assert "vector" not in str(caught.value)
        with pytest.raises(errors.NovelPromptError, match="vector 0 is novel"):
            router.route_many([text, text], on_novel="error")


class TestPaths:
    @pytest.mark.parametrize("path", ["a\ud800b", Path("a\ud800b")])
    def test_a_name_that_no_file_can_have(self, artifact: Artifact, path: Any) -> None:
        expected = "a\\ud800b: no file can have this name; check the path"
        assert refusal(errors.NotFoundError, Artifact.open, path) == expected
        assert refusal(errors.NotFoundError, hypernova.Router.open, path, watch=True) == expected
        assert refusal(errors.ArtifactWriteError, artifact.save, path) == expected

    def test_a_null_byte(self, artifact: Artifact, tmp_path: Path) -> None:
        path = tmp_path / "a\0b"
        for opened in (Artifact.open, hypernova.Router.open):
            assert "NUL byte" in refusal(errors.ArtifactError, opened, path)
        assert "NUL byte" in refusal(errors.ArtifactError, hypernova.Router.open, path, watch=True)
        refusal(errors.ArtifactWriteError, artifact.save, path)
        assert list(tmp_path.iterdir()) == [], "no temporary file is left"
        assert file_state(path) is None

    def test_a_line_feed_in_a_path_does_not_break_the_message(self, artifact, tmp_path) -> None:
        path = tmp_path / "a\nb\x1b[2J.hnv"
        assert "a\\nb\\u{1b}[2J.hnv: there is no" in refusal(
            errors.NotFoundError, Artifact.open, path
        )
        artifact.save(path)
        assert Artifact.open(path).sha256 == artifact.sha256


@pytest.mark.parametrize("watch", ["yes", None, "1", [1.0], -1, math.nan, math.inf])
def test_watch_that_is_no_number_of_seconds(artifact: Artifact, watch: Any, tmp_path: Path) -> None:
    artifact.save(tmp_path / "r.hnv")
    with pytest.raises(ValueError, match=r"watch is .*, expected True or seconds above 0"):
        hypernova.Router.open(tmp_path / "r.hnv", watch=watch)


class TestBuild:
    @pytest.mark.parametrize("value", [HUGE, -HUGE])
    @pytest.mark.parametrize(
        ("name", "section"),
        [
            *((name, "POLI") for name in (
                "cost_weight", "latency_weight", "max_cost_usd", "min_success", "guard_z",
                "novelty_limit", "shrinkage", "default_model",
            )),
            ("margin", "MARG"),
            ("sharpness", "SOFT"),
            ("n_nearest", "SOFT"),
        ],
    )  # fmt: skip
    def test_a_number_that_no_file_holds(self, name: str, section: str, value: int) -> None:
        assert section in refusal(errors.ArtifactError, build, **{name: value})

    @pytest.mark.parametrize(
        ("name", "value", "section"),
        [("models", [LONE], "MODL"), ("embedder", LONE, "EMBD"), ("metadata", LONE, "META")],
    )
    def test_half_a_surrogate_pair(self, name: str, value: Any, section: str) -> None:
        message = refusal(errors.ArtifactError, build, **{name: value})
        assert section in message
        assert "UTF-8" in message

    @pytest.mark.parametrize("argument", ["group_profiles", "token_profiles"])
    def test_groups_and_tokens_that_are_none(self, argument: str) -> None:
        made = priced()
        given: dict[str, Any] = getattr(made, argument)
        for value, found in (([1], "list"), ("sql", "str"), (3, "int")):
            message = refusal(TypeError, made.replace, **{argument: value})
            assert message == f"{argument}: expected a mapping from names to arrays, got {found}"
        for name, array in given.items():
            left = {k: v for k, v in given.items() if k != name}
            kind = errors.ArtifactError if name.startswith("group_") else TypeError
            message = refusal(kind, made.replace, **{argument: left})
            assert name in message or "section GT" in message
            if name == "names":
                continue
            for changed in (np.concatenate([array, array]), array[:0]):
                refusal(errors.ArtifactError, made.replace, **{argument: given | {name: changed}})
            other = np.float32 if array.dtype == np.float64 else np.float64
            for changed in (array.astype(other), array.tolist()):
                message = refusal(
                    errors.VectorError, made.replace, **{argument: given | {name: changed}}
                )
                assert name in message
        message = refusal(TypeError, made.replace, **{argument: given | {"extra\n": ONES}})
        assert "extra" in message

    @pytest.mark.parametrize(
        ("names", "kind", "words"),
        [
            ("sql", TypeError, "names of groups, such as a list of str, got str"),
            ([3], TypeError, "names of groups, such as a list of str, got list"),
            (None, TypeError, "names of groups, such as a list of str, got NoneType"),
            ([LONE], errors.ArtifactError, "GNAM, name 0: it must be UTF-8"),
            ([""], errors.ArtifactError, "GNAM, name 0: it must not be empty"),
            (["a\n"], errors.ArtifactError, "GNAM, name 0: it must not .* control characters"),
            ([], errors.ArtifactError, "GTSK has 8 bytes; 8 for each of 0 names"),
            (["a", "b"], errors.ArtifactError, "GTSK has 8 bytes; 8 for each of 2 names"),
        ],
    )
    def test_names_of_groups_that_are_none(
        self, names: Any, kind: type[Exception], words: str
    ) -> None:
        made = priced()
        given = made.group_profiles
        assert given is not None
        message = refusal(kind, made.replace, group_profiles={**given, "names": names})
        assert re.search(words, message), message

    def test_a_correction_of_groups_has_offsets_and_slopes(self) -> None:
        made = priced()
        given = made.group_profiles
        assert given is not None
        for alone in ({"offsets": ONES[:1]}, {"slopes": ONES}):
            message = refusal(TypeError, made.replace, group_profiles={**given, **alone})
            assert message == "group_profiles: slopes and offsets go together"

    def test_its_signature_says_the_defaults(self) -> None:
        assert "novelty_limit=1.0" in str(Artifact.build.__text_signature__)


@pytest.mark.parametrize("index", [10**30, -(10**30), 2**63 - 1, -(2**63), 5, -6])
def test_an_index_out_of_range_is_no_decision(artifact: Artifact, index: int) -> None:
    decided = artifact.decide_many(artifact.centroids[:5])
    assert len(decided) == 5
    with pytest.raises(IndexError, match="no such decision"):
        decided[index]
    assert [decided[-1].cluster, decided[-5].cluster] == decided.clusters[[4, 0]].tolist()
