"""Estimate each model's success from its outcomes.

Not here: which clusters there are, and which setting is best.

- ``sums``: counts, sums and sums of squares by cluster and model
- ``profile``: shrunk success estimates and their standard errors, computed from the sums
- ``linear_correction``: ridge regression of the clusters' residuals on the vector
"""
