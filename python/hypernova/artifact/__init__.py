"""Artifacts as values, below training and serving.

Not here: fitting an artifact, and deciding by one. `hypernova.Artifact` itself is of the core.

- ``metadata``: the JSON that an artifact holds: identity, fingerprint, metadata
- ``profile``: `Profile`, the estimates of some models, and copies of an artifact with other models
- ``known_models``: route options without the names of models that an artifact does not hold
- ``sketch``: sketches, a few coordinates of a prompt's vector that a log may keep
- ``usable_prices``: the prices of a file that an artifact can use
- ``decisions``: decisions of an artifact whose own limits may leave no model
"""
