"""Connect hypernova to services, each with an extra.

Not here: decisions; each module calls a `hypernova.Router`, and the router imports nothing of this
package.

- ``server``: `hypernova serve`
- ``litellm``: a hook for LiteLLM's proxy
- ``otel``: spans for OpenTelemetry
- ``gateway``: the ranking for a request, for any gateway
- ``request_options``: the route options of a request, within the operator's
"""
