"""The gain of routing over always using the default model, from logged decisions.

Not here: the mathematics of the bets (see ``tilts``), or the gain on a table (see
`hypernova.evaluate`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.errors import MonitorError
from hypernova.monitoring.sequences import MeanSequence
from hypernova.monitoring.tilts import (
    check_lengths,
    check_level,
    check_number,
    check_numbers,
    tilt_grid,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from hypernova.numeric import Floats

# The estimate of the default model is corrected as if this many decisions of the greatest weight
# had had no residual.
PRIOR = 20


@dataclass(frozen=True)
class GainFigure:
    """A gain in mean score over the default model.

    Attributes:
        gain: Mean score of the router, exploration included, less that of the default model on
            the same prompts; NaN if ``known`` is False.
        low: Lower end of the anytime-valid interval; -1 if nothing is known.
        high: Its upper end; 1 if nothing is known.
        n: Number of decisions behind it.
        known: Whether the log can tell the gain at all: False as long as no decision was explored,
            because the default model is then never seen where another is chosen.
        without_overlap: Decisions that were left out, because their model was certain.
    """

    gain: float
    low: float
    high: float
    n: int
    known: bool
    without_overlap: int = 0


class GainSequence:
    """The gain of routing over the default model, with an interval that holds at every look.

    At a level of 0.05 the interval is right *at all looks together* in at least 95 services of
    100, so that one may look every day and stop routing on the first day that proves a loss. It
    assumes that the logged propensities are those with which models were drawn, and that scores
    are not missing for a reason; it does not assume that any estimate is right.

    Each decision gives a *doubly robust* difference: the score, less ``default_success`` plus, if
    the default model answered, ``(score - default_success) / propensity``. Its mean is the gain
    for that prompt even if the estimates are wrong; good estimates make it vary less. The mean
    residual of the default model so far is added to the estimate (a predictable control variate).

    Leave out decisions whose limits excluded the default model, and fallbacks. Decisions with a
    propensity of 1 are counted and left out here: nothing was explored.

    The form: `MeanSequence` of the differences, whose range is that of the greatest weight.

    Args:
        level: The probability that the interval is ever wrong, between 0 and 1.
        max_weight: The greatest ``1 / propensity`` that the default model can have: the number
            of candidates over ``explore``; at least 1. Set it from the service's options, and not
            from the outcomes.

    Raises:
        MonitorError: An argument is out of range.

    Example:
        >>> sequence = GainSequence(max_weight=2 / 0.1)
        >>> sequence.add(score=[1.0], propensity=[1.0], is_default=[False], default_success=[0.6])
        >>> sequence.figure().known
        False
    """

    def __init__(self, *, level: float = 0.05, max_weight: float) -> None:
        self._max_weight = check_number(max_weight, "max_weight", 1.0, 1e9)
        self._reach = max(1.0, self._max_weight - 1.0)
        self._differences = MeanSequence(low=-self._reach, high=self._reach, level=level)
        self._without_overlap = 0
        # Weighted mean residual of the default model's estimate, and its weights.
        self._residuals, self._weights = 0.0, PRIOR * self._reach**2

    def add(
        self,
        score: ArrayLike,
        propensity: ArrayLike,
        is_default: ArrayLike,
        default_success: ArrayLike,
    ) -> None:
        """Add decisions with their outcomes, in order of arrival; batches of any size.

        Args:
            score: (n,) score of the model that was chosen and answered, 0 to 1.
            propensity: (n,) probability with which it was drawn, above 0 to 1.
            is_default: (n,) whether it is the default model.
            default_success: (n,) the default model's success estimate for the prompt, 0 to 1.

        Raises:
            MonitorError: The lengths differ, a value is out of range, or the default model's
                propensity is below ``1 / max_weight``; none of them is added.
        """
        value = check_numbers(score, "score", 0.0, 1.0)
        drawn = check_numbers(propensity, "propensity", math.nextafter(0.0, 1.0), 1.0)
        default = check_flags(is_default)
        estimate = check_numbers(default_success, "default_success", 0.0, 1.0)
        check_lengths(score=value, propensity=drawn, is_default=default, default_success=estimate)
        rare = default & (drawn * self._max_weight < 1 - 1e-9)
        if rare.any():
            place = int(rare.argmax())
            raise MonitorError(
                f"propensity[{place}] of the default model is {drawn[place]:g}, below "
                f"1 / max_weight = {1 / self._max_weight:g}: give a greater max_weight"
            )
        explored = drawn < 1
        self._without_overlap += int(np.sum(~explored))
        weight = 1.0 - default[explored] / drawn[explored]
        value, estimate = value[explored], estimate[explored]
        self._differences.add(
            np.clip(
                (value - self._corrected(value, estimate, weight)) * weight,
                -self._reach,
                self._reach,
            )
        )

    def _corrected(self, value: Floats, estimate: Floats, weight: Floats) -> Floats:
        """Add the mean residual of all earlier decisions to each estimate.

        The variance of the differences is least with residuals weighted by the squared weights.
        """
        residuals = self._residuals + np.cumsum(weight**2 * (value - estimate))
        weights = self._weights + np.cumsum(weight**2)
        shift = np.concatenate([[self._residuals], residuals]) / np.concatenate(
            [[self._weights], weights]
        )
        if len(value):
            self._residuals, self._weights = float(residuals[-1]), float(weights[-1])
        corrected: Floats = np.clip(estimate + shift[:-1], 0.0, 1.0)
        return corrected

    def figure(self) -> GainFigure:
        """Compute the gain and its interval."""
        n, differences = self._differences.n, self._differences
        if not n:
            return GainFigure(math.nan, -1.0, 1.0, 0, False, self._without_overlap)
        low, high = differences.interval()
        # No gain in scores of 0 to 1 is greater than 1.
        low, high = max(low, -1.0), min(high, 1.0)
        return GainFigure(differences.mean, low, high, n, True, self._without_overlap)


def decisions_to_tell(
    gain: float,
    explore: float,
    n_models: int,
    *,
    success: float = 0.7,
    routed: float = 0.5,
    level: float = 0.05,
    n: int = 0,
) -> int:
    """Estimate how many more decisions tell whether routing gains, by `GainSequence`.

    It is the number at which the interval leaves 0 in a typical course, if the gain is as stated.
    Half of all courses take longer.

    Args:
        gain: The gain to tell from 0, of either sign; not 0.
        explore: Share of decisions whose model is drawn, above 0 to 1.
        n_models: Number of candidates among which it is drawn, at least 2.
        success: Mean score of the default model.
        routed: Share of decisions that take another model than the default without exploration.
        level: As for `GainSequence`.
        n: Number of decisions explored so far.

    Returns:
        A number of decisions, 0 or more.

    Raises:
        MonitorError: An argument is out of range, or the gain is greater than ``routed`` allows.

    Example:
        >>> more = decisions_to_tell(0.05, 0.05, 4)
        >>> decisions_to_tell(0.05, 0.1, 4) < more
        True
    """
    share = check_number(routed, "routed", 0.0, 1.0)
    rate = check_number(explore, "explore", 0.0, 1.0)
    default = check_number(success, "success", 0.0, 1.0)
    by = check_number(gain, "gain", -1.0, 1.0)
    if not isinstance(n_models, int | np.integer) or n_models < 2:
        raise MonitorError(f"n_models is {n_models!r}; expected an integer from 2 on")
    if not by or not rate or not share:
        raise MonitorError("gain, explore and routed must not be 0: nothing would ever tell")
    least = rate / n_models
    other = default + by / (share * (1 - least))
    if not 0.0 <= other <= 1.0:
        raise MonitorError(
            f"a gain of {by:g} on {share:g} of the decisions from a success of {default:g} is "
            "impossible: give a greater routed, or another success"
        )
    reach = max(1.0, 1 / least - 1.0)
    values, shares = differences_of(rate, int(n_models), share, default, other)
    tilts = tilt_grid()
    # The gain of each bet against a mean of 0 by a decision, on average.
    growth = np.log1p(np.outer(tilts, (1.0 + values / reach) / 2)) @ shares - np.log1p(tilts / 2)
    needed = -math.log(check_level(level))
    # With all money on the best tilt, and with it spread evenly.
    low, high = needed / growth.max(), (needed + math.log(len(tilts))) / growth.max()
    while high - low > 0.5:
        middle = (low + high) / 2
        if np.logaddexp.reduce(middle * growth) - math.log(len(tilts)) < needed:
            low = middle
        else:
            high = middle
    return max(0, math.ceil(float(high)) - n)


def differences_of(
    explore: float, n_models: int, routed: float, default: float, other: float
) -> tuple[Floats, Floats]:
    """List the differences of `GainSequence` in a plain world, and their probabilities.

    Args:
        explore: Share of decisions whose model is drawn.
        n_models: Number of models among which it is drawn.
        routed: Share of decisions whose chosen model is another than the default.
        default: Success of the default model, known to the estimate.
        other: Success of the other models where they are chosen; elsewhere it is the default's.

    Returns:
        Values and probabilities, (8,) each.
    """
    least = explore / n_models
    values, shares = [], []
    for part, own, success in (
        (routed, least, other),
        (1 - routed, 1 - explore + least, default),
    ):
        for score in (0.0, 1.0):
            values += [(score - default) * (1 - 1 / own), score - default]
            for chance, mean in ((own, default), (1 - own, success)):
                shares.append(part * chance * (mean if score else 1 - mean))
    return np.array(values), np.array(shares)


def check_flags(values: ArrayLike) -> NDArray[np.bool_]:
    """Return a sequence of flags as an array of bool (n,)."""
    flags = np.asarray(values)
    if flags.ndim != 1 or (len(flags) and flags.dtype != bool):
        raise MonitorError("is_default is no sequence of True and False")
    return flags.astype(bool)
