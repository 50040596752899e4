"""Request and response models of the server, as OpenAPI shows them.

Not here: reading bodies (`bodies`), and the paths that use these models (`app`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema


@dataclass(frozen=True)
class OneError:
    """Give a field that holds one of several kinds of value one error, which names all of them.

    Pydantic has an error for each kind, at a place with a part that is no part of the request.

    Args:
        message: The error, without braces.
    """

    message: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Add the error to the union that the field is."""
        schema = handler(source)
        assert schema["type"] == "union"
        return {**schema, "custom_error_type": "one_of", "custom_error_message": self.message}


# Products of larger numbers would overflow, and JSON has no infinity.
Amount = Annotated[float, Field(ge=0, le=1e12)]
# The string "inf" lifts the artifact's default limit.
Limit = Annotated[
    Amount,
    WrapValidator(lambda value, check: math.inf if value == "inf" else check(value)),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1e12}, {"const": "inf"}]}
    ),
]
Name = Annotated[str, StringConstraints(min_length=1)]
# Fields that are no options.
_PROMPTS = {"text", "texts", "messages", "groups"}
Price = Annotated[
    Amount | Annotated[list[Amount], Field(min_length=2, max_length=2)],
    OneError("expected a number from 0 to 1e12, or a list of two"),
]
# The router refuses an empty one as it does one of spaces, with a code of its own.
Text = Annotated[str, Field(json_schema_extra={"minLength": 1})]


class RequestBody(BaseModel):
    """A request body: no unknown field, no text in place of a number, no NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Message(BaseModel):
    """A message of the OpenAI chat protocol; other fields are ignored.

    Items of the responses protocol that are no messages have a type and no role.
    """

    model_config = ConfigDict(
        extra="allow",
        strict=True,
        allow_inf_nan=False,
        json_schema_extra={"anyOf": [{"required": ["role"]}, {"required": ["type"]}]},
    )

    role: Name | None = None
    type: Name | None = Field(None, description="of an item without a role, which is not read")
    content: (
        Annotated[str | list[dict[str, Any]], OneError("expected a string or an array of objects")]
        | None
    ) = None

    @model_validator(mode="after")
    def _has_role_or_type(self) -> Self:
        if self.role is None and self.type is None:
            raise PydanticCustomError("no_role", "role is missing, expected a str such as 'user'")
        return self


class OptionsRequest(RequestBody):
    """Route options; a field that is missing or null takes the artifact's default."""

    cost_weight: Amount | None = Field(None, description="success per USD")
    latency_weight: Amount | None = Field(None, description="success per second")
    max_cost_usd: Limit | None = Field(None, description='"inf" is no limit')
    min_success: float | None = Field(None, ge=0, le=1)
    allow: list[Name] | None = Field(None, description="models to choose from")
    deny: list[Name] | None = Field(None, description="models not to choose")
    prices: dict[Name, Price] | None = Field(
        None,
        description="by model, expected USD of a task, or USD of a million input and of a million "
        "output tokens",
    )
    explore: float | None = Field(
        None, ge=0, le=1, description="probability of drawing the model at random"
    )
    on_novel: Literal["default", "best_overall", "error"] | None = None
    group: str | None = Field(None, description="group of the prompt")

    def options(self) -> dict[str, Any]:
        """Return the options that were sent, as `hypernova.Router.route` takes them."""
        if self.model_fields_set <= _PROMPTS:
            return {}
        return self.model_dump(exclude=_PROMPTS, exclude_none=True, exclude_unset=True)


class RouteRequest(OptionsRequest):
    """One prompt: ``text`` or ``messages``."""

    text: Text | None = None
    messages: Annotated[list[Message], Field(json_schema_extra={"minItems": 1})] | None = None
    previous_model: Name | None = Field(None, description="model of the conversation so far")
    switch_cost: Amount | None = Field(
        None, description="utility that a switch of models must gain"
    )
    input_tokens: Amount | None = Field(None, description="tokens of the prompt, where known")


class BatchRequest(OptionsRequest):
    """Many prompts with the same options."""

    texts: list[Text] = Field(min_length=1)
    groups: list[str | None] | None = Field(
        None, description="group of each prompt, in place of one for all"
    )

    @model_validator(mode="after")
    def _has_a_group_for_each(self) -> Self:
        if self.groups is None:
            return self
        if len(self.groups) != len(self.texts):
            found = f"groups has {len(self.groups)} entries for {len(self.texts)} texts"
            raise PydanticCustomError("groups", found)
        if self.group is not None:
            raise PydanticCustomError("groups", "send either group or groups")
        return self

    def options(self) -> dict[str, Any]:
        """As `OptionsRequest.options`, with the group of each prompt."""
        options = super().options()
        return options if self.groups is None else {**options, "group": self.groups}


class OutcomeRequest(RequestBody):
    """The outcome of a decision: a score, or that the request failed."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {
                    "required": ["score"],
                    "properties": {"score": {"type": "number"}, "failed": {"const": False}},
                },
                {
                    "required": ["failed"],
                    "properties": {"score": {"type": "null"}, "failed": {"const": True}},
                },
            ]
        }
    )

    id: str = Field(pattern="^[0-9a-f]{32}$", description="id of the decision")
    score: float | None = Field(None, ge=0, le=1, description="left out if the request failed")
    failed: bool = Field(False, description="whether the request failed, so that none is scored")
    model: Name | None = Field(None, description="model that answered, if not the decision's")
    cost_usd: Amount | None = None
    latency_s: Amount | None = None
    input_tokens: Amount | None = Field(None, description="tokens of the prompt")
    output_tokens: Amount | None = Field(None, description="tokens of the answer")

    @model_validator(mode="after")
    def _has_score_or_failed(self) -> Self:
        if (self.score is None) != self.failed:
            found = "send either score or failed: true"
            raise PydanticCustomError("score", found)
        return self


class RankedModel(BaseModel):
    """A model of a ranking."""

    model: str
    success: float
    cost_usd: float | None
    latency_s: float | None
    n: float
    utility: float


class DecisionResponse(BaseModel):
    """A decision."""

    id: str
    model: str
    reason: str
    propensity: float
    cluster: int
    distance: float
    novelty: float
    ranking: list[RankedModel]
    artifact: str
    group: str | None = Field(description="group whose profile decided")
    unknown_group: bool = Field(description="whether the artifact lacks the group that was named")


class BatchResponse(BaseModel):
    """Decisions, in the order of the texts."""

    decisions: list[DecisionResponse]


class OutcomeResponse(BaseModel):
    """Confirmation that an outcome was written to the log."""

    id: str
    recorded: Literal[True]


class ArtifactResponse(BaseModel):
    """The artifact in use."""

    sha256: str
    models: list[str]
    default_model: str
    clusters: int
    groups: dict[str, float] = Field(description="number of tasks by group")
    embedder: str
    policy: dict[str, Any]
    format: str
    version: str


class HealthResponse(BaseModel):
    """The server is up and its artifact is open."""

    status: Literal["ok"]


class ReadyResponse(BaseModel):
    """Whether the server should get requests, and how its log is."""

    status: Literal["ready", "ending"]
    log: Literal["none", "written", "failing"]


class ErrorResponse(BaseModel):
    """An error."""

    error: str = Field(description="a stable code")
    message: str = Field(description="one line for people")


def schemas(kinds: Iterable[type[BaseModel]]) -> dict[str, Any]:
    """Return the JSON schemas of models for OpenAPI's components, by name."""
    found: dict[str, Any] = {}
    for kind in kinds:
        schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
        found |= schema.pop("$defs", {})
        found[kind.__name__] = schema
    return found
