"""Minimise a smooth function of many variables by L-BFGS.

Not here: bounds. SciPy's L-BFGS-B, which has them, took a third of the time of training
prototypes for itself, and its import 43 MB of memory.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypernova.numeric import Floats

# Numbers of Nocedal and Wright 2006: pairs that are remembered, and the two conditions of Wolfe.
MEMORY = 10
DECREASE, CURVATURE = 1e-4, 0.9
# Trial steps of one line search.
MAX_TRIALS = 20
# The search ends where the loss falls by less than this share of it, or no gradient is larger.
MIN_DECREASE, MIN_GRADIENT = 2e-9, 1e-5


class _Trial(NamedTuple):
    """A point along a direction: the step, the loss and its slope there, and the gradient."""

    step: float
    loss: float
    slope: float
    gradient: Floats


def minimise(
    function: Callable[[Floats], tuple[float, Floats]], start: Floats, iterations: int
) -> Floats:
    """Minimise a function by L-BFGS (Nocedal and Wright 2006, algorithms 7.4, 7.5, 3.5 and 3.6).

    Args:
        function: Returns the loss and its gradient, float64 (n,), at a point.
        start: float64 (n,).
        iterations: Number of steps, at most.

    Returns:
        The point with the least loss that was reached, float64 (n,).
    """
    x = start
    loss, gradient = function(x)
    pairs: deque[tuple[Floats, Floats, float]] = deque(maxlen=MEMORY)
    for _ in range(iterations):
        if np.abs(gradient).max() <= MIN_GRADIENT:
            break
        direction = -_inverse_hessian_times(gradient, pairs)
        here = _Trial(0.0, loss, float(gradient @ direction), gradient)
        # The length of the first direction means nothing yet.
        first = 1.0 if pairs else min(1.0, 1.0 / float(np.linalg.norm(gradient)))
        found = _search(function, x, direction, here, first)
        if found.step == 0.0:
            break
        moved, bent = found.step * direction, found.gradient - gradient
        curvature = float(moved @ bent)
        if curvature > np.finfo(float).eps * float(bent @ bent):
            pairs.append((moved, bent, curvature))
        x, before = x + moved, loss
        loss, gradient = found.loss, found.gradient
        if before - loss <= MIN_DECREASE * max(abs(before), abs(loss), 1.0):
            break
    return x


def _inverse_hessian_times(gradient: Floats, pairs: deque[tuple[Floats, Floats, float]]) -> Floats:
    """Multiply a gradient by the inverse Hessian that the pairs approximate (two loops)."""
    product = gradient.copy()
    shares = []
    for moved, bent, curvature in reversed(pairs):
        share = float(moved @ product) / curvature
        product -= share * bent
        shares.append(share)
    if pairs:
        _, bent, curvature = pairs[-1]
        product *= curvature / float(bent @ bent)
    for (moved, bent, curvature), share in zip(pairs, reversed(shares), strict=True):
        product += (share - float(bent @ product) / curvature) * moved
    return product


def _search(
    function: Callable[[Floats], tuple[float, Floats]],
    x: Floats,
    direction: Floats,
    here: _Trial,
    first: float,
) -> _Trial:
    """Find a step that meets the strong conditions of Wolfe, or the best of the trials."""

    def at(step: float) -> _Trial:
        loss, gradient = function(x + step * direction)
        return _Trial(step, loss, float(gradient @ direction), gradient)

    def too_far(trial: _Trial) -> bool:
        return not trial.loss <= here.loss + DECREASE * trial.step * here.slope

    low, high, step = here, None, first
    best = here
    for _ in range(MAX_TRIALS):
        trial = at(step)
        if trial.loss < best.loss:
            best = trial
        if too_far(trial) or (low is not here and trial.loss >= low.loss):
            high = trial
        elif abs(trial.slope) <= -CURVATURE * here.slope:
            return trial
        elif trial.slope >= 0.0:
            low, high = trial, low
        elif high is None:
            low = trial
        else:
            low = trial
        step = 2.0 * step if high is None else _between(low, high)
        if high is not None and abs(high.step - low.step) < 1e-12:
            break
    return best


def _between(low: _Trial, high: _Trial) -> float:
    """Return the minimum of the cubic through two trials, kept away from either."""
    width = high.step - low.step
    bend = low.slope + high.slope - 3.0 * (high.loss - low.loss) / width
    root = bend**2 - low.slope * high.slope
    share = 0.5
    if root >= 0.0:
        reach = np.sqrt(root) * np.sign(width)
        divisor = high.slope - low.slope + 2.0 * reach
        if divisor:
            share = float(1.0 - (high.slope + reach - bend) / divisor)
    if not 0.1 <= share <= 0.9:
        share = 0.5
    return low.step + share * width
