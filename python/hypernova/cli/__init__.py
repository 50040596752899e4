"""The command line ``hypernova``.

Exit codes: 0 done; 2 wrong usage; 130, 143 and 129 ended by SIGINT, SIGTERM and SIGHUP; 1 any
other error, with one line on standard error. Not here: anything that the Python interface cannot
do.

- One module for each command: ``fit``, ``evaluate``, ``route``, ``serve``, ``inspect``,
  ``recalibrate``, ``add_model``, ``next_prompts``, ``datasets``, ``export_embedder``; and
  ``change_models`` for two
- ``arguments``: arguments that commands share
- ``streams``: standard output and standard error
- ``signals``: signals that end a command
- ``summary``: the description of an artifact
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

import hypernova
from hypernova.cli import (
    add_model,
    change_models,
    datasets,
    evaluate,
    export_embedder,
    fit,
    inspect,
    next_prompts,
    recalibrate,
    route,
    serve,
    signals,
    streams,
)
from hypernova.errors import HypernovaError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    code: int | None = None
    try:
        streams.prepare()
        try:
            arguments = _parser().parse_args(argv)
            with signals.raise_on_signal():
                code = arguments.run(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        return code or 0  # the reader of our output has ended, as `| head` does: no error
    except MemoryError:
        streams.print_error("not enough memory; give the command more, or a smaller table")
        return 1
    except (HypernovaError, OSError) as error:
        streams.print_error(error)
        return 1
    except KeyboardInterrupt:
        return 130
    except signals.Terminated as terminated:
        return terminated.exit_code
    return code or 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hypernova",
        description="Route a prompt to the language model most likely to solve it.",
    )
    parser.add_argument("--version", action="version", version=hypernova.__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (
        fit,
        evaluate,
        route,
        serve,
        inspect,
        recalibrate,
        add_model,
        next_prompts,
        change_models,
        datasets,
        export_embedder,
    ):
        command.add_to(commands)
    return parser
