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
from hypernova.strict_json import refuse_constant

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1
# Bytes of a line with its end. Only a model's name could make one long.
MAX_LINE = 64 * 1024

# Amounts of an outcome that may be unknown; their names are those of an outcome table.
OPTIONAL_AMOUNTS = ("cost_usd", "latency_s", "input_tokens", "output_tokens")

# Bytes that the sketch of a prompt's vector may have.
MAX_SKETCH_BYTES = 256

# Seconds since 1970 of the times that can be written again, in UTC: the years 1 to 9999.
_EARLIEST = datetime.min.replace(tzinfo=UTC).timestamp()
_LATEST = datetime.max.replace(microsecond=999_000, tzinfo=UTC).timestamp()

_ID = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEY = re.compile(r"[ -~]{1,128}")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


class RecordError(Exception):
    """A line is no record that this version reads.

    Attributes:
        reason: A key of `hypernova.outcome_log.join.REASONS`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class LoggedShadow:
    """The decision of another artifact for the same prompt, which only the log receives.

    Attributes:
        artifact: sha256 of the shadow artifact.
        model: The model that it chose; None if it failed.
        cluster: Index of its nearest centroid; None if it failed.
        novelty: Novelty of the prompt by its training prompts, 0 to 1; None if it failed.
        success: Its success estimate of its model for this prompt, 0 to 1; None if it failed.
        cost_usd: Expected cost of its model; None if unknown.
        error: Code of the error with which it failed, such as ``no_candidate``; else None.
    """

    artifact: str
    model: str | None = None
    cluster: int | None = None
    novelty: float | None = None
    success: float | None = None
    cost_usd: float | None = None
    error: str | None = None

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> LoggedShadow:
        """Check the fields of the object ``shadow`` of a line.

        Raises:
            RecordError: A field is missing, of the wrong type or out of range.
        """
        artifact = _artifact(fields)
        if fields.get("error") is not None:
            return cls(artifact, error=sys.intern(_name(fields, "error")))
        return cls(
            artifact=artifact,
            model=sys.intern(_name(fields, "model")),
            cluster=_cluster(fields),
            novelty=_number(fields, "novelty", 1.0),
            success=_number(fields, "success", 1.0),
            cost_usd=_optional(fields, "cost_usd", sys.float_info.max),
        )


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
        default_model: Default model of the artifact; None in a record of 0.1.
        default_success: Success estimate of the default model for this prompt; None if the limits
            left it out, or in a record of 0.1.
        cost_usd: Expected cost of the chosen model, by the request's prices; None if unknown.
        latency_s: Expected latency of the chosen model; None if unknown.
        candidates: Number of models that exploration could have drawn; None if unknown, as after
            a failure.
        shadow: Decision of the shadow; None without one.
        sketch: Base64 text of a code of the prompt's vector, at most 256 bytes; None if the user
            did not have it kept.
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
    default_model: str | None = None
    default_success: float | None = None
    cost_usd: float | None = None
    latency_s: float | None = None
    candidates: int | None = None
    shadow: LoggedShadow | None = None
    sketch: str | None = None

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> LoggedDecision:
        """Check the fields of a line.

        Raises:
            RecordError: A field is missing, of the wrong type or out of range.
        """
        propensity = _number(fields, "propensity", 1.0)
        if propensity == 0.0:
            _refuse("propensity", propensity, "a number above 0: the chosen model had a chance")
        return cls(
            id=_id(fields),
            time=_time(fields),
            artifact=_artifact(fields),
            model=sys.intern(_name(fields, "model")),
            cluster=_cluster(fields),
            propensity=propensity,
            reason=sys.intern(_name(fields, "reason")),
            novelty=_number(fields, "novelty", 1.0),
            success=_number(fields, "success", 1.0),
            group=_optional_name(fields, "group"),
            default_model=_optional_name(fields, "default_model"),
            default_success=_optional(fields, "default_success", 1.0),
            cost_usd=_optional(fields, "cost_usd", sys.float_info.max),
            latency_s=_optional(fields, "latency_s", sys.float_info.max),
            candidates=None if fields.get("candidates") is None else _candidates(fields),
            shadow=None if fields.get("shadow") is None else _shadow(fields),
            sketch=None if fields.get("sketch") is None else _sketch(fields),
        )

    def line(self) -> bytes:
        """Return the line of the record, with its end and without values that are None."""
        fields = {**_known(self), "time": _written(self.time)}
        if self.shadow is not None:
            fields["shadow"] = _known(self.shadow)
        return _line("decision", fields)


@dataclass(frozen=True, slots=True)
class LoggedOutcome:
    """The outcome of a decision.

    Attributes:
        id: Id of the decision.
        time: Seconds since 1970, UTC.
        score: 0 to 1; None exactly if ``failed``.
        model: The model that answered, if it is not the chosen one; else None.
        success: Success estimate of ``model`` for this prompt; None if unknown.
        cost_usd: Cost of the answer; None if unknown.
        latency_s: Seconds that the answer took; None if unknown.
        input_tokens: Tokens of the prompt; None if unknown.
        output_tokens: Tokens of the answer; None if unknown.
        failed: Whether the request failed, so that there was no answer to score.
        key: Idempotency key of the sender, 1 to 128 printable ASCII characters; else None.
    """

    id: str
    time: float
    score: float | None
    model: str | None = None
    success: float | None = None
    cost_usd: float | None = None
    latency_s: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    failed: bool = False
    key: str | None = None

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> LoggedOutcome:
        """Check the fields of a line.

        Raises:
            RecordError: A field is missing, of the wrong type or out of range, or a failed request
                has a score.
        """
        failed = fields.get("failed")
        if failed is not None and not isinstance(failed, bool):
            _refuse("failed", failed, "true or false")
        outcome = cls(
            id=_id(fields),
            time=_time(fields),
            score=None if failed else _number(fields, "score", 1.0),
            model=_optional_name(fields, "model"),
            success=_optional(fields, "success", 1.0),
            failed=bool(failed),
            key=None if fields.get("key") is None else _key(fields),
            **{name: _optional(fields, name, sys.float_info.max) for name in OPTIONAL_AMOUNTS},
        )
        # After the other checks: whose outcome it claims to be is known then.
        if failed and fields.get("score") is not None:
            _refuse("score", fields["score"], "none: the request failed", "failed_with_score")
        return outcome

    def line(self) -> bytes:
        """Return the line of the record, with its end and without unknown values."""
        fields = {**_known(self), "time": _written(self.time)}
        if not self.failed:
            del fields["failed"]
        return _line("outcome", fields)


def parse(line: bytes) -> LoggedDecision | LoggedOutcome:
    """Read one line.

    Raises:
        RecordError: The line is not JSON, of another kind or version, or a value is malformed.
    """
    try:
        fields = json.loads(line, parse_constant=refuse_constant)
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


def _known(record: LoggedDecision | LoggedShadow | LoggedOutcome) -> dict[str, Any]:
    """Return the fields of a record that are not None."""
    fields = {name: getattr(record, name) for name in record.__slots__}
    return {name: value for name, value in fields.items() if value is not None}


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
    if moment.tzinfo is None or not _EARLIEST <= seconds <= _LATEST:
        _refuse("time", value, "a time with its zone, as 2026-11-26T13:42:41.123Z")
    return seconds


def _id(fields: Mapping[str, Any]) -> str:
    value = fields.get("id")
    if not isinstance(value, str) or not _ID.fullmatch(value):
        _refuse("id", value, "the 32 hexadecimal digits of a decision's id")
    return str(value)


def _artifact(fields: Mapping[str, Any]) -> str:
    value = fields.get("artifact")
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        _refuse("artifact", value, "64 hexadecimal digits in lower case")
    # Few distinct values, as of the names below, and many decisions may be open at once.
    return sys.intern(str(value))


def _cluster(fields: Mapping[str, Any]) -> int:
    return _whole(fields, "cluster", 0)


def _candidates(fields: Mapping[str, Any]) -> int:
    return _whole(fields, "candidates", 1)


def _whole(fields: Mapping[str, Any], name: str, smallest: int) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not smallest <= value < 2**32:
        _refuse(name, value, f"a whole number, at least {smallest}")
    return value


def _shadow(fields: Mapping[str, Any]) -> LoggedShadow:
    value = fields.get("shadow")
    if not isinstance(value, dict):
        _refuse("shadow", value, "an object")
    return LoggedShadow.of(value)


def _sketch(fields: Mapping[str, Any]) -> str:
    value = fields.get("sketch")
    text = value if isinstance(value, str) and _BASE64.fullmatch(value) else ""
    if not 0 < len(text) // 4 * 3 - text.count("=") <= MAX_SKETCH_BYTES:
        _refuse("sketch", value, f"base64 text of 1 to {MAX_SKETCH_BYTES} bytes")
    return text


def _key(fields: Mapping[str, Any]) -> str:
    value = fields.get("key")
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        _refuse("key", value, "1 to 128 printable ASCII characters")
    return str(value)


def _optional_name(fields: Mapping[str, Any], name: str) -> str | None:
    return None if fields.get(name) is None else sys.intern(_name(fields, name))


def _name(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        _refuse(name, value, "a name")
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        _refuse(name, value, "a name without half of a surrogate pair")
    return str(value)  # NumPy's strings cannot be interned


def plain_number(number: Any) -> Any:
    """Return a number of NumPy as a float, and any other value as it is.

    The checks above refuse other values by name. ``float`` alone would accept some of them: a
    truth value, text, and an array of one number.
    """
    if type(number) is float or number is None:  # most often, and quickly
        return number
    if (
        isinstance(number, str | bytes | bytearray | bool)
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


def plain_truth(value: Any) -> Any:
    """Return a truth value of NumPy as a bool, and any other value as it is."""
    return bool(value) if _numpy_kind(value) == "b" and not getattr(value, "ndim", 0) else value


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


def _optional(fields: Mapping[str, Any], name: str, largest: float) -> float | None:
    return None if fields.get(name) is None else _number(fields, name, largest)


def _refuse(name: str, value: object, rule: str, reason: str = "malformed") -> NoReturn:
    raise RecordError(reason, f"{name} is {escaped(repr(value)[:80])}; expected {rule}")
