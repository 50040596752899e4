"""Estimate each model's success from its outcomes.

Not here: which clusters there are, and which setting is best.

- ``sums``: the type of all sums, which add, subtract and serialise
- ``outcome_sums``: sums of outcomes by cluster and model, and their products with vectors
- ``completion``: sums of a table whose holes are filled, computed from the sums
- ``overlap``: models that only their holes keep from being the default model
- ``profile``: shrunk success estimates and their standard errors, computed from the sums
- ``token_use``: tokens that a model reads and writes, computed from the sums
- ``linear_correction``: ridge regression of the outcomes on the vector
- ``repeats``: the effective number of outcomes of which several are of one task
- ``stacking``: the average of estimates, with weights learned on held-out tasks
"""
