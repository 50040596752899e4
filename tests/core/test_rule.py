"""The decision rule: the Rust core against the reference reader, on random artifacts.

Not here: the file format (test_format.py), and queries that are refused (test_vectors.py).
"""

from __future__ import annotations

import pickle
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from golden.make_golden import decision_values
from hypernova import Artifact, errors
from support.reference_reader import NoCandidate, Novel, ReferenceArtifact, decide, novelty, read
from support.strategies import embedder, facts, questions, values

NAN, INF = float("nan"), float("inf")
REASONS = (
    *("routed", "default_no_evidence", "default_novel", "constrained"),
    *("stayed", "best_overall"),
)


def both(arguments: dict[str, Any]) -> tuple[Artifact, ReferenceArtifact]:
    artifact = Artifact.build(**arguments)
    return artifact, read(artifact.to_bytes())


@pytest.mark.slow
@settings(max_examples=300)
@given(question=questions())
def test_decisions_and_rankings_are_those_of_the_rule(
    question: tuple[dict[str, Any], np.ndarray, dict[str, Any]],
) -> None:
    """Equal bit for bit, with ties, empty cells, unknown costs and all options.

    With blended clusters too: both sides take ``exp`` from the platform's C library.
    """
    arguments, queries, options = question
    artifact, reference = both(arguments)
    for query in queries:
        try:
            expected = decide(reference, query, **options)
        except NoCandidate:
            with pytest.raises(errors.NoCandidateError):
                artifact.decide(query, **options)
            continue
        except Novel:
            with pytest.raises(errors.NovelPromptError):
                artifact.decide(query, **options)
            continue
        decision = artifact.decide(query, **options)
        assert decision_values(decision) == decision_values(expected)
        assert decision.ranking[0].model == decision.model
        assert decision.reason in REASONS
        assert np.float32(decision.novelty) == novelty(reference, expected.distance)
        assert len({e.model for e in decision.ranking}) == len(decision.ranking)


@pytest.mark.slow
@settings(max_examples=300)
@given(question=questions(), data=st.data())
def test_after_failures_the_rest_of_the_ranking_follows(
    question: tuple[dict[str, Any], np.ndarray, dict[str, Any]], data: st.DataObject
) -> None:
    arguments, queries, options = question
    artifact = Artifact.build(**arguments)
    for query in queries:
        try:
            decision = artifact.decide(query, **options)
        except (errors.NoCandidateError, errors.NovelPromptError):
            continue
        # What the rule says without a conversation, in which the first choice has no head start.
        plain = {k: v for k, v in options.items() if k not in ("previous_model", "switch_cost")}
        left = [entry.model for entry in artifact.decide(query, **plain).ranking]
        while left:
            failed = data.draw(st.sampled_from(left))
            left.remove(failed)
            if not left:
                with pytest.raises(errors.NoCandidateError):
                    decision.after_failure(failed)
                break
            following = decision.after_failure(failed)
            assert following.reason == "fallback"
            found = [entry.model for entry in following.ranking]
            assert found[0] == following.model
            first = decision.model if decision.model in left else left[0]
            assert found == [first, *(model for model in left if model != first)]
            decision = following


@settings(max_examples=200)
@given(question=questions(min_success=0.0, max_cost_usd=None))
def test_decide_many_is_decide_row_by_row(
    question: tuple[dict[str, Any], np.ndarray, dict[str, Any]],
) -> None:
    arguments, queries, options = question
    artifact = Artifact.build(**arguments)
    singles = []
    for row, query in enumerate(queries):
        try:
            singles.append(artifact.decide(query, **options))
        except (errors.NoCandidateError, errors.NovelPromptError) as error:
            with pytest.raises(type(error), match=rf"vector {row}\b"):
                artifact.decide_many(queries, **options)
            return
    many = artifact.decide_many(queries, **options)
    assert len(many) == len(queries)
    assert many.models == artifact.models
    columns = (many.model_indices, many.clusters, many.distances, many.novelties, many.reason_codes)
    assert [c.dtype.name for c in columns] == ["int32", "int32", "float32", "float32", "uint8"]
    assert all(c.shape == (len(queries),) for c in columns)
    for i, single in enumerate(singles):
        assert many.models[many.model_indices[i]] == single.model
        assert many.clusters[i] == single.cluster
        assert many.distances[i] == single.distance
        assert many.novelties[i] == single.novelty
        assert many.reasons[many.reason_codes[i]] == single.reason
        assert decision_values(many[i]) == decision_values(single)
    with pytest.raises(IndexError):
        many[len(queries)]


