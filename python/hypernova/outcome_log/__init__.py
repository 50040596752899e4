"""The outcome log: what was decided and how it went, one JSON line a record.

Not here: learning from it (see ``hypernova.training.online.recalibrate``), and the text of any
prompt: no record holds one.

- ``records``: the two kinds of line, checked the same way when written and when read
- ``writer``: `OutcomeLog`, which a service writes to
- ``segments``: the files of a log, and their lines
- ``join``: `read_log`, which puts each outcome to its decision
"""

from hypernova.outcome_log.join import Joined, LogReader, Tally, read_log
from hypernova.outcome_log.records import LoggedDecision, LoggedOutcome
from hypernova.outcome_log.writer import OutcomeLog

__all__ = [
    "Joined",
    "LogReader",
    "LoggedDecision",
    "LoggedOutcome",
    "OutcomeLog",
    "Tally",
    "read_log",
]
