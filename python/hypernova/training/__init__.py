"""Learn a routing artifact from an outcome table.

Not here: anything that serving needs; nothing that routes imports this package.

- ``cluster``: k-means, and the order of clusters
- ``profile``: what each model achieved in each cluster, shrunk, with its errors
- ``select``: clusters, shrinkage and guard, chosen on held-out tasks
- ``learn``: from vectors and outcomes to clusters and profiles
- ``fit``: all of it, from a table to an artifact
- ``folded``, ``shift``, ``lineage``: sums of an outcome log, what they move, what is remembered
- ``recalibrate``: all of that, from an artifact and a log to the next artifact
- ``parts``: an artifact taken apart, changed and put together again
- ``pool``: models that join an artifact, leave it or are renamed, without fitting again
"""

from hypernova.training.fit import fit
from hypernova.training.online.recalibrate import ModelChange, Recalibration, recalibrate

__all__ = ["ModelChange", "Recalibration", "fit", "recalibrate"]