FACTS = ("group", "prompt_chars", "input_tokens")


@pytest.mark.slow
@settings(max_examples=200)
@given(question=questions(min_success=0.0, max_cost_usd=None), data=st.data())
def test_facts_row_by_row_are_those_of_single_decisions(
    question: tuple[dict[str, Any], np.ndarray, dict[str, Any]], data: st.DataObject
) -> None:
    """A list states a fact of each row, and None leaves it out; other facts hold for all rows."""
    arguments, queries, options = question
    options = {k: v for k, v in options.items() if k not in ("max_cost_usd", "min_success")}
    options.pop("on_novel", None)
    artifact, reference = both(arguments)
    lists = data.draw(st.sets(st.sampled_from(FACTS), min_size=1))
    rows = [
        {k: v for k, v in facts(data.draw).items() if k in lists}
        | {k: v for k, v in options.items() if k not in lists}
        for _ in queries
    ]
    given_lists = {name: [row.get(name) for row in rows] for name in lists}
    kind = data.draw(st.sampled_from([list, tuple, iter, lambda v: np.array(v, object)]))
    try:
        expected = [decide(reference, q, **row) for q, row in zip(queries, rows, strict=True)]
    except NoCandidate:
        with pytest.raises(errors.NoCandidateError):
            artifact.decide_many(queries, **options | given_lists)
        return
    many = artifact.decide_many(queries, **options | {n: kind(v) for n, v in given_lists.items()})
    for single, query, row, right in zip(many, queries, rows, expected, strict=True):
        assert decision_values(single) == decision_values(right)
        assert decision_values(artifact.decide(query, **row)) == decision_values(right)


@pytest.mark.slow
@settings(max_examples=100)
@given(question=questions(min_success=0.0, max_cost_usd=None), data=st.data())
def test_pickles_and_explanations_know_the_facts(
    question: tuple[dict[str, Any], np.ndarray, dict[str, Any]], data: st.DataObject
) -> None:
    arguments, queries, options = question
    artifact = Artifact.build(**arguments)
    for name in ("allow", "deny", "max_cost_usd", "min_success", "on_novel"):
        options.pop(name, None)
    groups = [data.draw(st.sampled_from([None, "sql", "größer", "SQL"])) for _ in queries]
    many = artifact.decide_many(queries, **options | {"group": groups})
    copies = pickle.loads(pickle.dumps(many))
    for i, (single, group) in enumerate(zip(many, groups, strict=True)):
        assert single.group == (group if group in artifact.groups else None)
        assert single.unknown_group == (group is not None and group not in artifact.groups)
        assert single.to_dict()["group"] == single.group
        assert single.to_dict()["unknown_group"] == single.unknown_group
        for copy in (copies[i], pickle.loads(pickle.dumps(single))):
            assert decision_values(copy) == decision_values(single)
            if len(artifact.models) > 1:
                failed = data.draw(st.sampled_from(artifact.models))
                after, expected = copy.after_failure(failed), single.after_failure(failed)
                assert decision_values(after) == decision_values(expected)
                assert (after.group, after.reason) == (single.group, "fallback")
        plain = {k: v for k, v in options.items() if k not in ("previous_model", "switch_cost")}
        ranking = artifact.decide(queries[i], **plain | {"group": group}).ranking
        novel, _, estimates = artifact.explain(queries[i], **plain | {"group": group})
        found = [(e[0], e[1], *e[4:8]) for e in estimates]
        assert found == [
            (e.model, e.success, e.n, e.cost_usd, e.latency_s, e.utility) for e in ranking
        ]
        assert not (novel and single.group)


