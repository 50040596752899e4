"""The command line ``hypernova``.

Exit codes: 0 done; 2 wrong usage; 3 done, with a result that an option asked to fail on; 130, 143
and 129 ended by SIGINT, SIGTERM and SIGHUP; 1 any other error, with one line on standard error.
Not here: anything that the Python interface cannot do.

- One module for each command: ``import_logs``, ``fit``, ``evaluate``, ``route``, ``serve``,
  ``inspect``, ``diff``, ``monitor``, ``recalibrate``, ``add_model``, ``next_prompts``,
  ``datasets``, ``export_embedder``; and ``change_models`` for two
- ``arguments``: arguments that commands share
- ``streams``: standard output and standard error
- ``signals``: signals that end a command
- ``summary``: the description of an artifact
- ``import_summary``: the summary of an import
- ``eval_tasks``: prompts written as the data of evaluation tools
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import hypernova
from hypernova.cli import signals, streams
from hypernova.errors import HypernovaError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

# The commands, each with its help, by the module that adds them; of these only that of the chosen
# command is imported.
_COMMANDS = {
    "import_logs": {"import": "make an outcome table of logs of evaluation tools"},
    "fit": {"fit": "learn an artifact from an outcome table"},
    "evaluate": {"evaluate": "measure on held-out tasks whether routing is worth it"},
    "route": {"route": "choose a model for a prompt"},
    "serve": {"serve": "decide over HTTP (needs the extra server)"},
    "inspect": {"inspect": "show the content of an artifact"},
    "diff": {"diff": "show what a new artifact would change"},
    "monitor": {"monitor": "tell from an outcome log whether a router is still right"},
    "recalibrate": {"recalibrate": "learn from an outcome log without fitting again"},
    "add_model": {"add-model": "add a model from some scored prompts"},
    "next_prompts": {"next-prompts": "propose prompts to score for a model"},
    "change_models": {
        "remove-model": "remove models from an artifact",
        "rename-model": "rename a model in an artifact",
    },
    "datasets": {"datasets": "list public outcome data, and convert its files"},
    "export_embedder": {
        "export-embedder": "turn a model of another library into an embedder folder"
    },
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    code: int | None = None
    try:
        streams.prepare()
        try:
            words = sys.argv[1:] if argv is None else argv
            arguments = _parser(_chosen(words)).parse_args(words)
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


def _chosen(words: Sequence[str]) -> Collection[str]:
    """Return the module of the command that the arguments name; none if they begin otherwise.

    The options that may stand before a command, such as ``--help``, end the process.
    """
    name = next((word for word in words if word != "--"), None)
    return [module for module, commands in _COMMANDS.items() if name in commands]


class _Parser(argparse.ArgumentParser):
    """A parser, also of each command, that does not import ``shutil`` to add an option."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=_formatter, **options)


def _formatter(prog: str) -> argparse.HelpFormatter:
    # As `shutil.get_terminal_size` finds it, which argparse asks at every option.
    width = os.environ.get("COLUMNS", "")
    columns = int(width) if width.isdecimal() else 0
    try:
        columns = columns or os.get_terminal_size().columns
    except (ValueError, OSError):  # no terminal
        columns = 80
    return argparse.HelpFormatter(prog, width=(columns or 80) - 2)


def _parser(modules: Collection[str] = tuple(_COMMANDS)) -> argparse.ArgumentParser:
    """Make the parser, with the commands of some modules; of none, with the names of all."""
    parser = _Parser(
        prog="hypernova",
        description="Route a prompt to the language model most likely to solve it.",
    )
    parser.add_argument("--version", action="version", version=hypernova.__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in modules:
        import_module(f"hypernova.cli.{module}").add_to(commands)
    if not modules:
        for of_module in _COMMANDS.values():
            for name, text in of_module.items():
                commands.add_parser(name, help=text)
    return parser
