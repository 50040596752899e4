"""The verdict of monitoring: findings, and one sentence on what to do.

Not here: the figures (see ``sections``).

The rule, in this order (docs/monitoring.md gives the reasons):

1. The gain over the default model is proven to be negative: *Stop routing: use X*, the default
   model. Nothing else leads to it.
2. The mix of clusters or the novelty of prompts is proven to have left training by more than the
   tolerance, or the default model's success is proven to have changed: *Fit again*. Clusters and
   novelty are fitted, and every gain is learned against the default model; recalibrating moves
   neither.
3. Success estimates are proven to be off by more than the tolerance, another model's success is
   proven to have changed, or costs (latencies, where the artifact weighs them) are proven to have
   left the profile: *Recalibrate*.
4. The interval of the mean residual of all outcomes is wider than `ENOUGH` to either side, so that
   an error that matters may have gone unseen: *Not enough outcomes: N more*.
5. Otherwise: *Keep*.

Every alarm has a share of one error level. While nothing is wrong, all of them together go off
with at most that probability, however often one looks.
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

import numpy as np

from hypernova.monitoring.estimate_checks import EstimateCheck
from hypernova.monitoring.report_fields import ErrorLevels, Finding
from hypernova.monitoring.wording import interval, percent, points, round_up, words_of_cluster

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.monitoring.report_fields import (
        AmountRow,
        ClusterMix,
        EstimateErrors,
        EstimateRow,
        Novelty,
        RoutingGain,
        SuccessChange,
    )

KEEP, RECALIBRATE, FIT_AGAIN, STOP, NOT_ENOUGH = (
    "keep", "recalibrate", "fit_again", "stop_routing", "not_enough_outcomes",
)  # fmt: skip
# Half width of the interval of the mean residual with which outcomes are enough.
ENOUGH = 0.05
# A standard deviation of residuals, where too few are known: of scores of 0 and 1 at a rate of 0.7.
SPREAD = 0.46
# Families of tests, which share the error level evenly.
FAMILIES = 5


def divided(level: float) -> ErrorLevels:
    """Divide the error level among the tests."""
    share = level / FAMILIES
    return ErrorLevels(
        total=level, gain=share, calibration=share, changes=share, drift=share, costs=share
    )


def findings(
    gain: RoutingGain,
    novelty: Novelty,
    mix: ClusterMix,
    changes: Sequence[SuccessChange],
    estimates: EstimateErrors,
    costs: Sequence[AmountRow],
    latencies: Sequence[AmountRow],
    *,
    weighs_latency: bool,
) -> tuple[Finding, ...]:
    """Collect all that is proven to be wrong, the gravest first.

    Args:
        gain: Over the default model.
        novelty: Of the prompts.
        mix: Of the clusters.
        changes: Of models' success.
        estimates: Against outcomes.
        costs: Against the profile.
        latencies: Against the profile.
        weighs_latency: Whether the artifact's latencies bear on its decisions.
    """
    found = []
    if gain.ci is not None and gain.ci.high < 0.0:
        found.append(
            Finding(
                kind="gain",
                remedy=STOP,
                text=f"routing loses {100 * abs(gain.gain or 0.0):.1f} points against always using "
                f"{gain.default_model} ({-100 * gain.ci.high:.1f} to {-100 * gain.ci.low:.1f})"
                + (
                    "" if not gain.explored else f", with {percent(gain.explored)} drawn to explore"
                ),
            )
        )
    if mix.off and mix.distance is not None:
        top = max(mix.clusters, key=lambda each: (each.observed or 0.0) - each.trained)
        found.append(
            Finding(
                kind="mix",
                remedy=FIT_AGAIN,
                text=f"{percent(mix.distance)} of the prompts are of other clusters than in "
                f"training (proven: {percent(mix.at_least)}); cluster {top.cluster}"
                f"{words_of_cluster(top.words)} grew from {percent(top.trained)} to "
                f"{percent(top.observed)}",
            )
        )
    if novelty.off:
        found.append(
            Finding(
                kind="novelty",
                remedy=FIT_AGAIN,
                text=f"{percent(novelty.observed)} of the prompts are unlike all training "
                f"prompts, {percent(novelty.expected)} in training",
            )
        )
    for change in changes:
        how = "less" if change.points < 0 else "more"
        default = ", the default model," if change.is_default else ""
        found.append(
            Finding(
                kind="change",
                remedy=FIT_AGAIN if change.is_default else RECALIBRATE,
                text=f"{change.model}{default} succeeds {100 * abs(change.points):.1f} points "
                f"{how} often since about {change.since[:10]}",
            )
        )
    found += _off_estimates(estimates, changes)
    found += _off_amounts(costs, "cost", RECALIBRATE)
    found += _off_amounts(latencies, "latency", RECALIBRATE if weighs_latency else None)
    return tuple(sorted(found, key=lambda each: _GRAVITY.index(each.remedy)))


_GRAVITY: tuple[str | None, ...] = (STOP, FIT_AGAIN, RECALIBRATE, None)


def _off_estimates(estimates: EstimateErrors, changes: Sequence[SuccessChange]) -> list[Finding]:
    """Say whose estimates are off: of models the worst, else of clusters.

    A model that is off is so in some cluster, and a model that changed is off: each is said once.
    """
    changed = {change.model for change in changes}
    models = [row for row in estimates.models if row.off and row.name not in changed]
    clusters = [row for row in estimates.clusters if row.off]
    off = models or ([] if changed else clusters)
    if not off:
        return []
    worst = max(off, key=lambda row: abs(_residual(row)))
    return [
        Finding(
            kind="calibration",
            remedy=RECALIBRATE,
            text=f"success of {worst.name}{words_of_cluster(worst.words)} is "
            f"{percent(worst.observed)} where {percent(worst.predicted)} was predicted, over "
            f"{worst.n:,} outcomes{_others(len(off) - 1, 'model' if models else 'cluster')}",
        )
    ]


def _others(n: int, noun: str) -> str:
    return f" ({n} more {noun}{'s are' if n > 1 else ' is'} off)" if n else ""


def _residual(row: EstimateRow) -> float:
    if row.observed is None or row.predicted is None:
        return 0.0
    return row.observed - row.predicted


def _off_amounts(rows: Sequence[AmountRow], kind: str, remedy: str | None) -> list[Finding]:
    """Say which model's cost or latency is off, the most frequent of them."""
    off = [row for row in rows if row.off]
    if not off:
        return []
    first = off[0]
    return [
        Finding(
            kind=kind,
            remedy=remedy,
            text=f"{first.model} {'costs' if kind == 'cost' else 'takes'} {first.ratio:.2g} times "
            f"what its profile says, over {first.n:,} outcomes{_others(len(off) - 1, 'model')}",
        )
    ]