def test_exploring_draws_among_the_models_of_a_group() -> None:
    drawn = grouped_three()
    artifact = Artifact.build(**drawn)
    matrix = np.zeros((2000, 2), np.float32)
    groups = ["b", "unheard of"] * 1000
    many = artifact.decide_many(
        matrix, group=groups, explore=0.6, explore_seed=3, deny=["cheap"], max_cost_usd=5.0
    )
    again = artifact.decide_many(
        matrix, group=groups, explore=0.6, explore_seed=3, deny=["cheap"], max_cost_usd=5.0
    )
    assert (many.model_indices == again.model_indices).all()
    named = [many[i] for i in range(0, 2000, 2)]
    # Of group b the costs of both models are known: each is drawn with 0.3. Without a group
    # that of unknown is not, and dear is the only candidate.
    assert {d.propensity for d in named} == {1 - 0.6 + 0.3, 0.3}
    drawn_share = np.mean([d.reason == "explored" for d in named])
    assert 0.25 < drawn_share < 0.35
    others = [many[i] for i in range(1, 2000, 2)]
    assert {(d.model, d.propensity, d.unknown_group) for d in others} == {("dear", 1.0, True)}


@pytest.mark.slow
@given(drawn=values(guard_z=1e30, novelty_limit=1.0, min_success=0.0, max_cost_usd=None))
def test_a_guard_that_nothing_passes_gives_the_default(drawn: dict[str, Any]) -> None:
    drawn["gain_error"] = np.maximum(drawn["gain_error"], np.float32(0.1))
    assume(drawn["cost_weight"] < 1e9)
    assume(drawn["latency_weight"] < 1e9)
    artifact = Artifact.build(**drawn)
    for query in drawn["centroids"]:
        decision = artifact.decide(query)
        assert decision.model == artifact.default_model
        assert decision.reason == "default_no_evidence"


@pytest.mark.slow
@given(
    drawn=values(
        cost_weight=0.0,
        latency_weight=0.0,
        min_success=0.0,
        max_cost_usd=None,
        slopes=None,
        offsets=None,
    )
)
def test_equal_models_are_ranked_by_index_after_the_default(drawn: dict[str, Any]) -> None:
    """Ties go to the lower index, always."""
    drawn["success"] = np.full_like(drawn["success"], 0.7)
    artifact = Artifact.build(**drawn)
    default = drawn["models"][drawn["default_model"]]
    expected = [default, *(name for name in drawn["models"] if name != default)]
    for query in drawn["centroids"]:
        assert [e.model for e in artifact.decide(query).ranking] == expected
    if len(expected) > 1:
        decision = artifact.decide(drawn["centroids"][0], deny=[default])
        assert (decision.model, decision.reason) == (expected[1], "constrained")


def three(**changes: Any) -> Artifact:
    """Give one cluster at 0 and three models: cheap, dear, and one of unknown cost."""
    return Artifact.build(**three_values() | changes)


def grouped_three() -> dict[str, Any]:
    """Give the values of `three` with two groups, in the second of which all costs are known."""
    f32 = np.float32
    profile = {
        "names": ["a", "b"],
        "tasks": np.array([3.0, 4.0]),
        "counts": np.full((2, 3), 4.0),
        "mean": np.full((2, 3), 0.5, f32),
        "success": np.array([[0.5, 0.25, 0.125], [0.25, 0.5, 0.75]], f32),
        "standard_error": np.zeros((2, 3), f32),
        "gain_error": np.zeros((2, 3), f32),
        "cost": np.array([[0.25, 1.0, NAN], [0.25, 1.0, 2.0]], f32),
        "latency": np.ones((2, 3), f32),
    }
    return three_values() | {"group_profiles": profile}


def three_values() -> dict[str, Any]:
    """Give the values of `three`."""
    return {
        "models": ["cheap", "dear", "unknown"],
        "centroids": np.zeros((1, 2), np.float32),
        "counts": np.full((2, 3), 8.0),
        "mean": np.full((2, 3), 0.5, np.float32),
        "success": np.array([[0.5, 0.75, 0.875]] * 2, np.float32),
        "standard_error": np.zeros((2, 3), np.float32),
        "gain_error": np.zeros((2, 3), np.float32),
        "cost": np.array([[0.25, 1.0, NAN]] * 2, np.float32),
        "latency": np.array([[1.0, NAN, 3.0]] * 2, np.float32),
        "novelty": np.array([0.5, 1.0], np.float32),
        "embedder": embedder(2),
        "metadata": "{}",
        "default_model": 0,
    }


