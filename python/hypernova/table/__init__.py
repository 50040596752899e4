"""Read, check and write outcome tables: scores, costs and latencies of models on tasks.

`outcome_table` is the table; `formats` reads and writes files as `columns`, `checks` and
`model_names` hold the rules, `source` words their errors, `prompts` reads prompts alone, and
`public` reads published data. Not here: embedding, clustering or evaluation.
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
