"""Import onnxruntime with its telemetry off; the one place of the project that imports it.

Not here: sessions (see ``device``), or which graphs are accepted (see ``files``).

On POSIX, onnxruntime's import starts a thread that looks up the address of its vendor's collector,
and writes a device id and a database under the user's cache folder. The variable below stops all
of it, if it is in the environment before the first import. docs/closed.md says the rest.
"""

from __future__ import annotations

import os
from typing import Any, Final

TELEMETRY: Final = "ORT_DISABLE_TELEMETRY"


def disable_telemetry() -> None:
    """Turn onnxruntime's telemetry off for this process and those that it starts.

    A value that is set is left alone. One that is empty counts as unset: onnxruntime would read
    it as leave to report.
    """
    if not os.environ.get(TELEMETRY):
        os.environ[TELEMETRY] = "1"


def import_onnxruntime() -> Any:
    """Import onnxruntime, with its telemetry off unless the program has imported it before."""
    disable_telemetry()  # once more: the program may have cleared its environment
    import onnxruntime

    return onnxruntime


# With `import hypernova`, which loads this module: a program that goes on to import onnxruntime
# itself does so before a router first needs it.
disable_telemetry()
