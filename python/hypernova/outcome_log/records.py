"""The two kinds of line of an outcome log, a decision and the outcome of one, and their checks.

Not here: files. The same checks hold for writing and for reading.
"""

from __future__ import annotations

import json
import math
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from hypernova.paths import escaped

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1
# Bytes of a line with its end. Only a model's name could make one long.
MAX_LINE = 64 * 1024

# Amounts of an outcome that may be unknown; their names are those of an outcome table.
OPTIONAL_AMOUNTS = ("cost_usd", "latency_s", "input_tokens", "output_tokens")

_ID = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class RecordError(Exception):
    """A line is no record that this version reads.

    Attributes:
        reason: A key of `hypernova.outcome_log.join.REASONS`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class LoggedDecision:
    """The decision for one prompt.

    Attributes:
        id: 32 hexadecimal digits, of this decision alone.
        time: Seconds since 1970, UTC.
        artifact: sha256 of the artifact that decided.
        model: The chosen model.
        cluster: Index of the nearest centroid.
        propensity: Probability with which the model was drawn, above 0 and at most 1.
        reason: Reason of the decision.
        novelty: Novelty of the prompt, 0 to 1.
        success: Success estimate of the chosen model for this prompt, 0 to 1.
        group: Group whose profile decided, as the caller named it; else None.
    """

    id: str
    time: float
    artifact: str
    model: str
    cluster: int
    propensity: float
    reason: str
    novelty: float
    success: float
    group: str | None = None

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> LoggedDecision:
        """Check the fields of a line.

        Raises:
            RecordError: A field is missing, of the wrong type or out of range.
        """
        cluster, artifact = fields.get("cluster"), fields.get("artifact")
        if not isinstance(cluster, int) or isinstance(cluster, bool) or not 0 <= cluster < 2**32:
            _refuse("cluster", cluster, "a whole number, at least 0")
        if not isinstance(artifact, str) or not _SHA256.fullmatch(artifact):
            _refuse("artifact", artifact, "64 hexadecimal digits in lower case")
        propensity = _number(fields, "propensity", 1.0)
        if propensity == 0.0:
            _refuse("propensity", propensity, "a number above 0: the chosen model had a chance")
        return cls(
            id=_id(fields),
            time=_time(fields),
            # Few distinct values, and many decisions may be open at once.
            artifact=sys.intern(str(artifact)),
            model=sys.intern(_name(fields, "model")),
            cluster=cluster,
            propensity=propensity,
            reason=sys.intern(_name(fields, "reason")),
            novelty=_number(fields, "novelty", 1.0),
            success=_number(fields, "success", 1.0),
            group=None if fields.get("group") is None else sys.intern(_name(fields, "group")),
        )

    def line(self) -> bytes:
        """Return the line of the record, with its end and without a group that is None."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        known = {name: value for name, value in fields.items() if value is not None}
        return _line("decision", {**known, "time": _written(self.time)})


