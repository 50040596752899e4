"""The example with Ray Serve, on a real Ray: replicas, a model that fails, and the log.

Not here: the program on it (`support/ray_serving.py`). Serve is in an environment of its own:
`make test-beside`.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

import hypernova
from support.factories import fitted_to_example
from support.process_tree import PROC
from support.ray_programs import run_on_ray, short_folder
from support.ray_serving import MESSAGES, REQUESTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Serve needs it, and Ray Data does not.
pytestmark = pytest.mark.skipif(
    find_spec("ray") is None or find_spec("aiohttp") is None or not PROC.is_dir(),
    reason="Ray Serve NOT run: `make test-beside`, where there is /proc",
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with short_folder() as folder:
        fitted_to_example(4).save(folder / "router.hnv")
        yield folder


@pytest.fixture(scope="module")
def ranking(folder: Path) -> list[str]:
    decision = hypernova.Router.open(folder / "router.hnv").route(messages=MESSAGES)
    return [entry.model for entry in decision.ranking][:3]


@pytest.fixture(scope="module")
def found(folder: Path, ranking: list[str]) -> dict[str, Any]:
    """What came of the requests to a deployment whose first model fails."""
    return run_on_ray("support.ray_serving", folder, *ranking, timeout_s=400)[1]


def test_the_next_model_answers_for_one_that_fails(
    found: dict[str, Any], ranking: list[str]
) -> None:
    assert len(found["answers"]) == REQUESTS
    assert {answer["model"] for answer in found["answers"]} == {ranking[1]}
    assert {answer["text"] for answer in found["answers"]} == {
        f"from {ranking[1]}, after 1 messages"
    }


def test_the_error_of_the_last_model_is_the_answer(found: dict[str, Any]) -> None:
    assert found["none left"] == 500


def test_every_replica_logs_and_all_map_one_file(
    found: dict[str, Any], folder: Path, ranking: list[str]
) -> None:
    assert found["mapping"] == 2
    log = folder / "outcomes"
    with hypernova.OutcomeLog(log) as scores:
        for answer in found["answers"]:
            scores.record_outcome(answer["id"], 1.0)
    read = hypernova.read_log(log)
    assert {joined.decision.model for joined in read} == {ranking[1]}
    assert read.tally.failed_by_model == {ranking[0]: REQUESTS + 1}
    assert len(list(log.iterdir())) >= 3  # of the replicas, then of this process


def test_ray_writes_nothing_in_the_home(found: dict[str, Any], folder: Path) -> None:
    assert list((folder / "home").iterdir()) == []
