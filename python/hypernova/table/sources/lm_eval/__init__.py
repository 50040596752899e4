"""Read samples and results of lm-evaluation-harness.

Not here: what becomes of the records (`hypernova.table.importing`).

- ``reader``: the samples
- ``results``: the results beside them
- ``prompts``: the prompt of a sample, without its examples
"""
