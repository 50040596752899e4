"""The outcome table: which model scored what on which task, read from disk and checked.

Not here: embedding, clustering or judging; nothing in this package looks at what a prompt means.
"""

from __future__ import annotations

from hypernova.table.outcome_table import OutcomeTable
from hypernova.table.prompts import read_prompts
from hypernova.table.public import Discrepancy, PublicTable, read_routerbench, read_swebench

__all__ = [
    "Discrepancy",
    "OutcomeTable",
    "PublicTable",
    "read_prompts",
    "read_routerbench",
    "read_swebench",
]
