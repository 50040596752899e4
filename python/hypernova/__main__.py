"""Start the command ``hypernova``, as a script of its own or as `python -m hypernova`.

Until the command line has handlers of its own, Ctrl-C ends the process without a traceback. That
holds from here on, which is early: importing `hypernova` loads next to nothing before.

Not here: the command line (`hypernova.cli`).
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line and return its exit code."""
    try:
        import signal

        # One that is ignored, as in the background of a shell, stays ignored.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        from hypernova.cli import main as run

        return run()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
