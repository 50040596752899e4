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
    from numpy.typing import ArrayLike

    from hypernova.numeric import Floats, Ints

# Exponents 0.06 to 1.9: the best bets for changes of 1 to 50 points.
SMALLEST, DOUBLINGS = 0.06, 6
# Scores worked on at a time. Bets multiply their wealth by e^2 at most, so that within a chunk
# all that was started stays within e^-512 and e^512.
CHUNK = 256
# The first so many scores get about half of the money for starts.
EARLY = 2000.0
LATEST = 1e300


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
class StartState:
    """All sums as they stood before the first score of a possible change.

    Attributes:
        n: Number of scores before it.
        time: Time of the first score of the change.
        total: Sum of the scores before it, as shares of the range.
        sums: (tilts,) the sums of `log_sums` of the scores before it.
    """

    n: int
    time: float
    total: float
    sums: Floats


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

    Watch a model's scores only if its prompts stay of the same kind: a router that sends it harder
    ones lowers its scores. Residuals (score less success estimate) are free of most of that: use
    ``low=-1``, ``high=1`` and a baseline of 0 or of the mean residual so far.

    Args:
        baseline: The mean without a change.
        baseline_error: The baseline may be wrong by so much; give the half width of an interval
            of it, with a small level of its own.
        slack: Changes up to this, of either sign, are none.
        level: The probability of ever a false alarm, between 0 and 1; to watch several models,
            divide it among them.
        low: The least possible score.
        high: The greatest possible one.

    Raises:
        MonitorError: An argument is out of range, or ``baseline`` plus or minus ``slack`` and
            ``baseline_error`` leaves no score outside on either side.

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
        margin = check_number(slack, "slack", 0.0, width)
        margin += check_number(baseline_error, "baseline_error", 0.0, width)
        if centre - margin <= self._low and centre + margin >= self._high:
            raise MonitorError(
                f"a baseline of {centre:g} with {margin:g} of slack and error leaves no score from "
                f"{self._low:g} to {self._high:g} to bet on"
            )
        self._tilts = tilt_grid(SMALLEST, DOUBLINGS)
        against = (centre + np.sign(self._tilts) * margin - self._low) / width
        self._costs = np.log1p(self._tilts * np.clip(against, 0.0, 1.0))
        # Of all scores: their number, sum and log sums, and the time of the last.
        self._now = StartState(0, -math.inf, 0.0, np.zeros(len(self._tilts)))
        # Number of scores that were bet on: all, or those to the alarm.
        self._bets = 0
        # By tilt: the wealth of all starts together, the best start's alone, and that start.
        self._wealth = np.full(len(self._tilts), -math.inf)
        self._best = np.full(len(self._tilts), -math.inf)
        self._starts: list[StartState] = [self._now] * len(self._tilts)
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
        if len(at) and (at[0] < self._now.time or (np.diff(at) < 0).any()):
            raise MonitorError("times go back: give the scores in order of arrival")
        u = np.clip((numbers - self._low) / (self._high - self._low), 0.0, 1.0)
        for start in range(0, len(u), CHUNK):
            self._add_chunk(u[start : start + CHUNK], at[start : start + CHUNK])

    def _add_chunk(self, u: Floats, times: Floats) -> None:
        """Add up to `CHUNK` scores, as shares of the range."""
        n = len(u)
        sums = np.zeros((n + 1, len(self._tilts)))
        np.cumsum(np.log1p(np.outer(u, self._tilts)), axis=0, out=sums[1:])
        games = sums - np.arange(n + 1)[:, None] * self._costs
        # Row s: the share of a start at score s, as if it had begun with the chunk.
        shares = log_start_shares(self._now.n, n)[:, None] - games[:-1]
        alarm = 0
        if self._found_at is None:
            alarm = self._bet(games[1:], shares)
            if alarm < n:
                self._found_at = float(times[alarm])
        if self._found_at is not None:
            self._find_peak(games[1:], shares, sums, u, times, alarm)
        self._follow(games[1:], shares, sums, u, times)
        self._now = StartState(
            self._now.n + n,
            float(times[-1]),
            self._now.total + float(u.sum()),
            self._now.sums + sums[-1],
        )

    def _bet(self, games: Floats, shares: Floats) -> int:
        """Carry on the wealth of all starts, and return the row of an alarm; n without one."""
        highest = shares.max(axis=0)
        started = highest + np.log(np.cumsum(np.exp(shares - highest), axis=0))
        wealth = games + np.logaddexp(self._wealth, started)
        row = len(games)
        # The money of starts to come is less than 1, and counts as well.
        if wealth.max() >= math.log(math.expm1(-self._log_level)):
            kept = log_kept(self._now.n + 1 + np.arange(len(games)))
            enough = log_total(wealth, kept) >= -self._log_level
            row = int(enough.argmax()) if enough.any() else row
        last = min(row, len(games) - 1)
        self._wealth, self._bets = wealth[last], self._now.n + last + 1
        return row

    def _follow(
        self, games: Floats, shares: Floats, sums: Floats, u: Floats, times: Floats
    ) -> None:
        """Follow the best start of each tilt."""
        first = shares.argmax(axis=0)
        best = shares[first, np.arange(len(first))]
        for tilt in np.flatnonzero(best > self._best):
            self._starts[tilt] = self._start_at(int(first[tilt]), sums, u, times)
        self._best = games[-1] + np.maximum(self._best, best)

    def _find_peak(
        self, games: Floats, shares: Floats, sums: Floats, u: Floats, times: Floats, alarm: int
    ) -> None:
        """Find the start with the most evidence at any score from the row of the alarm on."""
        best = games + np.maximum(self._best, np.maximum.accumulate(shares, axis=0))
        row, tilt = np.unravel_index(best[alarm:].argmax(), best[alarm:].shape)
        row += alarm
        if best[row, tilt] <= self._peak:
            return
        self._peak = float(best[row, tilt])
        begun = shares[: row + 1, tilt]
        if begun.max() > self._best[tilt]:
            self._since = self._start_at(int(begun.argmax()), sums, u, times)
        else:
            self._since = self._starts[tilt]

    def _start_at(self, row: int, sums: Floats, u: Floats, times: Floats) -> StartState:
        return StartState(
            self._now.n + row,
            float(times[row]),
            self._now.total + float(u[:row].sum()),
            self._now.sums + sums[row],
        )

    @property
    def n(self) -> int:
        """The number of scores so far."""
        return self._now.n

    @property
    def log_e(self) -> float:
        """The logarithm of the total of all bets; from an alarm on, as it was then."""
        return float(log_total(self._wealth, log_kept(np.array(self._bets))))

    def change(self) -> Change | None:
        """Describe the change; None as long as none is proven.

        A change that was found stays found. Later scores make ``since`` and ``after`` surer; both
        intervals hold at the detector's level, for any ``since`` that the data choose.
        """
        if self._found_at is None:
            return None
        since, now = self._since, self._now
        share = float(log_start_shares(since.n, 1)[0])
        return Change(
            since=since.time,
            found_at=self._found_at,
            before=self._segment(since.n, since.total, since.sums, self._log_level),
            # For all starts together: each has its share of the level.
            after=self._segment(
                now.n - since.n,
                now.total - since.total,
                now.sums - since.sums,
                self._log_level + share,
            ),
        )

    def _segment(self, n: int, total: float, sums: Floats, log_level: float) -> SegmentMean:
        if not n:
            return SegmentMean(math.nan, self._low, self._high, 0)
        mean = min(max(total / n, 0.0), 1.0)
        low, high = mean_intervals(
            sums[None], np.array([n]), np.array([mean]), self._tilts, log_level
        )
        width = self._high - self._low
        return SegmentMean(
            self._low + width * mean,
            self._low + width * float(low[0]),
            self._low + width * float(high[0]),
            n,
        )


def log_kept(n: Floats | Ints) -> Floats:
    """Compute the logarithm of the share of the money that is kept for starts after score n."""
    kept: Floats = -np.log1p(np.log1p(n / EARLY))
    return kept


def log_start_shares(before: int, n: int) -> Floats:
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
    """Add the mean wealth of all tilts, (..., tilts), to the money that is kept, (...)."""
    total: Floats = np.logaddexp(
        np.logaddexp.reduce(wealth, axis=-1) - math.log(wealth.shape[-1]), kept
    )
    return total
