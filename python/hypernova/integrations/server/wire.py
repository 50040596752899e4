"""What requests and answers look like. Not here: what is done with them."""

from __future__ import annotations

import codecs
import json
import math
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError, to_json

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

# Each key of a body has one of these behind it, and a text may hold more.
_BEFORE_VALUE = (b'":', b" :", b"\n:", b"\r:", b"\t:")
_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")
_HALF = re.compile("[\ud800-\udfff]")
_PROMPTS = {"text", "texts", "messages"}
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Strict(BaseModel):
    """A body: no unknown field, no text for a number, no NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Turn(BaseModel):
    """A turn of a conversation, as the OpenAI chat protocol has it; other fields are ignored.

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
    content: str | list[dict[str, Any]] | None = None

    @model_validator(mode="after")
    def _is_a_turn(self) -> Self:
        if self.role is None and self.type is None:
            raise PydanticCustomError("no_role", "role is missing, expected a str such as 'user'")
        return self


class OptionsBody(Strict):
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

    def options(self) -> dict[str, Any]:
        """Those that were sent, as `hypernova.Router.route` takes them."""
        return self.model_dump(
            exclude={"text", "texts", "messages"}, exclude_none=True, exclude_unset=True
        )


class RouteBody(OptionsBody):
    """One prompt: ``text`` or ``messages``."""

    text: str | None = Field(None, min_length=1)
    messages: list[Turn] | None = Field(None, min_length=1)
    previous_model: Name | None = Field(None, description="model of the conversation so far")
    switch_cost: Amount | None = Field(None, description="success that a switch must gain")


class BatchBody(OptionsBody):
    """Many prompts under the same options."""

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

    Half a surrogate pair in a prompt, which is no character, is read as U+FFFD, as the embedder
    reads it.

    Raises:
        FaultError: It is not JSON, or not what ``kind`` says, or an object in it has two values
            for one key.
    """
    try:
        found = kind.model_validate_json(body)
        # Most bodies are told to hold no key twice without being read again.
        if sum(map(body.count, _BEFORE_VALUE)) > len(found.model_fields_set):
            _read(body)
    except ValidationError as error:
        if _HALF_PAIR.search(body) and _is_no_json(error):
            return _parse_with_halves(kind, body)
        raise _malformed(error, body) from None
    return found


def _parse_with_halves(kind: type[Body], body: bytes) -> Body:
    """Read a body with halves of surrogate pairs, which the quick reader takes for no JSON."""
    found = _read(body)
    if isinstance(found, dict):
        for name in _PROMPTS & found.keys():
            found[name] = _whole(found[name])
    try:
        return kind.model_validate(found)
    except ValidationError as error:
        raise _malformed(error, body) from None


def _read(body: bytes) -> Any:
    try:
        return _DECODER.decode(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise FaultError(400, "bad_request", f"Invalid JSON: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return found


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _whole(value: Any) -> Any:
    """The same with each half of a surrogate pair replaced."""
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if isinstance(value, list):
        return [_whole(entry) for entry in value]
    if isinstance(value, dict):
        return {_whole(name): _whole(entry) for name, entry in value.items()}
    return value


def _is_no_json(error: ValidationError) -> bool:
    return error.errors(include_url=False, include_input=False)[0]["type"] == "json_invalid"


def _malformed(error: ValidationError, body: bytes) -> FaultError:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"]))
    message = f"{place}: {first['msg']}" if place else first["msg"]
    if body.startswith(_MARKS) or b"\0" in body[:4]:
        message = "Invalid JSON: send UTF-8 without a byte order mark"
    return FaultError(400, "bad_request", " ".join(message.split()))


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_number)


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
