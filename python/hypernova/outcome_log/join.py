"""Join each outcome of a log with its decision, in one pass and in any order.

Not here: any estimate from the outcomes. Lines that cannot be used are counted by reason; a
damaged line costs no other.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from hypernova.outcome_log.records import LoggedDecision, LoggedOutcome, RecordError, parse
from hypernova.outcome_log.segments import find_segments

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping

    from hypernova.outcome_log.segments import Segment

# Reasons why a line is skipped, in words.
REASONS = {
    "torn": "last line of a segment without its end; read next time if it was being written",
    "not_json": "line that is not a JSON object",
    "too_long": "line of more than 64 KiB",
    "unknown_kind": "record of a kind or version that this hypernova does not know",
    "malformed": "record with a value missing or out of range",
    "failed_with_score": "outcome of a failed request that has a score all the same",
    "no_decision": "outcome whose decision is in none of the segments given",
    "sent_again": "outcome with the key of the first of its decision: sent more than once",
    "scored_twice": "further outcome of a decision; the first counts",
    "decided_twice": "further decision of the same id; the first counts",
    "clock_back": "outcome dated more than a minute before its decision: a clock went back",
}
# Clocks of two machines may differ by less than this without being wrong.
MAX_CLOCK_SKEW_S = 60.0
# Ids of the decisions scored last, which tell a second score from a score without a decision.
# A second score of an older decision is skipped as well, as one without a decision.
MAX_SCORED_IDS = 100_000
# Outcomes that are held until their decision comes. Beyond it the oldest counts as one without
# a decision: anybody may send outcomes of made-up ids, and a million take some 500 MB.
MAX_EARLY = 1_000_000


class Joined(NamedTuple):
    """A decision and its outcome, which has a score."""

    decision: LoggedDecision
    outcome: LoggedOutcome


@dataclass
class LogTally:
    """Counts of a read log.

    Attributes:
        lines: Whole lines.
        decisions: Records of decisions among them.
        outcomes: Records of outcomes among them.
        joined: Outcomes with a score that were joined with their decisions.
        answered_by_other: Outcomes among them of another model than the one decided.
        failed: Outcomes of failed requests that were joined with their decisions. They have no
            score, and are not yielded.
        failed_by_model: The same by the model that failed.
        open: Decisions without an outcome so far.
        skipped: Lines that were not used, by reason (`REASONS`).
    """

    lines: int = 0
    decisions: int = 0
    outcomes: int = 0
    joined: int = 0
    answered_by_other: int = 0
    failed: int = 0
    failed_by_model: Counter[str] = field(default_factory=Counter)
    open: int = 0
    skipped: Counter[str] = field(default_factory=Counter)


class LogReader:
    """An iterator over the joined records of a log.

    In memory are the decisions that have no outcome yet, the outcomes whose decision has
    not come yet, and the ids of the decisions scored last; the log itself streams.

    Args:
        segments: Of `find_segments`.
        read_before: Number of bytes of each segment, by its head, that were read before. Pairs
            that lie in those bytes altogether are neither yielded nor counted again.

    Attributes:
        tally: Counts so far; complete once the iterator is at its end.
    """

    def __init__(
        self, segments: Iterable[Segment], read_before: Mapping[str, int] | None = None
    ) -> None:
        self.segments = list(segments)
        self.tally = LogTally()
        self._read_before = read_before or {}
        self._open: dict[str, tuple[LoggedDecision, bool]] = {}
        self._early: OrderedDict[str, tuple[LoggedOutcome, bool]] = OrderedDict()
        # With the key of the outcome.
        self._scored: OrderedDict[str, str | None] = OrderedDict()
        self._pairs = self._read()

    def __iter__(self) -> Iterator[Joined]:
        return self

    def __next__(self) -> Joined:
        return next(self._pairs)

    def _read(self) -> Iterator[Joined]:
        # Lines that were read before go first, in the same order: a second score must not
        # overtake the first because its segment sorts before.
        for new in (False, True):
            for segment in self.segments:
                before = self._read_before.get(segment.head or "", 0)
                lines = segment.lines(before) if new else segment.lines(0, before)
                for line in lines:
                    pair = self._take(line, new)
                    if pair is not None:
                        yield pair
                if new and segment.torn:
                    self.tally.skipped["torn"] += 1
        self.tally.open = len(self._open)
        self.tally.skipped["no_decision"] += sum(new for _, new in self._early.values())
        self.tally.skipped = +self.tally.skipped  # drops reasons that did not occur

    def _take(self, line: bytes | None, new: bool) -> Joined | None:
        self.tally.lines += new
        if line is None:
            self._skip("too_long", new)
            return None
        if not line.strip():
            return None
        try:
            record = parse(line)
        except RecordError as error:
            self._skip(error.reason, new)
            return None
        if isinstance(record, LoggedDecision):
            return self._take_decision(record, new)
        return self._take_outcome(record, new)

    def _take_decision(self, decision: LoggedDecision, new: bool) -> Joined | None:
        self.tally.decisions += new
        if decision.id in self._open or decision.id in self._scored:
            self._skip("decided_twice", new)
            return None
        early = self._early.pop(decision.id, None)
        if early is None:
            self._open[decision.id] = (decision, new)
            return None
        outcome, outcome_is_new = early
        return self._pair(decision, outcome, new or outcome_is_new)

    def _take_outcome(self, outcome: LoggedOutcome, new: bool) -> Joined | None:
        self.tally.outcomes += new
        early = self._early.get(outcome.id)
        if early is not None or outcome.id in self._scored:
            first = self._scored[outcome.id] if early is None else early[0].key
            again = outcome.key is not None and outcome.key == first
            self._skip("sent_again" if again else "scored_twice", new)
            return None
        decided = self._open.pop(outcome.id, None)
        if decided is None:
            self._early[outcome.id] = (outcome, new)
            if len(self._early) > MAX_EARLY:
                _, (_, dropped_is_new) = self._early.popitem(last=False)
                self._skip("no_decision", dropped_is_new)
            return None
        decision, decision_is_new = decided
        return self._pair(decision, outcome, new or decision_is_new)

    def _pair(self, decision: LoggedDecision, outcome: LoggedOutcome, new: bool) -> Joined | None:
        self._scored[decision.id] = outcome.key
        if len(self._scored) > MAX_SCORED_IDS:
            self._scored.popitem(last=False)
        if not new:
            return None
        tally, answered = self.tally, outcome.model or decision.model
        if outcome.time < decision.time - MAX_CLOCK_SKEW_S:
            tally.skipped["clock_back"] += 1
            return None
        if outcome.failed:
            tally.failed += 1
            tally.failed_by_model[answered] += 1
            return None
        tally.joined += 1
        tally.answered_by_other += answered != decision.model
        return Joined(decision, outcome)

    def _skip(self, reason: str, new: bool) -> None:
        self.tally.skipped[reason] += new


def read_log(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
) -> LogReader:
    """Read an outcome log.

    Args:
        paths: A folder of segments, a segment, or several of them.

    Returns:
        An iterator over pairs of a `LoggedDecision` and its `LoggedOutcome`, which has a score;
        at its end, ``tally`` counts the lines that were read, joined, failed, open and skipped.

    Raises:
        NotFoundError: There is no such file or folder.
        OutcomeLogError: A file cannot be read, or two are copies of one segment.

    Example:
        >>> import hypernova
        >>> log = hypernova.read_log("outcomes")  # doctest: +SKIP
        >>> sum(outcome.score for _, outcome in log), log.tally.skipped  # doctest: +SKIP
    """
    several = [paths] if isinstance(paths, str) or hasattr(paths, "__fspath__") else paths
    return LogReader(find_segments(several))  # type: ignore[arg-type]
