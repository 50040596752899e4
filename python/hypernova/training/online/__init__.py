"""Learn from the outcome log of a running service.

Not here: writing and reading the log (see ``hypernova.outcome_log``).

- ``log_sums``: weighted sums of logged outcomes, which add up and decay
- ``posterior``: posterior means of the effects that these sums show
- ``generation``: how the estimates of one artifact differ from the fitted ones
- ``update``: the fitted estimates, updated by the posterior means
- ``groups``: the profiles of groups, moved as those of their clusters
- ``lineage``: record of earlier recalibrations in an artifact's metadata
- ``recalibrate``: from an artifact and a log to the next artifact
"""
