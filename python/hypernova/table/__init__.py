"""Read, check and write outcome tables: scores, costs, latencies and tokens of models on tasks.

Not here: embedding, clustering or evaluation.

- ``outcome_table``: `OutcomeTable`
  and `ScannedTable`, which is not held in memory
- ``table_arrays``: the arrays of a table in memory
- ``notes``: what is odd about a table
- ``pricing``: costs computed from tokens and prices
- ``scan``: reading tables that are not held in memory
- ``repeats``: several outcomes of one model on one task, merged into one
- ``arrays``: tables made from arrays
- ``columns``: its columns while a file is read or written
- ``checks``: the rules that columns must keep
- ``model_names``: the rules for names of models
- ``source``: a file's place in messages, and its errors
- ``formats``: reading and writing files, one module for each format
- ``prompts``: reading prompts alone
- ``prompt_fields``: reading what stands beside some of them
- ``logs``: tables made of logs of evaluation tools
- ``published``: tables made of published results
- ``importing``: how their samples become tasks and outcomes
- ``sources``: reading the logs, a module or package for each tool
- ``log_files``: opening them in pieces, under limits
"""

from __future__ import annotations

from hypernova.table.importing.summary import ImportSummary
from hypernova.table.logs import ImportedTable, read_logs
from hypernova.table.outcome_table import OutcomeTable, ScannedTable
from hypernova.table.prompts import read_prompts
from hypernova.table.published import PublicTable, read_routerbench, read_swebench
from hypernova.table.repeats import Repeats
from hypernova.table.scan.cursors import CHUNK_TASKS
from hypernova.table.sources.public.headline import Discrepancy

__all__ = [
    "CHUNK_TASKS",
    "Discrepancy",
    "ImportSummary",
    "ImportedTable",
    "OutcomeTable",
    "PublicTable",
    "Repeats",
    "ScannedTable",
    "read_logs",
    "read_prompts",
    "read_routerbench",
    "read_swebench",
]
