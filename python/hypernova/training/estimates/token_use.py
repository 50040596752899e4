"""Estimate the tokens that each model reads and writes for a prompt, from sums.

Not here: the sums (see ``outcome_sums``), or the cost of tokens, which prices give.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.training.estimates.sums import TOKEN_SUMS, mean_by_cell, ratio

if TYPE_CHECKING:
    from hypernova.numeric import Floats
    from hypernova.training.estimates.sums import Sums

# With fewer outcomes a model's line from characters to tokens has the slope of all models together.
MIN_LINE_OUTCOMES = 10
# Lengths whose variance is a smaller part of their mean square do not differ.
_MIN_SPREAD = 1e-9


@dataclass(frozen=True)
class TokenUse:
    """Tokens that each of m models reads and writes.

    Attributes:
        input_tokens: Mean tokens of the prompt by cell, float32 (k + 1, m), the last row for the
            whole table. A cell without known tokens has the model's overall mean; NaN where the
            model has none at all.
        output_tokens: Mean tokens of the answer, as ``input_tokens``.
        prompt_tokens: A line for each model, float32 (m, 2): ``base`` and ``per_char``, both at
            least 0. A prompt of n characters has about ``base + per_char * n`` input tokens; NaN
            for a model without input tokens.
    """

    input_tokens: Floats
    output_tokens: Floats
    prompt_tokens: Floats

    @classmethod
    def of(cls, sums: Sums) -> TokenUse | None:
        """Compute the use of tokens from sums.

        The means have the rows of the sums: those of ``sums.of_cells(cells)`` have a row for each
        of ``cells`` and the last one for all tasks.

        Args:
            sums: With those of `sum_tokens`, if any tokens are known.

        Returns:
            The use of tokens; None if no tokens are known.
        """
        if not all(name in sums for name in TOKEN_SUMS):
            return None
        known = [sums[name] for name in TOKEN_SUMS]
        if not (known[0].any() or known[2].any()):
            return None
        return cls(
            input_tokens=mean_by_cell(known[1], known[0]),
            output_tokens=mean_by_cell(known[3], known[2]),
            prompt_tokens=_fit_lines(sums),
        )


def _fit_lines(sums: Sums) -> Floats:
    """Fit each model's line from the characters of a prompt to input tokens, float32 (m, 2).

    Least squares over the model's outcomes, with base and slope not negative: where the slope would
    be, the line is the mean; where the base would be, the line through the origin. A model with
    fewer than `MIN_LINE_OUTCOMES` outcomes, or with prompts of one length, takes the slope of all
    models together, each centred on its own mean, and the base that fits its own outcomes.
    """
    n, tokens = sums["input_tokens_n"][-1], sums["input_tokens"][-1]
    chars, chars2, products = sums["chars"], sums["chars2"], sums["chars_tokens"]
    spread = np.maximum(chars2 - ratio(chars**2, n, 0.0), 0.0)
    together = products - ratio(chars * tokens, n, 0.0)
    differ = spread > _MIN_SPREAD * chars2
    common = max(float(together[differ].sum() / spread[differ].sum()), 0.0) if differ.any() else 0.0
    own = differ & (n >= MIN_LINE_OUTCOMES)
    slope = np.where(own, np.maximum(ratio(together, np.where(own, spread, 0.0), 0.0), 0.0), common)
    base = ratio(tokens - slope * chars, n, np.nan)
    through = base < 0.0
    slope = np.where(through, ratio(products, chars2, 0.0), slope)
    line = np.stack([np.maximum(base, 0.0), slope], axis=1)
    return np.where(n[:, None] > 0, line, np.nan).astype(np.float32)
