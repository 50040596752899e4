"""Make many independent calls at a time: in processes of this machine, or on a Ray cluster.

Not here: learning, evaluating or routing. The package knows calls, results and their order.

- ``calls``: `map_calls`, the one way in
- ``mapper``: engine and number of calls at a time, said once
- ``here``: threads of this process, for work in compiled code
- ``processes``: the local engine
- ``on_ray``: the engine of a Ray cluster
- ``pickled``: calls and their answers as bytes
- ``threads``: in how many threads a call computes
"""

from hypernova.parallel.calls import Engine, check_engine, default_jobs, map_calls
from hypernova.parallel.here import Stop, calls_in_threads
from hypernova.parallel.mapper import HERE, Mapper, pickles
from hypernova.parallel.threads import compute_threads

__all__ = [
    "HERE",
    "Engine",
    "Mapper",
    "Stop",
    "calls_in_threads",
    "check_engine",
    "compute_threads",
    "default_jobs",
    "map_calls",
    "pickles",
]
