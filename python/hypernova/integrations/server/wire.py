"""What requests and answers look like. Not here: what is done with them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    WrapValidator,
)
from pydantic_core import to_json

from hypernova.integrations.server.faults import FaultError

if TYPE_CHECKING:
    from collections.abc import Iterable

# Larger numbers mean nothing, and their products would not be numbers of JSON any more.
Amount = Annotated[float, Field(ge=0, le=1e12)]
# JSON has no infinity: as a text it lifts the artifact's default limit.
Limit = Annotated[
    Amount,
    WrapValidator(lambda value, check: math.inf if value == "inf" else check(value)),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1e12}, {"const": "inf"}]}
    ),
]
Name = Annotated[str, StringConstraints(min_length=1)]
Body = TypeVar("Body", bound="Strict")


class Strict(BaseModel):
    """A body: no unknown field, no text for a number, no NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Turn(BaseModel):
    """A turn of a conversation, as the OpenAI chat protocol has it; other fields are ignored."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    role: Name
    content: str | list[dict[str, Any]] | None = None


class WishesBody(Strict):
    """What a caller may ask for; what is left out, or null, is the artifact's default."""

    cost_weight: Amount | None = Field(None, description="success per USD")
    latency_weight: Amount | None = Field(None, description="success per second")
    max_cost_usd: Limit | None = Field(None, description='"inf" is no limit')
    min_success: float | None = Field(None, ge=0, le=1)
    allow: list[Name] | None = Field(None, description="models to choose from")
    deny: list[Name] | None = Field(None, description="models not to choose")
    prices: dict[Name, Amount] | None = Field(None, description="expected USD of a task by model")
    explore: float | None = Field(None, ge=0, le=1, description="chance of a model drawn by lot")
    on_novel: Literal["default", "best_overall", "error"] | None = None

    def wishes(self) -> dict[str, Any]:
        """Those that were sent, as `hypernova.Router.route` takes them."""
        return self.model_dump(
            exclude={"text", "texts", "messages"}, exclude_none=True, exclude_unset=True
        )


class RouteBody(WishesBody):
    """One prompt: ``text`` or ``messages``."""

    text: str | None = Field(None, min_length=1)
    messages: list[Turn] | None = Field(None, min_length=1)
    previous_model: Name | None = Field(None, description="model of the conversation so far")
    switch_cost: Amount | None = Field(None, description="success that a switch must gain")


class BatchBody(WishesBody):
    """Many prompts under the same wishes."""

    texts: list[Annotated[str, Field(min_length=1)]] = Field(min_length=1)


class OutcomeBody(Strict):
    """How a decision turned out."""

    id: str = Field(pattern="^[0-9a-f]{32}$", description="of the decision")
    score: float = Field(ge=0, le=1)
    model: Name | None = Field(None, description="what answered, if not the decision's model")
    cost_usd: Amount | None = None
    latency_s: Amount | None = None


class Entry(BaseModel):
    """A model's place in a ranking."""

    model: str
    success: float
    cost_usd: float | None
    latency_s: float | None
    n: float
    utility: float


class Answer(BaseModel):
    """A decision."""

    id: str
    model: str
    reason: str
    propensity: float
    cluster: int
    distance: float
    novelty: float
    ranking: list[Entry]
    artifact: str


class BatchAnswer(BaseModel):
    """The decisions, in the order of the texts."""

    decisions: list[Answer]


class OutcomeAnswer(BaseModel):
    """An outcome was written to the log."""

    id: str
    recorded: Literal[True]


class ArtifactAnswer(BaseModel):
    """What decides."""

    sha256: str
    models: list[str]
    default_model: str
    clusters: int
    embedder: str
    policy: dict[str, Any]
    format: str
    version: str


class HealthAnswer(BaseModel):
    """The server is up, and its artifact open."""

    status: Literal["ok"]


class Fault(BaseModel):
    """An error."""

    error: str = Field(description="a stable code")
    message: str = Field(description="one line for people")


def parse(kind: type[Body], body: bytes) -> Body:
    """Read a body.

    Raises:
        FaultError: It is not JSON, or not what ``kind`` says.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        message = f"{place}: {first['msg']}" if place else first["msg"]
        raise FaultError(400, "bad_request", " ".join(message.split())) from None


def encode(answer: object) -> bytes:
    """JSON in UTF-8."""
    return to_json(answer)


def schemas(kinds: Iterable[type[BaseModel]]) -> dict[str, Any]:
    """The JSON schemas of bodies for OpenAPI's components, by name."""
    found: dict[str, Any] = {}
    for kind in kinds:
        schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
        found |= schema.pop("$defs", {})
        found[kind.__name__] = schema
    return found
