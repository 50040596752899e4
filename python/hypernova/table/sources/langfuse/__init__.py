"""Read exports of Langfuse.

Not here: what becomes of the records (`hypernova.table.importing`).

- ``reader``: the generations
- ``scores``: what they and their traces scored
"""
