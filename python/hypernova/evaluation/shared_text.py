"""The field of a report on what a table's prompts share: what it is, what is at stake.

Not here: finding it, or leaving it out (see ``hypernova.training.shared_text``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypernova.embedder import SkipSharedEmbedder
from hypernova.training.model_selection import HeldOutScores
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
    from hypernova.evaluation.protocol import Decided, Part
    from hypernova.numeric import Floats
    from hypernova.table import OutcomeTable
    from hypernova.training.shared_text import SharedText

LABEL = "held-out, in the first deal"


def vectors_unseen(
    table: OutcomeTable, embedder: TextEmbedder | None, vectors: Floats, part: Part
) -> Floats:
    """Give the vectors as they are where the group that is left out was never seen.

    A beginning that only this group has is then not known, and not left out.

    Args:
        table: Outcomes.
        embedder: Which made the vectors, None if the table brought them.
        vectors: float32 (tasks, dim).
        part: With a group as its test part.

    Returns:
        float32 (tasks, dim): the same array, where nothing is skipped.
    """
    if not isinstance(embedder, SkipSharedEmbedder):
        return vectors
    known = find_shared_text([table.prompts[task] for task in part.train]).parts
    left = [prompt if known is None else known.left(prompt) for prompt in table.prompts]
    changed = [
        task
        for task, prompt in enumerate(table.prompts)
        if left[task] != embedder.parts.left(prompt)
    ]
    if not changed:
        return vectors
    found = vectors.copy()
    found[changed] = embedder.embedder.embed([left[task] for task in changed])
    return found


def shared_field(
    table: OutcomeTable,
    shared: SharedText,
    first_deal: Sequence[Part],
    whole: Sequence[Decided],
    left: Sequence[Decided],
    *,
    skipped: bool,
) -> dict[str, Any] | None:
    """Make the field ``shared_text`` of a report; None where there is nothing to say.

    Args:
        table: Outcomes.
        shared: What was found.
        first_deal: The parts of one deal.
        whole: What was decided in each of them.
        left: The same without the shared text; empty where that was not tried.
        skipped: Whether it is left out everywhere.
    """
    if not skipped and shared.notable_parts is None:
        return None
    facts = {**shared.to_dict(skipped=skipped), "at_stake": None}
    if left:
        tallies = [HeldOutScores(table.n_tasks), HeldOutScores(table.n_tasks)]
        for tally, decided in zip(tallies, (whole, left), strict=True):
            for part, each in zip(first_deal, decided, strict=True):
                tally.add(table, part.test, each.taken)
        facts["at_stake"] = accuracy_at_stake(tallies[0], tallies[1], LABEL)
    return {**facts, "text": _sentence(shared_sentence(facts))}


def alike_field(
    table: OutcomeTable, texts: Sequence[str], vectors: Floats
) -> dict[str, Any] | None:
    """Make the field ``alike_prompts`` of a report; None where there is nothing to say."""
    facts = find_alike_prompts(table, texts, row_digests(vectors))
    return None if facts is None else {**facts, "text": _sentence(alike_sentence(facts))}


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
