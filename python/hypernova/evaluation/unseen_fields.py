"""Typed fields of a report on kinds of task that the table lacks.

Not here: how they are computed (see ``unseen_kinds``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hypernova.evaluation.figure_fields import Gain


@dataclass(frozen=True, kw_only=True)
class WorstKind:
    """The kind that routing gained least on when it was left out.

    Attributes:
        name: Its group; ``the rest`` are those of too few tasks.
        tasks: Number of tasks.
        gain: Mean gain of a task, from -1 to 1; None if it is unknown.
    """

    name: str
    tasks: int
    gain: float | None


@dataclass(frozen=True, kw_only=True)
class UnseenKinds:
    """Figures of kinds of task that the table lacks: each kind was left out in turn.

    Attributes:
        expected: Share of prompts of such kinds that learning was told to expect, 0 to 1.
        kinds: ``"groups"``, or ``"clusters"`` of prompts where the table names no groups.
        left_out: Number of kinds.
        sets: Number of sets of kinds that were left out in turn.
        gain: Router less the best single model of the other kinds. The interval is over prompts
            of these kinds; another kind may do worse than all of them.
        worst: The kind with the lowest gain.
        novel: Share of the prompts that the router took for novel.
        break_even: Share of prompts of unseen kinds up to which routing pays, 0 to 1; None where
            nothing is routed, or a gain is unknown.
        text: All that in a sentence.
    """

    expected: float
    kinds: str
    left_out: int
    sets: int
    gain: Gain
    worst: WorstKind
    novel: float
    break_even: float | None
    text: str
