"""Whether a model's success changed, and since when.

Not here: the mathematics of the bets (see ``tilts``), or whether estimates are right on average
(see ``estimate_checks``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


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
        raise NotImplementedError


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
        raise NotImplementedError

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
        raise NotImplementedError

    @property
    def n(self) -> int:
        """The number of scores so far."""
        raise NotImplementedError

    @property
    def log_e(self) -> float:
        """The logarithm of the total of all bets at present; an alarm is due at -log(level)."""
        raise NotImplementedError

    def change(self) -> Change | None:
        """Describe the change; None as long as none is proven.

        A change that was found stays found. Later scores make ``since`` and ``after`` surer; both
        intervals hold at the detector's level, for any ``since`` that the data choose.
        """
        raise NotImplementedError
