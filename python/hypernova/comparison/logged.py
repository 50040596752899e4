"""Read an outcome log for a comparison: the traffic of the old artifact, and its shadow.

Not here: the log's lines (`hypernova.outcome_log`). They hold no prompt and no vector.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from hypernova.comparison.centres import Place
from hypernova.comparison.figures import Z95
from hypernova.comparison.result import MeanChange, View
from hypernova.outcome_log.join import LogReader
from hypernova.outcome_log.segments import find_segments
from hypernova.router.shadow import MISMATCH

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from hypernova._core import Artifact
    from hypernova.outcome_log.join import LogTally
    from hypernova.outcome_log.records import LoggedDecision, LoggedOutcome, LoggedShadow

# Outcomes of explored decisions for the shadow's choice, below which the log does not tell how it
# does: the normal distribution of their mean is a poor guess then.
MIN_HITS = 10
# Propensities this near to 0 or 1 are as good as certain.
MIN_CHANCE = 1e-4


class ShadowedDecision(NamedTuple):
    """A logged decision and that of its shadow, as far as a log tells decisions apart.

    Attributes:
        place: The prompt to the old artifact.
        model: The old artifact's choice.
        new_place: The prompt to the new artifact; None if the shadow failed.
        new_model: The new artifact's choice; None if the shadow failed.
    """

    place: Place
    model: str
    new_place: Place | None
    new_model: str | None


class LoggedTraffic:
    """The decisions of one artifact in a log, counted as they are read.

    Args:
        old: The artifact whose decisions are counted.
        new: The artifact that may be their shadow.

    Attributes:
        places: Number of decisions of each place.
        shadowed: Number of decisions with the new artifact as shadow, by both decisions.
        n_explored: Number of decisions with that shadow that were drawn at random, and say nothing
            of the old artifact's choice; they are not among ``shadowed``.
        n_without: Number of decisions without that shadow, or with vectors that it does not take.
        n_malformed: Number of decisions with a cluster or a model that the artifact does not have.
        n_malformed_shadows: Number of others whose shadow has such a cluster or model.
        others: Number of decisions of each other artifact, by its sha256.
        shadow_errors: Number of failures of the shadow, by the code of the error.
        gain: What outcomes say of the new artifact's choices.
        tally: The counts of the log's lines.
    """

    def __init__(self, old: Artifact, new: Artifact) -> None:
        self._old, self._new = old, new
        self._models = ({*old.models}, {*new.models})
        self._novelty_limits = tuple(a.policy["novelty_limit"] for a in (old, new))
        self.places: Counter[Place] = Counter()
        self.shadowed: Counter[ShadowedDecision] = Counter()
        self.n_explored = self.n_without = self.n_malformed = self.n_malformed_shadows = 0
        self.others: Counter[str] = Counter()
        self.shadow_errors: Counter[str] = Counter()
        self.gain = ShadowGain()
        self.tally: LogTally | None = None

    def read(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        """Read a log, once.

        Raises:
            NotFoundError: There is no such file or folder.
            OutcomeLogError: A file cannot be read, or two are copies of one segment.
        """
        reader = LogReader(find_segments(paths), on_decision=self._take)
        for decision, outcome in reader:
            shadow = self._shadow_of(decision)
            if shadow is not None and decision.artifact == self._old.sha256:
                self.gain.add(decision, shadow, outcome)
        self.tally = reader.tally

    def _shadow_of(self, decision: LoggedDecision) -> LoggedShadow | None:
        shadow = decision.shadow
        if shadow is None or shadow.artifact != self._new.sha256 or shadow.error == MISMATCH:
            return None
        return shadow

    def _take(self, decision: LoggedDecision) -> None:
        if decision.artifact != self._old.sha256:
            self.others[decision.artifact] += 1
            return
        place = self._place(0, decision.cluster, decision.novelty, decision.group)
        if place is None or decision.model not in self._models[0]:
            self.n_malformed += 1
            return
        self.places[place] += 1
        shadow = self._shadow_of(decision)
        if shadow is None:
            self.n_without += 1
        elif decision.reason == "explored":
            self.n_explored += 1
        elif shadow.model is None or shadow.cluster is None or shadow.novelty is None:
            self.shadow_errors[shadow.error or "unknown"] += 1
            self.shadowed[ShadowedDecision(place, decision.model, None, None)] += 1
        else:
            theirs = self._place(1, shadow.cluster, shadow.novelty, decision.group)
            if theirs is None or shadow.model not in self._models[1]:
                self.n_malformed_shadows += 1
                return
            pair = ShadowedDecision(place, decision.model, theirs, shadow.model)
            self.shadowed[pair] += 1

    def _place(self, side: int, cluster: int, novelty: float, group: str | None) -> Place | None:
        artifact = (self._old, self._new)[side]
        if cluster >= artifact.n_clusters:
            return None
        # A group that the artifact holds decides for novel prompts, too.
        own = group if group in artifact.groups else None
        novel = own is None and novelty > self._novelty_limits[side]
        return Place(None if novel else cluster, own)


class ShadowGain:
    """The mean gain of a shadow's choices, by logged outcomes of requests that explored.

    The mean score under the shadow's choices is estimated doubly robust (Dudík, Langford and Li
    2011, Doubly robust policy evaluation and learning): the shadow's own estimate of its choice,
    and, where the model that answered is that choice, its error by the inverse propensity. That is
    unbiased whatever the estimates are worth. The mean under the old artifact's choices is that of
    decisions that were not drawn otherwise, by the inverse propensity. Only requests that explored
    count: without exploration nothing is known of a model that was not chosen.

    Attributes:
        n: Number of outcomes that count.
        n_hits: Number of them that were drawn, and for the shadow's choice.
        n_certain: Number of outcomes of requests that did not explore.
    """

    def __init__(self) -> None:
        self.n = self.n_hits = self.n_certain = 0
        # Sums over outcomes of the products of a, w and w * score: see `add`.
        self._a = self._w = self._wy = 0.0
        self._aa = self._ww = self._wwy = self._wwyy = self._aw = self._awy = 0.0

    def add(self, decision: LoggedDecision, shadow: LoggedShadow, outcome: LoggedOutcome) -> None:
        """Count an outcome; one of another model than that decided says nothing here."""
        score, estimate = outcome.score, shadow.success
        if score is None or estimate is None or outcome.model not in (None, decision.model):
            return
        # A model that is hardly ever drawn tells nothing, and its weight would drown all others.
        if min(decision.propensity, 1.0 - decision.propensity) < MIN_CHANCE:
            self.n_certain += 1
            return
        drawn = decision.reason == "explored"
        hit = decision.model == shadow.model
        self.n += 1
        self.n_hits += drawn and hit
        weight = 1.0 / decision.propensity
        a = estimate + (weight * (score - estimate) if hit else 0.0)
        w = 0.0 if drawn else weight
        wy = w * score
        self._a += a
        self._w += w
        self._wy += wy
        self._aa += a * a
        self._ww += w * w
        self._wwy += w * wy
        self._wwyy += wy * wy
        self._aw += a * w
        self._awy += a * wy

    def view(self, n_decisions: float) -> View | None:
        """Return the change of the mean score, with its interval; None if too little is known.

        Args:
            n_decisions: Number of decisions that are compared.
        """
        if self.n_hits < MIN_HITS or self._w <= 0.0:
            return None
        n = self.n
        after, before, mean_w = self._a / n, self._wy / self._w, self._w / n
        # Of each outcome the influence on the gain: a - after - w * (score - before) / mean_w.
        residuals = self._wwyy - 2 * before * self._wwy + before**2 * self._ww
        products = self._awy - before * self._aw - after * (self._wy - before * self._w)
        spread = self._aa - n * after**2 + residuals / mean_w**2 - 2 * products / mean_w
        half = Z95 * math.sqrt(max(0.0, spread) / n / (n - 1))
        change = after - before
        share = min(1.0, n / n_decisions) if n_decisions else 0.0
        interval = (change - half, change + half)
        return View("logged", MeanChange(before, after, change, share, interval), None, None)
