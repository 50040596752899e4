"""Options of the wrong type or out of range: one line, before any work is done.

Not here: the options of one decision (test_rule), and what a table must hold (test_table).
"""

from __future__ import annotations

import importlib
import math

import numpy as np
import pytest

import hypernova
from hypernova.cli import main
from hypernova.errors import (
    EvaluationError,
    FitError,
    HypernovaError,
    ModelPoolError,
    RecalibrateError,
)
from support.paths import TABLE


@pytest.fixture(scope="module")
def table() -> hypernova.OutcomeTable:
    return hypernova.OutcomeTable.read(TABLE)


@pytest.fixture
def nothing_is_embedded(monkeypatch) -> None:
    def work(*_: object, **__: object) -> None:
        raise AssertionError("the options were not looked at before the work")

    # By name: the functions of these names hide their modules.
    for module in ("hypernova.training.fit", "hypernova.evaluation.evaluate"):
        monkeypatch.setattr(importlib.import_module(module), "embed_table", work)


def one_line(error: HypernovaError, *parts: str) -> None:
    message = str(error)
    assert message.isprintable()
    assert len(message) < 300
    for part in parts:
        assert part in message


SHARED = [
    *(("seed", value) for value in (-1, 1.5, None, True, "1", np.float64(2))),
    *(("clusters", value) for value in (2.0, True, None, "many", 0, -3)),
    *(("cluster_prompts", value) for value in ("prompts.txt", 5, [1, 2], [""], b"text")),
    *(("table", value) for value in (None, str(TABLE), TABLE, [])),
]
FIT = [
    *(("cost_weight", value) for value in (math.nan, -1, math.inf, "x", None, 10**400, True)),
    *(("target_cost", value) for value in (math.nan, -1, math.inf, "1")),
    *(("target_accuracy", value) for value in (math.nan, 7, -0.1, "1")),
]
EVALUATE = [
    *(("folds", value) for value in (1, -1, "5", 2.5, True)),
    *(("repeats", value) for value in (0, 10**12, None)),
    *(("jobs", value) for value in (0, 1.5, "2", True)),
]


@pytest.mark.parametrize(("name", "value"), SHARED + FIT)
def test_fit_refuses(name, value, table, nothing_is_embedded) -> None:
    arguments = {"table": table, name: value}
    with pytest.raises(FitError) as caught:
        hypernova.fit(arguments.pop("table"), **arguments)
    one_line(caught.value, name, "expected")


@pytest.mark.parametrize(("name", "value"), SHARED + EVALUATE)
def test_evaluate_refuses(name, value, table, nothing_is_embedded) -> None:
    arguments = {"table": table, name: value}
    with pytest.raises((FitError, EvaluationError)) as caught:
        hypernova.evaluate(arguments.pop("table"), **arguments)
    one_line(caught.value, name, "expected")


@pytest.mark.slow
def test_whole_numbers_of_numpy_are_whole_numbers(table) -> None:
    plain = hypernova.fit(table, clusters=2, seed=3)
    assert hypernova.fit(table, clusters=np.int64(2), seed=np.int32(3)).models == plain.models


def test_changes_of_models_refuse_what_is_no_table_and_no_list(table, tmp_path) -> None:
    artifact = hypernova.Router.open().artifact
    for call, part in (
        (lambda: hypernova.add_model(artifact, str(TABLE)), "OutcomeTable.read"),
        (lambda: hypernova.next_prompts(artifact, ["x"], scored=str(TABLE)), "OutcomeTable.read"),
        (lambda: hypernova.next_prompts(artifact, "the letters of a text"), "read_prompts"),
        (lambda: hypernova.next_prompts(artifact, ["x"], count="5"), "count is '5'"),
        (lambda: hypernova.rename_model(artifact, artifact.models[0], 5), "5 is no name"),
    ):
        with pytest.raises(ModelPoolError) as caught:
            call()
        one_line(caught.value, part)
    for options in ({"half_life": "7"}, {"half_life": True}, {"max_weight": None}):
        with pytest.raises(RecalibrateError) as caught:
            hypernova.recalibrate(artifact, tmp_path, **options)
        one_line(caught.value, *options)
    # One name is one name, as for remove_model, and not its letters.
    with pytest.raises(ModelPoolError, match="no outcome of the model 'simulated-none'"):
        hypernova.add_model(artifact, table, models="simulated-none")


HUGE = "9" * 5000


@pytest.mark.parametrize(
    "arguments",
    [
        f"fit {TABLE} -o OUT --seed -1",
        f"fit {TABLE} -o OUT --seed {HUGE}",
        f"fit {TABLE} -o OUT --clusters 1000000000",
        f"fit {TABLE} -o OUT --clusters {HUGE}",
        f"fit {TABLE} -o OUT --cost-weight nan",
        f"fit {TABLE} -o OUT --cost-weight=-1",
        f"fit {TABLE} -o OUT --cost-weight 1e999",
        f"fit {TABLE} -o OUT --target-cost nan",
        f"fit {TABLE} -o OUT --target-accuracy 7",
        f"evaluate {TABLE} --folds -1",
        f"evaluate {TABLE} --folds 99999999999",
        f"evaluate {TABLE} --repeats 0",
        f"evaluate {TABLE} --repeats 1000000000000",
        f"evaluate {TABLE} --jobs 0",
        f"evaluate {TABLE} --seed=-1",
        f"evaluate {TABLE} --clusters 1000000000",
        "route hi --price a=x",
        "route hi --price =1",
        "route hi --cost-weight nan",
        "route hi --latency-weight 1e999",
        "route hi --min-success 7",
        "route hi --explore nan",
        "route hi --switch-cost -1",
        "route hi --previous-model nobody",
        "recalibrate OUT . -o OUT --half-life nan",
        "next-prompts OUT OUT -n 0",
        f"next-prompts OUT OUT -n {HUGE}",
        "export-embedder none -o OUT --lead-weight x",
        "datasets convert swebench none none -o OUT --drop-inconsistent nan",
    ],
    ids=lambda line: line.replace(str(TABLE), "TABLE").replace(HUGE, "HUGE"),
)
def test_the_command_line_refuses(
    arguments, capsys, tmp_path, nothing_is_embedded, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code = main(arguments.split())
    except SystemExit as stopped:
        code = stopped.code
    said = capsys.readouterr()
    assert said.out == ""
    assert code in (1, 2)
    assert said.err.splitlines()[-1].startswith("hypernova"), said.err[-500:]
    if code == 1:
        assert said.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
