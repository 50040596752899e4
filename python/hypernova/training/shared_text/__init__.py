"""Text that many prompts of a table share, and prompts that look alike."""

from hypernova.training.shared_text.find import SharedText, find_alike, find_shared, keys_of
from hypernova.training.shared_text.report import (
    alike_sentence,
    at_stake,
    shared_sentence,
    skipped_sentence,
)

__all__ = [
    "SharedText",
    "alike_sentence",
    "at_stake",
    "find_alike",
    "find_shared",
    "keys_of",
    "shared_sentence",
    "skipped_sentence",
]
