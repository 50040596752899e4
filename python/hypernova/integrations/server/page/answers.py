"""Response models of `/v1/explain` and `/v1/recent`, as OpenAPI shows them.

Not here: requests and the other responses (`http.schemas`).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from hypernova.integrations.server.http.schemas import DecisionResponse  # noqa: TC001 - pydantic reads it

Count = Annotated[float, Field(ge=0)]


class ReadTextResponse(BaseModel):
    """A text of the prompt, without its characters."""

    characters: int = Field(description="length of the text")
    read: list[Annotated[list[int], Field(min_length=2, max_length=2)]] = Field(
        description="the parts that are read, as (start, end) in characters"
    )


class NearClusterResponse(BaseModel):
    """A cluster near the prompt."""

    cluster: int
    distance: float
    share: float = Field(description="share in the estimates, 0 to 1; 0 if it does not count")
    tasks: float = Field(description="the largest number of outcomes that a model has there")
    words: list[str] = Field(description="distinctive words")


class ModelEstimateResponse(BaseModel):
    """The estimates of a model, in their parts."""

    model: str
    success: float = Field(description="profile plus correction, within 0 and 1")
    profile: float
    correction: float
    n: float = Field(description="number of outcomes behind the profile")
    cost_usd: float | None
    latency_s: float | None
    utility: float = Field(description="success less weighted cost and latency")
    gain: float = Field(description="utility less that of the default model")
    bound: float = Field(description="gain above which it is ranked before the default model")
    proven: bool = Field(description="whether it is ranked before the default model")
    candidate: bool = Field(description="whether it meets the limits")


class ExplanationResponse(BaseModel):
    """The grounds of a decision."""

    decision: DecisionResponse
    texts: list[ReadTextResponse] = Field(
        description="the prompt, or the first and the last turn of a conversation"
    )
    novel: bool
    novelty_limit: float
    default_model: str
    clusters: list[NearClusterResponse] = Field(description="the nearest first")
    estimates: list[ModelEstimateResponse] = Field(
        description="every model, in the order of the rule"
    )


class ModelCountResponse(BaseModel):
    """Decisions for a model."""

    model: str
    decisions: Count


class NoveltyCountResponse(BaseModel):
    """Decisions within a range of novelty, which begins where the one before it ends."""

    up_to: float
    decisions: Count


class LatencyResponse(BaseModel):
    """Quantiles of a latency, by linear interpolation within the histogram's buckets.

    The last bucket is open: a quantile in it is given as the bound where it begins.
    """

    requests: Count
    p50_s: float | None
    p90_s: float | None
    p99_s: float | None


class ErrorCountResponse(BaseModel):
    """Requests of a path that were answered with a status of an error."""

    path: str
    status: int
    requests: Count


class MinuteResponse(BaseModel):
    """A minute; the last one is not over yet."""

    seconds: float
    decisions: Count
    errors: Count


class RecentResponse(BaseModel):
    """Figures of the last hour, or since the start of the server."""

    seconds: float = Field(ge=0, description="the time that the figures cover")
    decisions: list[ModelCountResponse] = Field(description="the most frequent first")
    novelty: list[NoveltyCountResponse]
    latency: dict[str, LatencyResponse] = Field(
        description="embed, decide, and answer: of /v1/route, from the head to the answer"
    )
    requests: Count = Field(
        description="all but those of the page, of health checks and of scrapes"
    )
    errors: list[ErrorCountResponse] = Field(description="the most frequent first")
    minutes: list[MinuteResponse] = Field(description="the oldest first")