ORIGIN = np.zeros(2, np.float32)


def utilities(artifact: Artifact, **options: Any) -> dict[str, float]:
    return {e.model: e.utility for e in artifact.decide(ORIGIN, **options).ranking}


def test_unknown_cost_ranks_as_the_dearest() -> None:
    artifact = three()
    weighed = {"cheap": 0.5 - 0.125, "dear": 0.75 - 0.5, "unknown": 0.875 - 0.5}
    assert utilities(artifact, cost_weight=0.5) == weighed
    # A price is a known cost: it can be the dearest, and it can make the unknown known.
    weighed = {"cheap": 0.5 - 1.0, "dear": 0.75 - 0.5, "unknown": 0.875 - 1.0}
    assert utilities(artifact, cost_weight=0.5, prices={"cheap": 2.0}) == weighed
    weighed = {"cheap": 0.5 - 0.125, "dear": 0.75 - 0.5, "unknown": 0.875}
    assert utilities(artifact, cost_weight=0.5, prices={"unknown": 0.0}) == weighed
    # The dearest of the row counts, even where the caller does not allow it.
    assert utilities(artifact, cost_weight=0.5, deny=["dear"])["unknown"] == 0.875 - 0.5
    # Latency by the same rule.
    weighed = {"cheap": 0.5 - 0.25, "dear": 0.75 - 0.75, "unknown": 0.875 - 0.75}
    assert utilities(artifact, latency_weight=0.25) == weighed


def test_where_no_cost_is_known_it_is_nothing() -> None:
    artifact = three(cost=np.full((2, 3), NAN, np.float32))
    assert utilities(artifact, cost_weight=100.0) == {"unknown": 0.875, "dear": 0.75, "cheap": 0.5}


def test_unknown_cost_meets_no_limit() -> None:
    artifact = three()
    assert artifact.decide(ORIGIN).model == "unknown"
    limited = artifact.decide(ORIGIN, max_cost_usd=1e300)
    assert [e.model for e in limited.ranking] == ["dear", "cheap"]
    assert (limited.model, limited.reason) == ("dear", "constrained")
    priced = artifact.decide(ORIGIN, max_cost_usd=1.0, prices={"unknown": 1.0, "cheap": 1.5})
    assert [e.model for e in priced.ranking] == ["unknown", "dear"]
    assert priced.ranking[0].cost_usd == 1.0


def test_entries_say_what_is_unknown() -> None:
    unknown, dear, cheap = three().decide(ORIGIN).ranking
    assert (unknown.model, unknown.cost_usd, unknown.latency_s) == ("unknown", None, 3.0)
    assert (dear.model, dear.cost_usd, dear.latency_s) == ("dear", 1.0, None)
    assert (cheap.model, cheap.success, cheap.n) == ("cheap", 0.5, 8.0)


def test_policy_defaults_hold_until_a_call_says_otherwise() -> None:
    artifact = three(cost_weight=1.0, latency_weight=0.25, max_cost_usd=0.5, min_success=0.25)
    assert utilities(artifact) == {"cheap": 0.5 - 0.25 - 0.25}
    assert utilities(artifact, cost_weight=0.0, latency_weight=0.0) == {"cheap": 0.5}
    freed = utilities(artifact, cost_weight=0.0, latency_weight=0.0, max_cost_usd=1.0)
    assert freed == {"dear": 0.75, "cheap": 0.5}
    with pytest.raises(errors.NoCandidateError, match="min_success"):
        artifact.decide(ORIGIN, min_success=0.6)


