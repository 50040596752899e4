"""Find clusters of prompts, and describe them.

Not here: what the models achieved in them (see ``hypernova.training.estimates``).

- ``kmeans``: spherical k-means, and the nearest centroid of each vector
- ``groups``: the groups of tasks that are large enough to learn from
- ``discriminant``: centroids that tell groups of tasks apart
- ``clusters``: clusters by either, and each one's share in a vector
- ``describe``: distinctive words and typical prompts of each cluster
"""
