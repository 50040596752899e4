"""Read evaluations of promptfoo.

Not here: what becomes of the records (`hypernova.table.importing`).

- ``reader``: the exports
- ``result``: the parts of one result
"""
