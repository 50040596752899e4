"""Make one table of the logs of evaluation tools: which samples are one task, which scores count.

Not here: the tools' files (`hypernova.table.sources`).

- ``read``: logs read as the columns of a table
- ``discover``: the logs among files and folders
- ``registry``: the readers of logs
- ``options``: what an import was told
- ``gather``: the samples of one log in arrays
- ``collect``: the samples of all logs as tasks and outcomes
- ``requests``: costs from logs of requests
- ``scores``: values of tools as scores, 0..1
- ``agreement``: means beside the figures that logs state
- ``names``: models renamed, and names that look like one model
- ``summary``: what was read and left out
"""
