"""Read logs of Langfuse. Not here: what becomes of the records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.table.sources.log import LogReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hypernova.table.sources.files import LogFile
    from hypernova.table.sources.log import Record
    from hypernova.table.sources.prompt_choice import PromptChoice


class LangfuseReader(LogReader):
    """Read logs of Langfuse."""

    name = "langfuse"
    title = "Langfuse"

    def recognise(self, file: LogFile) -> bool:
        """Return whether a file is a log of Langfuse."""
        del file
        return False

    def read(
        self, log: LogFile, others: Sequence[LogFile], prompt: PromptChoice
    ) -> Iterator[Record]:
        """Yield the records of a log."""
        raise NotImplementedError
