"""Read results that are published: SWE-bench's leaderboards and RouterBench.

Not here: tables made of them (`hypernova.table.published`), and downloads.

- ``swebench``, ``routerbench``: reading each publisher's files
- ``columns``: published results as columns, and as the records of a log
- ``headline``: the figure that a dataset is known by, and a check against it
- ``catalog``: the datasets, their sources and licences
"""
