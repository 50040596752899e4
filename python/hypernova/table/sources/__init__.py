"""Read logs of evaluation tools and published results, one module for each tool.

Not here: what becomes of their records (`hypernova.table.importing`), and downloads.

- ``log``: the interface that a reader implements, and its records
- ``inspect_ai``, ``lm_eval``, ``promptfoo``, ``helm``, ``openai_evals``, ``langfuse``,
  ``litellm_spend``: reading each tool's files
- ``public``: published results, SWE-bench's and RouterBench's
"""

from __future__ import annotations

from hypernova.table.log_files.files import LogFile
from hypernova.table.log_files.prompt_choice import PromptChoice
from hypernova.table.sources.log import LeftOut, Metric, Note, Reported, Sample, ToolLogReader

__all__ = [
    "LeftOut",
    "LogFile",
    "Metric",
    "Note",
    "PromptChoice",
    "Reported",
    "Sample",
    "ToolLogReader",
]
