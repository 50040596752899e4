"""Whether a model's success changed, and since when.

Not here: the mathematics of the bets (see ``tilts``), or whether estimates are right on average
(see ``estimate_checks``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.errors import MonitorError
from hypernova.monitoring.tilts import (
    check_lengths,
    check_level,
    check_number,
    check_numbers,
    check_range,
    mean_intervals,
    tilt_grid,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from hypernova.numeric import Floats, Ints

# Exponents 0.08 to 1.3: the best bets for changes of 2 to 40 points.
SMALLEST, DOUBLINGS = 0.08, 5
# Scores worked on at a time. Bets multiply their wealth by e^1.3 at most, so that within a chunk
# all wealth stays within the range of a float.
CHUNK = 256
# The first so many scores get about half of the money for starts.
EARLY = 2000.0
LATEST = 1e300
# Columns of a state.
N, TIME, TOTAL, SUMS = 0, 1, 2, 3
# Candidates for the baseline lie no nearer to each other than this share of the range.
NEAREST = 0.0025


@dataclass(frozen=True)
class SegmentMean:
    """A mean of scores with its anytime-valid interval.

    Attributes:
        mean: The mean; NaN if ``n`` is 0.
        low: Lower end of the interval.
        high: Its upper end.
        n: Number of scores behind it.
    """

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Change:
    """A change of a model's success.

    Attributes:
        since: Time of the first score after the most likely change; an estimate without an
            interval, and within a few hundred scores of the truth for a change of 5 points.
        found_at: Time of the score with which the evidence sufficed.
        before: Mean of the scores before ``since``.
        after: Mean of those from ``since`` on.
    """

    since: float
    found_at: float
    before: SegmentMean
    after: SegmentMean

    @property
    def is_drop(self) -> bool:
        """Whether the success fell."""
        return self.after.mean < self.before.mean


@dataclass(frozen=True)
class Games:
    """All bets on a chunk of n scores, against each baseline that is left.

    Attributes:
        wealth: (baselines, tilts, n) logarithm of each bet's wealth after each score, from 1 before
            the first.
        kept: (baselines, n) logarithm of the money kept for starts after each score.
        shares: (baselines, tilts, n) logarithm of the money of a start at each score, over the
            bet's wealth before it: with ``wealth``, the wealth of that start after any later score.
        states: (n + 1, 3 + tilts) the detector's state before each score and after the last.
    """

    wealth: Floats
    kept: Floats
    shares: Floats
    states: Floats

    def against(self, baselines: NDArray[np.bool_]) -> Games:
        """Return the bets against some of the baselines."""
        return Games(
            self.wealth[baselines], self.kept[baselines], self.shares[baselines], self.states
        )


class ChangeDetector:
    """An alarm for a change of a mean, watched for as long as one likes.

    If the mean stays where it was, within the slack, the alarm *ever* goes off with a probability
    of at most ``level``, through all years and looks. After a change it goes off as soon as the
    scores since then are evidence enough, even if the change came late and much went well before.

    The form: for each time at which a change may have begun a mixture of bets is started, with a
    fixed share of the money; the shares of all times, to infinity, add up to 1, and the alarm goes
    off at a total of ``1 / level``. It is the e-detector of Shiryaev-Roberts form by Shin, Ramdas
    and Rinaldo (2023, "E-detectors: a nonparametric framework for sequential change detection"),
    weighted so that it bounds the probability of a false alarm and not only their frequency. Half
    of the money bets on a rise, half on a drop. Memory does not grow with the scores.

    Where the mean without a change is not known exactly, each candidate for it, one beside the
    other, has bets against it, and is ruled out at ``1 / level``. The alarm goes off when none is
    left: then no constant mean, within the slack, explains the scores. A wrong estimate that stays
    equally wrong is no change. Half of the money that is kept for starts bets as well, on a mean
    before the change that is none of the candidate: scores before and after it count together.

    Watch a model's scores only if its prompts stay of the same kind: a router that sends it harder
    ones lowers its scores. Residuals (score less success estimate) are free of most of that: use
    ``low=-1``, ``high=1``, and a baseline of 0 with a generous ``baseline_error``.

    Args:
        baseline: The mean without a change.
        baseline_error: The baseline may be wrong by so much, of either sign.
        slack: Changes up to this, of either sign, are none: all means lie within it from the
            baseline or, if that may be wrong, within a range of this width.
        level: The probability of ever a false alarm, between 0 and 1; to watch several models,
            divide it among them.
        low: The least possible score.
        high: The greatest possible one.

    Raises:
        MonitorError: An argument is out of range, or the slack is so great that no score is
            outside of it.

    Example:
        >>> detector = ChangeDetector(baseline=0.8)
        >>> detector.add([1.0, 1.0, 1.0, 1.0, 0.0] * 200, range(1000))
        >>> detector.change() is None
        True
        >>> detector.add([1.0, 0.0] * 100, range(1000, 1200))
        >>> change = detector.change()
        >>> change.is_drop, 950 < change.since < 1050, change.found_at < 1200
        (True, True, True)
    """

    def __init__(
        self,
        *,
        baseline: float,
        baseline_error: float = 0.0,
        slack: float = 0.01,
        level: float = 0.05,
        low: float = 0.0,
        high: float = 1.0,
    ) -> None:
        self._low, self._high = check_range(low, high)
        self._log_level = math.log(check_level(level))
        width = self._high - self._low
        centre = check_number(baseline, "baseline", self._low, self._high)
        drift = check_number(slack, "slack", 0.0, width)
        error = check_number(baseline_error, "baseline_error", 0.0, width)
        if centre - drift <= self._low and centre + drift >= self._high:
            raise MonitorError(
                f"slack is {drift:g}: from a baseline of {centre:g} no score from "
                f"{self._low:g} to {self._high:g} is a change"
            )
        self._tilts = tilt_grid(SMALLEST, DOUBLINGS)
        baselines = (candidates(centre, error, drift, self._low, self._high) - self._low) / width
        if len(baselines) > 1:
            # Of a change, either side of the candidate has half.
            drift = (drift + width * float(baselines[1] - baselines[0])) / 2
        against = baselines[:, None] + np.sign(self._tilts) * drift / width
        # Of the baselines that are left, (baselines, tilts): the cost of a bet, for each score.
        self._costs = np.log1p(self._tilts * np.clip(against, 0.0, 1.0))
        # The wealth of all starts together, that of the best start alone, and that start's state.
        self._wealth = np.full(self._costs.shape, -math.inf)
        self._best = np.full(self._costs.shape, -math.inf)
        # The wealth of bets on all scores, by which the money that is kept grows or shrinks.
        self._idle = len(baselines) == 1
        self._whole = np.zeros(self._costs.shape)
        # A state: number of scores, time of the next (of the last, for this one), their sum, and
        # the sums of `log_sums`; scores as shares of the range.
        self._now = np.zeros(3 + len(self._tilts))
        self._now[TIME] = -math.inf
        self._starts = np.tile(self._now, (*self._costs.shape, 1))
        self._log_e = 0.0
        self._found_at: float | None = None
        self._peak, self._since = -math.inf, self._now

    def add(self, scores: ArrayLike, times: ArrayLike) -> None:
        """Add scores in order of arrival; batches and single scores give the same.

        Args:
            scores: (n,) within the range; n may be 0.
            times: (n,) when each arrived, in any unit (seconds since the epoch, say), never
                falling.

        Raises:
            MonitorError: The lengths differ, a score is out of range, or time goes back; none of
                them is added.
        """
        numbers = check_numbers(scores, "scores", self._low, self._high)
        at = check_numbers(times, "times", -LATEST, LATEST)
        check_lengths(scores=numbers, times=at)
        if len(at) and (at[0] < self._now[TIME] or (np.diff(at) < 0).any()):
            raise MonitorError("times go back: give the scores in order of arrival")
        u = np.clip((numbers - self._low) / (self._high - self._low), 0.0, 1.0)
        for start in range(0, len(u), CHUNK):
            self._add_chunk(u[start : start + CHUNK], at[start : start + CHUNK])

    def _add_chunk(self, u: Floats, times: Floats) -> None:
        """Add up to `CHUNK` scores, as shares of the range."""
        chunk = self._play(u, times)
        first = 0
        if self._found_at is None:
            left, first = self._bet(chunk)
            if first < len(u):
                self._found_at = float(times[first])
            if not left.all():
                self._costs, self._wealth = self._costs[left], self._wealth[left]
                self._best, self._starts = self._best[left], self._starts[left]
                self._whole = self._whole[left]
                chunk = chunk.against(left)
        if self._found_at is not None:
            self._find_peak(chunk, first)
        self._follow(chunk)
        self._whole += chunk.wealth[..., -1]
        self._now = chunk.states[-1]

    def _play(self, u: Floats, times: Floats) -> Games:
        n = len(u)
        logs = np.log1p(np.outer(self._tilts, u))
        sums = np.concatenate([np.zeros((len(logs), 1)), np.cumsum(logs, axis=1)], axis=1)
        wealth: Floats = sums - self._costs[..., None] * np.arange(n + 1)
        grown = np.zeros((len(wealth), n + 1))
        if not self._idle:
            whole = self._whole[..., None] + wealth
            highest = np.maximum(whole.max(axis=1), 0.0)
            bets = np.exp(whole - highest[:, None]).mean(axis=1)
            grown = highest + np.log((np.exp(-highest) + bets) / 2)
        kept = log_kept(self._now[N] + 1.0 + np.arange(n)) + grown[:, 1:]
        shares = log_start_shares(self._now[N], n) + grown[:, None, :-1] - wealth[..., :-1]
        states = np.empty((n + 1, len(self._now)))
        states[:, N] = self._now[N] + np.arange(n + 1)
        states[:, TIME] = np.append(times, times[-1])
        states[:, TOTAL] = self._now[TOTAL] + np.append(0.0, np.cumsum(u))
        states[:, SUMS:] = self._now[SUMS:] + sums.T
        return Games(wealth[..., 1:], kept, shares, states)

    def _bet(self, chunk: Games) -> tuple[NDArray[np.bool_], int]:
        """Carry on the wealth of all starts.

        Returns:
            Whether each baseline is left, or was the last one to be; and the place of the score
            at which that one was ruled out, n if it was not.
        """
        n = chunk.wealth.shape[-1]
        highest = np.maximum(chunk.shares.max(axis=-1), self._wealth)[..., None]
        begun = np.cumsum(np.exp(chunk.shares - highest), axis=-1)
        begun += np.exp(self._wealth[..., None] - highest)
        wealth = chunk.wealth + highest + np.log(begun)
        ruled_out = np.full(len(wealth), n)
        # The total is at most twice the greatest of its parts.
        greatest = np.maximum(wealth.max(axis=(1, 2)), chunk.kept.max(axis=1))
        for place in np.flatnonzero(greatest >= -self._log_level - math.log(2)):
            enough = log_total(wealth[place], chunk.kept[place]) >= -self._log_level
            if enough.any():
                ruled_out[place] = enough.argmax()
        alarm = int(ruled_out.max())
        left = ruled_out == n
        if alarm < n:
            left[ruled_out.argmax()] = True
        last = min(alarm, n - 1)
        self._wealth = wealth[..., last]
        self._log_e = float(log_total(self._wealth[left].T, chunk.kept[left, last]).min())
        return left, alarm

    def _follow(self, chunk: Games) -> None:
        """Follow the best start of each bet."""
        first = chunk.shares.argmax(axis=-1)
        best = np.take_along_axis(chunk.shares, first[..., None], axis=-1)[..., 0]
        better = best > self._best
        self._starts[better] = chunk.states[first[better]]
        self._best = chunk.wealth[..., -1] + np.maximum(self._best, best)

    def _find_peak(self, chunk: Games, alarm: int) -> None:
        """Find the start with the most evidence at any score from the alarm's place on.

        Only the last baseline is left.
        """
        shares, before = chunk.shares[0], self._best[0]
        best = np.maximum(np.maximum.accumulate(shares, axis=-1), before[:, None])
        best = (chunk.wealth[0] + best)[:, alarm:]
        tilt, place = np.unravel_index(best.argmax(), best.shape)
        if best[tilt, place] <= self._peak:
            return
        self._peak = float(best[tilt, place])
        begun = shares[tilt, : alarm + place + 1]
        within = begun.max() > before[tilt]
        self._since = (chunk.states[begun.argmax()] if within else self._starts[0, tilt]).copy()

    @property
    def n(self) -> int:
        """The number of scores so far."""
        return int(self._now[N])

    @property
    def log_e(self) -> float:
        """The logarithm of the total of all bets; from an alarm on, as it was then.

        If the baseline may be wrong, of the bets against the most plausible one.
        """
        return self._log_e

    def change(self) -> Change | None:
        """Describe the change; None as long as none is proven.

        A change that was found stays found. Later scores make ``since`` and ``after`` surer; both
        intervals hold at the detector's level, for any ``since`` that the data choose.
        """
        if self._found_at is None:
            return None
        share = float(log_start_shares(self._since[N], 1)[0])
        return Change(
            since=float(self._since[TIME]),
            found_at=self._found_at,
            before=self._segment(self._since, self._log_level),
            # For all starts together: each has its share of the level.
            after=self._segment(self._now - self._since, self._log_level + share),
        )

    def _segment(self, state: Floats, log_level: float) -> SegmentMean:
        n = int(state[N])
        if not n:
            return SegmentMean(math.nan, self._low, self._high, 0)
        mean = min(max(float(state[TOTAL]) / n, 0.0), 1.0)
        low, high = mean_intervals(
            state[None, SUMS:], np.array([n]), np.array([mean]), self._tilts, log_level
        )
        width = self._high - self._low
        return SegmentMean(
            self._low + width * mean,
            self._low + width * float(low[0]),
            self._low + width * float(high[0]),
            n,
        )


def candidates(baseline: float, error: float, slack: float, low: float, high: float) -> Floats:
    """List baselines from ``baseline - error`` to ``baseline + error`` that lie near each other.

    They are no further apart than half of the slack, unless it is very small, and in the range.
    """
    step = max(slack / 2, NEAREST * (high - low))
    count = 1 + math.ceil(2 * error / step - 1e-9)
    both: Floats = np.linspace(max(baseline - error, low), min(baseline + error, high), count)
    return both if count > 1 else np.array([baseline])


def log_kept(n: Floats | Ints) -> Floats:
    """Compute the logarithm of the share of the money that is kept for starts after score n."""
    kept: Floats = -np.log1p(np.log1p(n / EARLY))
    return kept


def log_start_shares(before: float, n: int) -> Floats:
    """Compute the logarithms of the shares of starts at the next n scores.

    After ``n`` scores the share ``1 / (1 + log(1 + n / EARLY))`` is kept; by as much as it falls, a
    start at the next score begins. So all of them, to infinity, add up to 1, and a start at a late
    score costs little more than an early one.

    Args:
        before: Number of scores before the first of them.
        n: Number of scores.

    Returns:
        (n,)
    """
    s = before + np.arange(n, dtype=np.float64)
    shares: Floats = log_kept(s) + log_kept(s + 1) + np.log(np.log1p(1 / (EARLY + s)))
    return shares


def log_total(wealth: Floats, kept: Floats) -> Floats:
    """Add the mean wealth of all tilts, (tilts, ...), to the money that is kept, (...)."""
    total: Floats = np.logaddexp(np.logaddexp.reduce(wealth, axis=0) - math.log(len(wealth)), kept)
    return total
