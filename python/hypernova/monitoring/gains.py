"""The gain of routing over always using the default model, from logged decisions.

Not here: the mathematics of the bets (see ``tilts``), or the gain on a table (see
`hypernova.evaluate`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


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
        raise NotImplementedError

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
        raise NotImplementedError

    def figure(self) -> GainFigure:
        """Compute the gain and its interval."""
        raise NotImplementedError


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
    raise NotImplementedError
