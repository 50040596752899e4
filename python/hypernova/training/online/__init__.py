"""Learn from the outcome log of a running service.

Not here: writing and reading the log (see ``hypernova.outcome_log``).

- ``log_sums``: weighted sums of logged outcomes, which add up and decay
- ``update``: posterior update of the fitted estimates by these sums
- ``groups``: the profiles of groups, moved as those of their clusters
- ``lineage``: record of earlier recalibrations in an artifact's metadata
- ``recalibrate``: from an artifact and a log to the next artifact
"""
