"""Find clusters of prompts, and describe them.

Not here: what the models achieved in them (see ``hypernova.training.estimates``).

- ``kmeans``: spherical k-means, and the nearest centroid of each vector
- ``prototypes``: centroids that tell groups of tasks apart (RSLVQ)
- ``lbfgs``: the minimiser that trains prototypes
- ``clusters``: either of the two, and each cluster's share in a vector
- ``describe``: distinctive words and typical prompts of each cluster
"""
