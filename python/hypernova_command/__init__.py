"""Start the command ``hypernova``, so that Ctrl-C ends it without a traceback from the beginning.

A package beside `hypernova`, because importing anything of that one loads what routing needs, and
until the command line has handlers of its own a signal meanwhile would be an exception there.

Not here: the command line (`hypernova.cli`).
"""

from __future__ import annotations


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
