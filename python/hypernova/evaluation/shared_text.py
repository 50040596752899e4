"""Fields of a report on shared text, with its effect on accuracy, and on alike prompts.

Not here: finding shared text, or leaving it out (see ``hypernova.training.shared_text``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypernova.embedder import SkipSharedEmbedder
from hypernova.training.held_out_scores import HeldOutScores
from hypernova.training.shared_text import (
    accuracy_at_stake,
    alike_sentence,
    find_alike_prompts,
    find_shared_text,
    row_digests,
    shared_sentence,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.embedder import TextEmbedder
    from hypernova.evaluation.protocol import Split, SplitDecisions
    from hypernova.numeric import Floats
    from hypernova.table import OutcomeTable
    from hypernova.training.shared_text import SharedText

LABEL = "held-out, in the first deal"


def vectors_unseen(
    table: OutcomeTable, embedder: TextEmbedder | None, vectors: Floats, split: Split
) -> Floats:
    """Embed prompts as a router does that has never seen the group of the test part.

    Such a router does not know a beginning that only this group has, and keeps it.

    Args:
        table: Outcomes.
        embedder: Maker of the vectors; None if the table brought them.
        vectors: float32 (tasks, dim).
        split: A split with a group as its test part.

    Returns:
        float32 (tasks, dim); the same array where no vector changes.
    """
    if not isinstance(embedder, SkipSharedEmbedder):
        return vectors
    known = find_shared_text([table.prompts[task] for task in split.train]).parts
    left = [prompt if known is None else known.remaining(prompt) for prompt in table.prompts]
    changed = [
        task
        for task, prompt in enumerate(table.prompts)
        if left[task] != embedder.parts.remaining(prompt)
    ]
    if not changed:
        return vectors
    found = vectors.copy()
    found[changed] = embedder.embedder.embed([left[task] for task in changed])
    return found


def shared_field(
    table: OutcomeTable,
    shared: SharedText,
    first_repeat: Sequence[Split],
    whole: Sequence[SplitDecisions],
    left: Sequence[SplitDecisions],
    *,
    skipped: bool,
) -> dict[str, Any] | None:
    """Make the field ``shared_text`` of a report; None if few prompts share text.

    Args:
        table: Outcomes.
        shared: The text that prompts share.
        first_repeat: The splits of one repeat.
        whole: Decisions of each of them, from whole prompts.
        left: Decisions from prompts without the shared text; empty if that was not tried.
        skipped: Whether the shared text is left out everywhere.
    """
    if not skipped and shared.notable_parts is None:
        return None
    facts = {**shared.to_dict(skipped=skipped), "at_stake": None}
    if left:
        tallies = [HeldOutScores(table.n_tasks), HeldOutScores(table.n_tasks)]
        for tally, decisions in zip(tallies, (whole, left), strict=True):
            for split, each in zip(first_repeat, decisions, strict=True):
                tally.add(table, split.test, each.chosen)
        facts["at_stake"] = accuracy_at_stake(tallies[0], tallies[1], LABEL)
    return {**facts, "text": _sentence(shared_sentence(facts))}


def alike_field(
    table: OutcomeTable, texts: Sequence[str], vectors: Floats
) -> dict[str, Any] | None:
    """Make the field ``alike_prompts`` of a report; None if such prompts are few."""
    facts = find_alike_prompts(table, texts, row_digests(vectors))
    return None if facts is None else {**facts, "text": _sentence(alike_sentence(facts))}


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
