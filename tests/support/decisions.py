"""Decisions that a test makes up, with what the outcome log reads of one.

Not here: tests.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

ARTIFACT = "a" * 64


@dataclass(frozen=True)
class Entry:
    model: str
    success: float


@dataclass(frozen=True)
class Decision:
    model: str = "m0"
    cluster: int = 0
    propensity: float = 1.0
    success: float = 0.5
    artifact: str = ARTIFACT
    reason: str = "routed"
    novelty: float = 0.25
    others: tuple[Entry, ...] = ()
    id: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def ranking(self) -> tuple[Entry, ...]:
        return (Entry(self.model, self.success), *self.others)
