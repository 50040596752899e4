"""The outcome log: decisions and their outcomes, one JSON line a record.

Not here: learning from it (see ``hypernova.training.online.recalibrate``), and the text of any
prompt: no record holds one.

- ``records``: the two kinds of line and the shadow in one, checked alike when written and read
- ``sketcher``: sketches of the vectors of decisions, for a log whose user allows it
- ``writer``: `OutcomeLog`, which a service writes to
- ``segments``: the files of a log, and their lines
- ``scored``: the ids of the decisions that have an outcome
- ``join``: `read_log`, which joins each outcome with its decision
"""

from hypernova.outcome_log.join import Joined, LogReader, LogTally, read_log
from hypernova.outcome_log.records import LoggedDecision, LoggedOutcome, LoggedShadow
from hypernova.outcome_log.writer import OutcomeLog

__all__ = [
    "Joined",
    "LogReader",
    "LogTally",
    "LoggedDecision",
    "LoggedOutcome",
    "LoggedShadow",
    "OutcomeLog",
    "read_log",
]
