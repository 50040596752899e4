"""The command ``hypernova``, a module for each of its commands.

Not here: anything that the Python interface cannot do. Exit codes: 0 done; 2 bad
usage; 130, 143 and 129 told to end by SIGINT, SIGTERM and SIGHUP; 1 anything else, with one
line on standard error.
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
    ending,
    evaluate,
    export_embedder,
    fit,
    inspect,
    next_prompts,
    recalibrate,
    route,
    serve,
    streams,
)
from hypernova.errors import HypernovaError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    code: int | None = None
    try:
        streams.prepare()
        try:
            arguments = _parser().parse_args(argv)
            with ending.raising():
                code = arguments.run(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        return code or 0  # the reader of our output is gone, as with `| head`: not an error
    except MemoryError:
        streams.complain("there is not enough memory for that")
        return 1
    except (HypernovaError, OSError) as error:
        streams.complain(error)
        return 1
    except KeyboardInterrupt:
        return 130
    except ending.Ended as ended:
        return ended.exit_code
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