def test_novel_means_beyond_the_limit() -> None:
    """At the limit a prompt is not novel; beyond it the row of the whole table decides."""
    artifact = three(
        novelty_limit=0.5, success=np.array([[0.5, 0.75, 0.875], [0.5, 0.25, 0.125]], np.float32)
    )
    at, beyond = (np.array([x, 0], np.float32) for x in (0.75, np.nextafter(np.float32(0.75), 1)))
    assert artifact.decide(at).novelty == 0.5
    assert (artifact.decide(at).model, artifact.decide(at).reason) == ("unknown", "routed")
    assert artifact.decide(beyond).novelty > 0.5
    far = artifact.decide(beyond)
    assert (far.model, far.reason, far.cluster) == ("cheap", "default_novel", 0)
    assert [e.success for e in far.ranking] == [0.5, 0.25, 0.125]


def test_a_flat_run_of_quantiles_does_not_divide_by_zero() -> None:
    artifact = three(novelty=np.array([0.0, 0.5, 0.5, 0.5, 1.0], np.float32))
    seen = [artifact.decide(np.array([x, 0], np.float32)).novelty for x in (0, 0.25, 0.5, 0.75, 1)]
    assert seen == [0.0, 0.125, 0.75, 0.875, 1.0]
    all_zero = three(novelty=np.zeros(3, np.float32))
    assert all_zero.decide(ORIGIN).novelty == 1.0


@pytest.mark.parametrize(
    "options",
    [{"allow": ["cheap", "nobody"]}, {"deny": ["nobody"]}, {"prices": {"nobody": 1.0}}],
    ids=["allow", "deny", "prices"],
)
@pytest.mark.parametrize("many", [False, True])
def test_an_unknown_model_is_named_with_the_known(options: dict[str, Any], many: bool) -> None:
    """An unknown name is an error, never an empty answer."""
    artifact = three()
    with pytest.raises(errors.UnknownModelError) as caught:
        artifact.decide_many(ORIGIN[None], **options) if many else artifact.decide(
            ORIGIN, **options
        )
    message = str(caught.value)
    assert next(iter(options)) in message
    for name in ("nobody", "cheap", "dear", "unknown"):
        assert name in message


@pytest.mark.parametrize("name", ["", "CHEAP", "cheap ", "cheap\0", "\ud800"])
def test_names_are_compared_whole(name: str) -> None:
    """Nor is a name that nearly fits."""
    with pytest.raises((errors.UnknownModelError, UnicodeEncodeError)):
        three().decide(ORIGIN, allow=[name])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"allow": []}, "allow"),
        ({"deny": ["cheap", "dear", "unknown"]}, "deny"),
        ({"allow": ["dear"], "deny": ["dear"]}, "allow"),
        ({"max_cost_usd": 0.1}, "max_cost_usd"),
        ({"min_success": 0.9}, "min_success"),
        ({"max_cost_usd": 0.5, "min_success": 0.6}, "max_cost_usd"),
        ({"max_cost_usd": 0.5, "min_success": 0.6}, "min_success"),
        ({"allow": ["unknown"], "max_cost_usd": 9.0}, "max_cost_usd"),
    ],
)
def test_limits_that_leave_no_model_are_named(options: dict[str, Any], named: str) -> None:
    with pytest.raises(errors.NoCandidateError, match=named) as caught:
        three().decide(ORIGIN, **options)
    assert isinstance(caught.value, errors.PolicyError)
    assert isinstance(caught.value, ValueError)


def test_decide_many_names_the_row_that_has_no_candidate() -> None:
    artifact = three(
        novelty_limit=0.5, success=np.array([[0.5, 0.75, 0.875], [0.5, 0.25, 0.125]], np.float32)
    )
    matrix = np.array([[0, 0], [0, 0], [9, 9], [0, 0]], np.float32)
    with pytest.raises(errors.NoCandidateError, match=r"vector 2\b.*min_success"):
        artifact.decide_many(matrix, min_success=0.6)
    assert len(artifact.decide_many(matrix[:2], min_success=0.6)) == 2


