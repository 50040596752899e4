"""Explain a decision: the characters read, the nearest clusters, each model's estimate.

Not here: any computation; the core explains with the code that decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from hypernova.artifact.metadata import words_of
from hypernova.errors import TextError
from hypernova.paths import escaped
from hypernova.router.conversation import embed_turns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypernova._core import Artifact, Decision
    from hypernova.embedder import TextEmbedder
    from hypernova.route_options import RouteOptions

REASONS = {
    "routed": "the outcomes of prompts like it say that this model beats the default one",
    "default_no_evidence": "the default model; nothing is proven to beat it for prompts like it",
    "default_novel": "the prompt is unlike the training prompts, so the whole table decides",
    "constrained": "the first choice was not allowed",
    "stayed": "another model does not gain enough to leave the conversation's",
    "explored": "drawn, to learn how it does",
    "fallback": "a model that went before it has failed",
    "best_overall": "the prompt is unlike the training prompts; the best of the whole table",
}
# Limits of the printed form: characters of a piece of text, and models.
MAX_SHOWN_CHARS, MAX_SHOWN_MODELS = 60, 8


class ReadText(NamedTuple):
    """A text, and the parts of it that its vector depends on.

    Attributes:
        text: The text as given; of a conversation, one of the turns that are read.
        spans: The parts that are read, as (start, end) in characters, rising and disjoint.
    """

    text: str
    spans: tuple[tuple[int, int], ...]

    @property
    def read(self) -> tuple[str, ...]:
        """The parts that are read."""
        return tuple(self.text[start:end] for start, end in self.spans)

    @property
    def cut(self) -> tuple[str, ...]:
        """The parts that are not read, without blank ones."""
        edges = [0, *(edge for span in self.spans for edge in span), len(self.text)]
        gaps = zip(edges[::2], edges[1::2], strict=True)
        pieces = [self.text[start:end] for start, end in gaps]
        return tuple(piece for piece in pieces if piece and not piece.isspace())


class NearCluster(NamedTuple):
    """A cluster near the prompt.

    Attributes:
        cluster: Its index.
        distance: Euclidean distance from its centroid.
        share: Its share in the estimates, 0 to 1; 0 if it does not count.
        tasks: Outcomes behind it: the largest number that a model has there.
        words: Its distinctive words; empty if the artifact holds none.
    """

    cluster: int
    distance: float
    share: float
    tasks: float
    words: tuple[str, ...]


class ModelEstimate(NamedTuple):
    """The estimates of a model for a prompt, in their parts.

    Attributes:
        model: Name.
        success: Success estimate: ``profile`` plus ``correction``, within 0 and 1.
        profile: Success in the clusters that count, by their shares; over the whole table if
            the prompt is novel.
        correction: Amount that the linear correction adds for this vector; 0 without one.
        n: Number of outcomes behind ``profile``; may be fractional.
        cost_usd: Expected cost of a task, the caller's price if given; None if unknown.
        latency_s: Expected latency of a task; None if unknown.
        utility: Success less weighted cost and latency; the ranking goes by it.
        gain: Utility less that of the default model.
        bound: Gain above which the model is ranked before the default one, by margin and guard.
        proven: Whether the model is ranked before the default one.
        candidate: Whether the model meets the caller's limits.
    """

    model: str
    success: float
    profile: float
    correction: float
    n: float
    cost_usd: float | None
    latency_s: float | None
    utility: float
    gain: float
    bound: float
    proven: bool
    candidate: bool


class Explanation(NamedTuple):
    """The grounds of a decision; ``str`` gives them in words.

    Attributes:
        decision: The decision itself.
        texts: The prompt, or the first and the last turn of a conversation.
        novel: Whether the prompt is unlike the training prompts, so that the whole table
            decides and no cluster counts.
        novelty_limit: Novelty above which a prompt is novel.
        default_model: The model that the others have to beat.
        clusters: The nearest clusters, the nearest first: those that count, and at least three
            where there are as many.
        estimates: Every model, in the order of the rule, whether it meets the limits or not.
    """

    decision: Decision
    texts: tuple[ReadText, ...]
    novel: bool
    novelty_limit: float
    default_model: str
    clusters: tuple[NearCluster, ...]
    estimates: tuple[ModelEstimate, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, with the spans of the texts and not the texts."""
        return {
            "decision": self.decision.to_dict(),
            "texts": [
                {"characters": len(text.text), "read": [list(span) for span in text.spans]}
                for text in self.texts
            ],
            "novel": self.novel,
            "novelty_limit": self.novelty_limit,
            "default_model": self.default_model,
            "clusters": [{**near._asdict(), "words": list(near.words)} for near in self.clusters],
            "estimates": [estimate._asdict() for estimate in self.estimates],
        }

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        decision = self.decision
        yield decision.model
        yield f"  {decision.reason}: {REASONS[decision.reason]}"
        for text in self.texts:
            yield from _read_lines(text)
        above = "above" if self.novel else "up to"
        rule = "the whole table decides" if self.novel else "its clusters decide"
        yield f"\nnovelty {decision.novelty:.3f}, {above} {self.novelty_limit:g}: {rule}"
        without = "" if any(near.words for near in self.clusters) else "; the artifact has no words"
        yield f"\n  share  distance  tasks  nearest clusters{without}"
        for near in self.clusters:
            # Another program may have written any text to an artifact's metadata.
            words = escaped(" ".join(near.words)) or "(no words)"
            yield (
                f"  {near.share:5.2f}  {near.distance:8.3f}  {near.tasks:5g}  {near.cluster}"
                + ("" if without else f": {_shortened(words)}")
            )
        yield "\n  success = profile + correction  cost USD      n    gain  needed  model"
        for estimate in self.estimates[:MAX_SHOWN_MODELS]:
            yield self._line(estimate)
        if len(self.estimates) > MAX_SHOWN_MODELS:
            yield f"  and {len(self.estimates) - MAX_SHOWN_MODELS} more"
        yield "\n  profile     success on prompts like it, from n outcomes and the overall rate"
        yield "  correction  what the text itself adds"
        yield "  gain        over the default model, which another one replaces beyond 'needed'"

    def _line(self, estimate: ModelEstimate) -> str:
        cost = "unknown" if estimate.cost_usd is None else f"{estimate.cost_usd:.4f}"
        is_default = estimate.model == self.default_model
        needed = "default" if is_default else f"{estimate.bound:+6.3f} "
        limits = "" if estimate.candidate else " (beyond the limits)"
        return (
            f"  {estimate.success:7.3f}   {estimate.profile:7.3f}   {estimate.correction:+10.3f}  "
            f"{cost:>8}  {estimate.n:5.4g}  {estimate.gain:+6.3f}  {needed} "
            f"{estimate.model}{limits}"
        )