def verdict_of(
    found: Sequence[Finding],
    gain: RoutingGain,
    estimates: EstimateErrors,
    more: int,
    no_outcomes: str = "",
) -> tuple[str, str]:
    """Choose the action, and write the verdict.

    Args:
        found: Findings, the gravest first.
        gain: Over the default model.
        estimates: Against outcomes.
        more: Number of outcomes that are missing; 0 if there are enough.
        no_outcomes: Reason for which none of the log's outcomes counts; empty if there is none.

    Returns:
        One of `KEEP`, `RECALIBRATE`, `FIT_AGAIN`, `STOP` and `NOT_ENOUGH`, and the sentence.
    """
    grave = [each for each in found if each.remedy is not None]
    if not grave and more:
        overall = estimates.overall
        there = (
            no_outcomes or "there is none so far"
            if not overall.n
            else f"of {overall.n:,} so far none shows that anything is wrong, but an error of "
            f"{100 * ENOUGH:.0f} points might not show yet"
        )
        return NOT_ENOUGH, f"Not enough outcomes: {more:,} more; {there}"
    if not grave:
        return KEEP, f"Keep: {_right(estimates)}; {_gain(gain)}"
    action = grave[0].remedy
    assert action is not None
    texts = "; ".join(each.text for each in grave if each.remedy == action)
    if action == STOP:
        return STOP, f"Stop routing: use {gain.default_model}; {texts}"
    if action == FIT_AGAIN:
        until = "" if len(grave) == 1 else ", and recalibrate until then"
        return FIT_AGAIN, f"Fit again{until if _mended(grave) else ''}: {texts}"
    return RECALIBRATE, f"Recalibrate: {texts}"


