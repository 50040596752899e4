"""Artifacts as values: the identity and the metadata that they hold, and copies with other models.

Not here: fitting an artifact, and deciding by one. `hypernova.Artifact` itself is of the core.
"""
