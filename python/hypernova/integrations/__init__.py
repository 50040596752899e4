"""What joins hypernova to services: `server`, `litellm` and `otel`, each behind an extra.

Not here: decisions; each module asks a `hypernova.Router`, and nothing that serves imports
this package.
"""
