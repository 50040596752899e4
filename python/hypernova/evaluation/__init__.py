"""Evaluate on held-out tasks whether routing is worth it on an outcome table.

Not here: learning or routing of its own; each fold runs the code that users run.

- ``evaluate``: from a table to a report
- ``protocol``: split the tasks, learn and route each split
- ``baselines``: random choice, mixes, oracles
- ``estimated_table``, ``missing_cells``: strategies on a table whose missing outcomes are estimated
- ``outcome_model``, ``cost_model``, ``estimate_errors``: the estimates, and draws of their errors
- ``figures``, ``intervals``: from outcomes to figures with intervals
- ``frontiers``, ``areas``, ``calibration``: areas under curves, calls, and estimates at their word
- ``group_given``, ``group_figures``: the router whose caller names each prompt's group
- ``unseen_kinds``: the router on kinds of task that were left out of learning
- ``curve_parts``, ``learning_curve``: routers that learned from fewer tasks, and a forecast for
  more
- ``shared_text``: the effect of text that many prompts share
- ``evaluation_run``, ``results``, ``verdict``: from decisions to the report and its sentences
- ``figure_fields``, ``frontier_fields``, ``learning_curve_fields``, ``unseen_fields``,
  ``report_fields``: the typed fields of a report, and their JSON
- ``report``: `Report`
- ``terminal``, ``html``: the report as text and as one page
"""

from hypernova.evaluation.evaluate import evaluate
from hypernova.evaluation.report import Report

__all__ = ["Report", "evaluate"]