@dataclass(frozen=True, slots=True)
class LoggedOutcome:
    """The outcome of a decision.

    Attributes:
        id: Id of the decision.
        time: Seconds since 1970, UTC.
        score: 0 to 1.
        model: The model that answered, if it is not the chosen one; else None.
        success: Success estimate of ``model`` for this prompt; None if unknown.
        cost_usd: Cost of the answer; None if unknown.
        latency_s: Seconds that the answer took; None if unknown.
        input_tokens: Tokens of the prompt; None if unknown.
        output_tokens: Tokens of the answer; None if unknown.
    """

    id: str
    time: float
    score: float
    model: str | None = None
    success: float | None = None
    cost_usd: float | None = None
    latency_s: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> LoggedOutcome:
        """Check the fields of a line.

        Raises:
            RecordError: A field is missing, of the wrong type or out of range.
        """

        def optional(name: str, largest: float) -> float | None:
            return None if fields.get(name) is None else _number(fields, name, largest)

        named = fields.get("model") is not None
        return cls(
            id=_id(fields),
            time=_time(fields),
            score=_number(fields, "score", 1.0),
            model=sys.intern(_name(fields, "model")) if named else None,
            success=optional("success", 1.0),
            **{name: optional(name, sys.float_info.max) for name in OPTIONAL_AMOUNTS},
        )

    def line(self) -> bytes:
        """Return the line of the record, with its end and without unknown values."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        known = {name: value for name, value in fields.items() if value is not None}
        return _line("outcome", {**known, "time": _written(self.time)})


def parse(line: bytes) -> LoggedDecision | LoggedOutcome:
    """Read one line.

    Raises:
        RecordError: The line is not JSON, of another kind or version, or a value is malformed.
    """
    try:
        fields = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RecordError("not_json", f"not JSON ({error})") from None
    if not isinstance(fields, dict):
        raise RecordError("not_json", "not a JSON object")
    kind = fields.get("type")
    if fields.get("v") != VERSION or kind not in ("decision", "outcome"):
        raise RecordError("unknown_kind", f"type {kind!r} of version {fields.get('v')!r}")
    return LoggedDecision.of(fields) if kind == "decision" else LoggedOutcome.of(fields)


def _line(kind: str, fields: Mapping[str, Any]) -> bytes:
    # ASCII: no name can hold an end of line, and none is cut inside a letter.
    record = {"type": kind, "v": VERSION, **fields}
    return json.dumps(record, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def _written(time: float) -> str:
    moment = datetime.fromtimestamp(time, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _time(fields: Mapping[str, Any]) -> float:
    value = fields.get("time")
    try:
        moment = datetime.fromisoformat(value if isinstance(value, str) else "")
        seconds = moment.timestamp()
    except (ValueError, OverflowError):
        moment, seconds = datetime.min, 0.0
    if moment.tzinfo is None:
        _refuse("time", value, "a time with its zone, as 2026-11-26T13:42:41.123Z")
    return seconds


def _id(fields: Mapping[str, Any]) -> str:
    value = fields.get("id")
    if not isinstance(value, str) or not _ID.fullmatch(value):
        _refuse("id", value, "the 32 hexadecimal digits of a decision's id")
    return str(value)


def _name(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        _refuse(name, value, "a name")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        _refuse(name, value, "a name without half of a surrogate pair")
    return str(value)  # NumPy's strings cannot be interned


def plain_number(number: Any) -> Any:
    """Return a number of NumPy as a float, and any other value as it is.

    The checks above refuse other values by name. ``float`` alone would accept some of them: a
    truth value, text, and an array of one number.
    """
    if (
        number is None
        or isinstance(number, str | bytes | bytearray | bool)
        or _numpy_kind(number) in set("bOSU")
        or getattr(number, "ndim", 0) > 0
    ):
        return number
    try:
        return float(number)
    except (TypeError, ValueError, OverflowError):
        return number


def plain_score(score: Any) -> Any:
    """Return a score as `plain_number` does, and a truth value as 1 or 0."""
    is_truth = isinstance(score, bool) or (
        _numpy_kind(score) == "b" and not getattr(score, "ndim", 0)
    )
    return float(score) if is_truth else plain_number(score)


def _numpy_kind(value: object) -> str:
    """Return the letter of a NumPy value's kind; empty for any other value."""
    return str(getattr(getattr(value, "dtype", None), "kind", ""))


def _number(fields: Mapping[str, Any], name: str, largest: float) -> float:
    value = fields.get(name)
    rule = f"a number from 0 to {largest:g}" if largest <= 1.0 else "a finite number, at least 0"
    if not isinstance(value, int | float) or isinstance(value, bool):
        _refuse(name, value, rule)
    try:
        number = float(value)
    except OverflowError:  # an integer of hundreds of digits
        raise RecordError("malformed", f"{name} is a number too large; expected {rule}") from None
    if not (math.isfinite(number) and 0.0 <= number <= largest):
        _refuse(name, value, rule)
    return number


def _refuse(name: str, value: object, rule: str) -> NoReturn:
    raise RecordError("malformed", f"{name} is {escaped(repr(value)[:80])}; expected {rule}")


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")
