"""Report shared text: the accuracy at stake, and sentences for commands and reports.

Not here: finding the text (see ``find``).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hypernova.embedder import SharedParts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hypernova.training.held_out_scores import HeldOutScores

# Standard errors beyond which a gain counts as a difference.
MIN_CLEAR_Z = 2.0
# A sentence lists up to this many lengths one by one.
_MAX_LISTED = 3


def accuracy_at_stake(whole: HeldOutScores, without: HeldOutScores, label: str) -> dict[str, Any]:
    """Compare held-out accuracy with and without the shared parts, paired by task.

    Both accuracies are over the tasks that were scored both ways, so that the gain is their
    difference.

    Args:
        whole: Scores with the shared parts.
        without: Scores without them, on the same tasks.
        label: Names the kind of figure, such as held-out.

    Returns:
        The JSON form for metadata and reports; None in place of a figure that is unknown.
    """
    gain, error = without.gain_over(whole)
    both = (whole.n > 0) & (without.n > 0)
    accuracy, left_out = (
        float((scores.score[both] / scores.n[both]).mean()) if both.any() else math.nan
        for scores in (whole, without)
    )
    return {
        "label": label,
        "accuracy": _known(accuracy),
        "accuracy_left_out": _known(left_out),
        "gain": _known(gain),
        "standard_error": _known(error),
    }


def shared_sentence(facts: Mapping[str, Any]) -> str:
    """Report which text is shared, and the effect of leaving it out on held-out accuracy.

    Args:
        facts: JSON form of `SharedText.to_dict`, with ``at_stake`` where it was measured.
    """
    if not facts["sharing"]:
        return "no beginning or end is shared by enough of the prompts: nothing is left out"
    shared = [_named(name, facts[f"{name}s"]) for name in ("start", "end") if facts[f"{name}s"]]
    text = (
        f"{facts['sharing']:,} of {facts['prompts']:,} different prompts share "
        f"{' or '.join(shared)}"
    )
    if facts["skipped"]:
        return f"{text}; it is left out, in training and in every request"
    stake = facts.get("at_stake")
    if not stake or None in stake.values():
        return text
    gain, error = 100 * stake["gain"], 100 * stake["standard_error"]
    text += (
        f"; without it held-out accuracy is {stake['accuracy_left_out']:.4f} instead of "
        f"{stake['accuracy']:.4f} ({gain:+.1f} points, standard error {error:.1f}): "
    )
    if gain > MIN_CLEAR_Z * error:
        return text + "--skip-shared leaves it out"
    if gain < -MIN_CLEAR_Z * error:
        return text + "it tells kinds of prompt apart, and --skip-shared would lose that"
    return text + "no clear difference in accuracy; --skip-shared leaves it out"


def skipped_sentence(identity: Mapping[str, object]) -> str:
    """Report the text that an artifact leaves out of every request.

    Args:
        identity: Of the artifact's embedder, which skips shared parts.

    Raises:
        ArtifactError: The shared parts are malformed.
    """
    parts = SharedParts.from_identity(identity)
    assert parts is not None
    each = [
        f"{of} of {', '.join(f'{part.chars:,}' for part in parts.parts if part.at == at)}"
        for at, of in (("start", "beginnings"), ("end", "ends"))
        if any(part.at == at for part in parts.parts)
    ]
    return f"every request loses a known beginning or end: {'; '.join(each)} characters"


def alike_sentence(facts: Mapping[str, Any]) -> str:
    """Report how many prompts the embedder cannot tell apart, and a bound on the cost.

    Args:
        facts: JSON form of `find_alike_prompts`.
    """
    vectors = "one vector" if facts["vectors"] == 1 else f"{facts['vectors']:,} vectors"
    return (
        f"{facts['prompts']:,} of {facts['of']:,} different prompts have only {vectors} among "
        "them: what tells them apart is not read. At most "
        f"{100 * facts['at_most']:.1f} points of accuracy are at stake (best model of each "
        "prompt against best of each vector, in hindsight)"
    )


def _known(figure: float) -> float | None:
    """Round a figure for JSON; None where it is not finite."""
    return round(figure, 6) if math.isfinite(figure) else None


def _named(name: str, lengths: Sequence[Mapping[str, int]]) -> str:
    """Name a kind of shared part with its lengths, such as "a beginning of 512 characters"."""
    noun = {"start": ("a beginning", "beginnings"), "end": ("an end", "ends")}[name]
    chars = sorted({length["chars"] for length in lengths})
    if len(chars) == 1:
        return f"{noun[0]} of {chars[0]:,} characters"
    if len(chars) <= _MAX_LISTED:
        listed = ", ".join(f"{n:,}" for n in chars[:-1])
        return f"{noun[0]} of {listed} or {chars[-1]:,} characters"
    return f"one of {len(chars)} {noun[1]} of {chars[0]:,} to {chars[-1]:,} characters"
