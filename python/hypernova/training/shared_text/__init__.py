"""Find text that many prompts of a table share, and report what leaving it out changes.

Not here: leaving it out (see ``hypernova.embedder.shared_text``).

A preamble that stands before every prompt fills the part of a text that an embedder reads, and
hides the question behind it. It may also tell kinds of task apart, which routing lives on. So
no text is left out unasked: the effect on held-out tasks is measured and reported.

- ``find``: shared beginnings and ends, and different prompts with equal vectors
- ``report``: accuracy at stake, and the sentences that commands and reports print
"""

from hypernova.training.shared_text.find import (
    SharedText,
    find_alike_prompts,
    find_shared_text,
    row_digests,
)
from hypernova.training.shared_text.report import (
    accuracy_at_stake,
    alike_sentence,
    shared_sentence,
    skipped_sentence,
)

__all__ = [
    "SharedText",
    "accuracy_at_stake",
    "alike_sentence",
    "find_alike_prompts",
    "find_shared_text",
    "row_digests",
    "shared_sentence",
    "skipped_sentence",
]
