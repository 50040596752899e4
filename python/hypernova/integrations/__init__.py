"""Connect hypernova to services: `server`, `litellm` and `otel`, each with an extra.

`gateway` and `request_options` are for any gateway. Not here: decisions; each module calls a
`hypernova.Router`, and the router imports nothing of this package.
"""
