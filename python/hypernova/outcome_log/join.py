"""Join each outcome of a log with its decision, in one pass and in any order.

Not here: any estimate from the outcomes. Lines that cannot be used are counted by reason; a
damaged line costs no other.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from hypernova.errors import OutcomeLogError
from hypernova.outcome_log.records import LoggedDecision, LoggedOutcome, RecordError, parse
from hypernova.outcome_log.scored import ScoredIds
from hypernova.outcome_log.segments import find_segments
from hypernova.paths import path_label

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping

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
    "sent_again": "outcome with the key of one of its decision that counts: sent more than once",
    "scored_twice": "further outcome of a decision; the first score counts, else the first failure",
    "decided_twice": "further decision of the same id; the first counts",
    "clock_back": "outcome dated more than a minute before its decision: a clock went back",
}
# Of lines that no log writes: a file of nothing else is another one.
_NO_RECORD = {"not_json", "unknown_kind"}
# Clocks of two machines may differ by less than this without being wrong.
MAX_CLOCK_SKEW_S = 60.0
# Outcomes that are held until their decision comes. Beyond it the oldest counts as one without
# a decision: anybody may send outcomes of made-up ids, and a million take some 500 MB.
MAX_EARLY = 1_000_000
# Decisions of failed requests that are held until a retry is scored. Beyond it the oldest are
# given up: a long outage takes some 100 MB.
MAX_FAILED = 100_000


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
        failed: Outcomes of failed requests that were joined with their decisions, one for each.
            They have no score, and are not yielded; the score of a retry that comes later is.
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

    In memory are the decisions that have no outcome yet, the last ones whose request failed, the
    outcomes whose decision has not come yet, and a bit for the id of each scored one; the log
    itself streams.

    Args:
        segments: Of `find_segments`.
        read_before: Number of bytes of each segment, by its head, that were read before. Pairs
            that lie in those bytes altogether are neither yielded nor counted again.
        on_decision: Called with each decision that was not read before, also one that has no
            outcome yet; not with a further one of the same id.

    Attributes:
        tally: Counts so far; complete once the iterator is at its end.
    """

    def __init__(
        self,
        segments: Iterable[Segment],
        read_before: Mapping[str, int] | None = None,
        on_decision: Callable[[LoggedDecision], None] | None = None,
    ) -> None:
        self.segments = list(segments)
        self.tally = LogTally()
        self._read_before = read_before or {}
        self._on_decision = on_decision
        self._open: dict[str, tuple[LoggedDecision, bool]] = {}
        self._failed: OrderedDict[str, tuple[LoggedDecision, bool, str | None]] = OrderedDict()
        # By id and by whether the request failed.
        self._early: OrderedDict[tuple[str, bool], tuple[LoggedOutcome, bool]] = OrderedDict()
        self._scored = ScoredIds()
        # Lines that are records, of any worth, and lines that are none.
        self._records = self._other_lines = 0
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
        if self._other_lines and not self._records:
            first = path_label(self.segments[0].path)
            n = self._other_lines
            none = "its line is not" if n == 1 else f"none of its {n:,} lines is"
            raise OutcomeLogError(
                f"{first}: {none} of an outcome log; name the folder that --log named, or a "
                "segment in it"
            )
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
            if error.reason in _NO_RECORD:
                self._other_lines += 1
            else:
                self._records += 1
            return None
        self._records += 1
        if isinstance(record, LoggedDecision):
            return self._take_decision(record, new)
        return self._take_outcome(record, new)

    def _take_decision(self, decision: LoggedDecision, new: bool) -> Joined | None:
        self.tally.decisions += new
        if any(decision.id in ids for ids in (self._open, self._failed, self._scored)):
            self._skip("decided_twice", new)
            return None
        if self._on_decision is not None and new:
            self._on_decision(decision)
        failure = self._early.pop((decision.id, True), None)
        if failure is not None:
            self._take_failure(decision, new, *failure)
        else:
            self._open[decision.id] = (decision, new)
        score = self._early.pop((decision.id, False), None)
        return None if score is None else self._take_score(*score)

    def _take_outcome(self, outcome: LoggedOutcome, new: bool) -> Joined | None:
        self.tally.outcomes += new
        id_ = outcome.id
        if self._is_further(outcome):
            again = self._has_key(id_, outcome.key)
            self._skip("sent_again" if again else "scored_twice", new)
        elif id_ not in self._open and id_ not in self._failed:
            self._early[id_, outcome.failed] = (outcome, new)
            if len(self._early) > MAX_EARLY:
                _, (_, dropped_is_new) = self._early.popitem(last=False)
                self._skip("no_decision", dropped_is_new)
        elif outcome.failed:
            self._take_failure(*self._open.pop(id_), outcome, new)
        else:
            return self._take_score(outcome, new)
        return None

    def _is_further(self, outcome: LoggedOutcome) -> bool:
        """Return whether another outcome counts: a score goes before failures, else the first."""
        id_ = outcome.id
        if id_ in self._scored or (id_, False) in self._early:
            return True
        return outcome.failed and (id_ in self._failed or (id_, True) in self._early)

    def _has_key(self, id_: str, key: str | None) -> bool:
        """Return whether an outcome of a decision that counts has a key."""
        if key is None:
            return False
        early = [self._early.get((id_, failed)) for failed in (False, True)]
        keys = [found[0].key for found in early if found is not None]
        if id_ in self._failed:
            keys.append(self._failed[id_][2])
        return key in keys or self._scored.has_key(id_, key)

    def _take_failure(
        self, decision: LoggedDecision, decision_is_new: bool, outcome: LoggedOutcome, new: bool
    ) -> None:
        """Count a failed request. The decision is kept: a retry may be scored."""
        self._failed[decision.id] = (decision, decision_is_new, outcome.key)
        if len(self._failed) > MAX_FAILED:
            oldest, (_, _, key) = self._failed.popitem(last=False)
            self._scored.add(oldest, key)
        if (new or decision_is_new) and not self._went_back(decision, outcome):
            self.tally.failed += 1
            self.tally.failed_by_model[outcome.model or decision.model] += 1

    def _take_score(self, outcome: LoggedOutcome, new: bool) -> Joined | None:
        failure_key = None
        if outcome.id in self._open:
            decision, decision_is_new = self._open.pop(outcome.id)
        else:
            decision, decision_is_new, failure_key = self._failed.pop(outcome.id)
        self._scored.add(outcome.id, outcome.key, failure_key)
        if not (new or decision_is_new) or self._went_back(decision, outcome):
            return None
        self.tally.joined += 1
        self.tally.answered_by_other += (outcome.model or decision.model) != decision.model
        return Joined(decision, outcome)

    def _went_back(self, decision: LoggedDecision, outcome: LoggedOutcome) -> bool:
        """Return, and count, whether an outcome is dated before its decision."""
        # The pair is used up: if the decision's clock was wrong, a later date is no better.
        back = outcome.time < decision.time - MAX_CLOCK_SKEW_S
        self.tally.skipped["clock_back"] += back
        return back

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
