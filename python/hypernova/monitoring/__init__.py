"""Tell from the outcomes of a service whether its router is still right.

Not here: logging (see `hypernova.outcome_log`), learning from a log (`hypernova.recalibrate`), or
evaluation on a table (`hypernova.evaluate`).

All statements are *anytime-valid*: whoever looks every day, and stops at the first look that shows
something, is misled no more often than stated. A test for a fixed number of outcomes lacks this:
repeated each day for a year, a test at 5% is wrong far more often than one time in twenty.

- ``tilts``: mixtures of bets, from which all of the following are built
- ``sequences``: an interval of a mean that holds at every look, `MeanSequence`
- ``estimate_checks``: whether success is as predicted, by group, `EstimateCheck`
- ``changes``: whether a model's success changed, and since when, `ChangeDetector`
- ``gains``: the gain of routing over the default model, `GainSequence`
- ``observations``: a log in columns
- ``sections``: the figures of a report
- ``verdict``, ``wording``: findings, and one sentence on what to do; figures as words
- ``monitor``: from an artifact and a log to a report
- ``report_fields``, ``report``: the typed fields, their JSON, and `MonitorReport`
- ``terminal``, ``html``: the report as text and as one page
"""

from hypernova.monitoring.monitor import monitor
from hypernova.monitoring.report import MonitorReport

__all__ = ["MonitorReport", "monitor"]
