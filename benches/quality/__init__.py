"""Compare hypernova with other ways to route, in the same folds on the same vectors.

Not here: whether routing is worth it on a table; `hypernova evaluate` says that.

- ``rivals``: the other routers, each tuned inside the training part
- ``compare``: learn and decide in every fold, and from decisions to figures
- ``record``: the figures as a Markdown record and a CSV file

Run: make bench-quality
"""
