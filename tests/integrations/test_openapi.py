"""The server keeps to the OpenAPI document that it gives out: schemathesis tries to find a gap.

Not here: what single answers say (`test_serve.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from support.factories import fitted_to_example
from support.server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES_EACH = 40
TOKEN = "s3cret"
GUARDED = {"authorization": f"Bearer {TOKEN}"}
# Whether a text holds a token, or a name is one of the artifact's, no schema says. And its
# request without a token has ours, for that comes with every request (`test_serve.py` asks that).
UNASKED = [positive_data_acceptance, ignored_auth]

load_all_checks()


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("openapi")
    (folder / "token").write_text(TOKEN)
    fitted_to_example(3).save(folder / "r.hnv")
    options = ("-a", folder / "r.hnv", "--token-file", folder / "token", "--log", folder / "log")
    with serving(*options) as server:
        yield schemathesis.openapi.from_url(f"{server.url}/openapi.json", headers=GUARDED)
        # Whatever came, it is up, and nothing of it was our failure.
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        assert not any("Traceback" in line for line in server.lines)


@pytest.mark.slow
def test_the_document_names_every_path(schema: Any) -> None:
    assert set(schema.raw_schema["paths"]) == {
        "/healthz", "/livez", "/metrics", "/readyz", "/v1/artifact", "/v1/explain",
        "/v1/outcomes", "/v1/recent", "/v1/route", "/v1/route/batch",
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_every_answer_is_as_stated(schema: Any, mode: GenerationMode) -> None:
    """With bodies that the document allows, and with such as it does not."""
    asked = 0
    for operation in (result.ok() for result in schema.get_all_operations()):
        if mode is GenerationMode.NEGATIVE and operation.method == "get":
            continue  # nothing to get wrong

        @settings(max_examples=EXAMPLES_EACH)
        @given(case=operation.as_strategy(generation_mode=mode))
        def holds(case: schemathesis.Case) -> None:
            nonlocal asked
            asked += 1
            case.call_and_validate(headers=GUARDED, excluded_checks=UNASKED)

        holds()
    assert asked > EXAMPLES_EACH
