"""The page of `hypernova serve --page`, and the answers that it asks the server for.

- ``assets``: serves the HTML, style and scripts of the folder `files`, with their headers.
- ``recent``: the last hour's figures, from the server's own counters.
- ``answers``: the forms of an explanation and of the last hour's figures, as OpenAPI shows them.

Not here: the decision and its explanation, which are `hypernova.Router`'s.
"""
