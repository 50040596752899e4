"""What the log reads of a decision, for type checkers. Not here: any code that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class Entry(Protocol):
    """Of a `RankingEntry`."""

    @property
    def model(self) -> str:
        """Name."""

    @property
    def success(self) -> float:
        """What is estimated for the prompt."""


class Decided(Protocol):
    """Of a `Decision`."""

    @property
    def id(self) -> str:
        """32 hexadecimal digits."""

    @property
    def artifact(self) -> str:
        """sha256 of the artifact that decided."""

    @property
    def model(self) -> str:
        """The model that was taken."""

    @property
    def cluster(self) -> int:
        """The nearest one."""

    @property
    def propensity(self) -> float:
        """Chance with which the model was taken."""

    @property
    def reason(self) -> str:
        """Why it was taken."""

    @property
    def novelty(self) -> float:
        """Of the prompt, 0 to 1."""

    @property
    def ranking(self) -> Sequence[Entry]:
        """All candidates; one of them is ``model``."""