BAD_NUMBERS = [NAN, INF, -INF, -1.0, -1e-300]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((n, v) for n in ("cost_weight", "latency_weight") for v in BAD_NUMBERS),
        *(("max_cost_usd", v) for v in BAD_NUMBERS if v != INF),
        *(("min_success", v) for v in (*BAD_NUMBERS, 1.2, float(np.nextafter(1.0, 2.0)))),
    ],
)
@pytest.mark.parametrize("many", [False, True])
def test_options_out_of_range(name: str, value: float, many: bool) -> None:
    artifact = three()
    ask = artifact.decide_many if many else artifact.decide
    with pytest.raises(errors.PolicyError, match=name) as caught:
        ask(ORIGIN[None] if many else ORIGIN, **{name: value})
    assert type(caught.value) is errors.PolicyError
    said = float(str(caught.value).split(" is ")[1].split(";")[0])
    assert said == value or (np.isnan(said) and np.isnan(value))


@pytest.mark.parametrize("value", BAD_NUMBERS)
def test_prices_out_of_range(value: float) -> None:
    with pytest.raises(errors.PolicyError, match=r"prices.*dear"):
        three().decide(ORIGIN, prices={"cheap": 1.0, "dear": value})


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"cost_weight": "1"}, "cost_weight: expected a number, got str"),
        ({"min_success": [0.5]}, "min_success: expected a number, got list"),
        ({"allow": "cheap"}, "allow: expected names of models.*got str"),
        ({"deny": 3}, "deny: expected names of models.*got int"),
        ({"allow": ["cheap", 3]}, "allow: expected names of models.*got int"),
        ({"prices": [1.0]}, "prices: expected a mapping.*got list"),
        ({"prices": {3: 1.0}}, "prices: expected a name.*got int"),
        ({"prices": {"cheap": "1"}}, "prices: expected a number, or a pair.*got str"),
        ({"prices": {"cheap": None}}, "prices: expected a number, or a pair.*got NoneType"),
        ({"nobody": 1}, "unexpected keyword argument 'nobody'"),
    ],
)
def test_options_of_the_wrong_type(options: dict[str, Any], named: str) -> None:
    with pytest.raises(TypeError, match=named):
        three().decide(ORIGIN, **options)


def test_options_are_given_by_name() -> None:
    with pytest.raises(TypeError):
        three().decide(ORIGIN, 0.5)  # type: ignore[misc]


def test_options_of_any_collection() -> None:
    artifact = three()
    for allow in (["dear"], ("dear",), ["dear", "dear"], {"dear"}, {"dear": 1}.keys()):
        assert artifact.decide(ORIGIN, allow=allow).model == "dear"
    for prices in ({"cheap": 9.0}, MappingProxyType({"cheap": 9.0})):
        ranking = artifact.decide(ORIGIN, prices=prices).ranking
        assert {entry.model: entry.cost_usd for entry in ranking}["cheap"] == 9.0
    assert artifact.decide(ORIGIN, deny=[], prices={}).model == "unknown"


SOFT = {"sharpness": 2.0, "n_nearest": 2}
CORRECTION = {
    "slopes": np.array([[0.25, 0], [0, 0], [0, -0.5]], np.float32),
    "offsets": np.array([0.0625, 0, 0], np.float32),
}


def test_sections_that_are_not_there_are_none() -> None:
    plain, soft, corrected = three(), three(**SOFT), three(**CORRECTION)
    assert (plain.sharpness, plain.n_nearest, plain.slopes, plain.offsets) == (None,) * 4
    assert (soft.sharpness, soft.n_nearest, soft.slopes, soft.offsets) == (2.0, 2, None, None)
    assert (corrected.sharpness, corrected.n_nearest) == (None, None)
    assert corrected.slopes is not None
    assert corrected.offsets is not None
    assert corrected.slopes.tolist() == CORRECTION["slopes"].tolist()
    assert corrected.offsets.tolist() == CORRECTION["offsets"].tolist()
    assert not corrected.slopes.flags.writeable
    assert not corrected.offsets.flags.writeable
    assert three(sharpness=2.0).n_nearest == 8
    assert [a.version for a in (plain, soft, corrected)] == [(1, 0), (1, 1), (1, 1)]
    assert three(n_nearest=3).to_bytes() == plain.to_bytes(), "without sharpness it means nothing"


