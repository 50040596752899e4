"""The server's figures, which all its processes count together.

- ``board``: numbers in memory that processes share.
- ``prometheus``: the metrics that these numbers are, as Prometheus reads them.

Not here: measurements, which callers bring.
"""
