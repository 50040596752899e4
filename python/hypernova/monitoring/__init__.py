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
"""
