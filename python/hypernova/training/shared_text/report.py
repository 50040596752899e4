"""Measure what leaving shared text out changes, and say it.

Not here: finding the text (see ``find``).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hypernova.embedder import SharedParts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hypernova.training.model_selection import Tally

# Standard errors from which on a difference is called one.
CLEAR = 2.0
# So many lengths are listed one by one in a sentence.
_LISTED = 3


def at_stake(whole: Tally, left: Tally, label: str) -> dict[str, Any]:
    """Compare held-out accuracy with and without the shared parts, paired by task.

    Both accuracies are over the tasks that were scored both ways, so that the gain is their
    difference.

    Args:
        whole: With them.
        left: Without them, on the same tasks.
        label: What the two figures are.
    """
    gain, error = left.gain_over(whole)
    both = (whole.n > 0) & (left.n > 0)
    accuracy, left_out = (
        float((tally.score[both] / tally.n[both]).mean()) if both.any() else math.nan
        for tally in (whole, left)
    )
    return {
        "label": label,
        "accuracy": _known(accuracy),
        "accuracy_left_out": _known(left_out),
        "gain": _known(gain),
        "standard_error": _known(error),
    }


def shared_sentence(facts: Mapping[str, Any]) -> str:
    """Say which text is shared, and what leaving it out does to held-out accuracy."""
    if not facts["sharing"]:
        return "no beginning or end is shared by enough of the prompts: nothing is left out"
    shared = [_named(name, facts[f"{name}s"]) for name in ("start", "end") if facts[f"{name}s"]]
    said = (
        f"{facts['sharing']:,} of {facts['prompts']:,} different prompts share "
        f"{' or '.join(shared)}"
    )
    if facts["skipped"]:
        return f"{said}; it is left out, in training and in every request"
    stake = facts.get("at_stake")
    if not stake or None in stake.values():
        return said
    gain, error = 100 * stake["gain"], 100 * stake["standard_error"]
    said += (
        f"; without it held-out accuracy is {stake['accuracy_left_out']:.4f} instead of "
        f"{stake['accuracy']:.4f} ({gain:+.1f} points, standard error {error:.1f}): "
    )
    if gain > CLEAR * error:
        return said + "--skip-shared leaves it out"
    if gain < -CLEAR * error:
        return said + "it tells kinds of prompt apart, and --skip-shared would lose that"
    return said + "no clear difference in accuracy; --skip-shared leaves it out"


def skipped_sentence(identity: Mapping[str, object]) -> str:
    """Say what an artifact leaves out of every request, by its embedder's identity.

    Raises:
        ArtifactError: The shared parts are malformed.
    """
    parts = SharedParts.of_identity(identity)
    assert parts is not None
    each = [
        f"{of} of {', '.join(f'{part.chars:,}' for part in parts.parts if part.at == at)}"
        for at, of in (("start", "beginnings"), ("end", "ends"))
        if any(part.at == at for part in parts.parts)
    ]
    return f"every request loses a known beginning or end: {'; '.join(each)} characters"


def alike_sentence(facts: Mapping[str, Any]) -> str:
    """Say how many prompts the embedder cannot tell apart, and what that can cost."""
    vectors = "one vector" if facts["vectors"] == 1 else f"{facts['vectors']:,} vectors"
    return (
        f"{facts['prompts']:,} of {facts['of']:,} different prompts have only {vectors} among "
        "them: what tells them apart is not read. At most "
        f"{100 * facts['at_most']:.1f} points of accuracy are at stake (best model of each "
        "prompt against best of each vector, in hindsight)"
    )


def _known(figure: float) -> float | None:
    """Round a figure for JSON; None where it is not known."""
    return round(figure, 6) if math.isfinite(figure) else None


def _named(name: str, lengths: Sequence[Mapping[str, int]]) -> str:
    """One kind of shared part with its lengths, such as "a beginning of 512 characters"."""
    noun = {"start": ("a beginning", "beginnings"), "end": ("an end", "ends")}[name]
    chars = sorted({length["chars"] for length in lengths})
    if len(chars) == 1:
        return f"{noun[0]} of {chars[0]:,} characters"
    if len(chars) <= _LISTED:
        listed = ", ".join(f"{n:,}" for n in chars[:-1])
        return f"{noun[0]} of {listed} or {chars[-1]:,} characters"
    return f"one of {len(chars)} {noun[1]} of {chars[0]:,} to {chars[-1]:,} characters"
