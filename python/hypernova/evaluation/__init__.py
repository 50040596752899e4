"""Judge on held-out tasks whether routing is worth it on an outcome table.

Not here: learning or routing of its own; each fold runs what users run.

- ``folds``: learn on a training part, route the test part, choose the controls
- ``processes``: several parts at a time
- ``controls``: what the router is compared with
- ``bootstrap``: how far a mean may be off
- ``figures``: from decisions to figures with intervals
- ``verdict``: one sentence
- ``report``: `Report`, and its form in a terminal
- ``evaluate``: all of it, from a table to a report
- ``html``: the report as one page
"""

from hypernova.evaluation.evaluate import evaluate
from hypernova.evaluation.report import Report

__all__ = ["Report", "evaluate"]
