"""Read logs of Inspect AI.

Not here: what becomes of the records (`hypernova.table.importing`).

- ``reader``: the files, whole and in pieces
- ``samples``: the records of the objects in them
"""
