"""The options of an import: scores, prompts, names and what to leave out.

Not here: what each option does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypernova.errors import TableError
from hypernova.table.log_files.prompt_choice import PromptChoice
from hypernova.table.model_names import name_problem
from hypernova.table.source import quoted

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

    Raises:
        TableError: the scale or a choice makes no score in 0..1, a name of a metric is empty, or no
            model may have a new name.
    """

    prompt: PromptChoice = field(default_factory=PromptChoice)
    score: tuple[str, ...] = ()
    scale: tuple[float, float] | None = None
    choices: Mapping[str, float] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)
    skip_broken: bool = False

    def __post_init__(self) -> None:
        if self.scale is not None:
            low, high = self.scale
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise TableError(
                    f"scale: found {low:g} and {high:g}; give the lowest and the highest score, "
                    "two numbers of which the first is smaller"
                )
        for value, score in self.choices.items():
            if not 0.0 <= score <= 1.0:
                raise TableError(
                    f"choice {quoted(value)}: found the score {score:g}; give a number in 0..1"
                )
        for name in self.score:
            if not name.strip():
                raise TableError(f"score: found {quoted(name)}; give the name of a metric")
        for old, new in self.rename.items():
            problem = name_problem(new)
            if problem:
                raise TableError(f"new name of {quoted(old)}: {problem[0]}; {problem[1]}")
