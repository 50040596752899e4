"""The route options, and the reasons of decisions, are the same wherever they are spelled.

Not here: the effect of an option (`test_rule.py`) and wrong values (`test_arguments.py`).
"""

from __future__ import annotations

import argparse
import ast
import inspect
from functools import partial
from pathlib import Path

import pytest

import hypernova
from hypernova import Artifact, BatchRouteOptions, RouteOptions, Router
from hypernova.cli import route
from hypernova.integrations.request_options import _CHECKS, OPERATOR_ONLY
from hypernova.router.explanation import REASONS
from support.paths import ROOT

PACKAGE = Path(hypernova.__file__).parent
OPTIONS = list(RouteOptions.__annotations__)
UNPACKED = "Unpack[RouteOptions]"
OF_A_BATCH = "Unpack[BatchRouteOptions]"
ROUTER = Router.open()
BUNDLED = ROUTER.artifact


def keyword_arguments(path: Path) -> dict[str, str]:
    """By the name of each function of a file that has ``**options``, their annotation."""
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return {
        node.name: ast.unparse(node.args.kwarg.annotation)
        for node in functions
        if node.args.kwarg and node.args.kwarg.arg == "options" and node.args.kwarg.annotation
    }


def test_there_are_fifteen_of_a_prompt_and_of_a_batch() -> None:
    assert len(OPTIONS) == 15
    assert list(BatchRouteOptions.__annotations__) == OPTIONS
    own = {
        n
        for n, t in RouteOptions.__annotations__.items()
        if t != BatchRouteOptions.__annotations__[n]
    }
    assert own == {"group", "prompt_chars", "input_tokens"}


def test_the_signature_of_decide_spells_them_out() -> None:
    parameters = inspect.signature(Artifact.decide).parameters.values()
    keywords = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    assert [p.name for p in keywords] == OPTIONS
    assert {p.default for p in keywords} == {None}


@pytest.mark.parametrize("name", [*OPTIONS, "cost"])
def test_each_other_method_of_the_core_takes_them_and_no_others(name: str) -> None:
    lookup = ROUTER.embedder._lookup()
    calls = {
        "Artifact.decide_many": partial(BUNDLED.decide_many, BUNDLED.centroids),
        "Artifact.explain": partial(BUNDLED.explain, BUNDLED.centroids[0]),
        "Artifact.rank_unread": BUNDLED.rank_unread,
        "LookupEmbedder.route": partial(lookup.route, BUNDLED, "One"),
        "LookupEmbedder.route_turns": partial(lookup.route_turns, BUNDLED, "One", "two"),
        "LookupEmbedder.route_many": partial(lookup.route_many, BUNDLED, ["One", "two"]),
    }
    for method, call in calls.items():
        if name in OPTIONS:
            call(**{name: None})
            with pytest.raises((TypeError, ValueError)):  # it is read, and not passed over
                call(**{name: object()})
        else:
            with pytest.raises(TypeError) as caught:
                call(**{name: None})
            words = f"{method}() got an unexpected keyword argument {name!r}"
            assert str(caught.value) == words


def test_the_stub_and_the_router_refer_to_them() -> None:
    stub = keyword_arguments(PACKAGE / "_core.pyi")
    of_one = ("decide", "explain", "rank_unread", "route", "route_turns")
    of_many = ("decide_many", "route_many")
    assert stub == dict.fromkeys(of_one, UNPACKED) | dict.fromkeys(of_many, OF_A_BATCH)
    router = keyword_arguments(PACKAGE / "router" / "router.py")
    methods = dict.fromkeys(("route", "aroute", "explain", "decide"), UNPACKED)
    methods |= dict.fromkeys(("route_many", "decide_many"), OF_A_BATCH)
    assert {name: router.get(name) for name in methods} == methods


def test_litellm_refers_to_them() -> None:
    found = keyword_arguments(PACKAGE / "integrations" / "litellm.py")
    assert found
    assert set(found.values()) == {UNPACKED}


def test_each_is_the_operators_or_checked_for_a_request() -> None:
    assert sorted([*OPERATOR_ONLY, *_CHECKS]) == sorted(OPTIONS)


def test_the_body_of_a_request_has_them() -> None:
    schemas = pytest.importorskip("hypernova.integrations.server.http.schemas")
    # A draw that a client can repeat is none; the length of a text that is sent is known; a batch
    # is no conversation, and has a group for each of its texts.
    one = set(OPTIONS) - {"explore_seed", "prompt_chars"}
    assert set(schemas.RouteRequest.model_fields) == one | {"text", "messages"}
    many = one - {"previous_model", "switch_cost", "input_tokens"}
    assert set(schemas.BatchRequest.model_fields) == many | {"texts", "groups"}


def test_the_command_line_has_them() -> None:
    commands = argparse.ArgumentParser().add_subparsers()
    route.add_to(commands)
    others = {"help", "text", "artifact", "embedder", "device", "json", "explain"}
    others |= {"input", "output", "engine", "jobs"}
    # Prices can come from a file, too; the length of a text that is given is known.
    others |= {"price_file"}
    flags = {action.dest for action in commands.choices["route"]._actions}
    assert flags - others == set(OPTIONS) - {"explore_seed", "prompt_chars", "input_tokens"}


def test_each_reason_has_one_text() -> None:
    decisions = BUNDLED.decide_many(BUNDLED.centroids[:1])
    assert set(REASONS) == set(decisions.reasons)
    documentation = " ".join((hypernova.Decision.reason.__doc__ or "").split())
    page = (ROOT / "docs" / "decision-rule.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{name}` | {text} |" for name, text in REASONS.items()]
    assert documentation.endswith(" ".join(f"- ``{n}``: {text}" for n, text in REASONS.items()))
