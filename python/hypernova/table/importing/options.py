"""The options of an import: scores, prompts, names and what to leave out.

Not here: what each option does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypernova.table.sources.prompt_choice import PromptChoice

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """The options of an import.

    Attributes:
        prompt: Which text is the prompt.
        score: Metrics or scorers, the first that a group has counts; ``GROUP=NAME`` speaks of one
            group.
        scale: The lowest and the highest score, which become 0 and 1; None for 0 and 1.
        choices: Score of each text that a score may be, beyond those that are known.
        rename: New name of each model to rename; two models of one name become one.
        skip_broken: Whether to leave out logs that cannot be read, and name them.
    """

    prompt: PromptChoice = field(default_factory=PromptChoice)
    score: tuple[str, ...] = ()
    scale: tuple[float, float] | None = None
    choices: Mapping[str, float] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)
    skip_broken: bool = False
