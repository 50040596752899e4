"""The parser of a command line: its help fits the terminal, its errors are one line with a remedy.

Not here: the commands and their options.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Parser(argparse.ArgumentParser):
    """A parser, also of each command, that ends with one line where the arguments are wrong.

    The usage of a command with many options fills a screen, and what was wrong would stand below.
    """

    def __init__(self, **options: Any) -> None:
        # Of the parsers that read a line, that of the command is the last to set it.
        super().__init__(formatter_class=_formatter, **options)
        self.set_defaults(parser=self)
        # Of arguments without a type of their own: paths and names. One that may be empty, such as
        # a prompt, has the type str.
        self.register("type", None, _not_empty)

    def add_subparsers(self, **options: Any) -> Any:
        """Add the commands, as `argparse` does."""
        commands = super().add_subparsers(**options)
        commands.type = str  # the parser of the command reads the words behind it
        return commands

    def error(self, message: str) -> NoReturn:
        """End the process with code 2 and one line."""
        end = "" if message.endswith("?") else ";"
        self.exit(2, f"{self.prog}: {message}{end} see {self.prog} --help\n")

    def error_of_extra(self, words: Sequence[str]) -> NoReturn:
        """End the process for words that no option or argument takes."""
        word = words[0]
        if not word.startswith("-"):
            self.error(f"{word!r} is one argument too many; put quotes around a text with blanks")
        name = word.partition("=")[0]
        known = (option for action in self._actions for option in action.option_strings)
        near = did_you_mean(name, known)
        self.error(f"there is no option {name}" + (f"; {near}" if near else ""))


def _not_empty(word: str) -> str:
    """Refuse an empty word: as a path it would be the current folder."""
    if not word:
        raise argparse.ArgumentTypeError("it is empty; is a variable of the shell not set?")
    return word


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a question for the known word that is most like another; empty if none is."""
    from difflib import get_close_matches

    near = get_close_matches(word, list(known), n=1)
    return f"did you mean {near[0]}?" if near else ""


def _formatter(prog: str) -> argparse.HelpFormatter:
    # As `shutil.get_terminal_size` finds it, which argparse asks at every option.
    width = os.environ.get("COLUMNS", "")
    columns = int(width) if width.isdecimal() else 0
    try:
        columns = columns or os.get_terminal_size().columns
    except (ValueError, OSError):  # no terminal
        columns = 80
    return _HelpFormatter(prog, width=(columns or 80) - 2)


class _HelpFormatter(argparse.HelpFormatter):
    """A formatter that keeps the lines of an epilog that has several."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return "".join(indent + line for line in text.splitlines(keepends=True))
        return super()._fill_text(text, width, indent)
