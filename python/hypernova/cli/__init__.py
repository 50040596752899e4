"""The command line ``hypernova``.

Exit codes: 0 done; 2 wrong usage; 3 done, with a result that an option asked to fail on; 130, 143
and 129 ended by SIGINT, SIGTERM and SIGHUP; 1 any other error, with one line on standard error.
Not here: anything that the Python interface cannot do.

- One module for each command: ``import_logs``, ``fit``, ``evaluate``, ``route``, ``serve``,
  ``inspect``, ``diff``, ``monitor``, ``recalibrate``, ``add_model``, ``next_prompts``,
  ``datasets``, ``export_embedder``, ``examples``; and ``change_models`` for two
- ``parser``: the parser of a command line, its help and its errors
- ``arguments``: arguments that commands share
- ``streams``: standard output and standard error
- ``signals``: signals that end a command
- ``summary``: the description of an artifact
- ``import_summary``: the summary of an import
- ``eval_tasks``: prompts written as the data of evaluation tools
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

import hypernova
from hypernova.cli import signals, streams
from hypernova.cli.parser import Parser, did_you_mean
from hypernova.errors import HypernovaError

if TYPE_CHECKING:
    import argparse
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
    "examples": {"examples": "write example outcomes and logs, to try the commands on"},
}
_NAMES = [name for commands in _COMMANDS.values() for name in commands]
_FIRST_STEPS = """\
first steps:
  hypernova route --explain "a prompt of yours"     with the bundled artifact
  hypernova examples                                outcomes to try the rest on
  hypernova evaluate examples/simulated.jsonl       is routing worth it?

'hypernova help COMMAND' describes a command.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    code: int | None = None
    try:
        streams.prepare()
        try:
            words = sys.argv[1:] if argv is None else argv
            arguments = _arguments(list(words))
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


def _arguments(words: list[str]) -> argparse.Namespace:
    """Parse a command line; one that is wrong, or asks for help, ends the process."""
    if words[:1] == ["help"]:
        words = [*words[1:2], "--help"]
    modules = _chosen(words)
    parser = _parser(modules)
    if not words:
        parser.print_help(sys.stderr)
        parser.exit(2)
    if not modules and not words[0].startswith("-"):
        there_are = f"there are {', '.join(_NAMES)}"
        near = did_you_mean(words[0], _NAMES) or there_are
        parser.error(f"there is no command {words[0]!r}; {near}")
    arguments, extra = parser.parse_known_args(words)
    if extra:
        arguments.parser.error_of_extra(extra)
    return arguments


def _chosen(words: Sequence[str]) -> Collection[str]:
    """Return the module of the command that the arguments name; none if they begin otherwise.

    The options that may stand before a command, such as ``--help``, end the process.
    """
    name = next((word for word in words if word != "--"), None)
    return [module for module, commands in _COMMANDS.items() if name in commands]


def _parser(modules: Collection[str] = tuple(_COMMANDS)) -> argparse.ArgumentParser:
    """Make the parser, with the commands of some modules; of none, with the names of all."""
    parser = Parser(
        prog="hypernova",
        description="Route a prompt to the language model most likely to solve it.",
        epilog=_FIRST_STEPS,
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