def advice(
    action: str, found: Sequence[Finding], gain: RoutingGain, *, only_strangers: bool = False
) -> str:
    """Say what to do about a verdict, in a sentence.

    Args:
        action: Of `verdict_of`.
        found: Findings.
        gain: Over the default model.
        only_strangers: Whether all decisions of the log are by other artifacts.
    """
    if action == STOP:
        return (
            f"Send every prompt to {gain.default_model}, and evaluate on newer outcomes before you "
            "route again."
        )
    if action == FIT_AGAIN:
        return (
            "Score the models on prompts like today's, fit a new artifact on them, and let it run "
            "as a shadow before it answers."
        )
    if action == RECALIBRATE:
        fade = "; outcomes from before the change fade" if _changed(found) else ""
        return f"Recalibrate on this log{fade}. See what changes before the new artifact answers."
    if action == NOT_ENOUGH and only_strangers:
        return "Give the artifact that decided, or the log of this one."
    if action == NOT_ENOUGH:
        return "Go on logging outcomes, and look again."
    if gain.needs:
        return "Nothing is wrong. To learn what routing gains, explore more: see the gain."
    return "Nothing is wrong; look again when you like."


def commands(
    action: str, found: Sequence[Finding], path: str | None, logs: Sequence[str]
) -> tuple[str, ...]:
    """Give the commands that do what the verdict says, ready to paste into a shell.

    Args:
        action: Of `verdict_of`.
        found: Findings.
        path: Of the artifact; None of one in memory, of which there is no command.
        logs: Paths of the log.
    """
    if path is None or not (
        action == RECALIBRATE or (action == FIT_AGAIN and _mended(found) and len(found) > 1)
    ):
        return ()
    router, log = _quoted(path), " ".join(_quoted(each) for each in logs)
    half_life = " --half-life 30" if _changed(found) else ""
    return (
        f"hypernova recalibrate {router} {log} -o recalibrated.hnv{half_life}",
        f"hypernova diff {router} recalibrated.hnv --log {log}",
    )


def _quoted(path: str) -> str:
    """Quote a path for a shell, on one line; one that begins with a hyphen is no option."""
    shown = f"./{path}" if path.startswith("-") else path
    if shown.isprintable():
        return shlex.quote(shown)
    escapes = "".join(
        c if c.isprintable() and c not in "\\'" else "".join(f"\\x{b:02x}" for b in os.fsencode(c))
        for c in shown
    )
    return f"$'{escapes}'"


def _changed(found: Sequence[Finding]) -> bool:
    return any(each.kind == "change" for each in found)


def _mended(grave: Sequence[Finding]) -> bool:
    return any(each.remedy == RECALIBRATE for each in grave)


def _right(estimates: EstimateErrors) -> str:
    overall = estimates.overall
    return (
        f"success is {percent(overall.observed)} where {percent(overall.predicted)} was "
        f"predicted, over {overall.n:,} outcomes"
    )


def _gain(gain: RoutingGain) -> str:
    if gain.always_default:
        return f"it always takes {gain.default_model}, the default model, and gains nothing over it"
    if not gain.n and not gain.without_overlap:
        return f"no decision could be compared with {gain.default_model}, the default model"
    if not gain.known:
        hardly = "hardly anything" if gain.explored else "nothing"
        return f"the gain over {gain.default_model} is unknown, since {hardly} was explored"
    assert gain.ci is not None
    if gain.ci.low > 0.0:
        return (
            f"the gain over {gain.default_model} is {points(gain.gain)} points "
            f"({interval(gain.ci)})"
        )
    return f"a gain over {gain.default_model} is not proven ({interval(gain.ci)} points)"


def outcomes_missing(estimates: EstimateErrors, level: float) -> int:
    """Estimate how many more outcomes the interval of the mean residual needs to be narrow.

    Args:
        estimates: Against outcomes.
        level: Of the interval.

    Returns:
        A number, rounded up to two digits; 0 if there are enough.
    """
    overall = estimates.overall
    width = (overall.ci.high - overall.ci.low) / 2.0
    if width <= ENOUGH:
        return 0
    enough = 64
    while _half_width(enough, level) > ENOUGH:
        enough *= 2
    low = enough // 2
    while enough - low > max(enough // 64, 1):
        middle = (low + enough) // 2
        low, enough = (low, middle) if _half_width(middle, level) <= ENOUGH else (middle, enough)
    # Where residuals spread more or less than usual, the present width says more.
    if overall.n >= 100:
        enough = max(int(overall.n * (width / ENOUGH) ** 2), overall.n + 1)
    more = max(enough - overall.n, 1)
    return round_up(more)


def _half_width(n: int, level: float) -> float:
    check = EstimateCheck(1)
    scores = np.resize([0.5 + SPREAD, 0.5 - SPREAD], n)
    check.add(np.zeros(n, np.int64), np.full(n, 0.5), scores)
    low, high = check.intervals(level)
    return float(high[0] - low[0]) / 2.0
