"""Read logs of evaluation tools and published results, one module for each tool.

Not here: what becomes of their records (`hypernova.table.importing`), and downloads.

- ``log``: the interface that a reader implements, and its records
- ``prompt_choice``: which text is the prompt
- ``files``: files that may be logs
- ``archive``: ZIP archives and gzip files unpacked under limits
- ``json_stream``: JSON read in pieces
- ``messages``: the text of chat messages
- ``inspect_ai``, ``lm_eval``, ``promptfoo``, ``helm``, ``openai_evals``, ``langfuse``,
  ``litellm_spend``, ``routerbench``, ``swebench``: reading each tool's files
- ``inspect_samples``: the records of Inspect AI's objects
- ``lm_eval_results``, ``lm_eval_prompts``: results and prompts of lm-evaluation-harness
- ``promptfoo_result``: one result of promptfoo
- ``exported_rows``: the cells of exported tables
- ``langfuse_scores``: the scores of a Langfuse export
- ``published_columns``: published results as columns, and as the records of a log
- ``headline``: the figure that a dataset is known by, and a check against it
- ``catalog``: public datasets, their sources and licences
"""

from __future__ import annotations

from hypernova.table.sources.files import LogFile
from hypernova.table.sources.log import LeftOut, Metric, Note, Reported, Sample, ToolLogReader
from hypernova.table.sources.prompt_choice import PromptChoice

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