def test_a_linear_correction_worked_out_by_hand() -> None:
    query = np.array([0.5, 0.25], np.float32)
    ranking = three(**CORRECTION, novelty_limit=1.0).decide(query).ranking
    corrected = {"cheap": 0.5 + 0.0625 + 0.125, "dear": 0.75, "unknown": 0.875 - 0.125}
    assert {e.model: e.success for e in ranking} == corrected


@pytest.mark.parametrize(
    "added", [SOFT, CORRECTION, {**SOFT, **CORRECTION}], ids=["soft", "correction", "both"]
)
def test_a_ranking_read_late_is_that_of_its_vector(added: dict[str, Any]) -> None:
    """The caller's array may have changed, and the decisions may come out of order."""
    artifact = three(**added, novelty=np.array([8.0, 9.0], np.float32))
    matrix = np.array([[0, 0], [1, 0.5], [-0.5, 1], [0.75, 0.75]], np.float32)
    alone = [decision_values(decide(read(artifact.to_bytes()), row)) for row in matrix]
    given = matrix.copy()
    many, single = artifact.decide_many(given), artifact.decide(given[1])
    given[:] = 7.0
    assert decision_values(single) == alone[1]
    assert [decision_values(many[i]) for i in (3, 0, -2, 1)] == [alone[i] for i in (3, 0, 2, 1)]
    kept = list(many)
    del many
    assert [decision_values(d) for d in kept] == alone
    assert len(artifact.decide_many(np.zeros((0, 2), np.float32))) == 0


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"sharpness": 0.0}, errors.ArtifactError, "SOFT, value 0"),
        ({"sharpness": NAN}, errors.ArtifactError, "SOFT, value 0"),
        ({"sharpness": INF}, errors.ArtifactError, "SOFT, value 0"),
        ({"sharpness": -1.0}, errors.ArtifactError, "SOFT, value 0"),
        ({"sharpness": 1.0, "n_nearest": 0}, errors.ArtifactError, "SOFT, value 1.*1 to 16"),
        ({"sharpness": 1.0, "n_nearest": 17}, errors.ArtifactError, "SOFT, value 1.*1 to 16"),
        ({"sharpness": 1.0, "n_nearest": -1}, errors.ArtifactError, "SOFT, value 1.*1 to 16"),
        ({"sharpness": "1"}, TypeError, "sharpness"),
        ({"slopes": CORRECTION["slopes"]}, TypeError, "slopes and offsets"),
        ({"offsets": CORRECTION["offsets"]}, TypeError, "slopes and offsets"),
        ({**CORRECTION, "slopes": np.zeros((3, 3), np.float32)}, errors.ArtifactError, "SLOP"),
        ({**CORRECTION, "offsets": np.zeros(2, np.float32)}, errors.ArtifactError, "SLOP"),
        ({**CORRECTION, "slopes": np.full((3, 2), NAN, np.float32)}, errors.ArtifactError, "SLOP"),
        ({**CORRECTION, "offsets": np.full(3, INF, np.float32)}, errors.ArtifactError, "SLOP"),
        ({**CORRECTION, "slopes": np.zeros((3, 2))}, errors.VectorError, "slopes.*float32"),
        ({**CORRECTION, "offsets": np.zeros(3)}, errors.VectorError, "offsets.*float32"),
        (
            {**CORRECTION, "slopes": np.zeros((2, 3), np.float32).T},
            errors.VectorError,
            "slopes.*strides",
        ),
    ],
)
def test_build_refuses_values_that_cannot_blend_or_correct(
    change: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        three(**change)


def test_a_decision_does_not_change_the_artifact() -> None:
    artifact = three()
    before = artifact.to_bytes()
    artifact.decide(ORIGIN, cost_weight=5.0, prices={"dear": 0.0}, deny=["cheap"])
    assert artifact.to_bytes() == before
    assert artifact.decide(ORIGIN).model == "unknown"
    for name in ("models", "dim", "default_model"):
        with pytest.raises(AttributeError):
            setattr(artifact, name, None)
    with pytest.raises(AttributeError):
        artifact.decide(ORIGIN).model = "dear"  # type: ignore[misc]