def _read_lines(text: ReadText) -> Iterator[str]:
    length = len(text.text)
    if not text.cut:
        yield f"\nread: all of {length} characters"
        return
    spans = " and ".join(f"{start} to {end}" for start, end in text.spans)
    yield f"\nread: characters {spans} of {length}"
    for piece in text.cut:
        yield f"not read: {len(piece)} characters: {_shortened(piece)!r}"


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]}..."


def read_text(embedder: TextEmbedder, text: str) -> ReadText:
    """Return a text with the parts that an embedder reads; none, if it knows no token of it."""
    try:
        return ReadText(text, embedder.read_spans(text))
    except TextError:
        return ReadText(text, ())


def explained(
    artifact: Artifact, embedder: TextEmbedder, turns: tuple[str, ...], options: RouteOptions
) -> Explanation:
    """Decide for a text, or for the turns of a conversation, and return the explanation.

    Args:
        artifact: The artifact that decides.
        embedder: Its embedder.
        turns: The text alone, or the turns that are read.
        options: Of the request, with the length of its prompt.
    """
    vector = embed_turns(embedder, turns)
    decision = artifact.decide(vector, **options)
    texts = tuple(read_text(embedder, turn) for turn in turns)
    return explanation_of(artifact, decision, texts, artifact.explain(vector, **options))


def explanation_of(
    artifact: Artifact,
    decision: Decision,
    texts: tuple[ReadText, ...],
    rows: tuple[bool, list[Any], list[Any]],
) -> Explanation:
    """Return an explanation from the values that the core computes.

    Args:
        artifact: The artifact that decided.
        decision: Its decision.
        texts: The text, or the turns of a conversation.
        rows: Of `Artifact.explain`, for the same vector and options.
    """
    novel, clusters, estimates = rows
    words, counts = words_of(artifact), artifact.counts
    return Explanation(
        decision=decision,
        texts=texts,
        novel=novel,
        novelty_limit=artifact.policy["novelty_limit"],
        default_model=artifact.default_model,
        clusters=tuple(
            NearCluster(
                cluster,
                distance,
                share,
                float(counts[cluster].max()),
                () if words is None else tuple(words[cluster]),
            )
            for cluster, distance, share in clusters
        ),
        estimates=tuple(ModelEstimate(*row) for row in estimates),
    )
