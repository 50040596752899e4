"""Records of requests: the access log, and outcomes on their way to the outcome log.

- ``access_entries``: the facts of each request, its answer and its decision.
- ``access_log``: the file that these entries are appended to.
- ``idempotency``: the header Idempotency-Key, and the memory of answers for it.
- ``outcomes``: outcomes that callers send, each written once.
- ``timed_log``: an outcome log that knows whether it is quick.

Not here: the form of the outcome log (`hypernova.outcome_log`), and figures (`metrics`).
"""
