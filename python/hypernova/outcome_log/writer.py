"""Write decisions and their outcomes as they happen, so that a crash loses one record at most.

Not here: reading them back (see ``join``), and the checks of their values (see ``records``).
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from hypernova.errors import OutcomeError, OutcomeLogError
from hypernova.outcome_log.records import (
    MAX_LINE,
    MAX_SKETCH_BYTES,
    LoggedDecision,
    LoggedOutcome,
    RecordError,
    plain_number,
    plain_score,
    plain_truth,
)
from hypernova.outcome_log.segments import SUFFIX
from hypernova.outcome_log.sketcher import Sketcher
from hypernova.paths import escaped, path_label
from hypernova.system import O_BINARY, call_in_forked_child, sync_folder
from hypernova.unpickled import UnpickledCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Any, Self

    from hypernova._core import Decision, RankingEntry

MAX_SEGMENT_BYTES = 64 * 1024 * 1024


class OutcomeLog:
    """An append-only log of decisions and their outcomes. Safe to share among threads.

    Each record is one line, handed to the operating system in one write before the call
    returns: the records of a killed process are in the file, and at most the record
    that it was just writing is cut short. A process writes to files of its own, also
    after a fork, and never continues a file that another one began, so processes may
    share the folder. No record holds the text of a prompt. A pickled log writes to the
    same folder in the other process, where all unpickled logs of a folder are one; a copy is
    the log itself.

    Args:
        folder: Folder of the segments; made if it does not exist.
        max_bytes: Largest size of a segment, in bytes; a longer log continues in a new one.
        fsync: ``"never"``: records survive a crash of the process, and those of the last seconds
            may be lost with the machine; ``"always"``: each record is on the disk before the call
            returns, which costs a write of the disk.
        sketch: Keep with each decision a sketch of the prompt's vector, 17 bytes, from which
            `hypernova.recalibrate` learns more. It says something of what the prompt is about: a
            log without sketches says no more than the cluster. A decision has none that came out
            of a pickle, or whose artifact has no directions to measure in.

    Raises:
        OutcomeLogError: The folder cannot be made.
        ValueError: ``max_bytes`` is no whole number from 1, ``fsync`` is another word, or
            ``sketch`` is neither True nor False.

    Example:
        >>> import hypernova
        >>> router = hypernova.Router.open()
        >>> with hypernova.OutcomeLog("outcomes") as log:  # doctest: +SKIP
        ...     decision = router.route("Fix the race", explore=0.05)
        ...     log.record_decision(decision)
        ...     log.record_outcome(decision, 1.0, cost_usd=0.012)
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        max_bytes: int = MAX_SEGMENT_BYTES,
        fsync: Literal["never", "always"] = "never",
        sketch: bool = False,
    ) -> None:
        if fsync not in ("never", "always"):
            raise ValueError(f'fsync is {fsync!r}; expected "never" or "always"')
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 1:
            raise ValueError(f"max_bytes is {max_bytes!r}; expected a whole number from 1")
        if not isinstance(sketch, bool):
            raise ValueError(f"sketch is {sketch!r}; expected True or False")
        self._folder = Path(folder)
        self._sketcher = Sketcher() if sketch else None
        self._max_bytes = max_bytes
        self._sync = fsync == "always"
        self._opened = 0
        self._closed = False
        self._reset()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._failed("the folder cannot be made", error) from error
        _logs.add(self)

    @property
    def folder(self) -> Path:
        """Folder of the segments."""
        return self._folder

    def record_decision(self, decision: Decision, *, sketch: bytes | None = None) -> str:
        """Record a decision, and that of its shadow in the same record.

        Args:
            decision: The decision, before or after its model is called.
            sketch: A sketch of the prompt's vector, 1 to 256 bytes, instead of the one that the
                log makes or leaves out.

        Returns:
            The decision's id, by which the outcome can be recorded later, elsewhere.

        Raises:
            OutcomeError: ``decision`` is no decision, or has a value that cannot be logged.
            OutcomeLogError: The record could not be written, or the log is closed.
        """
        try:
            fields = _decision_fields(decision)
        except (AttributeError, TypeError):
            raise _no_decision(decision, "a Decision") from None
        if sketch is None and self._sketcher is not None:
            sketch = self._sketcher.sketch(decision)
        if sketch is not None:
            fields["sketch"] = _base64(sketch)
        record = _checked(LoggedDecision, fields)
        self._append(record.line())
        return record.id

    def record_outcome(
        self,
        decision: Decision | str,
        score: float | None = None,
        *,
        failed: bool = False,
        key: str | None = None,
        model: str | None = None,
        cost_usd: float | None = None,
        latency_s: float | None = None,
        input_tokens: float | None = None,
        output_tokens: float | None = None,
    ) -> None:
        """Record the outcome of a decision: the score of its answer, or that there was none.

        Args:
            decision: The decision or its id. Another process may have recorded it.
            score: 0 to 1; True and False are 1 and 0. Left out if the request failed.
            failed: Whether the request failed, so that there is no answer to score: the model or
                its provider gave an error, or none in time. Nothing is learned of it as a score.
            key: A text of the sender's choice, 1 to 128 printable ASCII characters, the same for
                each time that it sends this outcome: an outcome that was sent again is told from
                a second score.
            model: The model that answered, if it is not the chosen one. Its success estimate is
                recorded, too, if ``decision`` is the decision itself.
            cost_usd: Cost of the answer in USD, if known.
            latency_s: Seconds that the answer took, if known.
            input_tokens: Tokens of the prompt, if known.
            output_tokens: Tokens of the answer, if known.

        Raises:
            OutcomeError: A value is out of range or of another type, ``decision`` is no id, or
                there are both a score and ``failed``, or neither.
            OutcomeLogError: The record could not be written, or the log is closed.
        """
        decision_id, estimate = decision, None
        if not isinstance(decision, str):
            try:
                decision_id = decision.id
                estimate = (
                    None if model is None else plain_number(_success(decision.ranking, model))
                )
            except (AttributeError, TypeError):
                raise _no_decision(decision, "a Decision or its id") from None
        record = _checked(
            LoggedOutcome,
            {
                "id": decision_id,
                "time": _now(),
                "score": plain_score(score),
                "failed": plain_truth(failed),
                "key": key,
                "model": model,
                "success": estimate,
                "cost_usd": plain_number(cost_usd),
                "latency_s": plain_number(latency_s),
                "input_tokens": plain_number(input_tokens),
                "output_tokens": plain_number(output_tokens),
            },
        )
        self._append(record.line())

    def close(self) -> None:
        """Close the log to further records. Closing twice is no error."""
        with self._lock:
            self._closed = True
            self._close_segment()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[..., OutcomeLog], tuple[object, ...]]:
        fsync = "always" if self._sync else "never"
        place = str(self._folder.absolute())
        sketch = self._sketcher is not None
        return _unpickle, (type(self), place, self._max_bytes, fsync, sketch, self._closed)

    def __copy__(self) -> Self:
        return self  # like an open file

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        # There is no descriptor if the arguments were refused. `close` is bound early: as the
        # interpreter ends, modules are emptied first.
        descriptor: int | None = getattr(self, "_descriptor", None)
        if descriptor is not None:
            close(descriptor)

    def _reset(self) -> None:
        """Set the state of a log without a segment, with a lock that nobody holds."""
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._size = 0

    def _append(self, line: bytes) -> None:
        if len(line) > MAX_LINE:
            raise OutcomeError(f"a record of {len(line)} bytes; at most {MAX_LINE} can be logged")
        with self._lock:
            if self._closed:
                raise OutcomeLogError(
                    f"{path_label(self._folder)}: the log is closed; open another OutcomeLog on "
                    "the folder"
                )
            try:
                descriptor = self._segment_for(len(line))
                self._write(descriptor, line)
            except OSError as error:
                raise self._failed("a record was not written", error) from error

    def _segment_for(self, length: int) -> int:
        if self._descriptor is not None and self._size + length > self._max_bytes:
            self._close_segment()
        if self._descriptor is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | O_BINARY
            while self._descriptor is None:
                moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
                self._opened += 1
                name = f"{moment}-{os.getpid()}-{self._opened}{SUFFIX}"
                try:
                    self._descriptor = os.open(self._folder / name, flags, 0o644)
                except FileExistsError:  # two machines, or two containers, on one folder
                    continue
            self._size = 0
            if self._sync:
                sync_folder(self._folder)
        return self._descriptor

    def _write(self, descriptor: int, line: bytes) -> None:
        written = 0
        try:
            while written < len(line):  # a disk that is nearly full takes a part
                written += os.write(descriptor, line[written:])
            if self._sync:
                os.fsync(descriptor)
            self._size += len(line)
        except OSError:
            # The next record must not go on where this one broke off.
            try:
                os.ftruncate(descriptor, self._size)
            except OSError:
                self._close_segment()
            raise
        except BaseException:  # of a signal: the number of bytes written is unknown
            self._close_segment()
            raise

    def _close_segment(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _failed(self, what: str, error: OSError) -> OutcomeLogError:
        why = error.strerror or error
        return OutcomeLogError(
            f"{path_label(self._folder)}: {what} ({why}); check the space and the permissions there"
        )

    def _after_fork(self) -> None:
        """Leave the parent's segment to the parent, and a lock that some thread held there."""
        descriptor = self._descriptor
        self._reset()
        if descriptor is not None:
            os.close(descriptor)

    def __repr__(self) -> str:
        return f"<hypernova.OutcomeLog: {self._folder}>"


_logs: weakref.WeakSet[OutcomeLog] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for log in list(_logs):
        log._after_fork()


call_in_forked_child(_after_fork_in_child)


_unpickled: UnpickledCache[tuple[object, ...], OutcomeLog] = UnpickledCache()


def _unpickle(
    kind: type[OutcomeLog],
    folder: str,
    max_bytes: int,
    fsync: Literal["never", "always"],
    sketch: bool,
    closed: bool,
) -> OutcomeLog:
    """Return this process's log on a folder, so that unpickled logs share a file."""
    log = _unpickled.get(
        (kind, folder, max_bytes, fsync, sketch, closed),
        lambda _: kind(folder, max_bytes=max_bytes, fsync=fsync, sketch=sketch),
        usable=lambda log: log._closed == closed,
    )
    if closed:
        log.close()
    return log


def _now() -> str:
    return datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")


_Record = TypeVar("_Record", LoggedDecision, LoggedOutcome)


def _checked(kind: type[_Record], fields: dict[str, Any]) -> _Record:
    try:
        return kind.of(fields)
    except RecordError as error:
        raise OutcomeError(f"the record was not logged: {error}") from None


def _no_decision(given: object, expected: str) -> OutcomeError:
    return OutcomeError(
        f"the record was not logged: decision is {escaped(repr(given)[:80])}; expected {expected}"
    )


def _decision_fields(decision: Decision) -> dict[str, Any]:
    """Return the fields of a decision's record. The ranking is built once, as it is not free."""
    ranking, default_model = decision.ranking, decision.default_model
    chosen = ranking[0]
    if chosen.model == default_model:
        default_success: float | None = chosen.success
    else:
        default_success = _success(ranking, default_model)
    fallback = decision.reason == "fallback"
    return {
        "id": decision.id,
        "time": _now(),
        "artifact": decision.artifact,
        "model": decision.model,
        "cluster": decision.cluster,
        "propensity": plain_number(decision.propensity),
        "reason": decision.reason,
        "novelty": plain_number(decision.novelty),
        "success": plain_number(chosen.success),
        "group": decision.group,
        "default_model": default_model,
        "default_success": plain_number(default_success),
        "cost_usd": plain_number(chosen.cost_usd),
        "latency_s": plain_number(chosen.latency_s),
        # Nothing is drawn after a failure.
        "candidates": None if fallback else len(ranking),
        "shadow": _shadow_fields(decision),
    }


def _shadow_fields(decision: Decision) -> dict[str, Any] | None:
    artifact = decision.shadow_artifact
    if artifact is None:
        return None
    shadow = decision.shadow
    if shadow is None:
        return {"artifact": artifact, "error": decision.shadow_error}
    chosen = shadow.ranking[0]
    return {
        "artifact": artifact,
        "model": chosen.model,
        "cluster": shadow.cluster,
        "novelty": plain_number(shadow.novelty),
        "success": plain_number(chosen.success),
        "cost_usd": plain_number(chosen.cost_usd),
    }


def _base64(sketch: object) -> str:
    """Return bytes as base64 text.

    Raises:
        OutcomeError: It is no object of bytes, or has none or too many.
    """
    import base64

    if isinstance(sketch, bytes | bytearray | memoryview):
        found = bytes(sketch)  # a view of every second byte, too
        if 0 < len(found) <= MAX_SKETCH_BYTES:
            return base64.b64encode(found).decode("ascii")
        given = f"of {len(found)} bytes"
    else:
        given = escaped(repr(sketch)[:80])
    raise OutcomeError(
        f"the record was not logged: sketch is {given}; expected 1 to {MAX_SKETCH_BYTES} bytes"
    )


def _success(ranking: Iterable[RankingEntry], model: str) -> float | None:
    """Return the success estimate of a model; None if the ranking lacks it."""
    return next((entry.success for entry in ranking if entry.model == model), None)
